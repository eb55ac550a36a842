"""What two columns move together: exact for trees with missing values and categories, and told in a report."""

from __future__ import annotations

import warnings
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest

from features.feature_schema import FeatureColumn, FeatureSchema
from features.report.document import Paragraph, Table
from training.explaining.interactions import interaction_values, strongest_interactions
from training.report.of_explanation import interaction_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.train import TrainingResult

    Floats = NDArray[np.float64]

SETTINGS = {"num_leaves": 6, "learning_rate": 0.3, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1,
            "min_data_per_group": 10, "cat_smooth": 1.0}  # fmt: skip


def patients(categories: int = 0) -> tuple[Floats, Floats]:
    draw = np.random.default_rng(3)
    matrix = draw.normal(size=(400, 4))
    if categories:
        matrix[:, 3] = draw.integers(0, categories, 400)
    outcome = (
        matrix[:, 0] * (matrix[:, 1] > 0) + 0.5 * matrix[:, 2] + 2.0 * np.isin(matrix[:, 3], (1, 3)) * matrix[:, 0]
    )
    matrix[draw.random(matrix.shape) < 0.1] = np.nan
    return matrix, outcome


def fitted(matrix: Floats, outcome: Floats, *, categorical: bool = False, trees: int = 6) -> Any:
    data = lightgbm.Dataset(matrix, outcome, categorical_feature=[3] if categorical else [], params={"verbosity": -1})
    return lightgbm.train(SETTINGS, data, trees)


def expected(node: dict[str, Any], row: Floats, known: frozenset[int]) -> float:
    """Value of a tree where only some columns are known: the rest averaged over the training patients."""
    if "split_feature" not in node:
        return float(node["leaf_value"])
    children = (node["left_child"], node["right_child"])
    counts = [c.get("internal_count", c.get("leaf_count")) for c in children]
    if node["split_feature"] in known:
        value = row[node["split_feature"]]
        if node["decision_type"] == "==":
            left = not np.isnan(value) and str(int(value)) in node["threshold"].split("||")
        else:
            left = node["default_left"] if np.isnan(value) else value <= node["threshold"]
        return expected(children[0 if left else 1], row, known)
    parts = [n * expected(c, row, known) for n, c in zip(counts, children, strict=True)]
    return sum(parts) / sum(counts)


def by_definition(booster: Any, row: Floats, i: int, j: int) -> float:
    """Shapley interaction index over all sets of the other columns."""
    others = [k for k in range(len(row)) if k not in (i, j)]
    total = 0.0
    for size in range(len(others) + 1):
        weight = factorial(size) * factorial(len(others) - size) / factorial(len(others) + 1)
        for chosen in combinations(others, size):
            without = frozenset(chosen)
            for tree in booster.dump_model()["tree_info"]:
                root = tree["tree_structure"]
                value = {s: expected(root, row, without | s) for s in map(frozenset, ((), (i,), (j,), (i, j)))}
                total += weight * (
                    value[frozenset((i, j))] - value[frozenset((i,))] - value[frozenset((j,))] + value[frozenset()]
                )
    return total


@pytest.mark.parametrize("categories", [0, 5])
def test_interaction_values_are_those_of_the_definition(categories: int) -> None:
    matrix, outcome = patients(categories)
    booster = fitted(matrix, outcome, categorical=bool(categories), trees=6)
    kinds = {n["decision_type"] for t in booster.dump_model()["tree_info"] for n in splits(t["tree_structure"])}
    assert ("==" in kinds) == bool(categories)
    found = interaction_values(booster.model_to_string(), matrix[:12])
    for pair in combinations(range(4), 2):
        for row in range(12):
            own = found[pair][row] if pair in found else 0.0
            assert own == pytest.approx(by_definition(booster, matrix[row], *pair), abs=1e-12)


def splits(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *splits(node["left_child"]), *splits(node["right_child"])] if "split_feature" in node else []


def test_without_categories_interaction_values_are_those_of_shap() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        from shap import TreeExplainer

    matrix, outcome = patients()
    booster = fitted(matrix, outcome)
    theirs = TreeExplainer(booster).shap_interaction_values(matrix)
    for (i, j), values in interaction_values(booster.model_to_string(), matrix).items():
        np.testing.assert_allclose(values, 2 * theirs[:, i, j], atol=1e-10)


def test_the_strongest_pair_is_the_one_that_acts_together_and_its_pattern_is_told() -> None:
    draw = np.random.default_rng(5)
    matrix = draw.normal(size=(600, 3))
    matrix[:, 2] = draw.random(600) < 0.5
    booster = fitted(matrix, matrix[:, 0] * matrix[:, 1] + 0.4 * matrix[:, 0] * matrix[:, 2], trees=40)
    schema = FeatureSchema(
        (
            FeatureColumn("a", "A", "numeric", "", "biomarker"),
            FeatureColumn("b", "B", "numeric", "", "biomarker"),
            FeatureColumn("adc_cleavable", "Cleavable linker", "binary", "", "adc_profile"),
        )
    )
    found = strongest_interactions(schema, booster.model_to_string(), matrix)
    assert (found[0].name, found[0].other, found[0].with_drug) == ("a", "b", False)
    assert (found[0].same_way or 0) > 0.5
    drug = next(f for f in found if f.with_drug)
    assert (drug.name, drug.other) == ("a", "adc_cleavable")
    tables = [b for b in interaction_blocks(found) if isinstance(b, Table)]
    assert [t.caption.split(".")[0] for t in tables] == ["Biomarker and property of the drug", "Two biomarkers"]
    assert tables[1].rows[0] == ("A", "B", f"{found[0].size:.2f}", "both are high or both low")
    assert tables[0].rows[0][3] == "helps more or harms less"


def test_a_model_that_adds_its_columns_up_has_no_interactions() -> None:
    (told,) = interaction_blocks(())
    assert isinstance(told, Paragraph)
    assert "adds its columns up" in told.text


def test_a_training_tells_the_interactions_of_its_final_model(trained: TrainingResult) -> None:
    found = trained.explanation.interactions
    assert found == strongest_interactions(trained.record.schema, trained.model_text, trained.table.features.to_numpy())
    assert [f.size for f in found] == sorted((f.size for f in found), reverse=True)
    assert not any(f.name.startswith("adc_") for f in found)
