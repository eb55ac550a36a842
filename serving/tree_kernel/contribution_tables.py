"""Tables of exact path-dependent Shapley values, built once per ensemble.

A leaf adds its value where the row meets all conditions of the leaf's path. The contribution of a feature of that
path to this product depends only on which features' conditions the row meets, so for a few leaves of a tree it is
a function of a few comparisons: a table. The comparisons of one channel are nested, so `c` of them have `c + 1`
outcomes; the state of a row is its outcomes read as the digits of one number, and a term adds `table[state]` to
one feature's contribution.

A leaf's own function is the path-dependent TreeSHAP of Lundberg et al. [1]_: in the game whose players are the
path's features, a coalition is worth the leaf value times the product of the members' indicators (1 if the row
meets the feature's conditions) and of the others' fractions (the share of training rows that go the leaf's way at
the feature's splits). Owen [2]_ writes the Shapley value of such a product as an integral of a polynomial over
[0, 1], which Gauss-Legendre quadrature with half as many nodes as features gives exactly; all its terms are of one
sign, so nothing cancels.

References
----------
.. [1] Lundberg, S. M., Erion, G., Chen, H. et al. (2020). From local explanations to global understanding with
   explainable AI for trees. Nature Machine Intelligence 2, 56-67.
.. [2] Owen, G. (1972). Multilinear extensions of games. Management Science 18(5), P64-P79.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.compiling import compiled
from serving.tree_kernel.contribution_terms import GROUP_STATES, MOST_STATES, group_leaves
from serving.tree_kernel.ensemble import UnsupportedModel
from serving.tree_kernel.paths import starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.tree_kernel.contribution_terms import Terms
    from serving.tree_kernel.paths import Paths, PlacedTrees

#: Beyond this size the tables are fetched from memory for every block of rows, and long paths are better
#: evaluated directly; so the states that a single leaf's table may have are lowered until the tables fit.
FAST_TABLE_BYTES = 32 * 2**20
LEAF_STATES = (MOST_STATES, 1024, GROUP_STATES)
MOST_TABLE_BYTES = 256 * 2**20

NO_BITS = np.uint64(0)
BIT = np.uint64(1)


class Tables(NamedTuple):
    """What contributions are computed from.

    A row's state of a pattern is the sum of the strides of those of the pattern's comparisons `channel > bin` that
    hold; a term adds `value[value_start + state]` to its feature's contribution.
    """

    value_start: NDArray[np.int64]
    value: NDArray[np.float64]
    pattern_start: NDArray[np.int64]
    channel: NDArray[np.int64]
    bin: NDArray[np.uint8]
    stride: NDArray[np.uint16]


class Rules(NamedTuple):
    """Gauss-Legendre nodes and weights on [0, 1]; the rule with `n` nodes begins at `n (n - 1) / 2`."""

    node: NDArray[np.float64]
    weight: NDArray[np.float64]


def legendre_rules(most_nodes: int) -> Rules:
    """Rules with one node to the given number.

    Parameters
    ----------
    most_nodes : int

    Returns
    -------
    Rules
    """
    rules = [np.polynomial.legendre.leggauss(n) for n in range(1, most_nodes + 1)]
    return Rules(
        node=np.concatenate([(node + 1.0) / 2.0 for node, _ in rules]),
        weight=np.concatenate([weight / 2.0 for _, weight in rules]),
    )


def choose_terms(trees: PlacedTrees, paths: Paths) -> tuple[Terms, NDArray[np.int64]]:
    """Decide which leaves share a table, and which have none because the tables would grow too large.

    Parameters
    ----------
    trees : PlacedTrees
    paths : Paths

    Returns
    -------
    terms : Terms
    long_leaf : ndarray of int64
        Leaves without a table.

    Raises
    ------
    UnsupportedModel
        If the tables would take more than 256 MB.
    """
    for leaf_states in LEAF_STATES:
        terms, long_leaf = group_leaves(trees, paths, leaf_states)
        n_bytes = 8 * int(terms.states[terms.pattern].sum())
        if n_bytes <= FAST_TABLE_BYTES:
            break
    if n_bytes > MOST_TABLE_BYTES:
        raise UnsupportedModel(f"the tables would take {n_bytes >> 20} MB; the limit is {MOST_TABLE_BYTES >> 20} MB")
    return terms, long_leaf


def build_tables(trees: PlacedTrees, paths: Paths, terms: Terms, rules: Rules) -> Tables:
    """Compute the tables.

    Parameters
    ----------
    trees : PlacedTrees
    paths : Paths
    terms : Terms
    rules : Rules
        With one node for every two features of the longest path among the terms.

    Returns
    -------
    Tables
    """
    value_start = starts(terms.states[terms.pattern])
    pattern_start = starts(np.bitwise_count(terms.asked).astype(np.int64))
    n = pattern_start[-1]
    tables = Tables(
        value_start=value_start,
        value=np.zeros(value_start[-1]),
        pattern_start=pattern_start,
        channel=np.empty(n, np.int64),
        bin=np.empty(n, np.uint8),
        stride=np.empty(n, np.uint16),
    )
    _fill(trees, paths, terms, rules, tables)
    return tables


@compiled
def _fill(trees: PlacedTrees, paths: Paths, terms: Terms, rules: Rules, tables: Tables) -> None:
    """Add up the tables, which are zero, and write the comparisons of the patterns."""
    most_leaves, most_features, most_states = 1, 1, 1
    for tree in terms.tree:
        most_leaves = max(most_leaves, trees.leaf_start[tree + 1] - trees.leaf_start[tree])
    for leaf in terms.leaf:
        most_features = max(most_features, paths.n_features[leaf])
    for states in terms.states:
        most_states = max(most_states, states)
    leaf_value = np.empty((most_leaves, most_features, 1 << most_features))
    holds = np.empty(most_states, np.uint64)
    valued = np.zeros(len(trees.leaf_value), np.bool_)
    pattern = -1
    for term in range(len(terms.feature)):
        first_leaf = trees.leaf_start[terms.tree[terms.pattern[term]]]
        if terms.pattern[term] != pattern:
            pattern = terms.pattern[term]
            begin = trees.split_start[terms.tree[pattern]]
            channel = paths.channel[begin : begin + paths.n_comparisons[terms.tree[pattern]]]
            _list_states(channel, terms.asked[pattern], holds)
            _write_pattern(channel, paths.bin[begin:], terms.asked[pattern], tables, tables.pattern_start[pattern])
        table = tables.value[tables.value_start[term] : tables.value_start[term + 1]]
        for member in range(terms.member_start[term], terms.member_start[term + 1]):
            leaf = terms.leaf[member]
            own = leaf_value[leaf - first_leaf]
            if not valued[leaf]:
                valued[leaf] = True
                _value_leaf(trees.leaf_value[leaf], paths, leaf, rules, own)
            _add_leaf(paths, leaf, holds, own[terms.entry[member] - paths.start[leaf]], table)


@compiled
def _value_leaf(leaf_value: float, paths: Paths, leaf: int, rules: Rules, value: NDArray[np.float64]) -> None:
    """Contribution of each feature of a path, for each subset (a binary number) of its features that a row meets."""
    n = paths.n_features[leaf]
    share = paths.share[paths.start[leaf] :]
    value[:n, : 1 << n] = 0.0
    nodes = (n + 1) // 2
    for at in range(nodes * (nodes - 1) // 2, nodes * (nodes + 1) // 2):
        node = rules.node[at]
        for met in range(1 << n):
            product = rules.weight[at] * leaf_value
            for i in range(n):
                product *= share[i] * (1.0 - node) + (node if met >> i & 1 else 0.0)
            for i in range(n):
                if met >> i & 1:
                    value[i, met] += product * (1.0 - share[i]) / (share[i] * (1.0 - node) + node)
                else:
                    value[i, met] -= product / (1.0 - node)


@compiled
def _list_states(channel: NDArray[np.int64], asked: np.uint64, holds: NDArray[np.uint64]) -> None:
    """Comparisons that hold in each state of a pattern."""
    holds[0] = NO_BITS
    stride, outcomes, lower = 1, 1, NO_BITS
    for at in range(len(channel)):
        if at > 0 and channel[at] != channel[at - 1]:
            stride *= outcomes
            outcomes, lower = 1, NO_BITS
        if asked >> np.uint64(at) & BIT:
            lower |= BIT << np.uint64(at)
            for state in range(stride):
                holds[outcomes * stride + state] = holds[state] | lower
            outcomes += 1


@compiled
def _write_pattern(
    channel: NDArray[np.int64], bins: NDArray[np.uint8], asked: np.uint64, tables: Tables, target: int
) -> None:
    stride, outcomes = 1, 1
    for at in range(len(channel)):
        if at > 0 and channel[at] != channel[at - 1]:
            stride *= outcomes
            outcomes = 1
        if asked >> np.uint64(at) & BIT:
            tables.channel[target], tables.bin[target], tables.stride[target] = channel[at], bins[at], stride
            outcomes += 1
            target += 1


@compiled
def _add_leaf(
    paths: Paths, leaf: int, holds: NDArray[np.uint64], value: NDArray[np.float64], table: NDArray[np.float64]
) -> None:
    begin, n = paths.start[leaf], paths.n_features[leaf]
    hold, fail = paths.hold[begin : begin + n], paths.fail[begin : begin + n]
    for state in range(len(table)):
        met = 0
        for i in range(n):
            if holds[state] & hold[i] == hold[i] and holds[state] & fail[i] == NO_BITS:
                met |= 1 << i
        table[state] += value[met]
