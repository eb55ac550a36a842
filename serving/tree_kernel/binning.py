"""Columns of numbers to channels of bytes, once per row, so that every split becomes `byte > constant`.

A numeric column is cut at all thresholds that the ensemble uses on it: a value's bin is the number of thresholds
below it, and `value <= threshold[j]` is `bin <= j`. Missing values take the lowest or the highest bin by the
split's default side, so a column with both sides has two channels. A column with more than 255 thresholds has
further channels, each with 255 of them. A categorical column becomes one-hot bytes, eight categories in each, and
every distinct set of categories a channel that says which rows lie outside it.

The bin is found without a search: buckets of equal width over the range of the thresholds lead to a place among
them, and only the few thresholds within a bucket are compared. Both steps are monotone in the value, so the
result is exact whatever the rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: LightGBM reads a value this close to 0 as 0 (`kZeroThreshold`, a float32 in its source).
ZERO_THRESHOLD = float(np.float32(1e-35))

#: Thresholds that one channel of bytes can tell apart.
CHANNEL_THRESHOLDS = 255
#: Categories that one channel of one-hot bytes holds.
GROUP_CATEGORIES = 8


class NumericColumns(NamedTuple):
    """One entry per numeric column in use, then what they point into."""

    feature: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scale: NDArray[np.float64]
    bucket_start: NDArray[np.int64]
    threshold_start: NDArray[np.int64]
    halvings: NDArray[np.int64]
    channel_start: NDArray[np.int64]
    bucket: NDArray[np.uint16]
    threshold: NDArray[np.float64]
    #: Per channel: first threshold of it, bin of NaN, bin of 0.
    offset: NDArray[np.uint16]
    nan_bin: NDArray[np.uint8]
    zero_bin: NDArray[np.uint8]


class CategoryColumns(NamedTuple):
    """One entry per categorical column in use, then what they point into; then one entry per set."""

    feature: NDArray[np.int64]
    n_codes: NDArray[np.int64]
    rank_start: NDArray[np.int64]
    channel_start: NDArray[np.int64]
    rank: NDArray[np.uint16]
    #: Sets: the channels that follow the one-hot ones.
    first_set: int
    mask_start: NDArray[np.int64]
    mask_channel: NDArray[np.int64]
    mask: NDArray[np.uint8]


@compiled
def bin_rows(
    flat: NDArray[np.float64],
    strides: tuple[int, int],
    rows: tuple[int, int],
    numeric: NumericColumns,
    categories: CategoryColumns,
    channels: NDArray[np.uint8],
) -> None:
    """Fill the channels with the bins of consecutive rows.

    Parameters
    ----------
    flat : ndarray of float64
        The matrix as it lies in memory.
    strides : tuple of int
        Distance of two rows, and of two columns, in `flat`.
    rows : tuple of int
        First row, and the row after the last.
    numeric, categories : NumericColumns, CategoryColumns
        The plan.
    channels : ndarray of uint8, shape (blocks, channels, width)
        Filled block by block; what lies behind the last row is left as it was.
    """
    width = channels.shape[2]
    value = np.empty(width, np.float64)
    place = np.empty(width, np.uint16)
    bucket = np.empty(width, np.int32)
    special = np.empty(width, np.uint8)
    for block in range(channels.shape[0]):
        first = rows[0] + block * width
        n = min(width, rows[1] - first)
        lines = channels[block]
        for column in range(len(numeric.feature)):
            _read(flat, first * strides[0] + numeric.feature[column] * strides[1], strides[0], value[:n])
            _find_places(value[:n], numeric, column, bucket, place)
            _mark_special(value[:n], special)
            for line in range(numeric.channel_start[column], numeric.channel_start[column + 1]):
                bins = (numeric.offset[line], numeric.nan_bin[line], numeric.zero_bin[line])
                _write_bins(place[:n], special, bins, lines[line])
        for column in range(len(categories.feature)):
            _read(flat, first * strides[0] + categories.feature[column] * strides[1], strides[0], value[:n])
            rank = categories.rank[categories.rank_start[column] :]
            _find_ranks(value[:n], rank, categories.n_codes[column], place)
            begin = categories.channel_start[column]
            for line in range(begin, categories.channel_start[column + 1]):
                _write_one_hot(place[:n], (line - begin) * GROUP_CATEGORIES, lines[line])
        for at in range(len(categories.mask_start) - 1):
            _write_outside(lines, n, categories, at, lines[categories.first_set + at])


@compiled
def _read(flat: NDArray[np.float64], begin: int, stride: int, value: NDArray[np.float64]) -> None:
    for row in range(len(value)):
        number = flat[begin + row * stride]
        value[row] = 0.0 if abs(number) <= ZERO_THRESHOLD else number


@compiled
def _find_places(
    value: NDArray[np.float64],
    numeric: NumericColumns,
    column: int,
    bucket: NDArray[np.int32],
    place: NDArray[np.uint16],
) -> None:
    """Count the thresholds below each value (anything for NaN)."""
    low, high, scale = numeric.low[column], numeric.high[column], numeric.scale[column]
    for row in range(len(value)):
        number = value[row]
        # NaN fails both comparisons and becomes `low`.
        number = number if number > low else low
        number = number if number < high else high
        bucket[row] = np.int32((number - low) * scale)
    before = numeric.bucket[numeric.bucket_start[column] :]
    threshold = numeric.threshold[numeric.threshold_start[column] :]
    if numeric.halvings[column] == 1:
        for row in range(len(value)):
            at = before[bucket[row]]
            place[row] = at + np.uint16(threshold[at] < value[row])
        return
    first_step = 1 << (numeric.halvings[column] - 1)
    for row in range(len(value)):
        position = np.int64(before[bucket[row]])
        number = value[row]
        step = first_step
        while step > 0:
            position = position + step if threshold[position + step - 1] < number else position
            step >>= 1
        place[row] = position


@compiled
def _mark_special(value: NDArray[np.float64], special: NDArray[np.uint8]) -> None:
    """1 for NaN, 2 for zero."""
    for row in range(len(value)):
        number = value[row]
        nan = np.uint8(1) if number != number else np.uint8(0)  # noqa: PLR0124 - only NaN differs from itself
        special[row] = nan | (np.uint8(2) if number == 0.0 else np.uint8(0))


@compiled
def _write_bins(
    place: NDArray[np.uint16],
    special: NDArray[np.uint8],
    bins: tuple[np.uint16, np.uint8, np.uint8],
    line: NDArray[np.uint8],
) -> None:
    offset, nan_bin, zero_bin = bins
    for row in range(len(place)):
        # Places before the channel's first threshold are bin 0, those after its last are bin 255.
        above = max(place[row], offset)
        above = np.uint16(above - offset)
        inside = np.uint8(min(above, np.uint16(CHANNEL_THRESHOLDS)))
        inside = nan_bin if special[row] == 1 else inside
        line[row] = zero_bin if special[row] == 2 else inside


@compiled
def _find_ranks(value: NDArray[np.float64], rank: NDArray[np.uint16], n_codes: int, place: NDArray[np.uint16]) -> None:
    for row in range(len(value)):
        number = value[row]
        # LightGBM cuts off the fraction; -0.5 is category 0. The last rank is that of no category.
        place[row] = rank[np.int64(number)] if -1.0 < number < n_codes else rank[n_codes]


@compiled
def _write_one_hot(place: NDArray[np.uint16], first: int, line: NDArray[np.uint8]) -> None:
    low = np.uint16(first)
    for row in range(len(place)):
        bit = np.uint16(place[row] - low)
        line[row] = np.uint8(1) << np.uint8(bit) if bit < GROUP_CATEGORIES else np.uint8(0)


@compiled
def _write_outside(
    lines: NDArray[np.uint8], n: int, categories: CategoryColumns, at: int, line: NDArray[np.uint8]
) -> None:
    """1 where a row's category is outside the set, 0 where it is inside."""
    for row in range(n):
        line[row] = np.uint8(1)
    for part in range(categories.mask_start[at], categories.mask_start[at + 1]):
        one_hot = lines[categories.mask_channel[part]]
        mask = categories.mask[part]
        for row in range(n):
            line[row] = np.uint8(0) if one_hot[row] & mask else line[row]
