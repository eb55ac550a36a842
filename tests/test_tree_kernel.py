"""The tree kernel against LightGBM itself: every bit of the scores, every contribution to 1e-12, no hostile text."""

from __future__ import annotations

import ast
import itertools
import json
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving import tree_kernel
from serving.tree_kernel import (
    MalformedModel,
    TreeKernel,
    UnsupportedModel,
    UnusableModel,
    largest_contributions,
    read_trees,
    worthwhile,
)
from serving.tree_kernel.binning_plan import plan_binning
from serving.tree_kernel.compiling import compiled
from serving.tree_kernel.contributions import plan_contributions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from numpy.typing import NDArray

PACKAGE = Path(tree_kernel.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")

#: LightGBM reads what is nearer to 0 than this as 0.
ZERO_THRESHOLD = float(np.float32(1e-35))
#: Values at which comparisons, missing values or bins could go wrong.
AWKWARD = [
    *(0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1e-308, -1e-308, 1e308, -1e308),
    *(ZERO_THRESHOLD, -ZERO_THRESHOLD, float(np.nextafter(ZERO_THRESHOLD, 1)), 1e-36, -1e-36, 1e300, -0.5, 2.7, -1.0),
    *(-7.0, 1e10, 2.0**31, -(2.0**31), 63.0, 64.0, 255.0, 256.0),
]
NUMERIC, CATEGORICAL = 4, 2


def simulate(rng: np.random.Generator, n: int, n_categories: int = 12) -> NDArray[np.float64]:
    """Numeric columns with missing values, zeros, ties and a constant, then two categorical columns."""
    numeric = rng.normal(size=(n, NUMERIC))
    numeric[:, 1] = rng.integers(-2, 3, n)
    numeric[:, 2] = np.exp(3 * numeric[:, 2])
    numeric[:, 3] = 1.5
    numeric[rng.random(numeric.shape) < 0.15] = np.nan
    numeric[rng.random(numeric.shape) < 0.1] = 0.0
    categories = rng.integers(0, n_categories, (n, CATEGORICAL)).astype(float)
    categories[rng.random(categories.shape) < 0.1] = np.nan
    return np.column_stack((numeric, categories))


def train(matrix: NDArray[np.float64], rng: np.random.Generator, rounds: int = 8, **settings: Any) -> lightgbm.Booster:
    filled = np.nan_to_num(matrix, posinf=3.0, neginf=-3.0)
    score = filled[:, 0] * filled[:, 1] + np.log1p(np.abs(filled[:, 2])) + filled[:, 4] % 3 - filled[:, 5] % 2
    target = score + rng.normal(size=len(matrix))
    categorical = list(range(NUMERIC, NUMERIC + CATEGORICAL))
    data = lightgbm.Dataset(matrix, target, categorical_feature=categorical)
    defaults = {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 3}
    return lightgbm.train({**defaults, **settings}, data, rounds)


def awkward_rows(booster: lightgbm.Booster, rng: np.random.Generator, n: int = 150) -> NDArray[np.float64]:
    """Rows of awkward values, thresholds of the model and their neighbours."""
    ensemble = read_trees(booster.model_to_string())
    cuts = ensemble.threshold[~ensemble.categorical]
    pool = np.concatenate((AWKWARD, cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), np.arange(16.0)))
    return rng.choice(pool, (n, ensemble.n_features))


