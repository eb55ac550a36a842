"""Whether the numbers of a bundle's record can be: what a typed record leaves open and scoring relies on."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from training.explaining.stability import RefitFindings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.feature_schema import FeatureSchema
    from training.bundle_schema import BundleRecord, TrainingRange, VennAbersTable

_MOST_COLUMNS, _MOST_TEXT = 5_000, 300


def record_fault(record: BundleRecord) -> str:
    """Look for the first thing in a record that cannot be.

    Parameters
    ----------
    record : BundleRecord

    Returns
    -------
    str
        A clause, "" for a sound record.
    """
    return next(_faults(record), "")


def _faults(record: BundleRecord) -> Iterator[str]:
    yield from _schema_faults(record.schema)
    yield from _table_faults(record.venn_abers)
    if not 0 < record.response_rate < 1:
        yield "the response rate is none"
    if set(record.training_ranges) != set(record.schema.names):
        yield "the training ranges are not those of its columns"
    for name, known in record.training_ranges.items():
        yield from (f"the training range of '{name[:40]}' {what}" for what in _range_faults(known))
    texts = (record.model_name, record.cohort.name, *record.cohort.adcs, *record.cohort.settings)
    if any(len(text) > _MOST_TEXT or not text.isprintable() for text in texts):
        yield "a name is too long or holds control characters"
    if not all(map(isfinite, (*record.held_out_log_odds, record.calibration.slope, record.calibration.intercept))):
        yield "a number is not finite"
    yield from _refit_faults(record)
    if record.cohort.patients < 1 or not 0 <= record.cohort.events <= record.cohort.patients:
        yield "its cohort has more events than patients"


def _schema_faults(schema: FeatureSchema) -> Iterator[str]:
    names = schema.names
    if not names or len(names) > _MOST_COLUMNS or len(set(names)) != len(names):
        yield "its columns are none, too many or not distinct"
    for column in schema.columns:
        if bool(column.levels) != (column.kind in ("ordinal", "categorical")):
            yield f"column '{column.name[:40]}' has levels that its kind does not have, or lacks them"
        texts = (column.name, column.label, column.unit, *column.levels)
        if any(len(text) > _MOST_TEXT or not text.isprintable() for text in texts) or not column.name:
            yield "the name of a column is too long, empty or holds control characters"


def _table_faults(table: VennAbersTable) -> Iterator[str]:
    steps = len(table.scores) + 1
    if (len(table.low), len(table.high)) != (steps, steps):
        yield "its interval table has rows of different lengths"
    elif not all(map(isfinite, table.scores)) or list(table.scores) != sorted(table.scores):
        yield "the scores of its interval table do not rise"
    elif not all(0 <= value <= 1 for value in (*table.low, *table.high)):
        yield "its interval table holds something other than probabilities"


def _range_faults(known: TrainingRange) -> Iterator[str]:
    numbers = (known.minimum, known.p01, known.p99, known.maximum)
    given = [number for number in numbers if number is not None]
    if len(given) not in (0, 4):
        yield "is incomplete"
    elif not all(map(isfinite, given)) or given != sorted(given):
        yield "does not rise from minimum to maximum"
    if not 0 <= known.missing_rate <= 1 or any(count < 0 for count in known.level_counts.values()):
        yield "counts what cannot be"


def _refit_faults(record: BundleRecord) -> Iterator[str]:
    if not isinstance(record.refits, RefitFindings):
        return
    found, names = record.refits, set(record.schema.names)
    told = [f.name for f in found.columns]
    if found.refits < 1 or len(set(told)) != len(told) or not names.issuperset((*told, *_drug_columns(found))):
        yield "what it says of refits is not of its columns"
    texts = [t for d in found.drug_differences for t in (d.label, d.adc, d.other)] + [c.label for c in found.columns]
    if any(len(text) > _MOST_TEXT or not text.isprintable() for text in texts):
        yield "a name in what it says of refits is too long or holds control characters"
    estimates = [e for c in found.columns for e in (c.size, c.rank, c.change) if e is not None]
    estimates += [d.difference for d in found.drug_differences]
    if not all(v is not None and isfinite(v) for e in estimates for v in (e.value, e.low, e.high)):
        yield "what it says of refits lacks a number"


def _drug_columns(found: RefitFindings) -> list[str]:
    return [d.name for d in found.drug_differences]
