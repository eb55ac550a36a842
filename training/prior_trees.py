"""The prior's trees, as a sum of one part per mechanism step, each with a weight of its own.

Trees are grown so that biomarkers of different steps meet on no path from root to leaf (LightGBM's interaction
constraints); columns of the treatment may meet any. Each leaf then belongs to one step, and the model is exactly the
sum of its steps' parts. A cohort can so shrink what the literature says of HER2 without touching what it says of
efflux, and no weight of 0 or more breaks a monotone sign. Over ten simulated worlds keeping the steps apart cost 0.0014
of log loss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from features.biomarkers import biomarker_of
from training.tree_text import combine

if TYPE_CHECKING:
    from features.feature_schema import FeatureSchema
    from training.metrics import Floats, Integers

#: Part of the leaves that no biomarker was asked for: drug, setting, and the mean of what lies below.
TREATMENT = "treatment"


def steps_of(schema: FeatureSchema) -> dict[str, list[int]]:
    """Columns of each mechanism step, and under `treatment` those that belong to none.

    Parameters
    ----------
    schema : FeatureSchema

    Returns
    -------
    dict of str to list of int
    """
    found: dict[str, list[int]] = {TREATMENT: []}
    for j, column in enumerate(schema.columns):
        step = biomarker_of()[column.name].mechanism_step if column.source == "biomarker" else TREATMENT
        found.setdefault(str(step), []).append(j)
    return found


@dataclass(frozen=True)
class PriorTrees:
    """Trees whose leaves are split into parts.

    Attributes
    ----------
    text : str
        LightGBM text of the whole, all weights 1.
    steps : tuple of str
        Names of the parts; the first is `treatment`.
    leaves, inner : tuple of numpy.ndarray of shape (n_leaves, n_steps), (n_splits, n_steps)
        Per tree what each step adds in each leaf, and on average below each split; rows add up to the tree's values.
    """

    text: str
    steps: tuple[str, ...]
    leaves: tuple[Floats, ...]
    inner: tuple[Floats, ...]

    @cached_property
    def _booster(self) -> Any:
        return lightgbm.Booster(model_str=self.text)

    def parts(self, matrix: Floats) -> Floats:
        """Log-odds that each step adds for each patient.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, n_steps)
            Rows add up to the trees' log-odds.
        """
        reached = self._leaves_of(matrix)
        total = np.zeros((len(matrix), len(self.steps)))
        for tree, values in enumerate(self.leaves):
            total += values[reached[:, tree]]
        return total

    def _leaves_of(self, matrix: Floats) -> Integers:
        reached = self._booster.predict(matrix, pred_leaf=True, num_threads=1)
        return np.asarray(reached, dtype=np.int64).reshape(len(matrix), len(self.leaves))

    def weighted(self, weights: Floats) -> str:
        """Model text with each step's part multiplied by a weight.

        Parameters
        ----------
        weights : numpy.ndarray of shape (n_steps,)

        Returns
        -------
        str
            LightGBM text.
        """
        values = {"leaf_value": iter(self.leaves), "internal_value": iter(self.inner)}

        def rewrite(found: re.Match[str]) -> str:
            return f"{found[1]}={' '.join(f'{v:.17g}' for v in next(values[found[1]]) @ weights)}"

        text = re.sub(r"^(leaf_value|internal_value)=.*$", rewrite, self.text, flags=re.MULTILINE)
        # Written anew with the sizes of its trees, which LightGBM trusts without a look.
        return combine([text], [1.0])


def split_by_step(booster: Any, schema: FeatureSchema) -> PriorTrees:
    """Split trees that were grown under `steps_of` as interaction constraints into their steps' parts.

    Below the topmost split on a biomarker every leaf belongs to that biomarker's step; the mean over the leaves there
    is left to the treatment, so that a step's weight does not move the response rate of a drug.

    Parameters
    ----------
    booster : lightgbm.Booster
    schema : FeatureSchema

    Returns
    -------
    PriorTrees
    """
    columns = steps_of(schema)
    steps = tuple(columns)
    step_of = {j: position for position, name in enumerate(steps) for j in columns[name]}
    leaves, inner = [], []
    for tree in booster.dump_model()["tree_info"]:
        count = int(tree["num_leaves"])
        of_leaf, of_split = np.zeros((count, len(steps))), np.zeros((count - 1, len(steps)))
        _fill(tree["tree_structure"], step_of, of_leaf, of_split, None)
        leaves.append(of_leaf)
        # A tree of one leaf has no splits, and its text no line of their values.
        inner += [of_split] if count > 1 else []
    return PriorTrees(booster.model_to_string(), steps, tuple(leaves), tuple(inner))


def _fill(
    node: dict[str, Any], step_of: dict[int, int], of_leaf: Floats, of_split: Floats, region: tuple[int, float] | None
) -> None:
    """Fill in the parts of a node and of all below it; a region is a step, and the mean below its topmost split."""
    value, _ = _mean(node)
    inside = "split_index" in node
    if inside and region is None and step_of[node["split_feature"]]:
        region = step_of[node["split_feature"]], value
    parts = of_split[node["split_index"]] if inside else of_leaf[node.get("leaf_index", 0)]
    parts[0] = value if region is None else region[1]
    if region is not None:
        parts[region[0]] = value - region[1]
    if inside:
        for side in ("left_child", "right_child"):
            _fill(node[side], step_of, of_leaf, of_split, region)


def _mean(node: dict[str, Any]) -> tuple[float, int]:
    """Mean of the leaves below a node over the patients that the trees were grown on, and their number."""
    if "split_index" not in node:
        return float(node["leaf_value"]), int(node.get("leaf_count", 1))
    (left, n), (right, m) = _mean(node["left_child"]), _mean(node["right_child"])
    return (n * left + m * right) / max(n + m, 1), n + m
