"""Numbers of a cohort file, read strictly: no hexadecimal, no underscores, no guess between 1,5 and 1.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from features import fault_rules as rules
from features.columns.number_forms import CHARACTERS, Form, NumberRange, parse
from features.columns.units import conversion
from features.tables.text_column import note_missing_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.faults import FaultLog, Rule
    from features.tables.text_column import TextColumn

#: Whole numbers that many databases write for "missing".
SENTINELS = (-9.0, -99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0)
_BAD_FORMS: dict[Form, Rule] = {
    Form.THOUSANDS: rules.THOUSANDS,
    Form.OTHER_UNIT: rules.OTHER_UNIT,
    Form.BOUND: rules.BOUND,
    Form.DATE: rules.DATE_IN_NUMBER,
    Form.NOT_FINITE: rules.NOT_FINITE,
    Form.NO_NUMBER: rules.NOT_A_NUMBER,
}


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """What reading one cell of a column needs to know of all the others.

    Attributes
    ----------
    comma, pointed : str
        First text with a decimal comma, and first plain number with a point; "" where there is none.
    percent, bare : bool
        Whether any cell has a percent sign, and whether any number has none.
    impossible : str
        First text that the declared unit does not allow; "" where there is none.
    """

    comma: str = ""
    pointed: str = ""
    percent: bool = False
    bare: bool = False
    impossible: str = ""

    def __add__(self, later: NumberFacts) -> NumberFacts:
        return NumberFacts(
            self.comma or later.comma,
            self.pointed or later.pointed,
            self.percent or later.percent,
            self.bare or later.bare,
            self.impossible or later.impossible,
        )


def number_facts(column: TextColumn, span: NumberRange) -> NumberFacts:
    """Gather the facts of a column, or of a part of it; those of its parts add up.

    Parameters
    ----------
    column : TextColumn
    span : NumberRange

    Returns
    -------
    NumberFacts
    """
    values, forms = parse(column, span)
    used = column.counts() > 0
    percent, comma = (forms == Form.PERCENT) & used, (forms == Form.DECIMAL_COMMA) & used
    pointed = (forms == Form.PLAIN) & used
    pointed = pointed & _with(column, lambda text: "." in text) if pointed.any() else pointed
    # Whether "1,234" is a number is settled by the others; where it is, the sign in question stands elsewhere too.
    bare = np.isfinite(values) & used & ~percent
    impossible = (values > 1.0) & used if span.declared == "fraction" else np.zeros(len(values), dtype=bool)
    return NumberFacts(
        _first(column, comma),
        _first(column, pointed),
        bool(percent.any()),
        bool(bare.any()),
        _first(column, impossible),
    )


def read_numbers(
    column: TextColumn, span: NumberRange, log: FaultLog, *, facts: NumberFacts | None = None
) -> NDArray[np.float64]:
    """Read a numeric column.

    Parameters
    ----------
    column : TextColumn
    span : NumberRange
        Unit and possible values.
    log : FaultLog
        Takes every fault, with row, value and mend.
    facts : NumberFacts, optional
        Those of the whole file, where the column is a part of it.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        In the catalogue's unit; missing and faulty cells are NaN.
    """
    values, forms = parse(column, span)
    note_missing_words(column, forms == Form.MISSING, log)
    whole = number_facts(column, span) if facts is None else facts
    values = _settle_commas(column, values, forms, log, whole)
    values = _settle_units(column, values, forms, span, log, whole)
    if facts is None and span.declared is None:
        _doubt_percent(column, values, forms == Form.PERCENT, span, log)
    for form, rule in _BAD_FORMS.items():
        column.report(rule, forms == form, log, unit=span.declared or span.unit)
    values = _check_range(column, values, span, log)
    return column.spread(values, np.nan)


def _settle_commas(
    column: TextColumn, values: NDArray[np.float64], forms: NDArray[np.int8], log: FaultLog, facts: NumberFacts
) -> NDArray[np.float64]:
    """Read decimal commas where the whole column agrees; "1,234" alone may be either and is put aside."""
    comma = forms == Form.DECIMAL_COMMA
    if facts.comma:
        if facts.pointed:
            log.note(rules.DECIMAL_MIXED, column=column.name, comma=facts.comma, point=facts.pointed)
        else:
            # Beside "1,5" a value such as "0,125" or "1,234" is a decimal number too.
            alike = (forms == Form.THOUSANDS) & _with(column, lambda text: text.count(",") == 1 and "." not in text)
            for position in np.flatnonzero(alike):
                values[position] = float(column.distinct[position].translate(CHARACTERS).replace(",", "."))
            forms[alike] = Form.DECIMAL_COMMA
            number = int(column.counts()[comma | alike].sum())
            if number:
                log.note(rules.DECIMAL_COMMA, column=column.name, number=number)
    unusual = np.isfinite(values) & ~_ascii(column)
    if unusual.any():
        number = int(column.counts()[unusual].sum())
        log.note(rules.CHARACTERS, column=column.name, value=_first(column, unusual), number=number)
    return values


def _settle_units(
    column: TextColumn,
    values: NDArray[np.float64],
    forms: NDArray[np.int8],
    span: NumberRange,
    log: FaultLog,
    facts: NumberFacts,
) -> NDArray[np.float64]:
    counts = column.counts()
    percent = forms == Form.PERCENT
    if percent.any():
        values = _settle_percent(column, values, forms, span, log, facts)
    in_unit = forms == Form.UNIT
    if in_unit.any():
        log.note(
            rules.UNIT_READ, column=column.name, number=int(counts[in_unit].sum()), unit=span.declared or span.unit
        )
    if span.declared is None:
        return values
    factor = conversion(span.declared, span.unit)
    impossible = (values > 1.0) if span.declared == "fraction" else np.zeros(len(values), dtype=bool)
    if factor is None or impossible.any() or facts.impossible:
        value = facts.impossible or _first(column, impossible if impossible.any() else np.isfinite(values))
        number = int(counts[impossible].sum()) if impossible.any() else len(column)
        log.note(rules.UNIT_CONFLICT, column=column.name, value=value, number=number, unit=span.declared)
        return np.full_like(values, np.nan)
    if factor != 1.0:
        number = int(counts[np.isfinite(values)].sum())
        log.note(rules.CONVERTED, column=column.name, number=number, unit_from=span.declared, unit=span.unit)
        values = values * factor
    return values


def _settle_percent(
    column: TextColumn,
    values: NDArray[np.float64],
    forms: NDArray[np.int8],
    span: NumberRange,
    log: FaultLog,
    facts: NumberFacts,
) -> NDArray[np.float64]:
    """Read "20%" where every value has the sign or the unit is declared; beside bare numbers it is put aside."""
    percent = forms == Form.PERCENT
    bare = np.isfinite(values) & ~percent
    unit = span.declared or span.unit
    if unit not in ("percent", "fraction"):
        column.report(rules.OTHER_UNIT, percent, log, unit=unit)
    elif (bare.any() or facts.bare) and span.declared != "percent":
        column.report(rules.PERCENT_SIGN, percent, log)
    else:
        log.note(rules.PERCENT_READ, column=column.name, number=int(column.counts()[percent].sum()), unit=unit)
        # The sign itself declares the unit, so a fraction column that writes percent is divided by 100 here.
        return np.where(percent, values / 100.0, values) if unit == "fraction" else values
    return np.where(percent, np.nan, values)


def _doubt_percent(
    column: TextColumn, values: NDArray[np.float64], percent: NDArray[np.bool_], span: NumberRange, log: FaultLog
) -> None:
    known = values[np.isfinite(values) & (column.counts() > 0)]
    if span.unit == "percent" and not percent.any() and known.size and known.max() <= 1.0 and known.max() > 0.0:
        log.note(rules.UNIT_DOUBT, column=column.name)


def _check_range(
    column: TextColumn, values: NDArray[np.float64], span: NumberRange, log: FaultLog
) -> NDArray[np.float64]:
    low = -np.inf if span.low is None else span.low
    high = np.inf if span.high is None else span.high
    outside = (values < low) | (values > high)
    if span.declared in (None, span.unit):
        # No biomarker reaches -9 and the like by measurement, even where the range would allow it.
        coded = np.isin(values, SENTINELS) & (outside | (values < 0))
        column.report(rules.SENTINEL, coded, log)
        outside &= ~coded
        values = np.where(coded, np.nan, values)
    unit = "" if span.unit in ("z-score", "ratio", "level") else f" {span.unit}"
    column.report(rules.OUT_OF_RANGE, outside, log, low=f"{low:g}", high=f"{high:g}", unit=unit)
    return np.where(outside, np.nan, values)


def _ascii(column: TextColumn) -> NDArray[np.bool_]:
    return np.asarray(pc.string_is_ascii(column.arrow).to_numpy(zero_copy_only=False), dtype=bool)


def _with(column: TextColumn, holds: Callable[[str], bool]) -> NDArray[np.bool_]:
    return np.fromiter((holds(text) for text in column.distinct), dtype=bool, count=len(column.distinct))


def _first(column: TextColumn, chosen: NDArray[np.bool_]) -> str:
    return column.distinct[int(np.flatnonzero(chosen)[0])] if chosen.any() else ""
