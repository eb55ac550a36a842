"""Path-dependent TreeSHAP contributions from binned rows, by tables of row states.

For a block of rows, the states of all patterns of some trees are computed from the channels, many rows in one
instruction; then every term is one table look-up per row. Terms of one feature are done four at a time, so that a
row's sum is read and written once for four. The few leaves whose paths are too long for a table are evaluated
directly, by the same quadrature that the tables are made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.tree_kernel.compiling import compiled
from serving.tree_kernel.contribution_tables import Rules, Tables, build_tables, choose_terms, legendre_rules
from serving.tree_kernel.ensemble import UnsupportedModel
from serving.tree_kernel.paths import Paths, place_trees, starts, trace_paths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.tree_kernel.binning_plan import BinningPlan
    from serving.tree_kernel.contribution_terms import Terms
    from serving.tree_kernel.ensemble import TreeEnsemble

#: A tree's comparisons are the bits of one 64-bit word.
MOST_LEAVES = 64
#: Patterns whose states are kept at a time; about as many as stay in a core's second-level cache.
BATCH_PATTERNS = 128
#: Comparisons and terms that are done in one pass over the rows; the compiled functions are written out for four.
AT_ONCE = 4
#: No bin is above this one, so a comparison with it never holds.
NEVER = 255

BIT = np.uint64(1)


class Batches(NamedTuple):
    """The terms in the order in which they are added: batch by batch, each with fours and then singles."""

    pattern_start: NDArray[np.int64]
    four_start: NDArray[np.int64]
    four: NDArray[np.int64]
    single_start: NDArray[np.int64]
    single: NDArray[np.int64]
    #: Per term.
    feature: NDArray[np.int64]
    pattern: NDArray[np.int64]


class LongLeaves(NamedTuple):
    """Leaves that are evaluated directly, and where their trees' comparisons begin."""

    leaf: NDArray[np.int64]
    value: NDArray[np.float64]
    first_comparison: NDArray[np.int64]
    n_comparisons: NDArray[np.int64]


class ContributionProgram(NamedTuple):
    """Everything that `write_contributions` needs."""

    tables: Tables
    batches: Batches
    long_leaves: LongLeaves
    paths: Paths
    rules: Rules
    expected_value: float


