"""Writes cohort files: CSV, TSV, xlsx or Parquet, whole or not at all, with no cell that a spreadsheet would run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.biomarkers import measures
from features.cell_safety import harmless_column
from features.column_names import measure_names, normalise_name
from features.columns.cohort_columns import ORIGIN_COLUMN, OUTCOMES, column_notes
from features.columns.near_names import near_name
from features.errors import InputError
from features.tables.table_file import suffix_of
from features.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.cohort import Cohort

#: Suffixes that a cohort file may be written with.
WRITTEN_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".xlsx")

#: Before the name of an unused column that would otherwise be taken for a column of a cohort.
FOREIGN_PREFIX = "source_"


def writable(cohort: Cohort) -> pd.DataFrame:
    """Give patients the mark of their origin, and unused columns names that mean nothing to a reader.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    pandas.DataFrame
        As `write_cohort_file` takes it.
    """
    patients = cohort.patients.copy()
    known = {note.column for note in column_notes()}
    renamed: dict[str, str] = {}
    taken = {str(name).casefold() for name in patients.columns if name in known}
    for name in patients.columns:
        if name in known:
            continue
        text = str(name)
        means = text.casefold() in taken or normalise_name(text) in measure_names() or near_name(text)
        new = f"{FOREIGN_PREFIX}{text}" if means else text
        while new.casefold() in taken:
            new = f"{FOREIGN_PREFIX}{new}"
        taken.add(new.casefold())
        renamed[text] = new
    patients = patients.rename(columns=renamed)
    last_known = sum(name in known for name in patients.columns)
    patients.insert(last_known, ORIGIN_COLUMN, pd.Series([cohort.source.kind] * len(patients), dtype="str"))
    return patients


def write_cohort_file(patients: pd.DataFrame, path: Path) -> None:
    """Write patients as a cohort file.

    Parameters
    ----------
    patients : pandas.DataFrame
        Text columns of `str` dtype, numbers as float64.
    path : pathlib.Path
        The suffix names the format. In text formats a missing value is an empty cell, yes/no is 1 or 0, and numbers are
        in their shortest exact form.

    Raises
    ------
    InputError
        If the suffix names no format.
    OutputError
        If the file cannot be written; nothing is left behind then.
    """
    check_output(path)
    suffix = suffix_of(path)
    with whole_file(path) as temporary:
        if suffix == ".parquet":
            _write_parquet(patients, temporary)
        elif suffix == ".xlsx":
            _write_workbook(patients, temporary)
        else:
            _write_text(patients, temporary, "\t" if suffix.startswith(".tsv") else ",", packed=suffix.endswith(".gz"))


def check_output(path: Path, *, inputs: Sequence[Path | None] = (), any_format: bool = False) -> None:
    """Refuse an output whose suffix names no format, or that is an input, before any work is done.

    Parameters
    ----------
    path : pathlib.Path
    inputs : sequence of pathlib.Path or None
        Files that the output is made from.
    any_format : bool, default False
        It is no cohort file.

    Raises
    ------
    InputError
    """
    if not any_format and suffix_of(path) not in WRITTEN_SUFFIXES:
        raise InputError(
            f"'{suffix_of(path) or path.name}' is not a format that adcr writes.",
            where=str(path),
            mend=f"Use one of {', '.join(WRITTEN_SUFFIXES)}.",
        )
    if any(source is not None and source.resolve() == path.resolve() for source in inputs):
        raise InputError(
            "the output would replace the file that it is made from.", where=str(path), mend="Name another."
        )


def _is_yes_no(column: str) -> bool:
    measure = measures().get(column) or OUTCOMES.get(column)
    return measure is not None and measure.kind == "binary"


def _safe(patients: pd.DataFrame) -> pa.Table:
    """Arrow table with harmless text, and yes/no as whole numbers."""
    columns: list[Any] = []
    for name in patients.columns:
        column = patients[name]
        if isinstance(column.dtype, pd.StringDtype):
            columns.append(harmless_column(column))
        elif _is_yes_no(str(name)):
            columns.append(pa.array(column, from_pandas=True).cast(pa.int8()))
        else:
            columns.append(pa.array(column.astype(np.float64), from_pandas=True))
    names = harmless_column(pd.Series([str(name) for name in patients.columns], dtype="str")).to_pylist()
    return pa.table(columns, names=names)


def _write_parquet(patients: pd.DataFrame, path: Path) -> None:
    from pyarrow import parquet

    table = pa.Table.from_pandas(patients, preserve_index=False).replace_schema_metadata(None)
    parquet.write_table(table, path, compression="zstd")


def _write_text(patients: pd.DataFrame, path: Path, delimiter: str, *, packed: bool) -> None:
    import gzip

    from pyarrow import csv as arrow_csv

    table = _safe(patients)
    # Arrow quotes every text where it may quote at all; files without quotes are smaller, and read many times as fast.
    style = "needed" if _needs_quotes(table, delimiter) else "none"
    options = arrow_csv.WriteOptions(delimiter=delimiter, quoting_style=style, quoting_header=style)
    with path.open("wb") as file:
        if not packed:
            arrow_csv.write_csv(table, file, options)
            return
        # No time stamp and no name, so that the same patients give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
            arrow_csv.write_csv(table, stream, options)


def _needs_quotes(table: pa.Table, delimiter: str) -> bool:
    special = f'["\r\n{delimiter}]'
    texts = [column for column in table.columns if pa.types.is_large_string(column.type)]
    found = (pc.any(pc.match_substring_regex(column, special)).as_py() for column in texts)
    return any(found) or any(re.search(special, name) for name in table.column_names)


def _write_workbook(patients: pd.DataFrame, path: Path) -> None:
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("cohort")

    def cells(values: tuple[Any, ...]) -> Iterator[Any]:
        for value in values:
            cell = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                # Text, whatever it begins with: openpyxl would make a formula of "=1".
                cell.data_type = "s"
            yield cell

    table = _safe(patients)
    sheet.append(list(cells(tuple(table.column_names))))
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        sheet.append(list(cells(row)))
    book.save(path)
