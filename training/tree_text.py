"""Weighted sums of boosted models as one LightGBM model: leaf values scaled, trees joined, the text written anew.

All parts of a model add up on the log-odds scale, so a mean of bagged boosters, a slope or an intercept needs no code
at prediction time: one booster gives prediction and SHAP contributions of the whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TREE = re.compile(r"^Tree=\d+\n", flags=re.MULTILINE)
_END = "end of trees"


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
    trees[0] = _shifted(trees[0], intercept)
    blocks = [f"Tree={i}\n{tree}" for i, tree in enumerate(trees)]
    header, _, tail = parts[0]
    sizes = "tree_sizes=" + " ".join(str(len(block.encode())) for block in blocks)
    return re.sub(r"^tree_sizes=.*$", sizes, header, flags=re.MULTILINE) + "".join(blocks) + tail


def _split(text: str) -> tuple[str, list[str], str]:
    """Header, the trees without their `Tree=` line, and what follows them without the counts of splits."""
    body, _, tail = text.partition(_END)
    header, *trees = _TREE.split(body)
    # Counts of splits belong to one booster; the parameters tell how it was trained.
    parameters = tail.partition("parameters:")[2]
    return header, trees, f"{_END}\n\nfeature_importances:\n\nparameters:{parameters}"


def _header_value(header: str, key: str) -> str:
    return header.partition(f"\n{key}=")[2].partition("\n")[0]


def _scaled(tree: str, weight: float) -> str:
    return _each_value(tree, lambda value: value * weight)


def _shifted(tree: str, intercept: float) -> str:
    return _each_value(tree, lambda value: value + intercept)


def _each_value(tree: str, change: Callable[[float], float]) -> str:
    """Change the values of leaves and inner nodes; seventeen digits give every double back exactly."""

    def rewrite(found: re.Match[str]) -> str:
        return f"{found[1]}={' '.join(f'{change(float(v)):.17g}' for v in found[2].split())}"

    return re.sub(r"^(leaf_value|internal_value)=(.*)$", rewrite, tree, flags=re.MULTILINE)
