"""The treatment columns of a cohort file: which ADC, with which partners, from which day."""

from __future__ import annotations

import datetime
import difflib
import re
from typing import TYPE_CHECKING

import numpy as np

from features import fault_rules as rules
from features.adcs import adcs, resolve_adc
from features.cohort import NO_ADC
from features.column_names import normalise_level
from features.columns.coded_column import CodedColumn
from features.tables.text_column import is_missing_word, note_missing_words

if TYPE_CHECKING:
    from features.faults import FaultLog
    from features.tables.text_column import TextColumn

#: Ways to say that a patient of a comparator arm received no ADC.
_NO_ADC_WORDS = frozenset({NO_ADC, "no adc", "no-adc", "without adc", "comparator", "control", "no"})
#: Looking for the nearest name is slow, and a file of wrong names needs no more hints than this.
_MOST_HINTS = 20
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?")
#: Spreadsheets count days from 1899-12-30; these are the years 1990 to 2050.
_SERIAL_DAYS = (32_874, 55_153)


def read_adcs(column: TextColumn, log: FaultLog) -> tuple[CodedColumn, CodedColumn]:
    """Read the column of ADCs.

    "T-DM1 + pertuzumab" is the ADC with its partner; a cell with two ADCs is a fault.

    Parameters
    ----------
    column : TextColumn
    log : FaultLog

    Returns
    -------
    adc, partners : CodedColumn of n rows
        Short name of the catalogue or "none", and the other drugs of the cell; missing where faulty or absent.
    """
    resolved = [_resolve(text) for text in column.distinct]
    blank = np.array(
        [not pair and is_missing_word(t) for t, pair in zip(column.distinct, resolved, strict=True)], dtype=bool
    )
    unknown = np.array([pair is None for pair in resolved], dtype=bool) & ~blank
    rows = np.flatnonzero((column.codes < 0) | np.append(blank, False)[column.codes])
    log.at(rules.ADC_BLANK, rows, column=column.name)
    for position in np.flatnonzero(unknown)[:_MOST_HINTS]:
        hint = _hint(column.distinct[position])
        column.report(rules.ADC_UNKNOWN, np.arange(len(resolved)) == position, log, hint=hint)
        unknown[position] = False
    column.report(rules.ADC_UNKNOWN, unknown, log, hint="")
    found = np.array([pair[0] if pair else None for pair in resolved], dtype=object)
    partners = np.array([(pair[1] or None) if pair else None for pair in resolved], dtype=object)
    moved = np.array([partner is not None for partner in partners], dtype=bool)
    if moved.any():
        log.note(rules.PARTNERS_MOVED, column=column.name, number=int(column.counts()[moved].sum()))
    return CodedColumn(column.codes, found), CodedColumn(column.codes, partners)


def _resolve(text: str) -> tuple[str, str] | None:
    return (NO_ADC, "") if normalise_level(text) in _NO_ADC_WORDS else resolve_adc(text)


def _hint(text: str) -> str:
    spelled = {alias.casefold(): adc.id for adc in adcs().values() for alias in (adc.id, *adc.aliases)}
    near = difflib.get_close_matches(text.casefold(), spelled, n=1, cutoff=0.75)
    return f" Did you mean '{spelled[near[0]]}'?" if near else ""


def read_dates(column: TextColumn, log: FaultLog, *, today: datetime.date | None = None) -> CodedColumn:
    """Read a column of ISO dates.

    Day and month cannot be told apart in 03/04/2024, so no other form is read.

    Parameters
    ----------
    column : TextColumn
    log : FaultLog
    today : datetime.date, optional
        Later dates are faults; the present day by default.

    Returns
    -------
    CodedColumn of n rows
        ISO text; missing where missing or faulty.
    """
    last = today or datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
    size = len(column.distinct)
    dates = np.full(size, None, dtype=object)
    missing, serial, future = (np.zeros(size, dtype=bool) for _ in range(3))
    for position, text in enumerate(column.distinct):
        missing[position] = is_missing_word(text)
        serial[position] = text.isascii() and text.isdigit() and _SERIAL_DAYS[0] <= int(text) <= _SERIAL_DAYS[1]
        date = _iso_date(text)
        if date is not None:
            future[position] = date > last
            dates[position] = date.isoformat()
    unread = np.array([d is None for d in dates], dtype=bool) & ~missing & ~serial
    note_missing_words(column, missing, log)
    column.report(rules.DATE_SERIAL, serial, log)
    column.report(rules.DATE_FUTURE, future, log)
    column.report(rules.DATE_FORMAT, unread, log)
    dates[future] = None
    return CodedColumn(column.codes, dates)


def _iso_date(text: str) -> datetime.date | None:
    found = _ISO_DATE.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
