"""LightGBM model text to a `TreeEnsemble`, trusting no size and no index that the text states.

LightGBM's own parser crashes the process on corrupt input. This one reads every number that it uses against the
sizes that the lines really have, and walks every tree once, so that what it returns is a forest of whole trees.
"""

from __future__ import annotations

from itertools import pairwise
from math import isfinite, isnan
from typing import NamedTuple

import numpy as np

from serving.tree_kernel.ensemble import MalformedModel, Missing, TreeEnsemble, UnsupportedModel
from serving.tree_kernel.model_lines import LARGEST_COUNT, TreeLines, read_integers, read_lines

VERSIONS = ("v3", "v4")

#: Lines of the header and of a tree. A line with another key may change what a model means (as `is_linear` once
#: did), so it is refused rather than skipped.
REQUIRED_HEADER_KEYS = frozenset({"version", "num_class", "max_feature_idx", "feature_names", "tree_sizes"})
HEADER_KEYS = REQUIRED_HEADER_KEYS | {
    *("num_tree_per_iteration", "label_index", "objective", "average_output", "monotone_constraints", "feature_infos"),
}
UNUSED_TREE_KEYS = ("split_gain", "internal_value", "internal_weight")
REQUIRED_TREE_KEYS = frozenset(
    {
        *("num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child"),
        *("leaf_value", "leaf_count", "internal_count"),
    }
)
TREE_KEYS = REQUIRED_TREE_KEYS | {
    *UNUSED_TREE_KEYS,
    *("leaf_weight", "cat_boundaries", "cat_threshold", "shrinkage"),
    # Linear leaves are known in order to be refused by name.
    *("is_linear", "leaf_const", "num_features", "leaf_features", "leaf_coeff"),
}

CATEGORICAL_BIT, DEFAULT_LEFT_BIT, MISSING_SHIFT = 1, 2, 2
LARGEST_WORD = 2**32 - 1
WORD_BITS = 32


def read_trees(model_text: str | bytes) -> TreeEnsemble:
    """Read a LightGBM model text (format v3 or v4, as `Booster.model_to_string` writes it).

    Parameters
    ----------
    model_text : str or bytes
        The whole text; bytes are UTF-8.

    Returns
    -------
    TreeEnsemble

    Raises
    ------
    MalformedModel
        If the text is cut short, a line is missing, repeated or of the wrong length, a number cannot be read or is
        out of range, or the nodes of a tree do not form one tree. The message names the tree and the line.
    UnsupportedModel
        If the model has several classes, averages its trees (random forest), has linear leaves, is of another
        format version, or has lines that this reader does not know.
    """
    text = _decode(model_text)
    start = text.find("\nTree=") + 1 or text.find("\nend of trees") + 1
    if not start:
        raise MalformedModel("there is neither a tree nor the line 'end of trees'", "model text")
    header = _read_header(text[:start])
    names = tuple(header["feature_names"].split(" ")) if header["feature_names"] else ()
    if header["max_feature_idx"] != str(len(names) - 1):
        raise MalformedModel(f"it is not the index of the last of {len(names)} feature names", "max_feature_idx")
    trees = []
    for index, size in enumerate(read_integers(header["tree_sizes"], "tree_sizes", 1, len(text))):
        trees.append(_read_tree(text[start : start + size], index, len(names)))
        start += size
    if not text.startswith("end of trees\n", start):
        raise MalformedModel("the line 'end of trees' does not follow the last tree", "model text")
    return _join(names, header.get("objective", ""), trees)


def _decode(model_text: str | bytes) -> str:
    if isinstance(model_text, str):
        return model_text
    try:
        return model_text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedModel(f"byte {error.start} is not UTF-8", "model text") from None


def _read_header(text: str) -> dict[str, str]:
    first, _, rest = text.partition("\n")
    if first != "tree":
        raise MalformedModel(f"the first line is {first[:40]!r}, not 'tree'", "model text")
    header = read_lines(rest, "header", HEADER_KEYS, REQUIRED_HEADER_KEYS)
    if header["version"] not in VERSIONS:
        raise UnsupportedModel(f"format {header['version'][:20]!r} is not one of {', '.join(VERSIONS)}", "version")
    if header["num_class"] != "1" or header.get("num_tree_per_iteration", "1") != "1":
        raise UnsupportedModel("the model has several classes; the kernel computes one score", "num_class")
    if "average_output" in header:
        raise UnsupportedModel("the model averages its trees (random forest)", "average_output")
    return header


