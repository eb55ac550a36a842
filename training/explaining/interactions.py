"""SHAP interaction values of a model's trees: what two columns do together that neither does alone.

Exact for path-dependent trees, categorical splits and missing values included. (shap's own do not add up where a split
is categorical.) Every leaf is a product of one factor per column of its path, so that a pair's value needs no more than
the sums of products over the path's other columns.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from training.explaining.blocks import rank_correlations
from training.lightgbm_library import lightgbm_alone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema
    from training.metrics import Floats

    Flags = NDArray[np.bool_]
    #: Per column of a path: which rows go along it, and the share of training patients that did.
    Path = Mapping[int, tuple[Flags, float]]

#: Patients whose interactions are averaged; more change the order of the first few no more.
_SAMPLE = 200
#: Smaller ones move nobody.
LEAST = 0.01
_WITH_ORDER = ("numeric", "ordinal", "binary")


class Interaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two columns that the model reads together.

    Attributes
    ----------
    with_drug : bool
        Whether one of the two (then `other`) is a property of the drug.
    size : float
        Mean absolute interaction value, log-odds: what the two move together beyond what each moves alone.
    same_way : float or None
        Rank correlation of the interaction with the product of the two values about their means: above 0 the odds are
        higher where both are high or both low. None where one is a category, or too few have both.
    """

    name: str
    label: str
    other: str
    other_label: str
    with_drug: bool
    size: float
    same_way: float | None


def strongest_interactions(schema: FeatureSchema, model_text: str, matrix: Floats) -> tuple[Interaction, ...]:
    """Find the pairs of columns that a model reads together.

    Parameters
    ----------
    schema : FeatureSchema
    model_text : str
        LightGBM's text, checked.
    matrix : numpy.ndarray of shape (n_patients, n_columns)

    Returns
    -------
    tuple of Interaction
        Of at least LEAST, by falling size; two properties of the drug are one drug and no pair.
    """
    rows = np.unique(np.linspace(0, len(matrix) - 1, _SAMPLE).astype(int))
    found = []
    for (i, j), values in interaction_values(model_text, matrix[rows]).items():
        # The property of the drug stands second.
        first, second = sorted((i, j), key=lambda c: (schema.columns[c].source == "adc_profile", c))
        one, other = schema.columns[first], schema.columns[second]
        size = float(np.abs(values).mean())
        if size >= LEAST and one.source != "adc_profile":
            way = _same_way(one, other, matrix[rows][:, [first, second]], values)
            with_drug = other.source == "adc_profile"
            found.append(Interaction(one.name, one.label, other.name, other.label, with_drug, size, way))
    return tuple(sorted(found, key=lambda f: (-f.size, f.name, f.other)))


def _same_way(one: FeatureColumn, other: FeatureColumn, both: Floats, values: Floats) -> float | None:
    known = np.isfinite(both).all(axis=1)
    if not known.any() or one.kind not in _WITH_ORDER or other.kind not in _WITH_ORDER:
        return None
    centred = both[known] - both[known].mean(axis=0)
    found = float(rank_correlations(np.column_stack([centred.prod(axis=1), values[known]]))[0, 1])
    return found or None


def interaction_values(model_text: str, matrix: Floats) -> dict[tuple[int, int], Floats]:
    """SHAP interaction values of every pair of columns that meet on a path of the trees.

    Parameters
    ----------
    model_text : str
    matrix : numpy.ndarray of shape (n_patients, n_columns)

    Returns
    -------
    dict of (int, int) to numpy.ndarray of shape (n_patients,)
        By column positions, the smaller first. The whole of the interaction, which SHAP shares out between the two.

    References
    ----------
    Lundberg SM et al. Nat Mach Intell 2020;2:56-67. Fujimoto K et al. Games Econ Behav 2006;55:72-99.
    """
    booster = lightgbm_alone().Booster(model_str=model_text)
    found: dict[tuple[int, int], Floats] = {}
    for tree in booster.dump_model()["tree_info"]:
        for path, value in _leaves(tree["tree_structure"], matrix, {}):
            for i, j in combinations(sorted(path), 2):
                moved = value * _of_pair(path, i, j, len(matrix))
                found[i, j] = found[i, j] + moved if (i, j) in found else moved
    return found


def _leaves(node: Mapping[str, Any], matrix: Floats, path: Path) -> Iterator[tuple[Path, float]]:
    if "split_feature" not in node:
        yield path, float(node["leaf_value"])
        return
    column = int(node["split_feature"])
    left = _goes_left(node, matrix[:, column])
    rows, part = path.get(column, (np.ones(len(matrix), dtype=bool), 1.0))
    for child, goes in ((node["left_child"], left), (node["right_child"], ~left)):
        count = child["internal_count"] if "split_feature" in child else child["leaf_count"]
        share = count / node["internal_count"]
        yield from _leaves(child, matrix, {**path, column: (rows & goes, part * share)})


def _goes_left(node: Mapping[str, Any], values: Floats) -> Flags:
    missing = np.isnan(values)
    if node["decision_type"] == "==":
        # A category that is missing, or was not seen, goes right.
        levels = [float(level) for level in str(node["threshold"]).split("||")]
        return np.asarray(np.isin(values, levels) & ~missing)
    if node["missing_type"] == "None":
        return np.asarray(np.nan_to_num(values) <= node["threshold"])
    if node["missing_type"] == "Zero":
        missing |= values == 0
    return np.asarray(np.where(missing, node["default_left"], values <= node["threshold"]), dtype=np.bool_)


def _of_pair(path: Path, i: int, j: int, rows: int) -> Floats:
    """Shapley interaction index of two factors in the product of all."""
    others = [path[column] for column in path if column not in (i, j)]
    # Coefficient s: the sum, over all sets of s others, of what is known of those and averaged over the rest.
    sums = [np.ones(rows)]
    for goes, share in others:
        raised = [np.zeros(rows), *(c * goes for c in sums)]
        sums = [known + share * averaged for known, averaged in zip(raised, [*sums, np.zeros(rows)], strict=True)]
    count = len(others)
    weights = [factorial(s) * factorial(count - s) / factorial(count + 1) for s in range(count + 1)]
    within = np.sum([w * c for w, c in zip(weights, sums, strict=True)], axis=0)
    (goes_i, share_i), (goes_j, share_j) = path[i], path[j]
    return np.asarray((goes_i - share_i) * (goes_j - share_j) * within)