def agree(booster: lightgbm.Booster, matrix: NDArray[np.float64]) -> None:
    """Assert identical scores, contributions equal up to rounding, and that these add up to the scores."""
    kernel = TreeKernel(read_trees(booster.model_to_string()))
    scores = kernel.predict(matrix)
    expected = booster.predict(matrix, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(scores.view(np.int64), expected.view(np.int64))
    contributions = kernel.contributions(matrix)
    size = max(1.0, float(np.abs(kernel.ensemble.leaf_value).max(initial=0.0)))
    np.testing.assert_allclose(
        contributions, booster.predict(matrix, pred_contrib=True, num_threads=1), rtol=0, atol=1e-12 * size
    )
    np.testing.assert_allclose(contributions.sum(axis=1), scores, rtol=0, atol=1e-12 * size)


def resized(text: str) -> str:
    """The same text with `tree_sizes` as its trees now are."""
    start, end = text.index("Tree=0"), text.index("end of trees")
    trees = re.split(r"(?=Tree=\d+\n)", text[start:end])[1:]
    sizes = "tree_sizes=" + " ".join(str(len(tree)) for tree in trees)
    return re.sub("tree_sizes=.*", sizes, text[:start]) + text[start:]


def replaced(text: str, tree: int, key: str, entries: dict[int, object] | str) -> str:
    """The same text with some entries of a line of a tree, or all of it, replaced."""
    head, title, rest = text.partition(f"Tree={tree}\n")
    before, line, after = ("\n" + rest).partition(f"\n{key}=")
    values, _, tail = after.partition("\n")
    tokens = values.split(" ")
    if isinstance(entries, str):
        tokens = entries.split(" ")
    else:
        for at, value in entries.items():
            tokens[at] = str(value)
    return resized(head + title + (before + line)[1:] + " ".join(tokens) + "\n" + tail)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    """A model with missing values and categories, trees of seven leaves."""
    rng = np.random.default_rng(1)
    return train(simulate(rng, 400), rng, num_leaves=7)


@pytest.fixture(scope="module")
def text(booster: lightgbm.Booster) -> str:
    return booster.model_to_string()


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float64]:
    return simulate(np.random.default_rng(2), 5000)


# --- Against LightGBM -------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(20, 300),
    missing=st.sampled_from([{}, {"zero_as_missing": True}, {"use_missing": False}]),
    num_leaves=st.integers(2, 40),
    max_depth=st.sampled_from([-1, 1, 2, 3, 6]),
    max_bin=st.sampled_from([2, 3, 15, 255]),
    min_data=st.sampled_from([1, 3, 20, 1000]),
    extra=st.sampled_from(
        [
            {},
            {"boosting": "dart"},
            {"bagging_fraction": 0.5, "bagging_freq": 1},
            {"max_cat_to_onehot": 30},
            {"extra_trees": True, "objective": "binary"},
            {"min_data_per_group": 1, "cat_smooth": 0.1, "cat_l2": 0.1},
        ]
    ),
)
def test_random_models_agree_with_lightgbm_on_ordinary_and_awkward_rows(
    seed: int,
    n: int,
    missing: dict[str, bool],
    num_leaves: int,
    max_depth: int,
    max_bin: int,
    min_data: int,
    extra: dict[str, Any],
) -> None:
    rng = np.random.default_rng(seed)
    matrix = simulate(rng, n)
    options = {"num_leaves": num_leaves, "max_depth": max_depth, "max_bin": max_bin, "min_data_in_leaf": min_data}
    if extra.get("objective") == "binary":
        data = lightgbm.Dataset(matrix, rng.integers(0, 2, n), categorical_feature=[4, 5])
        settings_ = {"verbose": -1, "num_threads": 1, **options, **missing, **extra}
        booster = lightgbm.train(settings_, data, 8)
    else:
        booster = train(matrix, rng, **options, **missing, **extra)
    agree(booster, matrix)
    agree(booster, awkward_rows(booster, rng))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.sampled_from(AWKWARD), min_size=6, max_size=6))
def test_thresholds_at_zero_denormals_infinities_and_extremes_agree_with_lightgbm(
    seed: int, cuts: list[float], text: str
) -> None:
    rng = np.random.default_rng(seed)
    ensemble = read_trees(text)
    for tree in range(ensemble.n_trees):
        entries: dict[int, object] = {}
        line = re.search(rf"Tree={tree}\n(?:.*\n)*?decision_type=(.*)\n", text)
        assert line is not None
        for at, kind in enumerate(map(int, line[1].split(" "))):
            if not kind & 1:
                cut = rng.choice(cuts)
                entries[at] = repr(float(0.25 if math.isnan(cut) else cut))
        text = replaced(text, tree, "threshold", entries)
        # Any side and any kind of missing value, too; bit 0 says that a split is categorical.
        kinds = [int(kind) & 1 | int(rng.integers(0, 6)) << 1 for kind in line[1].split(" ")]
        text = replaced(text, tree, "decision_type", " ".join(map(str, kinds)))
    changed = lightgbm.Booster(model_str=text)
    agree(changed, awkward_rows(changed, rng))


