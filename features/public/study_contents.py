"""What the table of a study tells as a whole: its HER2 status beside that of its assays, and who has no biomarker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features import fault_rules as rules
from features.biomarkers import measures
from features.columns.coded_column import absent
from features.columns.column_matching import match_columns
from features.columns.contradictions import ReadColumns
from features.columns.derived_columns import derive_columns
from features.columns.value_reading import read_column
from features.faults import FaultLog
from features.stated_status import compared_status

if TYPE_CHECKING:
    from features.cohort import Fault
    from features.mapping_file import TableMapping
    from features.tables.text_table import TextTable


def notes_on_contents(table: TextTable, mapping: TableMapping) -> list[Fault]:
    """Tell how far a study's stated HER2 status agrees with its assays, and how many rows hold no biomarker.

    Parameters
    ----------
    table : TextTable
    mapping : TableMapping
        How it is to be read.

    Returns
    -------
    list of Fault
        Empty where the table cannot be read: the reader of cohorts then says why.
    """
    # What is wrong with single values is told when the cohort is read.
    log = FaultLog(table.rows)
    plans = [p for p in match_columns(table.columns, mapping, log) if p.target in measures()]
    if log.rejections():
        return []
    values: dict[str, Any] = {}
    for plan in plans:
        values.update(read_column(table, plan, log, present=values))
    if log.rejections():
        return []
    notes = []
    empty = np.full(len(table), bool(values))
    for column in values.values():
        empty &= absent(column)
    if empty.any():
        notes.append(rules.NOTHING_KNOWN.fault(number=int(empty.sum()), rows=len(table)))
    stated = values.pop("her2_status", None)
    read = ReadColumns(values, {}, len(table))
    derive_columns(read, outcomes=False)
    computed = read.by_column.get("her2_status")
    if stated is not None and computed is not None:
        found = compared_status(stated, computed)
        name = next(p.name for p in plans if p.target == "her2_status")
        if found.both:
            notes.append(found.note(name))
    return notes