def plan_contributions(ensemble: TreeEnsemble, binning: BinningPlan) -> ContributionProgram:
    """Build the tables of an ensemble and arrange them for `write_contributions`.

    Parameters
    ----------
    ensemble : TreeEnsemble
    binning : BinningPlan

    Returns
    -------
    ContributionProgram

    Raises
    ------
    UnsupportedModel
        If a tree has more than 64 leaves, the tables would take more than 256 MB, or the counts of training rows
        do not add up (contributions weighed with them would not sum to the score).
    """
    if ensemble.counts_fault:
        raise UnsupportedModel(f"{ensemble.counts_fault}; contributions need these counts")
    most = int(np.diff(ensemble.leaf_start).max(initial=0))
    if most > MOST_LEAVES:
        raise UnsupportedModel(f"a tree has {most} leaves; the limit for contributions is {MOST_LEAVES}")
    trees = place_trees(ensemble, binning)
    paths = trace_paths(trees)
    terms, long_leaf = choose_terms(trees, paths)
    rules = legendre_rules((int(paths.n_features.max(initial=1)) + 1) // 2)
    tree = np.searchsorted(ensemble.leaf_start, long_leaf, side="right") - 1
    return ContributionProgram(
        tables=_pad_patterns(build_tables(trees, paths, terms, rules)),
        batches=_batch(terms),
        long_leaves=LongLeaves(
            long_leaf, ensemble.leaf_value[long_leaf], ensemble.split_start[tree], paths.n_comparisons[tree]
        ),
        paths=paths,
        rules=rules,
        expected_value=_expected_value(ensemble),
    )


def _pad_patterns(tables: Tables) -> Tables:
    """Fill each pattern up to a multiple of four comparisons with ones that never hold."""
    lengths = np.diff(tables.pattern_start)
    start = starts(-(-lengths // AT_ONCE) * AT_ONCE)
    target = np.arange(len(tables.channel)) + np.repeat(start[:-1] - tables.pattern_start[:-1], lengths)
    channel = np.zeros(start[-1], np.int64)
    cut = np.full(start[-1], NEVER, np.uint8)
    stride = np.zeros(start[-1], np.uint16)
    channel[target], cut[target], stride[target] = tables.channel, tables.bin, tables.stride
    return tables._replace(pattern_start=start, channel=channel, bin=cut, stride=stride)


def _batch(terms: Terms) -> Batches:
    """Batches of whole trees with about `BATCH_PATTERNS` patterns; in each, fours of terms of one feature."""
    first_of_tree = np.searchsorted(terms.tree, terms.tree)
    batch_of_pattern = first_of_tree // BATCH_PATTERNS
    _, batch_of_pattern = np.unique(batch_of_pattern, return_inverse=True)
    n_batches = int(batch_of_pattern.max(initial=-1)) + 1
    batch = batch_of_pattern[terms.pattern]
    order = np.lexsort((terms.feature, batch))
    run = batch[order] * (terms.feature.max(initial=0) + 1) + terms.feature[order]
    _, run_start, run_length = np.unique(run, return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(run_start, run_length)
    in_four = place < np.repeat(run_length // AT_ONCE * AT_ONCE, run_length)
    four = order[in_four].reshape(-1, AT_ONCE)
    single = order[~in_four]
    batches = np.arange(n_batches + 1)
    return Batches(
        pattern_start=np.searchsorted(batch_of_pattern, batches),
        four_start=np.searchsorted(batch[four[:, 0]], batches),
        four=four,
        single_start=np.searchsorted(batch[single], batches),
        single=single,
        feature=terms.feature,
        pattern=terms.pattern,
    )


def _expected_value(ensemble: TreeEnsemble) -> float:
    """Mean score over the training rows."""
    expected = 0.0
    for begin, end in zip(ensemble.leaf_start[:-1], ensemble.leaf_start[1:], strict=True):
        count = ensemble.leaf_count[begin:end]
        expected += float(np.sum(count / count.sum() * ensemble.leaf_value[begin:end]))
    return expected


@compiled
def write_contributions(
    program: ContributionProgram, channels: NDArray[np.uint8], contributions: NDArray[np.float64]
) -> None:
    """Write the contributions of binned rows.

    Parameters
    ----------
    program : ContributionProgram
    channels : ndarray of uint8, shape (blocks, channels, width)
        Binned rows.
    contributions : ndarray of float64, shape (rows, features + 1)
        Overwritten; the last column is the expected value.
    """
    batches, long_leaves = program.batches, program.long_leaves
    width = channels.shape[2]
    n_features = contributions.shape[1] - 1
    most_patterns, most_features = 0, 0
    for batch in range(len(batches.pattern_start) - 1):
        most_patterns = max(most_patterns, batches.pattern_start[batch + 1] - batches.pattern_start[batch])
    for leaf in long_leaves.leaf:
        most_features = max(most_features, program.paths.n_features[leaf])
    state = np.empty((most_patterns, width), np.uint16)
    met = np.empty((most_features, width), np.uint8)
    product = np.empty(width)
    # Lines a power of two apart would all fall into the same few places of the first-level cache.
    total = np.empty((n_features, width + 8))
    for block in range(channels.shape[0]):
        target = contributions[block * width : (block + 1) * width]
        n = len(target)
        total[:] = 0.0
        for batch in range(len(batches.pattern_start) - 1):
            _find_states(program.tables, batches, batch, channels[block], state)
            _add_terms(program.tables, batches, batch, state, total, n)
        for at in range(len(long_leaves.leaf)):
            _meet_conditions(program.paths, long_leaves, at, channels[block], met)
            _add_long_leaf(program, at, met, product, total)
        for row in range(n):
            for feature in range(n_features):
                target[row, feature] = total[feature, row]
            target[row, n_features] = program.expected_value


@compiled
def _find_states(
    tables: Tables, batches: Batches, batch: int, lines: NDArray[np.uint8], state: NDArray[np.uint16]
) -> None:
    none = np.uint16(0)
    begin = batches.pattern_start[batch]
    for pattern in range(begin, batches.pattern_start[batch + 1]):
        line = state[pattern - begin]
        for row in range(len(line)):
            line[row] = none
        for at in range(tables.pattern_start[pattern], tables.pattern_start[pattern + 1], AT_ONCE):
            channel, bins, stride = tables.channel[at:], tables.bin[at:], tables.stride[at:]
            line0, line1, line2, line3 = lines[channel[0]], lines[channel[1]], lines[channel[2]], lines[channel[3]]
            bin0, bin1, bin2, bin3 = bins[0], bins[1], bins[2], bins[3]
            stride0, stride1, stride2, stride3 = stride[0], stride[1], stride[2], stride[3]
            for row in range(len(line)):
                low = (stride0 if line0[row] > bin0 else none) + (stride1 if line1[row] > bin1 else none)
                high = (stride2 if line2[row] > bin2 else none) + (stride3 if line3[row] > bin3 else none)
                line[row] += np.uint16(low + high)


@compiled
def _add_terms(
    tables: Tables,
    batches: Batches,
    batch: int,
    state: NDArray[np.uint16],
    total: NDArray[np.float64],
    n: int,
) -> None:
    begin = batches.pattern_start[batch]
    value, start, pattern = tables.value, tables.value_start, batches.pattern
    for at in range(batches.four_start[batch], batches.four_start[batch + 1]):
        term0, term1, term2, term3 = batches.four[at]
        state0, state1 = state[pattern[term0] - begin], state[pattern[term1] - begin]
        state2, state3 = state[pattern[term2] - begin], state[pattern[term3] - begin]
        value0, value1 = value[start[term0] :], value[start[term1] :]
        value2, value3 = value[start[term2] :], value[start[term3] :]
        line = total[batches.feature[term0]]
        for row in range(n):
            low = value0[state0[row]] + value1[state1[row]]
            line[row] += low + (value2[state2[row]] + value3[state3[row]])
    for at in range(batches.single_start[batch], batches.single_start[batch + 1]):
        term = batches.single[at]
        state0, value0 = state[pattern[term] - begin], value[start[term] :]
        line = total[batches.feature[term]]
        for row in range(n):
            line[row] += value0[state0[row]]


@compiled
def _meet_conditions(
    paths: Paths, long_leaves: LongLeaves, at: int, lines: NDArray[np.uint8], met: NDArray[np.uint8]
) -> None:
    """1 where a row meets all that a leaf's path asks of a feature."""
    leaf, first = long_leaves.leaf[at], long_leaves.first_comparison[at]
    for place in range(paths.n_features[leaf]):
        hold, fail = paths.hold[paths.start[leaf] + place], paths.fail[paths.start[leaf] + place]
        line = met[place]
        for row in range(len(line)):
            line[row] = np.uint8(1)
        for comparison in range(long_leaves.n_comparisons[at]):
            compared, cut = lines[paths.channel[first + comparison]], paths.bin[first + comparison]
            # A path that asks for both is never met.
            if hold >> np.uint64(comparison) & BIT:
                for row in range(len(line)):
                    line[row] = line[row] if compared[row] > cut else np.uint8(0)
            if fail >> np.uint64(comparison) & BIT:
                for row in range(len(line)):
                    line[row] = np.uint8(0) if compared[row] > cut else line[row]


@compiled
def _add_long_leaf(
    program: ContributionProgram,
    at: int,
    met: NDArray[np.uint8],
    product: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    paths, rules = program.paths, program.rules
    leaf = program.long_leaves.leaf[at]
    begin, n = paths.start[leaf], paths.n_features[leaf]
    nodes = (n + 1) // 2
    for rule in range(nodes * (nodes - 1) // 2, nodes * (nodes + 1) // 2):
        node = rules.node[rule]
        product[:] = rules.weight[rule] * program.long_leaves.value[at]
        for place in range(n):
            unmet_factor = paths.share[begin + place] * (1.0 - node)
            met_factor = unmet_factor + node
            line = met[place]
            for row in range(len(product)):
                product[row] *= met_factor if line[row] == 1 else unmet_factor
        for place in range(n):
            share = paths.share[begin + place]
            gain = (1.0 - share) / (share * (1.0 - node) + node)
            loss = -1.0 / (1.0 - node)
            line, sums = met[place], total[paths.feature[begin + place]]
            for row in range(len(product)):
                sums[row] += product[row] * (gain if line[row] == 1 else loss)