def test_long_paths_are_explained_without_tables() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(3000, 16))
    # Every further step is only taken by those who took all before it: a chain of splits.
    target = np.cumprod(matrix > -1.3, axis=1) @ np.arange(1.0, 17.0)
    options = {"objective": "regression", "num_leaves": 40, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(matrix, target), 12)
    ensemble = read_trees(booster.model_to_string())
    assert len(plan_contributions(ensemble, plan_binning(ensemble)).long_leaves.leaf) > 0
    agree(booster, matrix[:300])


def test_a_column_with_more_thresholds_than_a_byte_counts_agrees_with_lightgbm() -> None:
    rng = np.random.default_rng(4)
    matrix = np.column_stack((rng.normal(size=4000), rng.random(4000)))
    matrix[::7, 0] = np.nan
    target = np.sin(20 * np.nan_to_num(matrix[:, 0]))
    options = {"objective": "regression", "max_bin": 3000, "min_data_in_bin": 1, "num_leaves": 60, "verbose": -1}
    booster = lightgbm.train({**options, "num_threads": 1}, lightgbm.Dataset(matrix, target), 30)
    ensemble = read_trees(booster.model_to_string())
    assert len(np.unique(ensemble.threshold[ensemble.feature == 0])) > 2 * 255
    agree(booster, matrix[:1000])
    agree(booster, awkward_rows(booster, rng, 1000))


def test_columns_with_hundreds_of_categories_agree_with_lightgbm() -> None:
    rng = np.random.default_rng(5)
    matrix = simulate(rng, 6000, n_categories=400)
    booster = train(matrix, rng, min_data_per_group=1, cat_smooth=0.1, max_bin=1000, min_data_in_bin=1)
    ensemble = read_trees(booster.model_to_string())
    assert len(np.unique(ensemble.category)) > 256
    agree(booster, matrix[:500])
    agree(booster, awkward_rows(booster, rng))


@pytest.mark.parametrize("how", ["refitted", "continued", "first rounds only", "constant", "saved twice"])
def test_models_that_were_changed_after_training_agree_with_lightgbm(how: str) -> None:
    rng = np.random.default_rng(6)
    matrix = simulate(rng, 500)
    booster = train(matrix, rng, num_leaves=9)
    if how == "refitted":
        booster = booster.refit(matrix[:100], rng.normal(size=100))
    elif how == "continued":
        data = lightgbm.Dataset(matrix[:200] * 1.25, rng.normal(size=200), free_raw_data=False)
        booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 5, init_model=booster)
    elif how == "first rounds only":
        booster = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=3))
    elif how == "constant":
        booster = train(matrix, rng, min_data_in_leaf=400)
        assert len(read_trees(booster.model_to_string()).feature) == 0
    else:
        booster = lightgbm.Booster(model_str=lightgbm.Booster(model_str=booster.model_to_string()).model_to_string())
    agree(booster, matrix)


# --- The contributions, without LightGBM ------------------------------------------------------------------------


def one_tree(n_features: int, **lines: str) -> str:
    """A model text with one tree."""
    names = " ".join(f"x{i}" for i in range(n_features))
    leaves = len(lines["leaf_value"].split(" "))
    tree = "".join(f"{key}={value}\n" for key, value in {"num_leaves": leaves, "num_cat": 0, **lines}.items())
    return resized(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={n_features - 1}\nobjective=regression\nfeature_names={names}\nfeature_infos={names}\n"
        f"tree_sizes=0\n\nTree=0\n{tree}\n\nend of trees\n"
    )


def test_a_model_without_trees_scores_zero() -> None:
    empty = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n"
        "feature_names=a b\nfeature_infos=none none\ntree_sizes=\n\nend of trees\n"
    )
    kernel = TreeKernel(read_trees(empty))
    np.testing.assert_array_equal(kernel.predict([[1.0, 2.0]]), [0.0])
    np.testing.assert_array_equal(kernel.contributions([[1.0, 2.0]]), [[0.0, 0.0, 0.0]])


