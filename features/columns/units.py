"""Units of numeric columns: the words files use for them, and the conversions that are safe."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Mean length of a Gregorian month and year, in days.
DAYS_PER_MONTH = 30.436875
DAYS_PER_YEAR = 365.2425

#: Words for a unit as met behind a number ("12 mo") or in a mapping file.
UNIT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("percent", "pct", "%", "per cent"), "percent"),
        **dict.fromkeys(("fraction", "proportion"), "fraction"),
        **dict.fromkeys(("y", "yr", "yrs", "year", "years", "y/o", "yo"), "years"),
        **dict.fromkeys(("mo", "mos", "mth", "month", "months"), "months"),
        **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), "weeks"),
        **dict.fromkeys(("d", "day", "days"), "days"),
        **dict.fromkeys(("copy", "copies", "signals", "copies per cell", "copies/cell", "signals/cell"), "copies"),
        **dict.fromkeys(("ratio",), "ratio"),
        **dict.fromkeys(("z", "z-score", "zscore", "sd"), "z-score"),
        **dict.fromkeys(("log2",), "log2"),
        **dict.fromkeys(("ng/ml",), "ng/mL"),
        **dict.fromkeys(("pg/ml",), "pg/mL"),
        **dict.fromkeys(("line", "lines"), "lines"),
        **dict.fromkeys(("h-score",), "H-score"),
        **dict.fromkeys(("count", "counts"), "count"),
    }
)

#: Factor from the first unit to the second.
CONVERSIONS: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("percent", "fraction"): 0.01,
        ("fraction", "percent"): 100.0,
        ("days", "months"): 1.0 / DAYS_PER_MONTH,
        ("weeks", "months"): 7.0 / DAYS_PER_MONTH,
        ("years", "months"): DAYS_PER_YEAR / DAYS_PER_MONTH,
        ("days", "years"): 1.0 / DAYS_PER_YEAR,
        ("months", "years"): DAYS_PER_MONTH / DAYS_PER_YEAR,
        ("pg/mL", "ng/mL"): 1e-3,
        ("ng/mL", "pg/mL"): 1e3,
    }
)


def conversion(unit_from: str, unit: str) -> float | None:
    """Factor that turns a value in one unit into another; None where there is none.

    Examples
    --------
    >>> conversion("percent", "fraction")
    0.01
    """
    return 1.0 if unit_from == unit else CONVERSIONS.get((unit_from, unit))
