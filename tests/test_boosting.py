"""Boosting for small cohorts: monotone, calibrated, reproducible, and one model text for all of it."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from features.feature_table import FeatureColumn, FeatureSchema
from training.boosting import AdcResponseClassifier
from training.calibration import _venn_abers, recalibrate, venn_abers_table
from training.tree_text import combine

SCHEMA = FeatureSchema(
    (
        FeatureColumn("her2_ish_ratio", "ratio", "numeric", "ratio", "biomarker", monotone=1, core=True),
        FeatureColumn("her2_heterogeneous", "het", "binary", "yes/no", "biomarker", monotone=-1, core=True),
        FeatureColumn("age_years", "age", "numeric", "years", "biomarker"),
        FeatureColumn("lab, 'new' [x]", "lab", "categorical", "level", "extra", levels=("a", "b", "c", "d", "e", "f")),
    )
)


def patients(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = np.column_stack(
        [
            random.normal(3, 2, count),
            random.integers(0, 2, count),
            random.normal(60, 9, count),
            random.integers(0, 6, count),
        ]
    ).astype(float)
    z = 0.6 * (X[:, 0] - 3) - 1.2 * X[:, 1] + 0.9 * (X[:, 3] == 2)
    outcome = (random.random(count) < expit(z)).astype(int)
    X[random.random(X.shape) < 0.1] = np.nan
    return X, outcome


@pytest.fixture(scope="module")
def fitted() -> AdcResponseClassifier:
    X, y = patients(400, 1)
    return AdcResponseClassifier(SCHEMA, bags=3).fit(X, y)


def test_it_learns_what_is_there_to_learn(fitted: AdcResponseClassifier) -> None:
    X, y = patients(2000, 2)
    scores = fitted.decision_function(X)
    wins = scores[y == 1][:, None] > scores[y == 0]
    assert wins.mean() > 0.74
    assert fitted.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), abs=0.06)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), low=st.floats(-3, 10), rise=st.floats(0, 8))
def test_more_of_a_constrained_biomarker_never_moves_the_prediction_against_its_sign(
    fitted: AdcResponseClassifier, seed: int, low: float, rise: float
) -> None:
    X, _ = patients(40, seed)
    less, more = X.copy(), X.copy()
    less[:, 0], more[:, 0] = low, low + rise
    assert (fitted.decision_function(more) >= fitted.decision_function(less) - 1e-12).all()
    less[:, 1], more[:, 1] = 0, 1
    more[:, 0] = low
    assert (fitted.decision_function(more) <= fitted.decision_function(less) + 1e-12).all()


def test_contributions_add_up_to_the_calibrated_log_odds(fitted: AdcResponseClassifier) -> None:
    X, _ = patients(100, 3)
    assert fitted.contributions(X).shape == (100, 5)
    np.testing.assert_allclose(fitted.contributions(X).sum(axis=1), fitted.decision_function(X), atol=1e-10)


def test_the_model_text_alone_gives_the_same_predictions(fitted: AdcResponseClassifier) -> None:
    X, _ = patients(100, 4)
    alone = lightgbm.Booster(model_str=fitted.model_text_).predict(X, raw_score=True)
    np.testing.assert_array_equal(alone, fitted.decision_function(X))


def test_equal_seeds_give_equal_models_and_other_seeds_others() -> None:
    X, y = patients(120, 5)

    def text(seed: int) -> str:
        return AdcResponseClassifier(SCHEMA, bags=2, most_rounds=40, seed=seed).fit(X, y).model_text_

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_noise_gives_predictions_close_to_the_response_rate() -> None:
    X, y = patients(150, 6)
    y = np.random.default_rng(0).permutation(y)
    probability = AdcResponseClassifier(SCHEMA).fit(X, y).predict_proba(X)[:, 1]
    assert np.abs(probability - y.mean()).mean() < 0.1


def test_an_unproven_biomarker_needs_more_evidence_than_a_core_one() -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(300, 2))
    y = (random.random(300) < expit(X.sum(axis=1))).astype(int)
    columns = (
        FeatureColumn("her2_ish_ratio", "", "numeric", "", "biomarker", core=True),
        FeatureColumn("plk1_mrna_z", "", "numeric", "", "biomarker"),
    )
    shap = AdcResponseClassifier(FeatureSchema(columns), column_share=1.0).fit(X, y).contributions(X)
    core, unproven = np.abs(shap[:, :2]).mean(axis=0)
    assert core > unproven > 0


def test_one_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="both 0 and 1"):
        AdcResponseClassifier().fit(np.zeros((40, 2)), np.zeros(40, dtype=int))


def test_a_cohort_of_one_group_is_still_fitted() -> None:
    X, y = patients(60, 7)
    model = AdcResponseClassifier(SCHEMA, bags=1, most_rounds=20).fit(X, y, groups=np.zeros(60, dtype=int))
    assert np.isfinite(model.decision_function(X)).all()


def test_nothing_is_printed_or_warned_of(capfd: pytest.CaptureFixture[str]) -> None:
    X, y = patients(60, 8)
    AdcResponseClassifier(SCHEMA, bags=1, most_rounds=20).fit(X, y)
    assert capfd.readouterr() == ("", "")


# -- joined boosters ---------------------------------------------------------------------------------------------


def boosters(count: int) -> tuple[np.ndarray, list[Any]]:
    X, y = patients(200, 9)
    settings = {
        "objective": "binary",
        "verbosity": -1,
        "num_threads": 1,
        "num_leaves": 5,
        "bagging_fraction": 0.6,
        "bagging_freq": 1,
    }
    data = lightgbm.Dataset(X, y, categorical_feature=[3], params={"verbosity": -1}, free_raw_data=False)
    return X, [lightgbm.train({**settings, "seed": s}, data, 12) for s in range(count)]


def test_joined_boosters_predict_the_weighted_sum_and_explain_it() -> None:
    X, parts = boosters(3)
    weights = [0.5, 0.2, -0.1]
    joined = lightgbm.Booster(model_str=combine([b.model_to_string() for b in parts], weights, intercept=-0.4))
    raw = sum(w * b.predict(X, raw_score=True) for w, b in zip(weights, parts, strict=True)) - 0.4
    shap = sum(w * b.predict(X, pred_contrib=True) for w, b in zip(weights, parts, strict=True))
    np.testing.assert_allclose(joined.predict(X, raw_score=True), raw, atol=1e-12)
    np.testing.assert_allclose(joined.predict(X, pred_contrib=True)[:, :-1], shap[:, :-1], atol=1e-12)


def test_boosters_of_other_columns_cannot_be_joined() -> None:
    X, (part,) = boosters(1)
    other = lightgbm.train({"objective": "binary", "verbosity": -1}, lightgbm.Dataset(X[:, :2], np.arange(200) % 2), 2)
    with pytest.raises(ValueError, match="same columns"):
        combine([part.model_to_string(), other.model_to_string()], [1.0, 1.0])


# -- calibration -------------------------------------------------------------------------------------------------


def test_recalibration_matches_the_mean_prediction_to_the_observed_rate() -> None:
    random = np.random.default_rng(2)
    z = random.normal(size=400)
    y = (random.random(400) < expit(0.5 * z + 1)).astype(int)
    line = recalibrate(y, z)
    assert expit(line.intercept + line.slope * z).mean() == pytest.approx(y.mean(), abs=1e-6)
    assert line.method == "slope_intercept"
    assert 0.4 < line.slope < 0.9


def test_the_slope_of_a_small_cohort_stays_one_and_is_never_negative_in_a_large_one() -> None:
    random = np.random.default_rng(3)
    z, y = random.normal(size=40), random.integers(0, 2, 40)
    assert (recalibrate(y, z).method, recalibrate(y, z).slope) == ("intercept", 1.0)
    z = random.normal(size=3000) * 3
    y = (random.random(3000) < expit(-z)).astype(int)
    assert recalibrate(y, z).slope == 0.0


def test_hand_worked_recalibration_of_a_constant_prediction() -> None:
    y = np.repeat([0, 1], [15, 45])
    assert recalibrate(y, np.zeros(60)).intercept == pytest.approx(logit(0.75))


@pytest.mark.parametrize("decimals", [1, 6])
def test_a_venn_abers_pair_equals_isotonic_regressions_with_the_patient_added(decimals: int) -> None:
    from sklearn.isotonic import IsotonicRegression

    random = np.random.default_rng(4)
    scores = np.round(random.normal(size=50), decimals)
    y = (random.random(50) < expit(scores)).astype(int)
    known, p0, p1 = _venn_abers(y, scores)
    for new in (-2.0, float(scores[3]), 0.05, 2.5):
        pair = p0[np.searchsorted(known, new, side="right")], p1[np.searchsorted(known, new, side="left")]
        for label, found in enumerate(pair):
            isotonic = IsotonicRegression().fit(np.r_[scores, new], np.r_[y, label])
            assert found == pytest.approx(isotonic.predict([new])[0], abs=1e-9)


@pytest.mark.parametrize("patients", [200, 3000])
def test_the_interval_holds_the_true_rate_of_a_score_in_nineteen_of_twenty(patients: int) -> None:
    random = np.random.default_rng(5)
    truth = np.linspace(-1.5, 1.5, 61)
    held = []
    for _ in range(8 if patients < 1000 else 1):
        scores = random.normal(size=patients)
        table = venn_abers_table((random.random(patients) < expit(scores)).astype(int), scores)
        low = np.asarray(table.low)[np.searchsorted(table.scores, truth, side="right")]
        high = np.asarray(table.high)[np.searchsorted(table.scores, truth, side="left")]
        assert (np.diff(low) >= 0).all()
        assert (np.diff(high) >= 0).all()
        held.append((low <= expit(truth)) & (expit(truth) <= high))
    assert np.mean(held) > 0.92


def test_making_venn_abers_tables_leaves_numpys_warnings_on() -> None:
    venn_abers_table(np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.4, 0.4, -1.0, 2.0]))
    assert np.geterr()["divide"] == "warn"