def test_one_split_moves_the_score_from_the_mean_of_the_training_rows() -> None:
    # Three training rows at 1, one at 5: mean 2.
    stump = one_tree(
        2,
        split_feature="1",
        threshold="0.5",
        decision_type="0",
        left_child="-1",
        right_child="-2",
        leaf_value="1 5",
        leaf_count="3 1",
        internal_count="4",
    )
    kernel = TreeKernel(read_trees(stump))
    np.testing.assert_array_equal(kernel.predict([[9.0, 0.5], [9.0, 0.6]]), [1.0, 5.0])
    np.testing.assert_allclose(
        kernel.contributions([[9.0, 0.5], [9.0, 0.6]]), [[0.0, -1.0, 2.0], [0.0, 3.0, 2.0]], atol=1e-15
    )


def test_contributions_are_shapley_values_of_the_path_dependent_game() -> None:
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(400, 4))
    target = matrix[:, 0] * matrix[:, 1] + np.abs(matrix[:, 2]) + matrix[:, 3]
    options = {"objective": "regression", "num_leaves": 12, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    text = lightgbm.train(options, lightgbm.Dataset(matrix, target), 1).model_to_string()
    ensemble = read_trees(text)
    features = range(ensemble.n_features)

    def worth(row: NDArray[np.float64], known: Iterable[int], first: int, last: int) -> float:
        """Mean of a subtree's leaves where only some features are known (Lundberg 2020, algorithm 1)."""
        if last - first == 1:
            return float(ensemble.leaf_value[first])
        split = next(s for s in range(len(ensemble.feature)) if (ensemble.first[s], ensemble.last[s]) == (first, last))
        middle = int(ensemble.middle[split])
        left, right = worth(row, known, first, middle), worth(row, known, middle, last)
        if ensemble.feature[split] in known:
            return left if row[ensemble.feature[split]] <= ensemble.threshold[split] else right
        counts = ensemble.leaf_count
        return float((left * counts[first:middle].sum() + right * counts[middle:last].sum()) / counts[first:last].sum())

    n_leaves = len(ensemble.leaf_value)
    for row, explained in zip(matrix[:20], TreeKernel(ensemble).contributions(matrix[:20]), strict=True):
        for feature in features:
            others = [other for other in features if other != feature]
            value = 0.0
            for size in range(len(others) + 1):
                weight = math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(features))
                for known in itertools.combinations(others, size):
                    gain = worth(row, (*known, feature), 0, n_leaves) - worth(row, known, 0, n_leaves)
                    value += weight * gain
            assert explained[feature] == pytest.approx(value, abs=1e-12)
        assert explained[-1] == pytest.approx(worth(row, (), 0, n_leaves), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 30), n_features=st.integers(1, 8), count=st.integers(0, 9))
def test_the_largest_contributions_are_named_in_order_of_size_and_then_of_column(
    seed: int, n: int, n_features: int, count: int
) -> None:
    contributions = np.random.default_rng(seed).integers(-3, 4, (n, n_features + 1)).astype(float)
    expected = np.argsort(-np.abs(contributions[:, :-1]), axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(largest_contributions(contributions, count), expected)


# --- A row's result depends on the row alone ---------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("batch", [1, 17, 4097, 5000])
def test_batch_size_and_threads_change_no_bit(batch: int, threads: int, text: str, rows: NDArray[np.float64]) -> None:
    kernel = TreeKernel(read_trees(text))
    whole = rows if batch > 1 else rows[:40]
    pieces = [whole[at : at + batch] for at in range(0, len(whole), batch)]
    scores = np.concatenate([kernel.predict(piece, threads=threads) for piece in pieces])
    contributions = np.concatenate([kernel.contributions(piece, threads=threads) for piece in pieces])
    np.testing.assert_array_equal(scores, kernel.predict(whole))
    np.testing.assert_array_equal(contributions, kernel.contributions(whole))


def test_memory_order_type_and_flags_of_the_matrix_change_no_bit(text: str, rows: NDArray[np.float64]) -> None:
    kernel = TreeKernel(read_trees(text))
    single = rows.astype(np.float32)
    locked = rows.copy()
    locked.flags.writeable = False
    expected = kernel.predict(rows), kernel.contributions(rows)
    for matrix in (np.asfortranarray(rows), locked, rows[:, ::-1][:, ::-1], rows.astype(">f8"), rows.tolist()):
        np.testing.assert_array_equal(kernel.predict(matrix), expected[0])
        np.testing.assert_array_equal(kernel.contributions(matrix), expected[1])
    np.testing.assert_array_equal(kernel.predict(single), kernel.predict(single.astype(float)))
    np.testing.assert_array_equal(kernel.predict(rows[::2]), expected[0][::2])
    assert rows.flags.writeable


def test_one_kernel_serves_several_threads_at_once(text: str, rows: NDArray[np.float64]) -> None:
    kernel = TreeKernel(read_trees(text))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: kernel.contributions(rows, threads=2), range(8)))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_no_rows_give_no_scores(text: str) -> None:
    kernel = TreeKernel(read_trees(text))
    empty = np.empty((0, NUMERIC + CATEGORICAL))
    assert kernel.predict(empty).shape == (0,)
    assert kernel.contributions(empty, threads=4).shape == (0, NUMERIC + CATEGORICAL + 1)


