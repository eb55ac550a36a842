"""What the path to each leaf asks of a row, feature by feature: the ground of path-dependent Shapley values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.tree_kernel.binning_plan import BinningPlan
    from serving.tree_kernel.ensemble import TreeEnsemble

NO_BITS = np.uint64(0)
BIT = np.uint64(1)


class PlacedTrees(NamedTuple):
    """Splits and leaves of all trees, as in `TreeEnsemble`, with each split's channel and bin."""

    split_start: NDArray[np.int64]
    leaf_start: NDArray[np.int64]
    feature: NDArray[np.int32]
    first: NDArray[np.int32]
    middle: NDArray[np.int32]
    last: NDArray[np.int32]
    channel: NDArray[np.int64]
    bin: NDArray[np.uint8]
    leaf_value: NDArray[np.float64]
    #: Training rows in all leaves before a leaf; one entry more than leaves.
    rows_before: NDArray[np.int64]


class Paths(NamedTuple):
    """Comparisons of each tree, and for each leaf the features of its path.

    A tree's distinct comparisons `channel > bin` are sorted by channel and bin, and lie where its splits do; bit `i`
    of a word is comparison `i` of the tree. The features of a leaf's path lie from the leaf's `start`, in the order
    in which they are met.
    """

    n_comparisons: NDArray[np.int64]
    channel: NDArray[np.int64]
    bin: NDArray[np.uint8]
    start: NDArray[np.int64]
    n_features: NDArray[np.int64]
    feature: NDArray[np.int64]
    #: Share of the training rows that go the leaf's way at the feature's splits.
    share: NDArray[np.float64]
    #: Comparisons that must hold, and that must not, without those that follow from another one.
    hold: NDArray[np.uint64]
    fail: NDArray[np.uint64]


def starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of consecutive pieces begins, and where the last one ends.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n + 1,)
    """
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))


def place_trees(ensemble: TreeEnsemble, binning: BinningPlan) -> PlacedTrees:
    """Put an ensemble's splits beside their places in the binned rows.

    Parameters
    ----------
    ensemble : TreeEnsemble
    binning : BinningPlan

    Returns
    -------
    PlacedTrees
    """
    return PlacedTrees(
        split_start=ensemble.split_start,
        leaf_start=ensemble.leaf_start,
        feature=ensemble.feature,
        first=ensemble.first,
        middle=ensemble.middle,
        last=ensemble.last,
        channel=binning.split_channel,
        bin=binning.split_bin,
        leaf_value=ensemble.leaf_value,
        rows_before=starts(ensemble.leaf_count),
    )


def trace_paths(trees: PlacedTrees) -> Paths:
    """Follow every path.

    Parameters
    ----------
    trees : PlacedTrees
        Of at most 64 leaves each.

    Returns
    -------
    Paths
    """
    n_splits, n_leaves = len(trees.feature), len(trees.leaf_value)
    first_leaf = np.repeat(trees.leaf_start[:-1], np.diff(trees.split_start))
    turns = np.zeros(n_leaves + 1, np.int64)
    np.add.at(turns, first_leaf + trees.first, 1)
    np.add.at(turns, first_leaf + trees.last, -1)
    start = starts(np.cumsum(turns[:-1]))
    paths = Paths(
        n_comparisons=np.zeros(len(trees.split_start) - 1, np.int64),
        channel=np.empty(n_splits, np.int64),
        bin=np.empty(n_splits, np.uint8),
        start=start,
        n_features=np.zeros(n_leaves, np.int64),
        feature=np.empty(start[-1], np.int64),
        share=np.ones(start[-1]),
        hold=np.zeros(start[-1], np.uint64),
        fail=np.zeros(start[-1], np.uint64),
    )
    _trace(trees, paths)
    return paths


@compiled
def _trace(trees: PlacedTrees, paths: Paths) -> None:
    for tree in range(len(trees.split_start) - 1):
        _list_comparisons(trees, tree, paths)
        for split in range(trees.split_start[tree], trees.split_start[tree + 1]):
            comparison = 0
            channel, bins = paths.channel[trees.split_start[tree] :], paths.bin[trees.split_start[tree] :]
            while channel[comparison] != trees.channel[split] or bins[comparison] != trees.bin[split]:
                comparison += 1
            for leaf in range(trees.first[split], trees.last[split]):
                _turn(trees, tree, split, leaf, BIT << np.uint64(comparison), paths)
        for leaf in range(trees.leaf_start[tree], trees.leaf_start[tree + 1]):
            for at in range(paths.start[leaf], paths.start[leaf] + paths.n_features[leaf]):
                _drop_implied(trees.split_start[tree], paths.n_comparisons[tree], paths, at)


@compiled
def _list_comparisons(trees: PlacedTrees, tree: int, paths: Paths) -> None:
    begin = trees.split_start[tree]
    n = 0
    for split in range(begin, trees.split_start[tree + 1]):
        channel, cut = trees.channel[split], trees.bin[split]
        at = begin + n
        while at > begin and (
            paths.channel[at - 1] > channel or (paths.channel[at - 1] == channel and paths.bin[at - 1] > cut)
        ):
            at -= 1
        if at > begin and paths.channel[at - 1] == channel and paths.bin[at - 1] == cut:
            continue
        for other in range(begin + n, at, -1):
            paths.channel[other], paths.bin[other] = paths.channel[other - 1], paths.bin[other - 1]
        paths.channel[at], paths.bin[at] = channel, cut
        n += 1
    paths.n_comparisons[tree] = n


@compiled
def _turn(trees: PlacedTrees, tree: int, split: int, leaf: int, bit: np.uint64, paths: Paths) -> None:
    """Add one split to the path of a leaf, counted within the tree."""
    first_leaf = trees.leaf_start[tree]
    begin, n = paths.start[first_leaf + leaf], paths.n_features[first_leaf + leaf]
    at = begin
    while at < begin + n and paths.feature[at] != trees.feature[split]:
        at += 1
    if at == begin + n:
        paths.feature[at] = trees.feature[split]
        paths.n_features[first_leaf + leaf] = n + 1
    before = trees.rows_before[first_leaf:]
    first, middle, last = trees.first[split], trees.middle[split], trees.last[split]
    if leaf < middle:
        paths.share[at] *= (before[middle] - before[first]) / (before[last] - before[first])
        paths.fail[at] |= bit
    else:
        paths.share[at] *= (before[last] - before[middle]) / (before[last] - before[first])
        paths.hold[at] |= bit


@compiled
def _drop_implied(begin: int, n: int, paths: Paths, at: int) -> None:
    """Of a channel's comparisons that must hold keep the highest, of those that must not the lowest."""
    hold, fail = paths.hold[at], paths.fail[at]
    for low in range(n):
        for high in range(low + 1, n):
            if paths.channel[begin + high] != paths.channel[begin + low]:
                break
            if hold >> np.uint64(high) & BIT:
                hold &= ~(BIT << np.uint64(low))
            if fail >> np.uint64(low) & BIT:
                fail &= ~(BIT << np.uint64(high))
    paths.hold[at], paths.fail[at] = hold, fail
