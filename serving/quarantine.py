"""Rows that could not be scored: kept whole, with what is wrong and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from features.cell_safety import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.cohort import Cohort, Fault

#: Columns that come before the original ones, so that a mended file can be scored as it is.
FAULT_COLUMNS = ("fault_row", "fault_code", "fault_column", "fault_value", "fault_what", "fault_mend")
#: Stands between the parts of a row with several faults.
SEPARATOR = " | "


def rejected_table(cohort: Cohort) -> pd.DataFrame:
    """One row per quarantined row of the file, its faults first and its original cells after them.

    Parameters
    ----------
    cohort : Cohort
        A validated cohort.

    Returns
    -------
    pandas.DataFrame
        Text only: FAULT_COLUMNS, then the file's columns in their order. Several faults of a row are joined by
        SEPARATOR, in the same order in every fault column.
    """
    by_row: dict[int, list[Fault]] = {row: [] for row in cohort.rejected}
    for fault in cohort.faults:
        if fault.severity == "quarantine" and fault.row in by_row:
            by_row[fault.row].append(fault)
    # A rejected file that was mended and scored again brings the fault columns of its first run.
    met = dict.fromkeys(name for cells in cohort.raw_rejected.values() for name in cells)
    names = [name for name in met if name not in FAULT_COLUMNS]
    records = []
    for row in sorted(by_row):
        original = cohort.raw_rejected.get(row, {})
        records.append([str(row), *_joined(by_row[row]), *(original.get(name, "") for name in names)])
    return pd.DataFrame(records, columns=[*FAULT_COLUMNS, *names], dtype="str")


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


def harmless_table(table: pd.DataFrame) -> pd.DataFrame:
    """Make every text cell and column name of a table such that no spreadsheet runs it as a formula.

    Parameters
    ----------
    table : pandas.DataFrame
        Any columns; only text ones are changed.

    Returns
    -------
    pandas.DataFrame
        A new frame that shares its unchanged columns.

    References
    ----------
    OWASP, "CSV Injection".
    """
    made = {str(name): _harmless_column(table[name]) for name in table.columns}
    return pd.DataFrame(made, index=table.index).rename(columns=harmless)


def _harmless_column(column: pd.Series[Any]) -> pd.Series[Any]:
    if not pd.api.types.is_string_dtype(column):
        return column
    # Few distinct texts stand in most columns: each is looked at once.
    changed = {text: safe for text in column.dropna().unique() if (safe := harmless(text)) != text}
    return column.replace(changed) if changed else column


def _joined(faults: list[Fault]) -> list[str]:
    cells = [(f.code, f.column or "", f.value or "", f.what, f.mend) for f in faults]
    return [SEPARATOR.join(cell[i] for cell in cells) for i in range(5)]
