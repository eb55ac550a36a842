"""Many numbers as text, each distinct text written once: what Python would write, without writing each number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Arrow writes numbers of this size as Python does.
_SMALLEST_ALIKE, _LARGEST_ALIKE = 1e-4, 1e9
#: Digits behind a rounded number closer to a half than this are left to Python, which knows the exact value.
_DOUBT = 1e-7
_LARGE = 1000.0
_ROUNDED, _DOUBTED = 2, 3


def exact_texts(values: Floats) -> Any:
    """Shortest text that gives each number back exactly, whole numbers without a point.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)

    Returns
    -------
    pyarrow.StringArray
    """
    texts = pa.array(values).cast(pa.string())
    size = np.abs(values)
    odd = np.flatnonzero(((size < _SMALLEST_ALIKE) & (size > 0.0)) | (size >= _LARGEST_ALIKE))
    if not len(odd):
        return texts
    written = texts.to_pylist()
    for row in odd:
        written[row] = repr(float(values[row])).removesuffix(".0")
    return pa.array(written, type=pa.string())


def rounded_texts(values: Floats, write: Callable[[float], str]) -> tuple[NDArray[np.int64], list[str]]:
    """Text of each number where whole and large numbers are written whole, others with three significant digits.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)
    write : callable
        Writes one number; is called once for each distinct text, and where rounding is in doubt.

    Returns
    -------
    codes : numpy.ndarray of int, shape (n,)
    texts : list of str
        Which `codes` point into.
    """
    size = np.abs(values)
    whole = (size >= _LARGE) | (values == np.rint(values))
    key = np.where(whole, np.rint(values), values)
    # Whole numbers (0 and -0 apart), rounded ones and ones in doubt are told apart by a second key.
    group = np.where(whole, np.signbit(values), _DOUBTED).astype(np.int64)
    part = np.flatnonzero(~whole & (size >= _SMALLEST_ALIKE))
    unit = np.power(10.0, np.floor(np.log10(size[part])) - 2.0)
    scaled = values[part] / unit
    clear = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) >= _DOUBT
    key[part[clear]] = np.rint(scaled[clear]) * unit[clear]
    group[part[clear]] = _ROUNDED
    return _coded(np.column_stack([key, group]), values, write)


def signed_texts(values: Floats) -> tuple[NDArray[np.int64], list[str]]:
    """Numbers with a sign and two decimals: "+0.82", "-0.00".

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)

    Returns
    -------
    codes : numpy.ndarray of int, shape (n,)
    texts : list of str
    """
    scaled = values * 100.0
    doubt = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < _DOUBT
    key = np.where(doubt, values, np.rint(scaled))
    group = np.signbit(values).astype(np.int64) + 2 * doubt
    return _coded(np.column_stack([key, group]), values, lambda value: f"{value:+.2f}")


def _coded(keys: Floats, values: Floats, write: Callable[[float], str]) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    groups = keys[:, 1].astype(np.int64)
    numbers, distinct = pd.factorize(keys[:, 0])
    codes, _ = pd.factorize(groups * (len(distinct) + 1) + numbers)
    first = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes.astype(np.int64), [write(float(values[row])) for row in first]
