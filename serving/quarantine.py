"""Rows that could not be scored: kept whole, with what is wrong and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from serving.score_writer import csv_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from features.cohort import Fault
    from features.tables.text_table import TextTable

#: Columns that come before the original ones, so that a mended file can be scored as it is.
FAULT_COLUMNS = ("fault_row", "fault_code", "fault_column", "fault_value", "fault_what", "fault_mend")
#: Stands between the parts of a row with several faults.
SEPARATOR = " | "


def rejected_lines(table: TextTable, faults: Iterable[Fault], place: Callable[[int], str]) -> Any:
    """Lines of the rejected file: each row's faults first and its original cells after them.

    Parameters
    ----------
    table : TextTable
        Rows that were put aside, as the file holds them.
    faults : iterable of Fault
        Of these rows and of others.
    place : callable
        Writes a row number as a user finds the row.

    Returns
    -------
    bytes-like
        CSV, with the columns that `rejected_header` names. Several faults of a row are joined by SEPARATOR, in the
        same order in every fault column.
    """
    by_row: dict[int, list[Fault]] = {int(row): [] for row in table.rows}
    for fault in faults:
        if fault.severity == "quarantine" and fault.row in by_row:
            by_row[fault.row].append(fault)
    told = [[place(row), *_joined(found)] for row, found in by_row.items()]
    columns = [pa.array(list(cells), type=pa.large_string()) for cells in zip(*told, strict=True)]
    kept = [cells for name, cells in zip(table.columns, table.cells, strict=True) if name not in FAULT_COLUMNS]
    return csv_lines([*columns, *kept])


def rejected_header(names: Iterable[str]) -> bytes:
    """First line of the rejected file.

    Parameters
    ----------
    names : iterable of str
        Columns of the input; those of an earlier run's faults, in a file that was mended, are left out.

    Returns
    -------
    bytes
    """
    kept = [name for name in names if name not in FAULT_COLUMNS]
    return bytes(csv_lines([pa.array([name], type=pa.large_string()) for name in (*FAULT_COLUMNS, *kept)]))


def fault_text(faults: Iterable[Fault]) -> str:
    """All that is wrong with one row, as one line.

    Parameters
    ----------
    faults : iterable of Fault
        The row's faults.

    Returns
    -------
    str
        "COH080 her2_ihc: '4+' is not a level. Use 0, 1+, 2+ or 3+. | ..."
    """
    parts = []
    for fault in faults:
        place = "" if fault.column is None else f" {fault.column}"
        parts.append(f"{fault.code}{place}: {fault.what} {fault.mend}".strip())
    return SEPARATOR.join(parts)


def _joined(faults: list[Fault]) -> list[str]:
    cells = [(f.code, f.column or "", f.value or "", f.what, f.mend) for f in faults]
    return [SEPARATOR.join(cell[i] for cell in cells) for i in range(5)]
