"""Reads one column of a table as the column of a cohort that it was matched with."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features import fault_rules as rules
from features.biomarkers import measures
from features.columns.clean_columns import clean_flags, clean_numbers
from features.columns.coded_column import CodedColumn
from features.columns.cohort_columns import CONTEXT_LEVELS, OUTCOMES
from features.columns.identifiers import read_ids
from features.columns.level_columns import read_levels, read_yes_no
from features.columns.number_columns import NumberFacts, read_numbers
from features.columns.number_forms import NumberRange
from features.columns.treatment import read_adcs, read_dates
from features.columns.units import UNIT_WORDS
from features.tables.text_column import TextColumn, is_missing_word, tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.biomarkers import Measure
    from features.columns.column_matching import ColumnPlan
    from features.faults import FaultLog
    from features.mapping_file import ColumnMapping
    from features.tables.text_table import TextTable


def read_column(
    table: TextTable,
    plan: ColumnPlan,
    log: FaultLog,
    *,
    present: Mapping[str, Any],
    facts: NumberFacts | None = None,
) -> dict[str, Any]:
    """Read a column by its plan.

    Parameters
    ----------
    table : TextTable
    plan : ColumnPlan
    log : FaultLog
    present : mapping
        Columns that were read before.
    facts : NumberFacts, optional
        What is known of a column of numbers over the whole file, where the table is a part of it.

    Returns
    -------
    dict of str to numpy.ndarray or CodedColumn
        The column; with an ADC also the partner drugs that its cells name, unless the file has a column of its own
        for them.
    """
    measure = measures().get(plan.target) or OUTCOMES.get(plan.target) or CONTEXT_LEVELS.get(plan.target)
    if measure is not None and plan.position is not None and (values := _clean(table, plan, measure)) is not None:
        return {plan.target: values}
    column = _text_of(table, plan)
    if plan.entry is not None and plan.entry.source:
        column = _translated(column, plan, plan.entry, log)
    if plan.target == "patient_id":
        return {"patient_id": read_ids(column, log)}
    if plan.target == "adc":
        adc, partners = read_adcs(column, log)
        named = any(partner is not None for partner in partners.texts)
        return {"adc": adc, "partner_drugs": partners} if named and "partner_drugs" not in present else {"adc": adc}
    if plan.target == "treatment_start":
        return {"treatment_start": read_dates(column, log)}
    if measure is None:
        return {plan.target: _plain_text(column)}
    return {plan.target: _read_measure(column, measure, plan.entry, log, facts)}


def number_range(measure: Measure, entry: ColumnMapping | None) -> NumberRange:
    """Tell what the numbers of a column mean, by the catalogue and a mapping."""
    declared = UNIT_WORDS[entry.unit.casefold()] if entry is not None and entry.unit else None
    if entry is not None and entry.standardise:
        return NumberRange(unit=declared or measure.unit)
    return NumberRange(unit=measure.unit, low=measure.minimum, high=measure.maximum, declared=declared)


def reads_plainly(plan: ColumnPlan) -> bool:
    """Whether nothing is asked of a column but to read it: no mapping of values, unit or scale."""
    entry = plan.entry
    return entry is None or not (
        entry.values or entry.otherwise is not None or entry.extract or entry.unit or entry.standardise
    )


def _clean(table: TextTable, plan: ColumnPlan, measure: Measure) -> NDArray[np.float64] | None:
    """Values of a column that came as numbers, where none of them is in doubt."""
    cells = table.cells[plan.position or 0]
    if cells is None or not pa.types.is_floating(cells.type) or not reads_plainly(plan):
        return None
    if measure.kind == "binary":
        return clean_flags(cells)
    return clean_numbers(cells, number_range(measure, plan.entry)) if measure.kind == "numeric" else None


def _text_of(table: TextTable, plan: ColumnPlan) -> TextColumn:
    if plan.position is None:
        constant = (plan.entry.constant if plan.entry else None) or ""
        return TextColumn.constant(plan.name, constant, len(table))
    return TextColumn.of(plan.name, table.text_cells(plan.position))


def _translated(column: TextColumn, plan: ColumnPlan, entry: ColumnMapping, log: FaultLog) -> TextColumn:
    translated = as_translated(column, plan)
    if translated is column:
        return column
    changes: Counter[str] = Counter()
    for old, new, count in zip(column.distinct, translated.distinct, column.counts(), strict=True):
        # Cells that hold no such part are many where two columns share one text ("2.1 (CN 4.8)").
        if old != new and count and (new or not entry.extract):
            changes[f"{old} as {new or 'missing'}"] += int(count)
    # Ids are never told, not even as what a mapping changed.
    if changes and plan.target != "patient_id":
        log.note(rules.MAPPED_VALUES, column=column.name, number=changes.total(), changes=tally(changes))
    return translated


def as_translated(column: TextColumn, plan: ColumnPlan) -> TextColumn:
    """Translate the texts of a column by its mapping, without a word about it."""
    entry = plan.entry
    if entry is None or not entry.source or (not entry.values and entry.otherwise is None and not entry.extract):
        return column
    part = column.extracted(entry.extract) if entry.extract else column
    return part.translated(entry.values, entry.otherwise)


def _read_measure(
    column: TextColumn,
    measure: Measure,
    entry: ColumnMapping | None,
    log: FaultLog,
    facts: NumberFacts | None,
) -> NDArray[np.float64] | CodedColumn:
    if measure.kind == "binary":
        return read_yes_no(column, measure, log)
    if measure.kind in ("ordinal", "categorical"):
        return read_levels(column, measure, log)
    values = read_numbers(column, number_range(measure, entry), log, facts=facts)
    return _standardised(column, values, log) if entry is not None and entry.standardise else values


def _standardised(column: TextColumn, values: NDArray[np.float64], log: FaultLog) -> NDArray[np.float64]:
    """Z-scores over every row of the file that has a value, with the sample standard deviation."""
    known = values[np.isfinite(values)]
    spread = float(known.std(ddof=1)) if known.size > 1 else 0.0
    if spread == 0.0:
        log.note(rules.CANNOT_STANDARDISE, column=column.name, number=int(known.size))
        return np.full_like(values, np.nan)
    mean = float(known.mean())
    details = {"mean": f"{mean:.4g}", "spread": f"{spread:.4g}"}
    log.note(rules.STANDARDISED, column=column.name, number=int(known.size), **details)
    return np.asarray((values - mean) / spread)


def _plain_text(column: TextColumn) -> CodedColumn:
    texts = [None if is_missing_word(t) else unicodedata.normalize("NFC", t) for t in column.distinct]
    return CodedColumn(column.codes, np.array(texts, dtype=object))
