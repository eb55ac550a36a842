"""Validation statistics against published and hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from training.validation.accuracy import delong, integrated_calibration_index, placements, smooth_calibration
from training.validation.comparator import comparator_test, slope_with_error
from training.validation.decision_curve import decision_curve, net_benefit
from training.validation.optimism import _plus, uninformed
from training.validation.sample_size import required_patients


@pytest.mark.parametrize(("parameters", "patients"), [(8, 600), (15, 1124), (30, 2247)])
def test_rileys_sample_sizes_are_the_published_ones(parameters: int, patients: int) -> None:
    found = required_patients(parameters, 0.5, r2_share=0.15)
    assert found.shrinkage == patients
    assert found.required == patients


def test_rileys_other_criteria_are_those_worked_by_hand() -> None:
    # A rate of 50% to within 5 points: (1.96 / 0.05)^2 / 4 = 384.16.
    assert required_patients(1, 0.5).rate == 385
    # R2 0.1125 of at most 0.75: shrinkage 0.1125 / (0.1125 + 0.0375) = 0.75, and 8 / (-0.25 ln 0.85) = 196.9.
    assert required_patients(8, 0.5).optimism == 197


def test_net_benefit_is_the_one_worked_by_hand() -> None:
    outcome, probability = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.6, 0.1, 0.1])
    # At 0.5 one responder and one other of five are treated, at odds of 1; at 0.2 two and one, at odds of a quarter.
    assert net_benefit(outcome, probability, 0.5)[0] == pytest.approx(0.0)
    assert net_benefit(outcome, probability, 0.2)[0] == pytest.approx((2 - 0.25) / 5)
    assert net_benefit(outcome, np.ones(5), 0.2)[0] == pytest.approx((2 - 0.25 * 3) / 5)


def test_a_perfect_model_has_the_response_rate_as_net_benefit_and_its_interval_around_it() -> None:
    outcome = np.array([0, 1] * 20)
    weights = np.random.default_rng(1).multinomial(40, [1 / 40] * 40, size=200).T.astype(np.float32)
    points = decision_curve(outcome, outcome.astype(float), None, weights)
    assert all(p.model == pytest.approx(0.5) for p in points)
    assert all(p.low <= p.model <= p.high for p in points)
    assert points[0].her2_ihc is None


def test_delongs_interval_is_the_one_worked_by_hand() -> None:
    # Responders 3, 2, 1 and others 0, 2 (a tie): placements 1, 0.75, 0.5 and 1, 0.5; area 0.75.
    outcome, scores = np.array([1, 1, 1, 0, 0]), np.array([3.0, 2.0, 1.0, 0.0, 2.0])
    of_responder, of_other = placements(scores[:3], scores[3:])
    np.testing.assert_allclose(of_responder, [1.0, 0.75, 0.5])
    np.testing.assert_allclose(of_other, [1.0, 0.5])
    found = delong(outcome, scores)
    # Variance 0.0625 / 3 + 0.125 / 2 = 0.083333; log-odds ln 3 with standard error 0.288675 / 0.1875.
    half = 1.959964 * np.sqrt(1 / 12) / 0.1875
    assert found.value == pytest.approx(0.75)
    assert found.low == pytest.approx(expit(np.log(3) - half))
    assert found.high == pytest.approx(expit(np.log(3) + half))


def test_delong_has_no_interval_where_there_is_none() -> None:
    assert delong(np.array([1, 1]), np.array([1.0, 2.0])).value is None
    separated = delong(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 2.0, 3.0]))
    assert separated.value == 1.0
    assert "separated" in separated.reason


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_placements_agree_with_every_pair_compared(seed: int) -> None:
    draws = np.random.default_rng(seed)
    responders, others = draws.integers(0, 5, 9).astype(float), draws.integers(0, 5, 7).astype(float)
    pairs = (responders[:, None] > others).astype(float) + 0.5 * (responders[:, None] == others)
    of_responder, of_other = placements(responders, others)
    np.testing.assert_allclose(of_responder, pairs.mean(axis=1))
    np.testing.assert_allclose(of_other, pairs.mean(axis=0))


def test_the_calibration_index_of_predictions_off_by_a_tenth_is_a_tenth() -> None:
    # Where the observed share is a straight line of the prediction, local lines give it back exactly.
    truth = np.repeat([0.25, 0.5, 0.75], 40)
    outcome = np.concatenate([[1] * 10 + [0] * 30, [1] * 20 + [0] * 20, [1] * 30 + [0] * 10])
    assert integrated_calibration_index(outcome, truth) == pytest.approx(0.0, abs=1e-9)
    assert integrated_calibration_index(outcome, truth - 0.1) == pytest.approx(0.1, abs=1e-9)


def test_the_smooth_curve_follows_the_truth_and_stays_between_0_and_1() -> None:
    draws = np.random.default_rng(3)
    probability = draws.uniform(0.0, 1.0, 4000)
    outcome = (draws.random(4000) < probability**2).astype(int)
    grid, observed = smooth_calibration(outcome, probability)
    assert np.all((observed >= 0) & (observed <= 1))
    # A span of three quarters smooths a square to within a few hundredths away from its ends.
    inner = (grid > 0.2) & (grid < 0.8)
    np.testing.assert_allclose(observed[inner], grid[inner] ** 2, atol=0.08)


def test_the_slope_and_its_error_are_those_of_a_two_by_two_table() -> None:
    # Odds 1 and 9: slope ln 9, variance 1/5 + 1/5 + 1/9 + 1/1.
    outcome = np.array([1] * 5 + [0] * 5 + [1] * 9 + [0])
    found = slope_with_error(outcome, np.repeat([0.0, 1.0], 10))
    assert found is not None
    assert found[0] == pytest.approx(np.log(9))
    assert found[1] == pytest.approx(np.sqrt(1 / 5 + 1 / 5 + 1 / 9 + 1))
    assert slope_with_error(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 2.0, 3.0])) is None


def test_a_score_that_matters_on_the_adc_alone_is_told_from_one_that_matters_everywhere() -> None:
    draws = np.random.default_rng(5)
    score, other = draws.normal(0, 1.5, 300), draws.normal(0, 1.5, 300)
    responds = (draws.random(300) < expit(score)).astype(int)
    prognostic = (draws.random(300) < expit(other)).astype(int)
    coin = draws.integers(0, 2, 300)
    specific = comparator_test("control", "T-DM1", (responds, score), (coin, other))
    assert specific.difference.excludes_zero
    assert "speaks for a predictive score" in specific.sentence
    both = comparator_test("control", "T-DM1", (responds, score), (prognostic, other))
    assert not both.interaction.excludes_zero
    assert "prognostic only" in both.sentence


def test_a_comparator_arm_of_a_few_gives_counts_and_the_reason() -> None:
    found = comparator_test("c", "T-DM1", (np.array([0, 1] * 20), np.arange(40.0)), (np.array([0, 1]), np.arange(2.0)))
    assert found.difference.value is None
    assert "too few" in found.sentence
    assert found.patients_comparator == 2


def test_corrected_by_632_plus_is_the_value_worked_by_hand() -> None:
    # Apparent 0.9, left out 0.7, chance 0.5: overfitted by half, weight 0.632 / (1 - 0.184).
    weight = 0.632 / (1 - 0.368 * 0.5)
    assert _plus("auroc", 0.9, 0.7, 0.5) == pytest.approx((1 - weight) * 0.9 + weight * 0.7)
    # All overfitting: what was left out alone counts, and chance bounds it.
    assert _plus("auroc", 0.9, 0.45, 0.5) == pytest.approx(0.5)
    assert _plus("brier", 0.1, 0.3, 0.26) == pytest.approx(0.26)
    assert _plus("calibration_slope", 1.4, 0.5, None) == pytest.approx(0.368 * 1.4 + 0.632 * 0.5)


def test_predictions_dealt_at_random_are_those_of_every_pairing() -> None:
    outcome, log_odds = np.array([1, 0, 0, 1, 0]), np.array([2.0, -1.0, 0.5, 0.0, -2.0])
    p = expit(log_odds)
    pairs = (outcome[:, None] - p[None, :]) ** 2
    losses = np.where(outcome[:, None] == 1, -np.log(p), -np.log(1 - p))
    found = uninformed(outcome, log_odds)
    assert found["brier"] == pytest.approx(pairs.mean())
    assert found["log_loss"] == pytest.approx(losses.mean())
