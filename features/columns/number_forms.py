"""How a cell of a numeric column is written: a plain number, a percentage, a bound, a date or nothing of the kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns.units import UNIT_WORDS
from features.tables.text_column import is_missing_word

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.tables.text_column import TextColumn

#: Numbers that Arrow may convert in bulk; anything else is read one by one.
_PLAIN = r"^-?[0-9]{1,40}(\.[0-9]{1,40})?$"
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
#: Full-width signs, and the kinds of minus that word processors put in the place of "-".
CHARACTERS = {
    **{0xFF10 + digit: str(digit) for digit in range(10)},
    0xFF0E: ".",
    0xFF0C: ",",
    0xFF0B: "+",
    0xFF0D: "-",
    **dict.fromkeys((0x2212, 0x2013, 0x2010, 0x2011), "-"),
}


class Form(IntEnum):
    """How a cell of a numeric column is written."""

    PLAIN = auto()
    MISSING = auto()
    DECIMAL_COMMA = auto()
    THOUSANDS = auto()
    PERCENT = auto()
    UNIT = auto()
    OTHER_UNIT = auto()
    BOUND = auto()
    DATE = auto()
    NOT_FINITE = auto()
    NO_NUMBER = auto()


#: Tried in this order.
_PATTERNS = {
    Form.PLAIN: re.compile(rf"({_NUMBER})"),
    Form.PERCENT: re.compile(rf"({_NUMBER})\s*%"),
    Form.THOUSANDS: re.compile(
        r"[-+]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?"  # 1,234.5
        r"|[-+]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]*"  # 1.234,5
    ),
    Form.DECIMAL_COMMA: re.compile(r"([-+]?[0-9]*,[0-9]+)"),
    Form.NOT_FINITE: re.compile(r"[-+]?inf(?:inity)?", re.IGNORECASE),
    Form.BOUND: re.compile(
        rf"(?:[<>]=?|[\u2264\u2265~]|up to|over|under)\s*{_NUMBER}\s*%?|{_NUMBER}\s*(?:-|to)\s*{_NUMBER}\s*%?"
    ),
    Form.DATE: re.compile(r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}(?:[T ].*)?|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{2,4}"),
    Form.UNIT: re.compile(rf"({_NUMBER})\s*([A-Za-z/%][A-Za-z0-9/ %-]*)"),
}


@dataclass(frozen=True, slots=True)
class NumberRange:
    """What the numbers of a column mean and which are possible.

    Attributes
    ----------
    unit : str
        Unit of the catalogue; values come out in it.
    low, high : float or None
        Smallest and largest possible value, both allowed.
    declared : str or None
        Unit that the user's mapping says the file is in.
    """

    unit: str
    low: float | None = None
    high: float | None = None
    declared: str | None = None


def parse(column: TextColumn, span: NumberRange) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Value and form of each distinct text; commas, units and ranges are judged later, over the whole column."""
    size = len(column.arrow)
    values = np.full(size, np.nan)
    forms = np.full(size, Form.PLAIN, dtype=np.int8)
    texts = column.arrow
    plain = pc.match_substring_regex(texts, _PLAIN).to_numpy(zero_copy_only=False).astype(bool)
    if plain.any():
        values[plain] = texts.filter(pa.array(plain)).cast(pa.float64()).to_numpy(zero_copy_only=False)
    for position in np.flatnonzero(~plain):
        forms[position], values[position] = _parse_one(column.distinct[position], span)
    infinite = np.isinf(values)
    forms[infinite] = Form.NOT_FINITE
    values[infinite] = np.nan
    return values, forms


def _parse_one(written: str, span: NumberRange) -> tuple[Form, float]:
    text = written.translate(CHARACTERS)
    if is_missing_word(text):
        return Form.MISSING, np.nan
    for form, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(text):
            return _value(form, found, span)
    return Form.NO_NUMBER, np.nan


def _value(form: Form, found: re.Match[str], span: NumberRange) -> tuple[Form, float]:
    if form is Form.UNIT:
        unit = UNIT_WORDS.get(found[2].strip().casefold())
        if unit is None:
            return Form.NO_NUMBER, np.nan
        if unit != (span.declared or span.unit):
            return Form.OTHER_UNIT, np.nan
    if form in (Form.PLAIN, Form.PERCENT, Form.DECIMAL_COMMA, Form.UNIT):
        return form, float(found[1].replace(",", "."))
    return form, np.nan
