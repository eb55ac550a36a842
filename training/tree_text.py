"""LightGBM's text format: boosters joined into one, and small trees of one additive effect written directly.

All parts of a model add up on the log-odds scale, so a mean of bagged boosters, a slope or an intercept needs no code
at prediction time: one booster gives prediction and SHAP contributions of the whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.metrics import Floats, Integers

_TREE = re.compile(r"^Tree=\d+\n", flags=re.MULTILINE)
_END = "end of trees"
#: Decision types: a category; a number with missing to the right; a number with missing to the left.
_CATEGORY, _MISSING_RIGHT, _MISSING_LEFT = 1 + 8, 8, 8 + 2
#: Every number is below it, so that the missing alone take the other branch.
_BEYOND_ALL = 1e300


def combine(model_texts: Sequence[str], weights: Sequence[float], *, intercept: float = 0.0) -> str:
    """Join boosters into one whose raw score is `intercept + sum(weight * raw score)`.

    Parameters
    ----------
    model_texts : sequence of str
        Texts of boosters of the same columns (`Booster.model_to_string`).
    weights : sequence of float
        One weight per booster.
    intercept : float
        Log-odds added to every prediction.

    Returns
    -------
    str
        Model text that `lightgbm.Booster(model_str=...)` reads.

    Raises
    ------
    ValueError
        The texts hold no trees, or columns differ.
    """
    parts = [_split(text) for text in model_texts]
    names = {_header_value(header, "feature_names") for header, _, _ in parts}
    trees = [
        _scaled(tree, weight)
        for (_, model_trees, _), weight in zip(parts, weights, strict=True)
        for tree in model_trees
    ]
    if len(names) != 1 or not trees:
        raise ValueError("the boosters must have trees, and the same columns")
    trees[0] = _each_value(trees[0], lambda value: value + intercept)
    header, _, tail = parts[0]
    return _assembled(header, trees, tail)


def _split(text: str) -> tuple[str, list[str], str]:
    """Header, the trees without their `Tree=` line, and what follows them without the counts of splits."""
    body, _, tail = text.partition(_END)
    header, *trees = _TREE.split(body)
    # Counts of splits belong to one booster; the parameters tell how it was trained.
    parameters = tail.partition("parameters:")[2]
    return header, trees, f"{_END}\n\nfeature_importances:\n\nparameters:{parameters}"


def _header_value(header: str, key: str) -> str:
    return header.partition(f"\n{key}=")[2].partition("\n")[0]


def _assembled(header: str, trees: Sequence[str], tail: str) -> str:
    """Put a text together from its header, the trees, which are numbered and measured here, and its tail."""
    blocks = [f"Tree={i}\n{tree}" for i, tree in enumerate(trees)]
    sizes = "tree_sizes=" + " ".join(str(len(block.encode())) for block in blocks)
    return re.sub(r"^tree_sizes=.*$", sizes, header, flags=re.MULTILINE) + "".join(blocks) + tail


def _scaled(tree: str, weight: float) -> str:
    return _each_value(tree, lambda value: value * weight)


def _each_value(tree: str, change: Callable[[float], float]) -> str:
    """Change the values of leaves and inner nodes; seventeen digits give every double back exactly."""

    def rewrite(found: re.Match[str]) -> str:
        return f"{found[1]}={' '.join(f'{change(float(v)):.17g}' for v in found[2].split())}"

    return re.sub(r"^(leaf_value|internal_value)=(.*)$", rewrite, tree, flags=re.MULTILINE)


@dataclass(frozen=True)
class Leaf:
    """End of a branch: what it adds to the log-odds, and how many patients it holds."""

    value: float
    count: int

    def __post_init__(self) -> None:
        # SHAP weighs branches by their patients; a branch without any would be divided by.
        object.__setattr__(self, "count", max(int(self.count), 1))


@dataclass(frozen=True)
class Split:
    """A branching: a number not above `threshold`, or `level` of a category, goes left.

    A missing category goes right; a missing number too, unless `missing_left`.
    """

    column: int
    left: Split | Leaf
    right: Split | Leaf
    threshold: float = _BEYOND_ALL
    level: int | None = None
    missing_left: bool = False

    @property
    def count(self) -> int:
        """Patients below the branching."""
        return self.left.count + self.right.count

    @property
    def value(self) -> float:
        """Mean of the leaves, weighted by their patients."""
        both = self.left.value * self.left.count + self.right.value * self.right.count
        return both / self.count


def binned_tree(column: int, edges: Floats, values: Floats, counts: Integers, missing: Leaf) -> Split | Leaf:
    """Tree of one column: a value per bin, and a leaf for the missing.

    Parameters
    ----------
    column : int
    edges : numpy.ndarray of shape (n_bins - 1,)
        A value at an edge belongs below it.
    values, counts : numpy.ndarray of shape (n_bins,)
        What each bin adds, and its patients.
    missing : Leaf

    Returns
    -------
    Split
        Neighbouring bins of one value share a leaf.
    """
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values) != 0]))
    merged = [
        Leaf(float(values[a]), int(counts[a:b].sum())) for a, b in zip(starts, [*starts[1:], len(values)], strict=True)
    ]
    inner = _halved(column, [float(edges[s - 1]) for s in starts[1:]], merged)
    return Split(column, inner, missing)


def _halved(column: int, edges: list[float], leaves: list[Leaf]) -> Split | Leaf:
    if len(leaves) == 1:
        return leaves[0]
    middle = len(edges) // 2
    left = _halved(column, edges[:middle], leaves[: middle + 1])
    right = _halved(column, edges[middle + 1 :], leaves[middle + 1 :])
    return Split(column, left, right, threshold=edges[middle])


def where(conditions: Sequence[tuple[int, float]], tree: Split | Leaf, others: int) -> Split | Leaf:
    """Restrict a tree to patients whose columns of 0 and 1 have the given values; it adds 0 for the others.

    Parameters
    ----------
    conditions : sequence of (int, float)
        Column and value.
    tree : Split or Leaf
    others : int
        Patients to whom it does not apply.

    Returns
    -------
    Split or Leaf
    """
    for position, (column, value) in enumerate(reversed(conditions)):
        outside = Leaf(0.0, others if position == len(conditions) - 1 else 0)
        # An ADC that is not in the catalogue has no values here and goes with the others.
        if value > 0:
            tree = Split(column, outside, tree, threshold=0.5, missing_left=True)
        else:
            tree = Split(column, tree, outside, threshold=0.5)
    return tree


def trees_text(like: str, trees: Sequence[Split | Leaf]) -> str:
    """Model text of some trees.

    Parameters
    ----------
    like : str
        Text of a model of the same columns, whose header and settings are taken over.
    trees : sequence of Split or Leaf

    Returns
    -------
    str
        Text that `combine` joins with others.
    """
    header = like[: like.index("\nTree=0\n") + 1]
    return _assembled(header, [_tree_block(tree) for tree in trees], like[like.index(_END) :])


class _Layout:
    """Splits and leaves in LightGBM's order: a split refers to a split by number, to a leaf by minus number less 1."""

    def __init__(self, tree: Split) -> None:
        self.splits: list[Split] = []
        self.children: list[tuple[int, int]] = []
        self.leaves: list[Leaf] = []
        self.levels: list[int] = []
        self._add(tree)

    def _add(self, node: Split | Leaf) -> int:
        if isinstance(node, Leaf):
            self.leaves.append(node)
            return -len(self.leaves)
        number = len(self.splits)
        self.splits.append(node)
        self.children.append((0, 0))
        if node.level is not None:
            self.levels.append(node.level)
        left = self._add(node.left)
        self.children[number] = (left, self._add(node.right))
        return number


