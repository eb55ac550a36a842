"""The ninety-one kinds of bad cohort file, each through `adcr cohort check` and `adcr score` alike.

What each becomes: refused in one line, the row put aside, read in its usual form, kept with a doubt told, or nothing at
all. The rules have tests of their own (`test_cohort_*.py`); here every kind is met once by both commands.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import adcr
from features.cohort_file import read_cohort
from features.faults import CohortRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = "patient_id,adc,her2_ihc,age_years,erbb2_copy_number,til_percent"
ROWS = ("P1,T-DM1,3+,55,12,10", "P2,T-DXd,1+,61,2.5,20", "P3,T-DM1,2+,48,4,30", "P4,T-DXd,0,70,2,5")
TEXT = "\n".join([HEADER, *ROWS, ""])
Becomes = Literal["refused", "aside", "read", "doubt"]


@dataclass(frozen=True)
class Case:
    """One kind of bad input: its number and name, what becomes of it under which code, and the file."""

    number: int
    name: str
    becomes: Becomes
    code: str
    content: bytes | str | Callable[[Path], None]
    suffix: str = ".csv"
    #: Rows put aside, duplicates merged.
    aside: int = 0
    merged: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    mapping: str = ""
    #: "" for a code that both commands tell.
    only_in: Literal["", "check", "score"] = ""


def with_column(name: str, *values: str) -> str:
    """The table with a further column, or another one of that name; the last value repeats."""
    header = HEADER.split(",")
    lines = [row.split(",") for row in ROWS]
    if name not in header:
        header.append(name)
        lines = [[*line, ""] for line in lines]
    for at, line in enumerate(lines):
        cell = values[min(at, len(values) - 1)]
        line[header.index(name)] = f'"{cell}"' if set(cell) & set(',"\n') else cell
    return "\n".join([",".join(header), *(",".join(line) for line in lines), ""])


def with_columns(**columns: str) -> str:
    """The first patient with these values."""
    names = [n for n in HEADER.split(",") if n not in columns]
    kept = [[r.split(",")[HEADER.split(",").index(n)] for n in names] for r in ROWS]
    lines = [[*row, *(columns.values() if i == 0 else [""] * len(columns))] for i, row in enumerate(kept)]
    return "\n".join([",".join([*names, *columns]), *(",".join(line) for line in lines), ""])


def with_ish(ratio: str, copies: str, **more: str) -> str:
    return with_columns(her2_ish_ratio=ratio, erbb2_copy_number=copies, **more)


def with_id(identifier: str) -> str:
    return with_column("patient_id", identifier, "P2", "P3", "P4")


def with_row(row: str) -> str:
    return f"{TEXT}{row}\n"


def as_parquet(**more: object) -> Callable[[Path], None]:
    table = pd.read_csv(io.StringIO(TEXT), dtype={"patient_id": str})

    def write(path: Path) -> None:
        made = pa.Table.from_pandas(table, preserve_index=False)
        for name, values in more.items():
            made = made.append_column(name, pa.array(values))
        parquet.write_table(made, path)

    return write


def cut_parquet(path: Path) -> None:
    as_parquet()(path)
    path.write_bytes(path.read_bytes()[:-20])


def as_workbook(change: Callable[[openpyxl.Workbook], object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        book = openpyxl.Workbook()
        for line in TEXT.split():
            book.worksheets[0].append([float(c) if c.replace(".", "").isdigit() else c for c in line.split(",")])
        change(book)
        book.save(path)

    return write


def formula(book: openpyxl.Workbook) -> None:
    book.worksheets[0]["D2"] = "=50+5"


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w") as member:
        member.write(bytes(2 * 1024 * 1024))


OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
GZIPPED = gzip.compress(TEXT.encode() * 50)
AS_FRACTION = '[columns]\nki67_percent = { from = "sTIL", unit = "fraction" }\n'
NAMES = ("Anna Berg", "Ida Holm", "Eva Lund", "Pia Dahl")
C = Case

CASES = [
    # Encoding and structure
    C(1, "a byte order mark", "read", "COH028", codecs.BOM_UTF8 + TEXT.encode()),
    C(2, "UTF-16", "read", "COH028", TEXT.encode("utf-16")),
    C(3, "Latin-1", "refused", "COH020", with_column("site", "Orléans").encode("latin-1")),
    C(4, "NUL in an id", "aside", "COH061", with_id("P\x001"), aside=1),
    C(5, "carriage returns end lines", "read", "COH028", TEXT.replace("\n", "\r")),
    C(6, "semicolons", "read", "COH028", TEXT.replace(",", ";")),
    C(7, "tabs", "read", "COH028", TEXT.replace(",", "\t")),
    C(8, "decimal commas throughout", "read", "COH090", with_column("ki67_percent", "2,5", "7,25", "3,5")),
    C(8, "decimal commas beside points", "refused", "COH089", with_column("ki67_percent", "2,5", "7.25")),
    C(9, "a thousands comma", "aside", "COH088", with_column("her2_h_score", "1,234", "200"), aside=1),
    C(10, "an unclosed quote", "refused", "COH021", TEXT.replace("P3", '"P3')),
    C(11, "a line break in an id", "aside", "COH061", with_id("P\n1"), aside=1),
    C(12, "one row too long", "aside", "COH024", with_row("P5,T-DM1,3+,55,12,10,more"), aside=1),
    C(13, "every row too long", "refused", "COH022", "\n".join([HEADER, *(f"{i},{r}" for i, r in enumerate(ROWS))])),
    C(14, "a short row", "aside", "COH025", with_row("P5,T-DM1"), aside=1),
    C(15, "blank rows", "read", "COH027", TEXT.replace("\n", "\n\n")),
    C(16, "a trailing empty row", "read", "COH027", with_row(",,,,,")),
    C(17, "an empty file", "refused", "COH001", ""),
    C(18, "a header alone", "refused", "COH002", HEADER),
    C(19, "no header", "refused", "COH023", "\n".join(ROWS)),
    C(20, "a line over the cap", "refused", "COH008", TEXT, settings={"ADCR_MAX_LINE_CHARACTERS": "40"}),
    C(21, "too many rows", "refused", "COH008", TEXT, settings={"ADCR_MAX_ROWS": "3"}),
    C(21, "too many columns", "refused", "COH008", TEXT, settings={"ADCR_MAX_COLUMNS": "5"}),
    # Headers
    C(22, "two columns of one name", "refused", "COH040", TEXT.replace("til_percent", "her2_ihc")),
    C(23, "names that differ in case", "refused", "COH041", TEXT.replace("til_percent", "HER2_ihc")),
    C(24, "no-break spaces around a name", "read", "COH047", TEXT.replace("her2_ihc", "\u00a0her2_ihc ")),
    C(25, "a Cyrillic look-alike", "refused", "COH042", TEXT.replace("adc", "аdc")),  # noqa: RUF001
    C(26, "no column of ADCs", "refused", "COH043", TEXT.replace(",adc,", ",regimen_given,")),
    C(27, "a core biomarker not measured", "doubt", "COH049", TEXT),
    C(28, "an extra column", "read", "", with_column("hair_colour", "brown", "red")),
    C(29, "another order of columns", "read", "", "\n".join(",".join(r.split(",")[::-1]) for r in (HEADER, *ROWS))),
    C(30, "an outcome in a file to score", "doubt", "COH050", with_column("pcr", "1", "0"), only_in="score"),
    # Containers
    C(31, "a truncated gzip", "refused", "COH006", GZIPPED[:-40], ".csv.gz"),
    C(32, "gzip in name only", "refused", "COH006", TEXT, ".csv.gz"),
    C(33, "gzip under a plain name", "refused", "COH005", GZIPPED),
    C(34, "a truncated Parquet", "refused", "COH009", cut_parquet, ".parquet"),
    C(35, "a Parquet of zero bytes", "refused", "COH001", b"", ".parquet"),
    C(36, "CSV named .parquet", "refused", "COH005", TEXT, ".parquet"),
    C(37, "a Parquet with a column twice", "refused", "COH040", as_parquet(her2_ihc=["0"] * 4), ".parquet"),
    C(38, "a nested Parquet column", "refused", "COH010", as_parquet(ki67_percent=[[1.0]] * 4), ".parquet"),
    C(39, "a decimal Parquet column", "read", "", as_parquet(her2_h_score=[Decimal("2.50")] * 4), ".parquet"),
    C(40, "a corrupt workbook", "refused", "COH011", b"PK\x03\x04" + bytes(200), ".xlsx"),
    C(41, "an encrypted workbook", "refused", "COH012", OLD_WORKBOOK, ".xlsx"),
    C(41, "an old .xls", "refused", "COH012", OLD_WORKBOOK, ".xls"),
    C(42, "several sheets", "refused", "COH013", as_workbook(lambda b: b.create_sheet("x").append([1])), ".xlsx"),
    C(43, "merged cells", "aside", "COH026", as_workbook(lambda b: b.worksheets[0].merge_cells("B2:B3")), ".xlsx", 2),
    C(44, "a formula without its value", "refused", "COH015", as_workbook(formula), ".xlsx"),
    C(45, "a zip bomb", "refused", "COH007", zip_bomb, ".xlsx", settings={"ADCR_MAX_WORKBOOK_BYTES": "1000000"}),
    C(46, "a pipe", "refused", "COH003", os.mkfifo),
    C(46, "a link to a device", "refused", "COH003", lambda path: path.symlink_to("/dev/zero")),
    # Identifiers
    C(47, "leading zeros", "read", "", with_id("00123")),
    C(48, "an id like 1E5", "read", "", with_id("1E5")),
    C(49, "the id NA", "read", "", with_id("NA")),
    C(50, "an id of twenty digits", "doubt", "", with_id("12345678901234567890")),
    C(51, "an identical row", "read", "COH067", with_row(ROWS[0]), merged=1),
    C(52, "one patient and ADC with other values", "aside", "COH068", with_row("P1,T-DM1,0,50,2,10"), aside=2),
    C(53, "a blank id", "aside", "COH060", with_id(""), aside=1),
    C(54, "an invisible character in an id", "aside", "COH061", with_id("P\u200b1"), aside=1),
    C(55, "an id in another Unicode form", "read", "COH065", with_id("E\u0301tude-1")),
    C(56, "an id like a path", "aside", "COH062", with_id("../x"), aside=1),
    C(57, "an id like a formula", "aside", "COH063", with_id("=1+1"), aside=1),
    C(58, "an id with markup", "aside", "COH064", with_id("<script>alert(1)</script>"), aside=1),
    C(59, "ids like names", "doubt", "COH066", with_column("patient_id", *NAMES)),
    # Values
    C(60, "IHC with and without plus", "read", "COH099", with_column("her2_ihc", "2+", "2", "3", "1")),
    C(61, "IHC as numbers", "read", "COH099", with_column("her2_ihc", "0.0", "1.0", "2.0", "3.0")),
    C(62, "an IHC that does not exist", "aside", "COH080", with_column("her2_ihc", "4+", "2+", "1+"), aside=1),
    C(63, "a range of IHC", "aside", "COH081", with_column("her2_ihc", "0-1+", "2+", "1+"), aside=1),
    C(64, "words for missing", "read", "COH100", with_column("age_years", "N/A", "unknown", "[Not Available]", "50")),
    C(65, "a bound", "aside", "COH085", with_column("til_percent", "<1", "20", "30"), aside=1),
    C(66, "a percent sign beside none", "aside", "COH091", with_column("til_percent", "20%", "0.2", "30"), aside=1),
    C(67, "percentages that never pass 1", "doubt", "COH093", with_column("til_percent", "0.1", "0.2", "0.9")),
    C(68, "an infinite number", "aside", "COH087", with_column("age_years", "1e400", "50", "60"), aside=1),
    C(69, "a negative copy number", "aside", "COH086", with_column("erbb2_copy_number", "-2", "3", "4"), aside=1),
    C(70, "a ratio of 0", "aside", "COH086", with_column("her2_ish_ratio", "0", "2", ""), aside=1),
    C(71, "an age of 150", "aside", "COH086", with_column("age_years", "150", "50", "60"), aside=1),
    C(72, "a hexadecimal number", "aside", "COH084", with_column("age_years", "0x20", "50", "60"), aside=1),
    C(73, "full-width digits", "read", "COH101", with_column("age_years", "５５", "50", "60")),  # noqa: RUF001
    C(74, "a Unicode minus, then out of range", "aside", "COH086", with_column("age_years", "−5", "50"), aside=1),  # noqa: RUF001
    C(75, "a date in no ISO form", "aside", "COH096", with_column("treatment_start", "03/04/2024", ""), aside=1),
    C(76, "a spreadsheet's date", "aside", "COH097", with_column("treatment_start", "45000", ""), aside=1),
    C(77, "a date to come", "aside", "COH098", with_column("treatment_start", "2999-01-01", ""), aside=1),
    C(78, "TRUE, yes and 1", "read", "COH099", with_column("cdk12_amplified", "TRUE", "yes", "1", "0")),
    C(79, "another unit", "aside", "COH095", with_column("age_years", "55 months", "50", "60"), aside=1),
    C(80, "a code for missing", "aside", "COH094", with_column("age_years", "999", "50", "60"), aside=1),
    C(81, "an unknown subtype", "doubt", "COH082", with_column("pam50_subtype", "LumX", "LumA", "Basal", "LumB")),
    C(82, "a patient without any biomarker", "aside", "COH102", with_row("P5,T-DM1,,,,"), aside=1),
    C(83, "a column that never changes", "doubt", "COH103", with_column("age_years", "50")),
    C(84, "a value outside the training range", "doubt", "", with_column("erbb2_copy_number", "90", "3", "4")),
    # Contradictions
    C(85, "IHC 1+ with an amplified ISH", "doubt", "COH110", with_ish("2.5", "5", her2_ihc="1+")),
    C(86, "IHC 3+ with a negative ISH", "doubt", "COH111", with_ish("1.2", "2.4", her2_ihc="3+")),
    C(87, "a ratio that is not its quotient", "aside", "COH112", with_ish("1.5", "4", her2_cep17_copies="2"), aside=1),
    C(88, "a stated ISH that the counts deny", "doubt", "COH113", with_ish("2.5", "5", her2_ish_status="negative")),
    C(89, "HER2-low with IHC 3+", "doubt", "COH114", with_columns(her2_class="low", her2_ihc="3+")),
    C(90, "ER positive of 0%", "doubt", "COH115", with_columns(er_status="positive", er_percent="0")),
    C(91, "a declared unit that the values deny", "refused", "COH052", with_column("sTIL", "40"), mapping=AS_FRACTION),
]  # fmt: skip


def test_every_kind_of_bad_input_has_its_case() -> None:
    assert sorted({case.number for case in CASES}) == list(range(1, 92))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], tuple[Path, list[str]]]:
    """Writes the file of a case, and tells where it is and how it is to be read."""

    def write(case: Case) -> tuple[Path, list[str]]:
        file = tmp_path / f"cohort{case.suffix}"
        if callable(case.content):
            case.content(file)
        else:
            file.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
        for name, value in case.settings.items():
            monkeypatch.setenv(name, value)
        if not case.mapping:
            return file, []
        mapping = tmp_path / "mapping.toml"
        mapping.write_text(case.mapping)
        return file, ["--map", str(mapping)]

    return write


def codes(file: Path, options: list[str], *, for_scoring: bool) -> tuple[str, ...]:
    try:
        cohort = read_cohort(file, mapping=options[1] if options else None, for_scoring=for_scoring)
    except CohortRejectedError as error:
        return tuple(fault.code for fault in error.faults)
    return tuple(fault.code for fault in cohort.faults)


def assert_one_line_each(err: str) -> None:
    """Every line names the file and ends a sentence: no traceback, no reason cut in two."""
    for line in err.removeprefix("adcr cohort check: ").removeprefix("adcr score: ").splitlines():
        assert line.startswith("cohort."), line
        assert line.endswith((".", ")")), line


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}: {case.name}")
def test_checking_a_bad_file_tells_what_becomes_of_it(
    case: Case, place: Callable[[Case], tuple[Path, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    file, options = place(case)
    code = adcr.main(["cohort", "check", str(file), "--json", *options])
    out, err = capsys.readouterr()
    if case.becomes == "refused":
        assert (code, out) == (2, "")
        assert_one_line_each(err)
    else:
        assert (code, err) == (2 if case.aside else code, "")
    if case.code and case.only_in != "score":
        assert case.code in codes(file, options, for_scoring=False)
    if case.becomes != "refused":
        found = json.loads(out)
        assert (found["rows_rejected"], found["duplicates_merged"]) == (case.aside, case.merged)
        assert found["rows_in"] == found["rows_valid"] + case.aside + case.merged


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}: {case.name}")
def test_scoring_a_bad_file_loses_no_row_and_leaves_nothing_where_it_is_refused(
    case: Case,
    place: Callable[[Case], tuple[Path, list[str]]],
    bundle_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, options = place(case)
    before = {path.name for path in tmp_path.iterdir()}
    output = tmp_path / "out.csv"
    code = adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", str(output), "--json", *options])
    out, err = capsys.readouterr()
    if case.becomes == "refused":
        assert (code, out) == (2, "")
        assert_one_line_each(err)
        assert case.code in codes(file, options, for_scoring=True)
        assert {path.name for path in tmp_path.iterdir()} == before
        return
    manifest = json.loads(out)
    rows = manifest["rows"]
    assert code == (0 if rows["scored"] else 2)
    assert ("none of its rows could be scored" in err) if code else (err == "")
    assert (rows["rejected"], rows["duplicates_merged"]) == (case.aside, case.merged)
    assert rows["in"] == rows["scored"] + rows["rejected"] + rows["duplicates_merged"]
    assert Counter(manifest["faults"])[case.code] > 0 or not case.code or case.only_in == "check"


@pytest.mark.parametrize("number", [47, 48, 49, 50])
def test_ids_come_back_as_they_were_written(number: int, bundle_folder: Path, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.number == number)
    assert isinstance(case.content, str)
    file = tmp_path / "cohort.csv"
    file.write_text(case.content, encoding="utf-8")
    assert adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", str(tmp_path / "o.csv"), "--quiet"]) == 0
    scored = (tmp_path / "o.csv").read_text(encoding="utf-8").splitlines()[1]
    assert scored.split(",")[0] == case.content.splitlines()[1].split(",")[0]


def test_a_value_outside_the_training_range_is_flagged_in_its_row(bundle_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    file.write_text(with_column("erbb2_copy_number", "90", "3", "4"), encoding="utf-8")
    assert adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", str(tmp_path / "o.csv"), "--quiet"]) == 0
    flags = pd.read_csv(tmp_path / "o.csv", keep_default_na=False)["outside_training_range"].tolist()
    assert "erbb2_copy_number" in flags[0]
    assert "erbb2_copy_number" not in flags[1]
