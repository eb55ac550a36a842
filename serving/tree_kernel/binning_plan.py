"""How an ensemble's columns are cut into channels, and which channel and bin each split compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.binning import CHANNEL_THRESHOLDS, GROUP_CATEGORIES, CategoryColumns, NumericColumns
from serving.tree_kernel.ensemble import Missing, UnsupportedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.tree_kernel.ensemble import TreeEnsemble

#: Of the range of a column's thresholds. With more buckets more columns need a single comparison, and the tables
#: leave the first-level cache.
BUCKETS = 1024
#: Thresholds of one column, largest category code, channels of all columns.
MOST_THRESHOLDS = 32_767
LARGEST_CATEGORY = 1_000_000
MOST_CHANNELS = 8_192


class BinningPlan(NamedTuple):
    """How to fill the channels, and which of them each split compares with which bin."""

    n_channels: int
    numeric: NumericColumns
    categories: CategoryColumns
    split_channel: NDArray[np.int64]
    split_bin: NDArray[np.uint8]


class _Buckets(NamedTuple):
    low: float
    high: float
    scale: float
    before: NDArray[np.uint16]
    halvings: int


class _Rule(NamedTuple):
    """What the splits of one channel have in common: missing values, their side, and the channel's thresholds."""

    missing: Missing
    default_left: bool
    offset: int


def plan_binning(ensemble: TreeEnsemble) -> BinningPlan:
    """Lay out the channels for an ensemble.

    Parameters
    ----------
    ensemble : TreeEnsemble

    Returns
    -------
    BinningPlan

    Raises
    ------
    UnsupportedModel
        If a column has more than 32,767 thresholds or a category code above 1,000,000, or all columns together
        need more than 8,192 channels.
    """
    split_channel = np.zeros(len(ensemble.feature), np.int64)
    split_bin = np.zeros(len(ensemble.feature), np.uint8)
    numeric = _plan_numeric(ensemble, split_channel, split_bin)
    categories = _plan_categories(ensemble, split_channel, len(numeric.offset))
    n_channels = categories.first_set + len(categories.mask_start) - 1
    if n_channels > MOST_CHANNELS:
        raise UnsupportedModel(f"the splits need {n_channels} binned channels; the limit is {MOST_CHANNELS}")
    return BinningPlan(n_channels, numeric, categories, split_channel, split_bin)


def _starts(pieces: list[NDArray[np.generic]]) -> NDArray[np.int64]:
    return np.cumsum([0, *map(len, pieces[:-1])] if pieces else [], dtype=np.int64)


def _plan_numeric(
    ensemble: TreeEnsemble, split_channel: NDArray[np.int64], split_bin: NDArray[np.uint8]
) -> NumericColumns:
    features = np.unique(ensemble.feature[~ensemble.categorical])
    buckets: list[_Buckets] = []
    thresholds: list[NDArray[np.generic]] = []
    channels: list[tuple[int, int, int]] = []
    channel_start = [0]
    for feature in features:
        splits = np.flatnonzero((ensemble.feature == feature) & ~ensemble.categorical)
        cuts = np.unique(ensemble.threshold[splits])
        if len(cuts) > MOST_THRESHOLDS:
            name = ensemble.feature_names[feature]
            raise UnsupportedModel(f"it has {len(cuts)} thresholds; the limit is {MOST_THRESHOLDS}", f"column {name}")
        buckets.append(_lay_buckets(cuts))
        # The comparisons within a bucket may look past the last threshold.
        thresholds.append(np.concatenate((cuts, np.full(1 << buckets[-1].halvings, np.inf))))
        place = np.searchsorted(cuts, ensemble.threshold[splits])
        rules = _rules(ensemble, splits, place)
        kinds = sorted(set(rules))
        split_channel[splits] = [len(channels) + kinds.index(rule) for rule in rules]
        split_bin[splits] = place - [rule.offset for rule in rules]
        channels += [_channel(cuts, rule) for rule in kinds]
        channel_start.append(len(channels))
    table = np.array(channels, dtype=np.int64).reshape(-1, 3)
    return NumericColumns(
        feature=features.astype(np.int64),
        low=np.array([column.low for column in buckets]),
        high=np.array([column.high for column in buckets]),
        scale=np.array([column.scale for column in buckets]),
        bucket_start=np.arange(len(features)) * (BUCKETS + 1),
        threshold_start=_starts(thresholds),
        halvings=np.array([column.halvings for column in buckets], dtype=np.int64),
        channel_start=np.array(channel_start),
        bucket=np.concatenate([np.empty(0, np.uint16), *(column.before for column in buckets)]),
        threshold=np.concatenate([*thresholds, np.empty(0)]),
        offset=table[:, 0].astype(np.uint16),
        nan_bin=table[:, 1].astype(np.uint8),
        zero_bin=table[:, 2].astype(np.uint8),
    )