class _Nodes(NamedTuple):
    """Splits of one tree in preorder, and its leaves from left to right."""

    order: list[int]
    first: list[int]
    middle: list[int]
    last: list[int]
    leaves: list[int]


class _Tree(NamedTuple):
    columns: dict[str, list[int] | list[float]]
    category_sets: list[list[int]]
    leaf_value: list[float]
    leaf_count: list[int]
    counts_fault: str


def _read_tree(text: str, index: int, n_features: int) -> _Tree:
    where = f"tree {index}"
    title, _, body = text.partition("\n")
    if title != f"Tree={index}" or not body.endswith("\n\n\n"):
        raise MalformedModel("it does not begin and end where tree_sizes says", where)
    lines = read_lines(body, where, TREE_KEYS, REQUIRED_TREE_KEYS)
    if lines.get("is_linear", "0") != "0":
        raise UnsupportedModel("its leaves are linear models", where)
    reader = TreeLines(lines, where)
    n_splits = reader.n_leaves - 1
    for key in UNUSED_TREE_KEYS:
        reader.numbers(key, n_splits)
    # A tree of one leaf is written with or without its weight and count.
    optional = n_splits == 0
    reader.numbers("leaf_weight", reader.n_leaves, optional=optional)
    leaf_value = reader.numbers("leaf_value", reader.n_leaves)
    if not all(map(isfinite, leaf_value)):
        raise MalformedModel("a value is not finite", f"{where}, leaf_value")
    leaf_count = reader.integers("leaf_count", reader.n_leaves, 0, LARGEST_COUNT, optional=optional) or [1]
    split_count = reader.integers("internal_count", n_splits, 0, LARGEST_COUNT)
    nodes = _walk(reader, n_splits)
    columns, sets = _read_splits(reader, n_splits, n_features)
    counts = [leaf_count[leaf] for leaf in nodes.leaves]
    return _Tree(
        {
            "first": nodes.first,
            "middle": nodes.middle,
            "last": nodes.last,
            **{name: [column[node] for node in nodes.order] for name, column in columns.items()},
        },
        [sets[node] for node in nodes.order],
        [leaf_value[leaf] for leaf in nodes.leaves],
        counts,
        _counts_fault(nodes, split_count, counts, where),
    )


def _walk(reader: TreeLines, n_splits: int) -> _Nodes:
    """Visit every node once from the root, left before right; a child `c < 0` is the leaf `-c - 1`."""
    left = reader.integers("left_child", n_splits, -n_splits - 1, n_splits - 1)
    right = reader.integers("right_child", n_splits, -n_splits - 1, n_splits - 1)
    nodes = _Nodes([], [], [], [], [])
    place = [-1] * n_splits
    # The second of a pair is the split whose right side the node begins, or -1.
    stack = [(0 if n_splits else -1, -1)]
    met = set()
    while stack:
        node, parent = stack.pop()
        if node in met:
            raise MalformedModel(f"node {node} is reached twice", reader.where)
        met.add(node)
        if parent >= 0:
            nodes.middle[place[parent]] = len(nodes.leaves)
        if node < 0:
            nodes.leaves.append(-node - 1)
            continue
        place[node] = len(nodes.order)
        nodes.order.append(node)
        nodes.first.append(len(nodes.leaves))
        nodes.middle.append(0)
        stack += [(right[node], node), (left[node], -1)]
    if len(nodes.order) < n_splits:
        raise MalformedModel(f"{n_splits - len(nodes.order)} splits cannot be reached from the root", reader.where)
    nodes.last.extend([0] * n_splits)
    for at in range(n_splits - 1, -1, -1):
        child = right[nodes.order[at]]
        nodes.last[at] = nodes.middle[at] + 1 if child < 0 else nodes.last[place[child]]
    return nodes


