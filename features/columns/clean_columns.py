"""Columns that came as numbers: whether each value is plainly possible, so that none needs a closer look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.columns.number_columns import SENTINELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.columns.number_forms import NumberRange

#: Codes for "missing" that a range may allow; those above 0 count as codes only where they are out of range.
_NEGATIVE_CODES = [code for code in SENTINELS if code < 0]


def clean_numbers(cells: Any, span: NumberRange) -> NDArray[np.float64] | None:
    """Values of a column of floats, where each is plainly possible; None where one of them needs a closer look.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray
        Of floats; null where missing.
    span : NumberRange

    Returns
    -------
    numpy.ndarray of float64, shape (n,), or None
    """
    values = _floats(cells)
    known = values[~np.isnan(values)] if cells.null_count else values
    if len(known) + cells.null_count != len(values):
        return None
    if len(known):
        low, high = float(known.min()), float(known.max())
        if not (
            low >= (-np.inf if span.low is None else span.low) and high <= (np.inf if span.high is None else span.high)
        ):
            return None
        if not (np.isfinite(low) and np.isfinite(high)) or np.isnan(low):
            return None
        if low <= max(_NEGATIVE_CODES) and np.isin(known, _NEGATIVE_CODES).any():
            return None
    return values


def clean_flags(cells: Any) -> NDArray[np.float64] | None:
    """Values of a column of floats that are all 0 or 1; None where one is not.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray
        Of floats; null where missing.

    Returns
    -------
    numpy.ndarray of float64, shape (n,), or None
    """
    values = _floats(cells)
    good = (values == 1.0) | ((values == 0.0) & ~np.signbit(values))
    return values if int(good.sum()) + cells.null_count == len(values) else None


def _floats(cells: Any) -> NDArray[np.float64]:
    return np.asarray(cells.to_numpy(zero_copy_only=False) if isinstance(cells, pa.Array) else cells.to_numpy())