def _lay_buckets(cuts: NDArray[np.float64]) -> _Buckets:
    """Thresholds before each bucket, and the number of halvings that search the fullest one."""
    low, high = float(cuts[0]), float(cuts[-1])
    with np.errstate(all="ignore"):
        scale = float(BUCKETS / (cuts[-1] - cuts[0]))
    if not np.isfinite(scale) or scale == 0.0:
        # One threshold, or a range too narrow or too wide for its width to be a number: one bucket.
        low = high = scale = 0.0
    bucket = ((np.clip(cuts, low, high) - low) * scale).astype(np.int64)
    before = np.searchsorted(bucket, np.arange(BUCKETS + 1)).astype(np.uint16)
    return _Buckets(low, high, scale, before, int(np.bincount(bucket).max()).bit_length())


def _rules(ensemble: TreeEnsemble, splits: NDArray[np.int64], place: NDArray[np.int64]) -> list[_Rule]:
    missing = map(Missing, ensemble.missing[splits].tolist())
    left = ensemble.default_left[splits].tolist()
    offset = (place // CHANNEL_THRESHOLDS * CHANNEL_THRESHOLDS).tolist()
    # Without missing values the default side says nothing.
    return [
        _Rule(kind, kind != Missing.NONE and side, at) for kind, side, at in zip(missing, left, offset, strict=True)
    ]


def _channel(cuts: NDArray[np.float64], rule: _Rule) -> tuple[int, int, int]:
    """First threshold of a channel, and its bins of NaN and of 0."""
    zero = int(np.searchsorted(cuts, 0.0))
    default = 0 if rule.default_left else len(cuts)
    nan_place = zero if rule.missing == Missing.NONE else default
    zero_place = default if rule.missing == Missing.ZERO else zero

    def clip(place: int) -> int:
        return min(max(place - rule.offset, 0), CHANNEL_THRESHOLDS)

    return rule.offset, clip(nan_place), clip(zero_place)


def _plan_categories(ensemble: TreeEnsemble, split_channel: NDArray[np.int64], n_channels: int) -> CategoryColumns:
    features = np.unique(ensemble.feature[ensemble.categorical])
    ranks: list[NDArray[np.generic]] = []
    channel_start = [n_channels]
    set_of_split: dict[int, tuple[int, bytes]] = {}
    masks: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
    for feature in features.tolist():
        splits = np.flatnonzero((ensemble.feature == feature) & ensemble.categorical).tolist()
        members = [_members(ensemble, split) for split in splits]
        codes = np.unique(np.concatenate(members))
        rank = _rank(codes, ensemble.feature_names[feature])
        for split, member in zip(splits, members, strict=True):
            set_of_split[split] = (feature, member.tobytes())
            masks[set_of_split[split]] = _masks(rank[member], channel_start[-1])
        ranks.append(rank)
        channel_start.append(channel_start[-1] + -(-len(codes) // GROUP_CATEGORIES))
    number = {key: channel_start[-1] + at for at, key in enumerate(masks)}
    for split, key in set_of_split.items():
        split_channel[split] = number[key]
    table = np.array([pair for pairs in masks.values() for pair in pairs], dtype=np.int64).reshape(-1, 2)
    return CategoryColumns(
        feature=features.astype(np.int64),
        n_codes=np.array([len(rank) - 1 for rank in ranks], dtype=np.int64),
        rank_start=_starts(ranks),
        channel_start=np.array(channel_start),
        rank=np.concatenate([np.empty(0, np.uint16), *ranks]),
        first_set=channel_start[-1],
        mask_start=np.cumsum([0, *map(len, masks.values())], dtype=np.int64),
        mask_channel=table[:, 0].copy(),
        mask=table[:, 1].astype(np.uint8),
    )


def _members(ensemble: TreeEnsemble, split: int) -> NDArray[np.int64]:
    return ensemble.category[ensemble.category_start[split] : ensemble.category_start[split + 1]]


def _rank(codes: NDArray[np.int64], name: str) -> NDArray[np.uint16]:
    """Rank of each code up to the largest, and a last entry for all others; the largest number is no category."""
    largest = int(codes.max(initial=-1))
    if largest > LARGEST_CATEGORY:
        raise UnsupportedModel(f"it has category {largest}; the limit is {LARGEST_CATEGORY}", f"column {name}")
    rank = np.full(largest + 2, np.iinfo(np.uint16).max, np.uint16)
    rank[codes] = np.arange(len(codes))
    return rank


def _masks(ranks: NDArray[np.uint16], first_channel: int) -> list[tuple[int, int]]:
    """One-hot channels that hold members of a set, and the members' bits in them."""
    masks: dict[int, int] = {}
    for rank in ranks.tolist():
        group, bit = divmod(rank, GROUP_CATEGORIES)
        masks[group] = masks.get(group, 0) | 1 << bit
    return [(first_channel + group, mask) for group, mask in masks.items()]