@pytest.mark.parametrize("shape", [(3, 5), (3, 7), (6,), (1, 2, 3)])
def test_a_matrix_of_another_width_is_refused(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(ValueError, match="the model has 6 features"):
        TreeKernel(read_trees(text)).predict(np.zeros(shape))


# --- Hostile texts ----------------------------------------------------------------------------------------------


def test_a_text_cut_anywhere_before_its_end_is_malformed(text: str) -> None:
    end = text.index("end of trees\n") + len("end of trees\n")
    assert read_trees(text[:end]).n_trees == 8
    for at in [*range(0, end, 61), *range(end - 60, end)]:
        with pytest.raises(MalformedModel):
            read_trees(text[:at])


TREE_FAULTS = {
    "a child beyond the splits": ("left_child", {0: 6}, "tree 2, left_child: entry 0 is outside"),
    "a child beyond the leaves": ("right_child", {0: -8}, "tree 2, right_child: entry 0 is outside"),
    "a cycle": ("left_child", {1: 0}, "tree 2: node 0 is reached twice"),
    "two ways to one leaf": ("right_child", "-1 -1 -1 -1 -1 -1", "tree 2: node -1 is reached twice"),
    "a feature that is not there": ("split_feature", {0: 6}, "tree 2, split_feature: entry 0 is outside 0 to 5"),
    "a negative feature": ("split_feature", {0: -1}, "tree 2, split_feature: entry 0 is outside"),
    "an unknown missing type": ("decision_type", {0: 12}, "tree 2, decision_type: entry 0 is outside"),
    "one threshold too few": ("threshold", "1 2 3 4 5", "tree 2, threshold: it has 5 entries instead of 6"),
    "a threshold that is no number": ("threshold", {0: "nan"}, "not a number"),
    "an infinite leaf": ("leaf_value", {0: "inf"}, "tree 2, leaf_value: a value is not finite"),
    "a word among the leaves": ("leaf_value", {0: "x"}, "tree 2, leaf_value: it holds something"),
    "a leaf too many": ("leaf_value", {6: "1 2"}, "tree 2, leaf_value: it has 8 entries instead of 7"),
    "a negative count": ("leaf_count", {0: -3}, "tree 2, leaf_count: entry 0 is outside"),
    "a fractional count": ("leaf_count", {0: 1.5}, "tree 2, leaf_count: it holds something"),
    "an underscore": ("leaf_count", {0: "1_0"}, "tree 2, leaf_count: it holds something"),
    "another number of leaves": ("num_leaves", "6", "entries instead of"),
    "a vast number of leaves": ("num_leaves", "2000000000", "entries instead of"),
    "no leaves": ("num_leaves", "0", "tree 2, num_leaves: entry 0 is outside"),
    "a vast number of category sets": ("num_cat", "2000000000", "cat_boundaries"),
}


@pytest.mark.parametrize("fault", TREE_FAULTS)
def test_a_malformed_tree_is_refused_with_its_place(fault: str, text: str) -> None:
    key, entries, message = TREE_FAULTS[fault]
    with pytest.raises(MalformedModel, match=re.escape(message)):
        read_trees(replaced(text, 2, key, entries))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tree\n", "forest\n"),
        ("max_feature_idx=5", "max_feature_idx=999999999"),
        ("num_class=1\n", ""),
        ("tree_sizes=", "tree_sizes=-5 "),
        ("tree_sizes=", "tree_sizes=99999999999999999999999 "),
        ("Tree=1\n", "Tree=7\n"),
        ("label_index=0\n", "label_index=0\nlabel_index=0\n"),
        ("\nend of trees", "\nTree=8\n"),
    ],
)
def test_a_malformed_header_is_refused(old: str, new: str, text: str) -> None:
    assert old in text
    with pytest.raises(MalformedModel):
        read_trees(text.replace(old, new, 1))


