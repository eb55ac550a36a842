"""Encoding and structure of cohort files: what is normalised, put aside or refused."""

from __future__ import annotations

import codecs
import gzip
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cohort_file import read_cohort
from features.errors import AdcrError
from features.faults import CohortRejectedError, describe
from features.limits import Limits
from features.tables.delimited_text import TableBuilder, read_delimited
from features.tables.plain_text import read_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.cohort import Cohort

HEADER = "patient_id,adc,her2_ihc,age_years,site"
ROWS = ("P1,T-DM1,3+,55,Lyon", "P2,T-DXd,1+,61,Kiel")
TEXT = "\n".join([HEADER, *ROWS, ""])


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Cohort]:
    """Reads a cohort from text or bytes."""

    def reader(content: str | bytes, name: str = "cohort.csv", **options: object) -> Cohort:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_cohort(path, **options)

    return reader


def codes(cohort: Cohort) -> set[str]:
    return {fault.code for fault in cohort.faults}


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, cohort.source.name) for fault in cohort.faults if fault.code == code]


def refused(read: Callable[..., Cohort], content: str | bytes, **options: object) -> str:
    with pytest.raises(CohortRejectedError) as caught:
        read(content, **options)
    return str(caught.value)


def assert_two_patients(cohort: Cohort) -> None:
    assert cohort.patients["patient_id"].tolist() == ["P1", "P2"]
    assert cohort.patients["her2_ihc"].tolist() == ["3+", "1+"]
    assert cohort.patients["age_years"].tolist() == [55.0, 61.0]
    assert cohort.rows == (2, 3)


def test_a_plain_file_is_read_without_a_word_about_its_form(read: Callable[..., Cohort]) -> None:
    cohort = read(TEXT)
    assert_two_patients(cohort)
    assert "COH028" not in codes(cohort)
    assert cohort.rows_in == 2
    assert cohort.source.sha256


def test_a_byte_order_mark_is_taken_off_and_told(read: Callable[..., Cohort]) -> None:
    cohort = read(codecs.BOM_UTF8 + TEXT.encode())
    assert_two_patients(cohort)
    assert told(cohort, "COH028") == ["cohort.csv: read as UTF-8 with a byte order mark."]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_and_utf_32_are_recognised(read: Callable[..., Cohort], encoding: str) -> None:
    cohort = read(TEXT.encode(encoding))
    assert_two_patients(cohort)
    assert "COH028" in codes(cohort)


def test_latin_1_is_refused_with_the_byte_and_read_when_named(read: Callable[..., Cohort]) -> None:
    content = TEXT.replace("Lyon", "Orléans").encode("latin-1")
    line = refused(read, content)
    assert line.startswith("cohort.csv: byte 0xE9 at position 57 (line 2) is not utf-8.")
    assert "--encoding latin-1" in line
    cohort = read(content, encoding="latin-1")
    assert cohort.patients["site"].tolist() == ["Orléans", "Kiel"]


def test_an_unknown_encoding_is_refused(read: Callable[..., Cohort]) -> None:
    assert "no text encoding 'klingon'" in refused(read, TEXT, encoding="klingon")


def test_a_file_cut_inside_a_character_is_refused(read: Callable[..., Cohort]) -> None:
    assert "is not utf-8" in refused(read, TEXT.encode() + b"P3,T-DM1,1+,50,K\xc3")


def test_a_nul_in_an_id_puts_the_row_aside(read: Callable[..., Cohort]) -> None:
    cohort = read(TEXT.replace("P1", "P\x001"))
    assert cohort.rejected == (2,)
    assert told(cohort, "COH061") == [
        "cohort.csv, row 2, column 'patient_id': the id holds an invisible or control character (U+0000). "
        "Type the id anew."
    ]


@pytest.mark.parametrize(("ending", "is_told"), [("\r", True), ("\r\n", False)])
def test_carriage_returns_end_lines(read: Callable[..., Cohort], ending: str, is_told: bool) -> None:
    cohort = read(TEXT.replace("\n", ending))
    assert_two_patients(cohort)
    assert ("COH028" in codes(cohort)) is is_told


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_other_delimiters_are_found_and_told(read: Callable[..., Cohort], delimiter: str, name: str) -> None:
    cohort = read(TEXT.replace(",", delimiter))
    assert_two_patients(cohort)
    assert told(cohort, "COH028") == [f"cohort.csv: read as columns divided by {name}."]


def test_tabs_in_a_tsv_file_are_no_surprise(read: Callable[..., Cohort]) -> None:
    assert "COH028" not in codes(read(TEXT.replace(",", "\t"), name="cohort.tsv"))


def test_the_separator_line_of_a_spreadsheet_is_heeded(read: Callable[..., Cohort]) -> None:
    cohort = read("sep=;\n" + TEXT.replace(",", ";"))
    assert cohort.patients["patient_id"].tolist() == ["P1", "P2"]
    assert cohort.rows == (3, 4)


