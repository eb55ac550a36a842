"""Which leaves of a tree share a table of contributions, and by which comparisons it is indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.tree_kernel.paths import Paths, PlacedTrees

#: Leaves are joined in one table while it has at most this many states.
GROUP_STATES = 256
#: No table has more.
MOST_STATES = 4096

NO_BITS = np.uint64(0)
BIT = np.uint64(1)


class Terms(NamedTuple):
    """Tables to be. A term is one feature, and neighbouring leaves of a tree that have it on their paths."""

    feature: NDArray[np.int64]
    pattern: NDArray[np.int64]
    #: Where each term's leaves begin; per leaf, the leaf, and the feature's entry in its path.
    member_start: NDArray[np.int64]
    leaf: NDArray[np.int64]
    entry: NDArray[np.int64]
    #: Per pattern: its tree, the tree's comparisons that it consists of, and the number of their states.
    tree: NDArray[np.int64]
    asked: NDArray[np.uint64]
    states: NDArray[np.int64]


def group_leaves(trees: PlacedTrees, paths: Paths, leaf_states: int) -> tuple[Terms, NDArray[np.int64]]:
    """Decide which leaves share a table.

    For each feature of a tree, the leaves with the feature on their path are joined from left to right, as long as
    the common table is small, or no larger than the two that it replaces.

    Parameters
    ----------
    trees : PlacedTrees
    paths : Paths
    leaf_states : int
        A leaf whose own path has more states than this has no table; at most 4096.

    Returns
    -------
    terms : Terms
    long_leaf : ndarray of int64
        Leaves without a table, counted over all trees.
    """
    n_leaves, most = len(trees.leaf_value), len(paths.feature)
    leaf_asked = np.zeros(n_leaves, np.uint64)
    np.bitwise_or.at(leaf_asked, np.repeat(np.arange(n_leaves), np.diff(paths.start)), paths.hold | paths.fail)
    states = np.empty(n_leaves, np.int64)
    whole = Terms(
        feature=np.empty(most, np.int64),
        pattern=np.empty(most, np.int64),
        member_start=np.zeros(most + 1, np.int64),
        leaf=np.empty(most, np.int64),
        entry=np.empty(most, np.int64),
        tree=np.empty(most, np.int64),
        asked=np.empty(most, np.uint64),
        states=np.empty(most, np.int64),
    )
    n_terms, n_patterns = _group(trees, paths, leaf_asked, states, leaf_states, whole)
    n_members = whole.member_start[n_terms]
    terms = Terms(
        feature=whole.feature[:n_terms],
        pattern=whole.pattern[:n_terms],
        member_start=whole.member_start[: n_terms + 1],
        leaf=whole.leaf[:n_members],
        entry=whole.entry[:n_members],
        tree=whole.tree[:n_patterns],
        asked=whole.asked[:n_patterns],
        states=whole.states[:n_patterns],
    )
    return terms, np.flatnonzero(states > leaf_states)


@compiled
def _group(
    trees: PlacedTrees,
    paths: Paths,
    leaf_asked: NDArray[np.uint64],
    own_states: NDArray[np.int64],
    leaf_states: int,
    terms: Terms,
) -> tuple[int, int]:
    """Fill the terms; number of terms, and of patterns."""
    n_terms, n_patterns = 0, 0
    for tree in range(len(trees.split_start) - 1):
        tree_patterns = n_patterns
        begin, end = trees.leaf_start[tree], trees.leaf_start[tree + 1]
        first_split = trees.split_start[tree]
        channel = paths.channel[first_split : first_split + paths.n_comparisons[tree]]
        for leaf in range(begin, end):
            own_states[leaf] = _count_states(channel, leaf_asked[leaf])
        for split in range(first_split, trees.split_start[tree + 1]):
            if trees.feature[split] in trees.feature[first_split:split]:
                continue
            leaf = begin
            while leaf < end:
                asked, states, leaf = _join(
                    paths,
                    channel,
                    trees.feature[split],
                    leaf_asked[:end],
                    own_states,
                    leaf_states,
                    leaf,
                    terms,
                    n_terms,
                )
                if asked == NO_BITS:
                    continue
                at = tree_patterns
                while at < n_patterns and terms.asked[at] != asked:
                    at += 1
                if at == n_patterns:
                    terms.tree[at], terms.asked[at], terms.states[at] = tree, asked, states
                    n_patterns += 1
                terms.feature[n_terms], terms.pattern[n_terms] = trees.feature[split], at
                n_terms += 1
    return n_terms, n_patterns


@compiled
def _join(
    paths: Paths,
    channel: NDArray[np.int64],
    feature: int,
    leaf_asked: NDArray[np.uint64],
    own_states: NDArray[np.int64],
    leaf_states: int,
    first: int,
    terms: Terms,
    term: int,
) -> tuple[np.uint64, int, int]:
    """Write the members of the longest term that begins at a leaf.

    Its comparisons and states, and the leaf after its last.
    """
    asked, states = NO_BITS, 1
    member = terms.member_start[term]
    for leaf in range(first, len(leaf_asked)):
        entry, end = paths.start[leaf], paths.start[leaf] + paths.n_features[leaf]
        while entry < end and paths.feature[entry] != feature:
            entry += 1
        if entry == end or own_states[leaf] > leaf_states:
            continue
        together = _count_states(channel, asked | leaf_asked[leaf])
        allowed = max(GROUP_STATES, min(states + own_states[leaf], MOST_STATES))
        if asked != NO_BITS and together > allowed:
            return asked, states, leaf
        asked |= leaf_asked[leaf]
        states = together
        terms.leaf[member], terms.entry[member] = leaf, entry
        member += 1
        terms.member_start[term + 1] = member
    return asked, states, len(leaf_asked)


@compiled
def _count_states(channel: NDArray[np.int64], asked: np.uint64) -> int:
    """Outcomes of some comparisons: `c` of one channel have `c + 1`. Stops counting far beyond any limit."""
    states, outcomes = 1, 1
    for at in range(len(channel)):
        if at > 0 and channel[at] != channel[at - 1]:
            states *= outcomes
            outcomes = 1
            if states > MOST_STATES * MOST_STATES:
                break
        if asked >> np.uint64(at) & BIT:
            outcomes += 1
    return states * outcomes