def test_bytes_that_are_not_utf8_are_refused(text: str) -> None:
    assert read_trees(text.encode()).n_trees == 8
    with pytest.raises(MalformedModel, match="byte 1 is not UTF-8"):
        read_trees(b"t\xff" + text.encode())


def test_category_sets_beyond_the_text_are_refused(text: str) -> None:
    tree = next(i for i in range(8) if re.search(rf"Tree={i}\nnum_leaves=7\nnum_cat=[1-9]", text))
    with pytest.raises(MalformedModel, match="cat_boundaries"):
        read_trees(replaced(text, tree, "cat_boundaries", {-1: 1000}))
    with pytest.raises(MalformedModel, match="cat_threshold"):
        read_trees(replaced(text, tree, "cat_threshold", {0: 2**32}))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_mutated_text_is_refused_or_scored_but_never_crashes(data: st.DataObject, text: str) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    end = text.index("end of trees") + len("end of trees\n")
    raw = bytearray(text[:end].encode())
    way = data.draw(st.sampled_from(["bytes", "digits", "lines"]))
    if way == "bytes":
        for at in rng.integers(0, len(raw), data.draw(st.integers(1, 5))):
            raw[at] = rng.integers(0, 256)
    elif way == "digits":
        digits = [at for at, byte in enumerate(raw) if byte in b"0123456789-"]
        for at in rng.choice(digits, data.draw(st.integers(1, 4))):
            raw[at] = rng.choice(list(b"0123456789-"))
    else:
        lines = bytes(raw).split(b"\n")
        first, second = rng.integers(0, len(lines), 2)
        lines[first], lines[second] = lines[second], lines[first]
        raw = bytearray(b"\n".join(lines))
    with suppress(UnusableModel):
        kernel = TreeKernel(read_trees(bytes(raw)))
        matrix = simulate(np.random.default_rng(0), 100)[:, : kernel.ensemble.n_features]
        assert np.isfinite(kernel.predict(matrix)).all()
        assert np.isfinite(kernel.contributions(matrix)).all()


# --- Limits -----------------------------------------------------------------------------------------------------


