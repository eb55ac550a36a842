"""Metrics against scikit-learn, hand-worked values and an independent fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from training import metrics
from training.bootstrap import Estimate, HeldOut, evaluate, observed_rate, resampling_weights


def cohort(patients: int, seed: int, *, decimals: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and log-odds that are informative, too extreme, and tied where `decimals` is small."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=patients)
    outcome = (random.random(patients) < expit(truth)).astype(np.int64)
    return outcome, np.round(1.8 * truth + random.normal(size=patients) * 0.5 - 0.3, decimals)


def likelihood_line(outcome: np.ndarray, log_odds: np.ndarray, weights: np.ndarray, *, slope: bool) -> np.ndarray:
    """Maximum-likelihood intercept (and slope) by a general optimiser: an independent check of the Newton steps."""

    def loss(line: np.ndarray) -> float:
        fitted = line[0] + (line[1] if slope else 1.0) * log_odds
        return float(weights @ np.logaddexp(0, np.where(outcome == 1, -fitted, fitted)))

    return minimize(loss, [0.0, 1.0] if slope else [0.0], method="BFGS", options={"gtol": 1e-8}).x


@pytest.mark.parametrize("decimals", [6, 0])
def test_each_metric_equals_scikit_learn_with_and_without_ties(decimals: int) -> None:
    outcome, log_odds = cohort(300, 1, decimals=decimals)
    ones, probability = np.ones((300, 1)), expit(log_odds)
    one_fold = np.zeros(300, dtype=int)
    assert metrics.auroc(outcome, log_odds, one_fold, ones)[0] == pytest.approx(
        roc_auc_score(outcome, log_odds), abs=1e-12
    )
    assert metrics.average_precision(outcome, log_odds, ones)[0] == pytest.approx(
        average_precision_score(outcome, log_odds), abs=1e-12
    )
    assert metrics.brier_losses(outcome, log_odds).mean() == pytest.approx(brier_score_loss(outcome, probability))
    assert metrics.log_losses(outcome, log_odds).mean() == pytest.approx(log_loss(outcome, probability))


def test_weighted_metrics_equal_scikit_learn_with_sample_weights() -> None:
    outcome, log_odds = cohort(200, 2, decimals=1)
    weights = resampling_weights(np.arange(200), replicates=6, seed=3).astype(np.float64)
    fold = np.zeros(200, dtype=int)
    for r in range(6):
        column = weights[:, r]
        assert metrics.auroc(outcome, log_odds, fold, weights)[r] == pytest.approx(
            roc_auc_score(outcome, log_odds, sample_weight=column), abs=1e-12
        )
        assert metrics.average_precision(outcome, log_odds, weights)[r] == pytest.approx(
            average_precision_score(outcome, log_odds, sample_weight=column), abs=1e-12
        )


def test_a_hand_worked_auroc_counts_a_tie_as_half() -> None:
    # responders score 2, 1; others 1, 0: pairs 2>1, 2>0, 1=1, 1>0 make 3.5 of 4
    outcome, log_odds = np.array([1, 1, 0, 0]), np.array([2.0, 1.0, 1.0, 0.0])
    assert metrics.auroc(outcome, log_odds, np.zeros(4, dtype=int), np.ones((4, 1)))[0] == 3.5 / 4


def test_hand_worked_losses_of_a_certain_and_of_an_undecided_prediction() -> None:
    outcome = np.array([1, 0, 1])
    log_odds = np.array([0.0, 0.0, logit(0.9)])
    assert metrics.brier_losses(outcome, log_odds) == pytest.approx([0.25, 0.25, 0.01])
    assert metrics.log_losses(outcome, log_odds) == pytest.approx([np.log(2), np.log(2), -np.log(0.9)])


def test_patients_are_ranked_only_against_those_held_out_with_them() -> None:
    outcome = np.array([1, 0, 1, 0])
    fold = np.array([0, 0, 1, 1])
    # Perfect within each fold, though the second fold's model is shifted by far more than the difference.
    log_odds = np.array([0.2, 0.1, 5.2, 5.1])
    ones = np.ones((4, 1))
    assert metrics.auroc(outcome, log_odds, fold, ones)[0] == 1.0
    assert metrics.auroc(outcome, log_odds, np.zeros(4, dtype=int), ones)[0] == 0.75


@pytest.mark.parametrize("seed", range(3))
def test_calibration_slope_and_intercepts_equal_an_independent_maximum_likelihood_fit(seed: int) -> None:
    outcome, log_odds = cohort(250, seed)
    weights = np.column_stack([np.ones(250), resampling_weights(np.arange(250), replicates=5, seed=seed)])
    slope, intercept = metrics.calibration_line(outcome, log_odds, weights)
    in_the_large = metrics.calibration_in_the_large(outcome, log_odds, weights)
    for r in range(6):
        assert [intercept[r], slope[r]] == pytest.approx(
            likelihood_line(outcome, log_odds, weights[:, r], slope=True), abs=1e-5
        )
        assert in_the_large[r] == pytest.approx(
            likelihood_line(outcome, log_odds, weights[:, r], slope=False)[0], abs=1e-5
        )


@pytest.mark.parametrize("patients", [60, 4000])
def test_replicates_in_single_precision_equal_those_in_double(patients: int) -> None:
    outcome, log_odds = cohort(patients, 9)
    single = resampling_weights(np.arange(patients), replicates=50, seed=9)
    double = single.astype(np.float64)
    assert single.dtype == np.float32
    for found, wanted in (
        (metrics.calibration_line(outcome, log_odds, single), metrics.calibration_line(outcome, log_odds, double)),
        (
            metrics.calibration_in_the_large(outcome, log_odds, single),
            metrics.calibration_in_the_large(outcome, log_odds, double),
        ),
    ):
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_hand_worked_calibration_in_the_large_of_a_constant_prediction() -> None:
    # 3 of 4 responded where 1 in 2 was predicted: the intercept is logit(3/4) - logit(1/2) = log 3.
    outcome, log_odds = np.array([1, 1, 1, 0]), np.zeros(4)
    assert metrics.calibration_in_the_large(outcome, log_odds, np.ones((4, 1)))[0] == pytest.approx(np.log(3), abs=1e-6)


def test_hand_worked_calibration_slope_of_two_groups() -> None:
    # Predicted log-odds -1 and 1; observed 1 of 4 and 3 of 4, so log-odds -log 3 and log 3: slope log 3.
    outcome = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    log_odds = np.repeat([-1.0, 1.0], 4)
    slope, intercept = metrics.calibration_line(outcome, log_odds, np.ones((8, 1)))
    assert slope[0] == pytest.approx(np.log(3), abs=1e-6)
    assert intercept[0] == pytest.approx(0, abs=1e-6)


def test_complete_separation_has_no_calibration_slope_and_the_reason_is_given() -> None:
    outcome = np.repeat([0, 1], 20)
    log_odds = np.where(outcome == 1, 2.0, -2.0) + np.linspace(-0.5, 0.5, 40)
    held_out = HeldOut(outcome, np.zeros((1, 40), dtype=int), resampling_weights(np.arange(40), replicates=20))
    slope = evaluate(held_out, log_odds[None, :]).estimate("calibration_slope")
    assert slope == Estimate(None, reason="the predictions separate the outcomes completely")


def test_one_outcome_leaves_a_reason_for_each_metric_and_the_rest_survive() -> None:
    held_out = HeldOut(np.ones(30, dtype=int), np.zeros((1, 30), dtype=int), resampling_weights(np.arange(30)))
    evaluation = evaluate(held_out, np.linspace(-1, 1, 30)[None, :])
    assert evaluation.estimate("auroc").reason == "all patients have the same outcome"
    assert evaluation.estimate("auroc").value is None
    assert evaluation.estimate("log_loss").value is not None


def test_a_prediction_that_differs_only_between_folds_has_no_calibration_slope() -> None:
    outcome, _ = cohort(60, 4)
    folds = np.arange(60)[None, :] % 5
    evaluation = evaluate(HeldOut(outcome, folds, resampling_weights(np.arange(60))), folds * 0.01)
    assert evaluation.estimate("auroc").value == 0.5
    assert evaluation.estimate("calibration_slope").reason == "the predictions do not differ between patients"


def test_a_prediction_that_is_no_number_spoils_its_model_only() -> None:
    outcome, log_odds = cohort(40, 5)
    held_out = HeldOut(outcome, np.zeros((1, 40), dtype=int), resampling_weights(np.arange(40)))
    log_odds[3] = np.nan
    assert "no number" in evaluate(held_out, log_odds[None, :]).estimate("brier").reason


def test_the_interval_of_the_response_rate_is_close_to_the_binomial_one() -> None:
    outcome = np.repeat([0, 1], [60, 40])
    rate = observed_rate(outcome, resampling_weights(np.arange(100), seed=1))
    half = 1.96 * np.sqrt(0.4 * 0.6 / 100)
    assert rate.value == 0.4
    assert (rate.low, rate.high) == pytest.approx((0.4 - half, 0.4 + half), abs=0.02)


def test_auroc_interval_is_close_to_the_one_of_delong() -> None:
    outcome, log_odds = cohort(400, 6)
    held_out = HeldOut(outcome, np.zeros((1, 400), dtype=int), resampling_weights(np.arange(400), seed=2))
    estimate = evaluate(held_out, log_odds[None, :]).estimate("auroc")
    responders, others = log_odds[outcome == 1], log_odds[outcome == 0]
    wins = (responders[:, None] > others).astype(float)
    variance = wins.mean(axis=1).var(ddof=1) / len(responders) + wins.mean(axis=0).var(ddof=1) / len(others)
    half = 1.96 * np.sqrt(variance)
    assert (estimate.low, estimate.high) == pytest.approx((estimate.value - half, estimate.value + half), abs=0.01)


def test_a_model_differs_from_itself_by_exactly_zero_and_from_a_worse_one_beyond_zero() -> None:
    outcome, log_odds = cohort(300, 7)
    held_out = HeldOut(outcome, np.zeros((1, 300), dtype=int), resampling_weights(np.arange(300)))
    good, bad = evaluate(held_out, log_odds[None, :] / 1.8), evaluate(held_out, -log_odds[None, :])
    same = good.difference(good, "log_loss")
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert not same.excludes_zero
    worse = bad.difference(good, "log_loss")
    assert worse.excludes_zero
    assert worse.low > 0


def test_members_of_a_group_are_drawn_together() -> None:
    groups = np.repeat(np.arange(25), 4)
    weights = resampling_weights(groups, replicates=10)
    assert (weights.reshape(25, 4, 10) == weights.reshape(25, 4, 10)[:, :1]).all()
    assert (weights.sum(axis=0) == 100).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), patients=st.integers(8, 60), decimals=st.integers(0, 3))
def test_rank_metrics_do_not_change_with_the_order_of_patients_or_a_rising_transformation(
    seed: int, patients: int, decimals: int
) -> None:
    outcome, log_odds = cohort(patients, seed, decimals=decimals)
    outcome[:2] = [0, 1]
    order = np.random.default_rng(seed).permutation(patients)
    ones, fold = np.ones((patients, 1)), np.zeros(patients, dtype=int)
    for changed in (log_odds[order], expit(log_odds[order])):
        assert metrics.auroc(outcome[order], changed, fold, ones) == pytest.approx(
            metrics.auroc(outcome, log_odds, fold, ones)
        )
        assert metrics.average_precision(outcome[order], changed, ones) == pytest.approx(
            metrics.average_precision(outcome, log_odds, ones)
        )