def _read_splits(
    reader: TreeLines, n_splits: int, n_features: int
) -> tuple[dict[str, list[int] | list[float]], list[list[int]]]:
    decision = reader.integers("decision_type", n_splits, 0, (Missing.NAN << MISSING_SHIFT) + 3)
    threshold = reader.numbers("threshold", n_splits)
    category_sets = _read_category_sets(reader)
    sets: list[list[int]] = [[] for _ in range(n_splits)]
    for node, (kind, value) in enumerate(zip(decision, threshold, strict=True)):
        if kind & CATEGORICAL_BIT:
            if value not in range(len(category_sets)):
                raise MalformedModel(f"entry {node} is not one of the {len(category_sets)} category sets", reader.where)
            sets[node] = category_sets[int(value)]
        elif isnan(value):
            raise MalformedModel(f"entry {node} is not a number", f"{reader.where}, threshold")
    columns: dict[str, list[int] | list[float]] = {
        "feature": reader.integers("split_feature", n_splits, 0, n_features - 1),
        "categorical": [kind & CATEGORICAL_BIT for kind in decision],
        "default_left": [kind & DEFAULT_LEFT_BIT for kind in decision],
        "missing": [kind >> MISSING_SHIFT for kind in decision],
        "threshold": threshold,
    }
    return columns, sets


def _read_category_sets(reader: TreeLines) -> list[list[int]]:
    """Categories that go left, one list per set: the bits of 32-bit words."""
    n_sets = reader.integers("num_cat", 1, 0, LARGEST_COUNT)[0]
    if n_sets == 0:
        return []
    words = read_integers(reader.lines.get("cat_threshold", ""), f"{reader.where}, cat_threshold", 0, LARGEST_WORD)
    bounds = reader.integers("cat_boundaries", n_sets + 1, 0, len(words))
    if bounds != sorted(bounds) or (bounds[0], bounds[-1]) != (0, len(words)):
        raise MalformedModel(f"it does not cut {len(words)} words into sets", f"{reader.where}, cat_boundaries")
    return [
        [
            WORD_BITS * i + bit
            for i, word in enumerate(words[begin:end])
            if word
            for bit in range(WORD_BITS)
            if word >> bit & 1
        ]
        for begin, end in pairwise(bounds)
    ]


def _counts_fault(nodes: _Nodes, split_count: list[int], leaf_count: list[int], where: str) -> str:
    if 0 in leaf_count:
        return f"{where}: a leaf holds no training rows"
    for at, node in enumerate(nodes.order):
        if split_count[node] != sum(leaf_count[nodes.first[at] : nodes.last[at]]):
            return f"{where}: the leaves under split {node} do not hold the rows it counts"
    return ""


def _join(names: tuple[str, ...], objective: str, trees: list[_Tree]) -> TreeEnsemble:
    def column(name: str, kind: type) -> np.ndarray:
        return np.array([value for tree in trees for value in tree.columns[name]], dtype=kind)

    def starts(lengths: list[int]) -> np.ndarray:
        return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)

    sets = [codes for tree in trees for codes in tree.category_sets]
    categorical = column("categorical", np.bool_)
    return TreeEnsemble(
        feature_names=names,
        objective=objective,
        split_start=starts([len(tree.category_sets) for tree in trees]),
        leaf_start=starts([len(tree.leaf_value) for tree in trees]),
        feature=column("feature", np.int32),
        first=column("first", np.int32),
        middle=column("middle", np.int32),
        last=column("last", np.int32),
        threshold=np.where(categorical, np.nan, column("threshold", np.float64)),
        missing=column("missing", np.uint8),
        default_left=column("default_left", np.bool_),
        categorical=categorical,
        category_start=starts([len(codes) for codes in sets]),
        category=np.array([code for codes in sets for code in codes], dtype=np.int64),
        leaf_value=np.array([value for tree in trees for value in tree.leaf_value], dtype=np.float64),
        leaf_count=np.array([count for tree in trees for count in tree.leaf_count], dtype=np.int64),
        counts_fault=next((tree.counts_fault for tree in trees if tree.counts_fault), ""),
    )