def _decision(split: Split) -> int:
    if split.level is not None:
        return _CATEGORY
    return _MISSING_LEFT if split.missing_left else _MISSING_RIGHT


def _tree_block(tree: Split | Leaf) -> str:
    if isinstance(tree, Leaf):
        return f"num_leaves=1\nnum_cat=0\nleaf_value={tree.value:.17g}\nis_linear=0\nshrinkage=1\n\n\n"
    layout = _Layout(tree)
    splits, leaves = layout.splits, layout.leaves
    category = iter(range(len(layout.levels)))
    lines: dict[str, list[int] | list[str] | list[int | str]] = {
        "num_leaves": [len(leaves)],
        "num_cat": [len(layout.levels)],
        "split_feature": [s.column for s in splits],
        "split_gain": [0] * len(splits),
        "threshold": [f"{s.threshold:.17g}" if s.level is None else next(category) for s in splits],
        "decision_type": [_decision(s) for s in splits],
        "left_child": [left for left, _ in layout.children],
        "right_child": [right for _, right in layout.children],
        "leaf_value": [f"{leaf.value:.17g}" for leaf in leaves],
        "leaf_weight": [leaf.count for leaf in leaves],
        "leaf_count": [leaf.count for leaf in leaves],
        "internal_value": [f"{s.value:.17g}" for s in splits],
        "internal_weight": [s.count for s in splits],
        "internal_count": [s.count for s in splits],
    }
    if layout.levels:
        lines["cat_boundaries"] = list(range(len(layout.levels) + 1))
        lines["cat_threshold"] = [1 << level for level in layout.levels]
    body = "".join(f"{key}={' '.join(map(str, values))}\n" for key, values in lines.items())
    return f"{body}is_linear=0\nshrinkage=1\n\n\n"
