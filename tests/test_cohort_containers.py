"""Containers of cohort files: Excel, Parquet, gzip, and what only calls itself so."""

from __future__ import annotations

import gzip
import os
import random
import resource
import time
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from features.cohort_file import read_cohort
from features.cohort_template import write_template
from features.faults import CohortRejectedError
from features.limits import Limits
from features.tables.parquet_blocks import open_parquet

if TYPE_CHECKING:
    from pathlib import Path

    from openpyxl.worksheet.worksheet import Worksheet

HEADER = ["patient_id", "adc", "her2_ihc", "age_years"]
ROWS = [["P1", "T-DM1", "3+", 55], ["P2", "T-DXd", "1+", 61]]
TEXT = "\n".join(",".join(map(str, row)) for row in [HEADER, *ROWS])


def refused(path: Path, **options: object) -> str:
    with pytest.raises(CohortRejectedError) as caught:
        read_cohort(path, **options)
    return str(caught.value)


def workbook(path: Path, rows: list[list[object]] | None = None) -> tuple[openpyxl.Workbook, Worksheet]:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "patients"
    for row in [HEADER, *ROWS] if rows is None else rows:
        sheet.append(row)
    return book, sheet


def write_parquet(path: Path, columns: dict[str, object]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode() * 50)[:-40])
    assert refused(path).startswith("cohort.csv.gz: the gzip archive is cut off or corrupt")


def test_a_file_that_is_gzip_in_name_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv.gz"
    path.write_text(TEXT)
    assert "Not a gzipped file" in refused(path)


def test_gzip_under_a_plain_name_is_refused_with_the_right_name(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert refused(path) == "cohort.csv: named .csv, but its content is gzip. Rename it cohort.csv.gz."


@pytest.mark.parametrize("cut", [4, 40, -20])
def test_a_truncated_parquet_is_refused(tmp_path: Path, cut: int) -> None:
    path = write_parquet(tmp_path / "cohort.parquet", {"patient_id": ["P1"]})
    path.write_bytes(path.read_bytes()[:cut])
    assert "it is no readable Parquet file" in refused(path)


@pytest.mark.parametrize("name", ["cohort.parquet", "cohort.xlsx", "cohort.csv", "cohort.tsv.gz"])
def test_a_file_of_zero_bytes_is_refused_as_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert "the file is empty" in refused(path)


@pytest.mark.parametrize("name", ["cohort.parquet", "cohort.xlsx"])
def test_text_under_another_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(TEXT)
    assert "name it .csv if it is text" in refused(path)


def test_a_parquet_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.parquet"
    names = ["patient_id", "adc", "her2_ihc", "her2_ihc"]
    parquet.write_table(pa.table([["P1"], ["T-DM1"], ["3+"], ["2+"]], names=names), path)
    assert "two columns have the same name (columns 3 and 4)" in refused(path)


def test_a_nested_parquet_column_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "c.parquet", {"patient_id": ["P1"], "adc": ["T-DM1"], "her2_ihc": [["3+", "2+"]]})
    assert "column 'her2_ihc': a column of type list<" in refused(path)


def test_parquet_decimals_dates_and_categories_are_read(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "cohort.parquet",
        {
            "patient_id": pa.array([101, 102]),
            "adc": pa.array(["T-DM1", "T-DXd"]).dictionary_encode(),
            "her2_ish_ratio": pa.array([Decimal("5.10"), None]),
            "age_years": pa.array([55.0, float("nan")]),
            "cdk12_amplified": pa.array([True, False]),
            "treatment_start": pa.array([pd.Timestamp("2021-03-04"), None]),
        },
    )
    cohort = read_cohort(path)
    assert cohort.patients["patient_id"].tolist() == ["101", "102"]
    assert cohort.patients["her2_ish_ratio"].to_list()[0] == 5.1
    assert cohort.patients["cdk12_amplified"].tolist() == [1.0, 0.0]
    assert cohort.patients["treatment_start"].to_list()[0] == "2021-03-04"
    assert cohort.patients["age_years"].isna().tolist() == [False, True]
    assert "COH028" in {fault.code for fault in cohort.faults}