def test_decimal_commas_are_read_where_the_whole_column_agrees(read: Callable[..., Cohort]) -> None:
    cohort = read("patient_id;adc;her2_ish_ratio\nP1;T-DM1;5,2\nP2;T-DM1;0,875\nP3;T-DM1;3\n")
    assert cohort.patients["her2_ish_ratio"].tolist() == [5.2, 0.875, 3.0]
    assert told(cohort, "COH090") == [
        "cohort.csv, column 'her2_ish_ratio': 2 values with a decimal comma, read as a decimal number."
    ]


def test_decimal_commas_beside_decimal_points_refuse_the_file(read: Callable[..., Cohort]) -> None:
    line = refused(read, "patient_id;adc;her2_ish_ratio\nP1;T-DM1;5,2\nP2;T-DM1;2.5\n")
    assert line == (
        "cohort.csv, column 'her2_ish_ratio': decimal commas (5,2) and decimal points (2.5) are mixed. "
        "Write one of them throughout."
    )


@pytest.mark.parametrize("value", ["1,234", "1,234.5", "1.234,5"])
def test_a_thousands_comma_puts_the_row_aside(read: Callable[..., Cohort], value: str) -> None:
    cohort = read(f'patient_id,adc,chi3l1_ng_ml\nP1,T-DM1,"{value}"\nP2,T-DM1,80\n')
    assert cohort.rejected == (2,)
    assert codes(cohort) >= {"COH088"}


def test_an_unclosed_quote_refuses_the_file(read: Callable[..., Cohort]) -> None:
    line = refused(read, f'{HEADER}\nP1,T-DM1,3+,55,"Lyon\nP2,T-DXd,1+,61,Kiel\n')
    assert line == (
        "cohort.csv: a cell in row 2 opens a quote that does not end. Close the quote, or double it inside text."
    )


def test_text_behind_a_closing_quote_refuses_the_file(read: Callable[..., Cohort]) -> None:
    assert "a cell in row 2 has text behind its closing quote" in refused(read, f'{HEADER}\n"P1"x,T-DM1,3+,55,Lyon\n')


def test_a_line_break_in_an_id_puts_the_row_aside_and_row_numbers_stay(read: Callable[..., Cohort]) -> None:
    cohort = read(f'{HEADER}\n"P\n1",T-DM1,3+,55,Lyon\n{ROWS[1]}\n')
    assert cohort.rejected == (2,)
    assert cohort.rows == (3,)
    assert "U+000A" in told(cohort, "COH061")[0]


def test_a_row_that_is_too_long_is_put_aside(read: Callable[..., Cohort]) -> None:
    cohort = read(f"{TEXT}P3,T-DM1,3+,55,Lyon,France\n")
    assert cohort.rejected == (4,)
    assert told(cohort, "COH024") == [
        "cohort.csv, row 4: the row has 6 cells, the header 5. Quote cells that hold the delimiter."
    ]


def test_a_row_that_is_too_long_by_empty_cells_is_read(read: Callable[..., Cohort]) -> None:
    assert read(f"{TEXT}P3,T-DM1,3+,55,Lyon,,\n").rejected == ()


def test_rows_that_are_all_too_long_refuse_the_file(read: Callable[..., Cohort]) -> None:
    line = refused(read, "\n".join([HEADER, *(f"{n},{row}" for n, row in enumerate(ROWS))]))
    assert line.startswith("cohort.csv: every row has more cells (6) than the header (5).")


def test_a_short_row_is_put_aside(read: Callable[..., Cohort]) -> None:
    cohort = read(f"{TEXT}P3,T-DM1\n")
    assert cohort.rejected == (4,)
    assert cohort.raw_rejected[4] == {"patient_id": "P3", "adc": "T-DM1", "her2_ihc": "", "age_years": "", "site": ""}


def test_blank_rows_are_passed_over_and_still_numbered(read: Callable[..., Cohort]) -> None:
    cohort = read(f"{HEADER}\n\n{ROWS[0]}\n,,,,\n{ROWS[1]}\n  , ,,,\n\n")
    assert cohort.rows == (3, 5)
    assert cohort.rows_in == 2
    assert told(cohort, "COH027") == ["cohort.csv: 4 blank rows passed over."]


def test_a_trailing_delimiter_makes_no_column(read: Callable[..., Cohort]) -> None:
    cohort = read("\n".join(f"{line}," for line in TEXT.strip().split("\n")))
    assert_two_patients(cohort)
    assert cohort.unused() == ()


@pytest.mark.parametrize("content", [b"", b"\n\n", codecs.BOM_UTF8, b"  \n", codecs.BOM_UTF16_LE])
def test_an_empty_file_is_refused(read: Callable[..., Cohort], content: bytes) -> None:
    assert refused(read, content) == (
        "cohort.csv: the file is empty. Export or copy the file again. It needs a header and a row per patient."
    )


