"""Raw scores from binned rows.

QuickScorer keeps for each row a bit mask of the leaves it may still reach; every split that the row fails (goes
right at) clears its left subtree's leaves, and the lowest bit left is the leaf. Here only the place of that lowest
bit is kept, one byte: it starts at the tree's first leaf, and a failed split moves it from the split's first leaf
to the first leaf of its right subtree. In preorder, parents before children, this is the same leaf. The rows of a
block are handled together, so that one instruction does 32 or 64 of them and no branch depends on the data.

References
----------
.. [1] Lucchese, C., Nardini, F. M., Orlando, S., Perego, R., Tonellotto, N., Venturini, R. (2015). QuickScorer: a
   fast algorithm to rank documents with additive ensembles of regression trees. SIGIR 2015, 73-82.
.. [2] Ye, T., Zhou, H., Zou, W. Y., Gao, B., Zhang, R. (2018). RapidScorer: fast tree ensemble evaluation by
   maximizing compactness in data level parallelization. KDD 2018, 941-950.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.compiling import compiled
from serving.tree_kernel.ensemble import UnsupportedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.tree_kernel.binning_plan import BinningPlan
    from serving.tree_kernel.ensemble import TreeEnsemble

#: A leaf's place in its tree is one byte.
MOST_LEAVES = 256
#: Splits and trees that are done in one pass over the rows; the compiled functions are written out for four.
AT_ONCE = 4
#: No bin is above this one, so a split at it is never failed.
NEVER = 255


class TreeProgram(NamedTuple):
    """Splits of all trees in preorder, each tree's filled up to a multiple of four, then the leaves."""

    start: NDArray[np.int64]
    channel: NDArray[np.int64]
    bin: NDArray[np.uint8]
    first: NDArray[np.uint8]
    middle: NDArray[np.uint8]
    leaf_start: NDArray[np.int64]
    leaf_value: NDArray[np.float64]


def plan_prediction(ensemble: TreeEnsemble, binning: BinningPlan) -> TreeProgram:
    """Arrange an ensemble's splits for `add_scores`.

    Parameters
    ----------
    ensemble : TreeEnsemble
    binning : BinningPlan

    Returns
    -------
    TreeProgram

    Raises
    ------
    UnsupportedModel
        If a tree has more than 256 leaves.
    """
    most = int(np.diff(ensemble.leaf_start).max(initial=0))
    if most > MOST_LEAVES:
        raise UnsupportedModel(f"a tree has {most} leaves; the limit is {MOST_LEAVES}")
    n_splits = np.diff(ensemble.split_start)
    padded = -(-n_splits // AT_ONCE) * AT_ONCE
    start = np.concatenate(([0], np.cumsum(padded)))
    target = np.arange(len(ensemble.feature)) + np.repeat(start[:-1] - ensemble.split_start[:-1], n_splits)

    def spread(values: NDArray[np.generic], fill: int) -> NDArray[np.uint8]:
        line = np.full(start[-1], fill, np.uint8)
        line[target] = values
        return line

    channel = np.zeros(start[-1], np.int64)
    channel[target] = binning.split_channel
    return TreeProgram(
        start=start,
        channel=channel,
        bin=spread(binning.split_bin, NEVER),
        first=spread(ensemble.first, 0),
        middle=spread(ensemble.middle, 0),
        leaf_start=ensemble.leaf_start,
        leaf_value=ensemble.leaf_value,
    )


@compiled
def add_scores(program: TreeProgram, channels: NDArray[np.uint8], score: NDArray[np.float64]) -> None:
    """Add the leaf values of all trees, in tree order, to the scores of the binned rows.

    Parameters
    ----------
    program : TreeProgram
    channels : ndarray of uint8, shape (blocks, channels, width)
        Binned rows; lanes behind the last row may hold anything.
    score : ndarray of float64, shape (rows,)
        Added to.
    """
    width = channels.shape[2]
    n_trees = len(program.start) - 1
    leaf = np.empty((AT_ONCE, width), np.uint8)
    for block in range(channels.shape[0]):
        block_score = score[block * width : (block + 1) * width]
        for tree in range(0, n_trees, AT_ONCE):
            met = min(AT_ONCE, n_trees - tree)
            for slot in range(met):
                _find_leaves(program, tree + slot, channels[block], leaf[slot])
            if met == AT_ONCE:
                _add_four(program, tree, leaf, block_score)
            else:
                for slot in range(met):
                    value = program.leaf_value[program.leaf_start[tree + slot] :]
                    _add_one(value, leaf[slot], block_score)


@compiled
def _find_leaves(program: TreeProgram, tree: int, lines: NDArray[np.uint8], leaf: NDArray[np.uint8]) -> None:
    for row in range(len(leaf)):
        leaf[row] = np.uint8(0)
    for at in range(program.start[tree], program.start[tree + 1], AT_ONCE):
        channel, bins, first, middle = program.channel[at:], program.bin[at:], program.first[at:], program.middle[at:]
        line0, line1, line2, line3 = lines[channel[0]], lines[channel[1]], lines[channel[2]], lines[channel[3]]
        bin0, bin1, bin2, bin3 = bins[0], bins[1], bins[2], bins[3]
        first0, first1, first2, first3 = first[0], first[1], first[2], first[3]
        middle0, middle1, middle2, middle3 = middle[0], middle[1], middle[2], middle[3]
        for row in range(len(leaf)):
            place = leaf[row]
            place = middle0 if (line0[row] > bin0) & (place == first0) else place
            place = middle1 if (line1[row] > bin1) & (place == first1) else place
            place = middle2 if (line2[row] > bin2) & (place == first2) else place
            place = middle3 if (line3[row] > bin3) & (place == first3) else place
            leaf[row] = place


@compiled
def _add_four(program: TreeProgram, tree: int, leaf: NDArray[np.uint8], score: NDArray[np.float64]) -> None:
    start, value = program.leaf_start, program.leaf_value
    value0, value1 = value[start[tree] :], value[start[tree + 1] :]
    value2, value3 = value[start[tree + 2] :], value[start[tree + 3] :]
    leaf0, leaf1, leaf2, leaf3 = leaf[0], leaf[1], leaf[2], leaf[3]
    for row in range(len(score)):
        # From left to right, one after another, as LightGBM adds them: the sums are the same to the last bit.
        score[row] = score[row] + value0[leaf0[row]] + value1[leaf1[row]] + value2[leaf2[row]] + value3[leaf3[row]]


@compiled
def _add_one(value: NDArray[np.float64], leaf: NDArray[np.uint8], score: NDArray[np.float64]) -> None:
    for row in range(len(score)):
        score[row] += value[leaf[row]]
