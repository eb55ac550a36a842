"""Many numbers as text at once: what Python would write, without writing each number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Arrow writes numbers of this size as Python does.
_SMALLEST_ALIKE, _LARGEST_ALIKE = 1e-4, 1e9
#: Digits behind a rounded number closer to a half than this are left to Python, which knows the exact value.
_DOUBT = 1e-7
#: Numbers of this size are written whole: three significant digits would take an exponent.
_LARGE = 999.5
#: Distinct signed texts of one batch up to which a table of them pays.
_MOST_SIGNED = 100_000


def exact_texts(values: Floats) -> Any:
    """Shortest text that gives each number back exactly, whole numbers without a point.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)

    Returns
    -------
    pyarrow.StringArray
    """
    size = np.abs(values)
    odd = ((size < _SMALLEST_ALIKE) & (size > 0.0)) | (size >= _LARGEST_ALIKE)
    return _by_python(pa.array(values).cast(pa.string()), values, odd, lambda value: repr(value).removesuffix(".0"))


def rounded_text(value: float) -> str:
    """Write a number with three significant digits, whole and large ones whole.

    Parameters
    ----------
    value : float

    Returns
    -------
    str
        Without an exponent for a size met in patients: "3", "-1.23", "1250".
    """
    if abs(value) >= _LARGE or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"


def rounded_texts(values: Floats) -> Any:
    """Many numbers as `rounded_text` writes each.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)

    Returns
    -------
    pyarrow.StringArray
    """
    size = np.abs(values)
    rounded = np.rint(values)
    part = np.flatnonzero((size < _LARGE) & (values != rounded) & (size >= _SMALLEST_ALIKE))
    # The quotient of two whole numbers is the number nearest to the decimal, whose shortest text is that decimal.
    power = np.power(10.0, 2.0 - np.floor(np.log10(size[part])))
    scaled = values[part] * power
    rounded[part] = np.rint(scaled) / power
    odd = (size < _SMALLEST_ALIKE) & (size > 0.0)
    odd[part] = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < _DOUBT
    odd |= size >= _LARGEST_ALIKE
    return _by_python(pa.array(rounded).cast(pa.string()), values, odd, rounded_text)


def signed_texts(values: Floats) -> tuple[NDArray[np.int64], list[str]]:
    """Numbers with a sign and two decimals: "+0.82", "-0.00".

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)

    Returns
    -------
    codes : numpy.ndarray of int, shape (n,)
    texts : list of str
        Which `codes` point into.
    """
    scaled = values * 100.0
    odd = np.flatnonzero(np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < _DOUBT)
    hundredths = np.rint(scaled)
    hundredths[odd] = 0.0
    least, most = hundredths.min(initial=0.0), hundredths.max(initial=0.0)
    if not most - least <= _MOST_SIGNED:
        return np.arange(len(values)), [f"{value:+.2f}" for value in values.tolist()]
    texts = [f"{number / 100.0:+.2f}" for number in range(int(least), int(most) + 1)]
    codes = hundredths.astype(np.int64) - int(least)
    codes[(hundredths == 0.0) & np.signbit(values)] = len(texts)
    codes[odd] = np.arange(len(odd)) + len(texts) + 1
    return codes, [*texts, "-0.00", *(f"{value:+.2f}" for value in values[odd].tolist())]


def _by_python(texts: Any, values: Floats, odd: NDArray[np.bool_], write: Callable[[float], str]) -> Any:
    """Replace the texts of some numbers by what Python writes."""
    if not odd.any():
        return texts
    written = pa.array([write(value) for value in values[odd].tolist()], type=pa.string())
    return pc.replace_with_mask(texts, pa.array(odd), written)