def test_a_workbook_is_read_with_the_rows_as_the_spreadsheet_numbers_them(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    book, sheet = workbook(path)
    sheet.insert_rows(3)
    sheet["C2"] = 3
    book.save(path)
    cohort = read_cohort(path)
    assert cohort.patients["her2_ihc"].tolist() == ["3+", "1+"]
    assert cohort.rows == (2, 4)


@pytest.mark.parametrize("content", [b"PK\x03\x04 but nothing more", b"PK\x03\x04" + bytes(300)])
def test_a_corrupt_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cohort.xlsx"
    path.write_bytes(content)
    assert "it is no readable xlsx workbook" in refused(path)


@pytest.mark.parametrize("member", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"])
def test_a_workbook_with_a_broken_member_is_refused(tmp_path: Path, member: str) -> None:
    whole, broken = tmp_path / "whole.xlsx", tmp_path / "broken.xlsx"
    workbook(whole)[0].save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(broken, "w") as new:
        for item in old.infolist():
            new.writestr(item, b"<broken" if item.filename == member else old.read(item))
    assert "it is no readable xlsx workbook" in refused(broken)


def test_a_workbook_that_declares_entities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><workbook>&b;</workbook>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", bomb)
    assert "declares a document type" in refused(path)


def with_sheet(path: Path, content: bytes) -> Path:
    """A workbook whose only sheet is this."""
    whole = path.with_name("whole.xlsx")
    workbook(whole)[0].save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(item, content if item.filename == "xl/worksheets/sheet1.xml" else old.read(item))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_found_wherever_they_are_declared(tmp_path: Path, encoding: str) -> None:
    sheet = f'<?xml version="1.0" encoding="{encoding}"?><!--{"x" * 100_000}--><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    told = refused(with_sheet(tmp_path / "cohort.xlsx", sheet.encode(encoding)))
    assert "xl/worksheets/sheet1.xml declares a document type" in told


@pytest.mark.parametrize("level", ["<row>", "<row>/>", "<row><!--</</-->"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_markup_that_nests_as_in_no_workbook_is_refused_before_it_is_read(
    tmp_path: Path, encoding: str, level: str
) -> None:
    sheet = f'<?xml version="1.0" encoding="{encoding}"?>' + level * 20_000 + "</row>" * 20_000
    told = refused(with_sheet(tmp_path / "cohort.xlsx", sheet.encode(encoding)))
    assert "xl/worksheets/sheet1.xml nests more than 256 deep" in told


def test_pictures_drawings_and_long_sheets_do_not_count_as_nested(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    book, sheet = workbook(path)
    for number in range(8_000):
        sheet.append([f"P{number}", "T-DXd", "<3+>"])
    book.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/media/image1.emf", b"\x01" * 2000 + b"<!DOCTYPE html>" + b"<" * 50_000)
        archive.writestr("xl/drawings/vmlDrawing1.vml", b"<xml>" + b"<br>" * 20_000)
        archive.writestr("customXml/item1.xml", b"<a><![CDATA[" + b"<b" * 20_000 + b"]]></a>")
    assert len(read_cohort(path).rejected) >= 8_000


@pytest.mark.parametrize("name", ["cohort.xls", "cohort.xlsx"])
def test_an_encrypted_or_old_workbook_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "Save it as .xlsx without a password, or as CSV." in refused(path)


def test_a_workbook_of_several_sheets_needs_a_named_one(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    book, _ = workbook(path)
    book.create_sheet("notes").append(["hello"])
    book.save(path)
    assert refused(path) == "cohort.xlsx: the workbook has 2 sheets: patients and notes. Name one with --sheet."
    assert "there is no sheet 'Patients'" in refused(path, sheet="Patients")
    assert len(read_cohort(path, sheet="patients").patients) == 2


def test_merged_cells_put_their_rows_aside(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    book, sheet = workbook(path)
    sheet.append(["P3", "T-DM1", "2+", 48])
    sheet.merge_cells("B3:B4")
    book.save(path)
    cohort = read_cohort(path)
    assert cohort.rejected == (3, 4)
    assert {fault.code for fault in cohort.faults if fault.row} >= {"COH026"}
    assert "B3:B4" in next(fault.what for fault in cohort.faults if fault.code == "COH026")


def test_a_merged_header_refuses_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    book, sheet = workbook(path)
    sheet.merge_cells("C1:D1")
    book.save(path)
    assert "cells of the header are merged (C1:D1)" in refused(path)


def test_formulas_without_a_stored_value_refuse_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    book, sheet = workbook(path)
    sheet["D2"] = "=50+5"
    book.save(path)
    line = refused(path)
    assert line.startswith("cohort.xlsx: 1 formula cell without a stored value, the first D2.")
    assert "let it calculate, and save it" in line


def test_formulas_with_a_stored_value_are_read_by_it(tmp_path: Path) -> None:
    path, computed = tmp_path / "formula.xlsx", tmp_path / "computed.xlsx"
    book, sheet = workbook(path)
    sheet["D2"] = "=50+5"
    book.save(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(computed, "w") as new:
        for item in old.infolist():
            new.writestr(item, old.read(item).replace(b"<f>50+5</f><v />", b"<f>50+5</f><v>55</v>"))
    assert read_cohort(computed).patients["age_years"].tolist() == [55.0, 61.0]


def seconds_and_megabytes(path: Path) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    refused(path)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return time.perf_counter() - start, used


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".xlsx"])
def test_a_damaged_file_is_refused_or_read_and_never_a_traceback(tmp_path: Path, suffix: str) -> None:
    whole, _ = write_template(tmp_path / f"whole{suffix}")
    damaged = tmp_path / f"damaged{suffix}"
    draw = random.Random(20)
    for _ in range(150):
        content = bytearray(whole.read_bytes())
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(content))
            if draw.random() < 0.5:
                content[at] = draw.randrange(256)
            else:
                del content[at : at + draw.randint(1, 12)]
        damaged.write_bytes(bytes(content))
        try:
            cohort = read_cohort(damaged)
        except CohortRejectedError:
            continue
        assert cohort.rows_in == len(cohort.rows) + len(cohort.rejected) + cohort.duplicates_merged


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(b"patient_id,adc,her2_ihc\n")
        block = b"P1,T-DM1,3+\n" * 100_000
        for _ in range(250):
            stream.write(block)
    seconds, megabytes = seconds_and_megabytes(path)
    assert "it expands" in refused(path)
    assert seconds < 10
    assert megabytes < 500


def test_a_zip_bomb_is_refused_by_its_directory_alone(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w") as member:
        for _ in range(600):
            member.write(bytes(1024 * 1024))
    seconds, megabytes = seconds_and_megabytes(path)
    assert "as no table does" in refused(path)
    assert seconds < 10
    assert megabytes < 500


def test_a_parquet_bomb_is_refused_by_its_footer_alone(tmp_path: Path) -> None:
    path = tmp_path / "cohort.parquet"
    column = pa.array(["x"] * 100_000).dictionary_encode()
    parquet.write_table(pa.table({f"c{n}": column for n in range(100)}), path)
    assert "10,000,000 cells, more than the cap of 1,000,000" in refused(path, limits=Limits(max_cells=1_000_000))


def test_a_parquet_text_that_is_stored_once_and_meant_by_every_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.parquet"
    first = pa.nulls(50_000, pa.int32()).fill_null(0)
    table = {name: pa.DictionaryArray.from_arrays(first, [text]) for name, text in (("a", "x" * 50_000), ("b", "y"))}
    parquet.write_table(pa.table(table), path)
    assert "as no table does" in refused(path)
    with pytest.raises(CohortRejectedError, match="as no table does"):
        open_parquet(path, limits=Limits.of_streams(), batch_rows=1000)


@pytest.mark.parametrize("filler", [b" ", b'<row r="2"><c r="A2"><v>1</v></c></row>'])
def test_a_workbook_that_expands_as_no_table_does_is_refused_below_the_cap_too(tmp_path: Path, filler: bytes) -> None:
    book, _ = workbook(tmp_path / "whole.xlsx")
    book.save(tmp_path / "whole.xlsx")
    path = tmp_path / "cohort.xlsx"
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            more = filler * (40 * 1024 * 1024 // len(filler)) if item.filename.endswith("sheet1.xml") else b""
            new.writestr(item.filename, old.read(item).replace(b"</sheetData>", more + b"</sheetData>"))
    assert "as no table does" in refused(path)


def test_a_workbook_of_rows_that_hold_their_last_cell_alone_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["patient_id", "adc", "her2_ihc"])
    for row in range(2, 400):
        sheet.cell(row, 16_384, 1)
    book.save(tmp_path / "cohort.xlsx")
    assert "as no table does" in refused(tmp_path / "cohort.xlsx")


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cohort.csv"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path = tmp_path / "empty"
        path.mkdir()
    with pytest.raises(Exception, match=r"this is a device or pipe|no cBioPortal study") as caught:
        read_cohort(path)
    assert caught.type.__module__.startswith("features.")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone.csv") == (
        "gone.csv: the file cannot be read (No such file or directory). Check that it exists and may be read."
    )


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.docx"
    path.write_text(TEXT)
    assert "'.docx' is not a format that adcr reads. Use .csv, .tsv, .xlsx or .parquet." in refused(path)


def test_a_git_lfs_pointer_is_told_from_data(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert "Git LFS pointer" in refused(path)


def test_a_web_page_is_told_from_data(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("\n<!DOCTYPE html><html><body>404</body></html>")
    assert "a web page, not a table" in refused(path)