def test_several_classes_forests_and_linear_leaves_are_left_to_lightgbm(rows: NDArray[np.float64]) -> None:
    matrix = np.nan_to_num(rows[:300, :3])
    options = {"verbose": -1, "num_threads": 1}
    cases = {
        "several classes": {"objective": "multiclass", "num_class": 3},
        "averages its trees": {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        "linear models": {"linear_tree": True},
    }
    for message, special in cases.items():
        data = lightgbm.Dataset(
            matrix, np.arange(300) % 3, params={"verbose": -1, "linear_tree": "linear_tree" in special}
        )
        model = lightgbm.train({**options, **special}, data, 2)
        with pytest.raises(UnsupportedModel, match=message):
            read_trees(model.model_to_string())


def test_formats_and_lines_from_the_future_are_left_to_lightgbm(text: str) -> None:
    with pytest.raises(UnsupportedModel, match="format 'v5'"):
        read_trees(text.replace("version=v4", "version=v5"))
    with pytest.raises(UnsupportedModel, match="'leaf_noise' is unknown"):
        read_trees(resized(text.replace("shrinkage=", "leaf_noise=1\nshrinkage=", 1)))


def test_trees_of_too_many_leaves_are_scored_but_not_explained_and_then_neither() -> None:
    rng = np.random.default_rng(8)
    matrix = rng.normal(size=(3000, 3))
    for n_leaves, scored in ((65, True), (257, False)):
        options = {"objective": "regression", "num_leaves": n_leaves, "min_data_in_leaf": 2, "verbose": -1}
        data = lightgbm.Dataset(matrix, rng.normal(size=3000))
        booster = lightgbm.train({**options, "num_threads": 1}, data, 2)
        ensemble = read_trees(booster.model_to_string())
        if scored:
            kernel = TreeKernel(ensemble)
            np.testing.assert_array_equal(kernel.predict(matrix), booster.predict(matrix, raw_score=True))
            with pytest.raises(UnsupportedModel, match="65 leaves; the limit for contributions is 64"):
                kernel.contributions(matrix)
        else:
            with pytest.raises(UnsupportedModel, match="257 leaves; the limit is 256"):
                TreeKernel(ensemble)


def test_counts_that_do_not_add_up_forbid_contributions_but_not_scores(
    text: str, booster: lightgbm.Booster, rows: NDArray[np.float64]
) -> None:
    for key in ("leaf_count", "internal_count"):
        kernel = TreeKernel(read_trees(replaced(text, 3, key, {0: 99_999})))
        np.testing.assert_array_equal(kernel.predict(rows), booster.predict(rows, raw_score=True))
        with pytest.raises(UnsupportedModel, match="tree 3: the leaves under split"):
            kernel.contributions(rows)


def test_few_rows_are_better_left_to_lightgbm() -> None:
    assert not worthwhile(100)
    assert not worthwhile(100, contributions=True)
    assert worthwhile(10_000, contributions=True)
    assert worthwhile(1_000_000)


# --- The package --------------------------------------------------------------------------------------------------


def test_the_package_knows_trees_and_arrays_and_nothing_else() -> None:
    allowed = {"numba", "numpy", "serving.tree_kernel", *sys.stdlib_module_names}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert any(name == module or name.startswith(f"{module}.") for module in allowed), f"{path}: {name}"


def test_neither_importing_the_package_nor_reading_a_model_loads_numba(text: str) -> None:
    script = (
        "import json, sys\n"
        "from serving.tree_kernel import read_trees\n"
        "read_trees(sys.stdin.read())\n"
        "print(json.dumps(sorted(name for name in sys.modules if '.' not in name)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, text=True, check=True)
    assert not {"numba", "lightgbm", "scipy", "pandas"} & set(json.loads(done.stdout))


def test_compiled_functions_call_none_of_another_file() -> None:
    """Numba's cache only notices changes of the file that a function is in."""
    for name in MODULES:
        module = import_module(f"serving.tree_kernel.{name}")
        compiled = {key: value for key, value in vars(module).items() if hasattr(value, "py_func")}
        foreign = {key for key, value in compiled.items() if value.py_func.__module__ != module.__name__}
        for value in compiled.values():
            assert not foreign & set(value.py_func.__code__.co_names), f"{name}.{value.py_func.__name__}"


def load_module(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOURCE = "from serving.tree_kernel.compiling import compiled\n\n\n@compiled\ndef double(x):\n    return 2 * x\n"


def test_compiled_code_is_kept_and_a_damaged_cache_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "doubling.py"
    source.write_text(SOURCE, encoding="utf-8")
    assert load_module(source).double(21.0) == 42.0
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.suffix for path in kept} == {".nbi", ".nbc"}
    for damaged in kept:
        damaged.write_bytes(damaged.read_bytes()[:20])
        again = load_module(source).double
        assert again(21.0) == 42.0
        assert not again.stats.cache_hits
        mended = load_module(source).double
        assert mended(21.0) == 42.0
        assert mended.stats.cache_hits


def test_where_no_cache_can_be_kept_the_functions_are_compiled_without() -> None:
    namespace: dict[str, Any] = {}
    exec(compile("def double(x):\n    return 2 * x\n", "<no file>", "exec"), namespace)
    assert compiled(namespace["double"])(21.0) == 42.0


def test_where_the_cache_cannot_be_written_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", fail)
    source = tmp_path / "doubling_on_a_full_disk.py"
    source.write_text(SOURCE, encoding="utf-8")
    assert load_module(source).double(21.0) == 42.0
