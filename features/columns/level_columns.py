"""Levels and yes/no values of a cohort file, by the spellings that the catalogue knows."""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from features import fault_rules as rules
from features.column_names import normalise_level
from features.columns.coded_column import CodedColumn
from features.columns.cohort_columns import allowed_values
from features.tables.text_column import MISSING_WORDS, note_missing_words, tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.biomarkers import Measure
    from features.faults import FaultLog
    from features.tables.text_column import TextColumn

YES_NO: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("1", "true", "t", "yes", "y", "present"), "1"),
        **dict.fromkeys(("0", "false", "f", "no", "n", "absent"), "0"),
    }
)
#: Results that are stated but decide nothing.
UNDETERMINED_WORDS = frozenset(
    {"equivocal", "indeterminate", "borderline", "inconclusive", "uncertain", "undetermined", "ambiguous"}
)
# A table with decimal commas has "1,0" where another has "1.0"; "1,000" is a thousand.
_WHOLE = re.compile(r"([0-9]+)(?:\.0*|,0{1,2})")
_RANGE = re.compile(r"(.+?)\s*(?:-|to|/|or)\s*(.+)")
#: What a text is read as where it is no level.
_MISSING, _UNDETERMINED, _RANGED, _UNKNOWN = "missing", "undetermined", "range", "unknown"


def read_levels(column: TextColumn, measure: Measure, log: FaultLog) -> CodedColumn:
    """Read an ordinal or categorical column.

    Parameters
    ----------
    column : TextColumn
    measure : Measure
        Its levels and their spellings.
    log : FaultLog
        Takes every fault, with row, value and mend. A value that is no level puts the row aside where levels are
        ordered; where they are names (subtypes), it is read as missing and flagged.

    Returns
    -------
    CodedColumn of n rows
        Levels as the catalogue writes them; missing where missing or faulty.
    """
    levels, reasons = _judge(column, measure)
    _report(column, measure, levels, reasons, log)
    return CodedColumn(column.codes, levels)


def read_yes_no(column: TextColumn, measure: Measure, log: FaultLog) -> NDArray[np.float64]:
    """Read a binary column.

    Parameters
    ----------
    column : TextColumn
    measure : Measure
        Spellings of its two states beyond yes and no, true and false, 1 and 0.
    log : FaultLog
        Takes every fault. Equivocal results are read as missing and flagged.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1.0 or 0.0; NaN where missing or faulty.
    """
    levels, reasons = _judge(column, measure)
    _report(column, measure, levels, reasons, log)
    values = np.array([np.nan if level is None else float(level) for level in levels], dtype=np.float64)
    return column.spread(values, np.nan)


def spellings(measure: Measure) -> Mapping[str, str]:
    """Every known spelling of a measure's levels, normalised, with the level that it means."""
    binary = measure.kind == "binary"
    known = dict(YES_NO) if binary else {normalise_level(level): level for level in measure.levels}
    known.update({normalise_level(text): level for text, level in measure.level_synonyms.items()})
    return known


def _judge(column: TextColumn, measure: Measure) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Level of each distinct text, or the reason why it has none."""
    known = spellings(measure)
    levels = np.full(len(column.distinct), None, dtype=object)
    reasons = np.full(len(column.distinct), None, dtype=object)
    for position, text in enumerate(column.distinct):
        key = normalise_level(text)
        whole = _WHOLE.fullmatch(key)
        level = known.get(key, known.get(whole[1]) if whole else None)
        if level is not None:
            levels[position] = level
        else:
            reasons[position] = _reason(key, known)
    return levels, reasons


def _reason(key: str, known: Mapping[str, str]) -> str:
    if key in MISSING_WORDS:
        return _MISSING
    if key in UNDETERMINED_WORDS:
        return _UNDETERMINED
    if (found := _RANGE.fullmatch(key)) and found[1] in known and found[2] in known:
        return _RANGED
    return _UNKNOWN


def _report(
    column: TextColumn,
    measure: Measure,
    levels: NDArray[np.object_],
    reasons: NDArray[np.object_],
    log: FaultLog,
) -> None:
    note_missing_words(column, reasons == _MISSING, log)
    allowed = allowed_values(measure)
    named = measure.kind == "categorical"
    unknown = rules.LEVEL_UNSEEN if named else rules.LEVEL_UNKNOWN
    column.report(rules.UNDETERMINED, reasons == _UNDETERMINED, log)
    column.report(unknown if named else rules.LEVEL_RANGE, reasons == _RANGED, log, levels=allowed)
    column.report(unknown, reasons == _UNKNOWN, log, levels=allowed)
    changed: Counter[str] = Counter()
    pairs = list(zip(column.distinct, levels, strict=True))
    if any(level is not None and text not in (level, f"{level}.0") for text, level in pairs):
        for (text, level), count in zip(pairs, column.counts(), strict=True):
            if level is not None and text not in (level, f"{level}.0"):
                changed[f"{text} as {level}"] += int(count)
    if changed:
        log.note(rules.SPELLING, column=column.name, number=changed.total(), changes=tally(changed))