@pytest.mark.parametrize("content", [HEADER, f"{HEADER}\n", f"{HEADER}\n\n,,,,\n"])
def test_a_header_without_patients_is_refused(read: Callable[..., Cohort], content: str) -> None:
    assert "there is a header but no patient" in refused(read, content)


def test_a_file_without_header_is_refused_without_naming_a_patient(read: Callable[..., Cohort]) -> None:
    line = refused(read, "\n".join(["99887766,T-DM1,3+,55", "99887767,T-DXd,1+,61"]))
    assert line == "cohort.csv: the first row holds values (such as 'T-DM1'), not column names. Add a header row."


def test_an_overlong_line_is_refused(read: Callable[..., Cohort]) -> None:
    caps = Limits(max_line_characters=200)
    assert "more than the cap of 200" in refused(read, TEXT.replace("Lyon", "L" * 300), limits=caps)


@pytest.mark.parametrize(
    ("caps", "what"),
    [
        (Limits(max_rows=1), "rows"),
        (Limits(max_columns=4), "columns"),
        (Limits(max_cells=8), "cells"),
        (Limits(max_file_bytes=10), "bytes"),
    ],
)
@pytest.mark.parametrize("quoted", [False, True])
def test_a_file_over_a_cap_is_refused(read: Callable[..., Cohort], caps: Limits, what: str, quoted: bool) -> None:
    content = TEXT.replace("Lyon", '"Lyon"') if quoted else TEXT
    line = refused(read, content, limits=caps)
    assert what in line
    assert "ADCR_MAX_" in line


def test_caps_come_from_the_environment(read: Callable[..., Cohort], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADCR_MAX_ROWS", "1")
    assert "2 rows, more than the cap of 1" in refused(read, TEXT)
    monkeypatch.setenv("ADCR_MAX_ROWS", "many")
    with pytest.raises(AdcrError, match="'many' is not a positive whole number"):
        read(TEXT)


def test_gzipped_text_is_read(read: Callable[..., Cohort]) -> None:
    assert_two_patients(read(gzip.compress(TEXT.encode()), name="cohort.csv.gz"))


def test_all_reasons_to_refuse_a_file_are_told_at_once(read: Callable[..., Cohort]) -> None:
    line = refused(read, "subject_nr,her2_ihc,HER2 IHC\nP1,3+,3+\n")
    assert len(line.split("\n")) == 3
    assert "column 'HER2 IHC'" in line
    assert "'patient_id' is missing" in line
    assert "'adc' is missing" in line


plain_cell = st.text(st.characters(codec="utf-8", exclude_characters='\r\n",\0'), min_size=0, max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(plain_cell, min_size=3, max_size=3), min_size=1, max_size=8))
def test_the_fast_and_the_careful_reader_agree(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("plain") / "t.csv"
    path.write_text("\n".join(["a,b,c", *(",".join(row) for row in cells)]), encoding="utf-8", newline="")
    limits = Limits()
    fast = read_plain(path, ",", limits=limits, notes=())
    if fast is None:
        return
    careful = TableBuilder("t.csv", ["a", "b", "c"], limits)
    for number, row in enumerate(cells, start=2):
        careful.add(number, row)
    slow = careful.table(())
    assert fast.columns == slow.columns
    assert [c.to_pylist() for c in fast.cells] == [c.to_pylist() for c in slow.cells]
    assert fast.rows.tolist() == slow.rows.tolist()


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=400))
def test_no_bytes_whatever_end_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "cohort.csv"
    for content in (noise, TEXT.encode() + noise, TEXT.encode()[:20] + noise + TEXT.encode()[20:]):
        path.write_bytes(content)
        try:
            cohort = read_cohort(path)
        except AdcrError:
            continue
        assert cohort.rows_in == len(cohort.rows) + len(cohort.rejected) + cohort.duplicates_merged


@settings(deadline=None, max_examples=40)
@given(st.permutations(list(range(6))), st.permutations(list(range(4))))
def test_the_order_of_rows_and_columns_changes_no_value(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], columns: list[int]
) -> None:
    table = pd.DataFrame(
        {
            "patient_id": [f"P{n}" for n in range(6)],
            "adc": ["T-DM1", "T-DXd"] * 3,
            "her2_ihc": ["3+", "2", "1+", "0", "", "3"],
            "her2_ish_ratio": ["5,1", "2,2", "1,1", "", "1", "3,75"],
        }
    )
    path = tmp_path_factory.mktemp("order") / "cohort.csv"
    table.iloc[rows, columns].to_csv(path, index=False, sep=";")
    shuffled = read_cohort(path).patients.sort_values("patient_id", ignore_index=True)
    table.to_csv(path, index=False, sep=";")
    pd.testing.assert_frame_equal(shuffled, read_cohort(path).patients, check_like=True)


def test_quoted_cells_keep_their_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"x, y","say ""hi"""\n', encoding="utf-8")
    table = read_delimited(path, limits=Limits())
    assert table.texts(0, np.array([0])) == ["x, y"]
    assert table.texts(1, np.array([0])) == ['say "hi"']
