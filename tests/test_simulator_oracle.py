"""The oracle: best attainable scores and true effects, against brute force and hand-worked values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from features.synthetic import simulate_cohort
from features.synthetic.assay import MEASURES
from features.synthetic.oracle import (
    bayes_optimal,
    biomarker_effects,
    expected_auroc,
    intervene,
    interventions,
    patient_effects,
    write_oracle,
)
from features.synthetic.parameters import effects


def truth_of(probabilities: list[float], adc: str = "T-DXd") -> pd.DataFrame:
    return pd.DataFrame(
        {"adc": adc, "endpoint": "objective_response", "true_probability": np.array(probabilities, dtype=float)}
    )


def test_two_patients_worked_by_hand() -> None:
    # P(0.8 responds, 0.4 not) = 0.48; P(0.4 responds, 0.8 not) = 0.08; ties with itself: 0.16 and 0.24.
    expected = (0.48 + 0.5 * (0.16 + 0.24)) / (0.48 + 0.08 + 0.16 + 0.24)
    assert expected_auroc(np.array([0.8, 0.4])) == pytest.approx(expected)
    row = bayes_optimal(truth_of([0.8, 0.4])).iloc[0]
    assert row["brier"] == pytest.approx((0.16 + 0.24) / 2)
    assert row["response_rate"] == pytest.approx(0.6)


def test_equal_probabilities_cannot_be_ranked() -> None:
    assert expected_auroc(np.full(50, 0.3)) == pytest.approx(0.5)


def test_the_expected_auroc_equals_the_sum_over_all_pairs() -> None:
    p = np.random.default_rng(1).random(60).round(1).clip(0.05, 0.95)
    wins = (p[:, None] > p) + 0.5 * (p[:, None] == p)
    weight = p[:, None] * (1 - p)
    assert expected_auroc(p) == pytest.approx(float((wins * weight).sum() / weight.sum()))


def test_scores_on_drawn_outcomes_approach_the_best_attainable() -> None:
    cohort = simulate_cohort(40_000, 3)
    late = (cohort.truth["endpoint"] == "objective_response").to_numpy()
    outcome = cohort.patients.loc[late, "objective_response"].to_numpy()
    probability = cohort.truth.loc[late, "true_probability"].to_numpy()
    best = bayes_optimal(cohort.truth).set_index(["endpoint", "adc"]).loc[("objective_response", "all")]
    assert roc_auc_score(outcome, probability) == pytest.approx(best["auroc"], abs=0.008)
    assert brier_score_loss(outcome, probability) == pytest.approx(best["brier"], abs=0.004)
    assert log_loss(outcome, probability) == pytest.approx(best["log_loss"], abs=0.01)


def test_the_default_cohort_is_as_hard_as_real_ones() -> None:
    best = bayes_optimal(simulate_cohort(20_000, 1).truth).set_index(["endpoint", "adc"])["auroc"]
    assert 0.75 < best["objective_response", "all"] < 0.82
    assert best["objective_response", "T-DM1"] < best["objective_response", "all"]


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return biomarker_effects(3_000, 2).set_index(["measure", "endpoint", "adc"])


def test_every_measure_of_a_cohort_has_an_effect_or_a_zero(found: pd.DataFrame) -> None:
    assert set(found.index.get_level_values("measure")) == set(MEASURES)


def test_setting_a_report_on_the_tumour_changes_nothing(found: pd.DataFrame) -> None:
    for report in ("erbb2_mrna_z", "her2_ish_ratio", "her2_h_score", "p95her2_positive", "age_years"):
        rows = found.loc[report]
        assert not rows["acts"].any()
        assert (rows["change_probability"] == 0.0).all()


def test_effects_have_their_direction_and_stay_with_their_payload(found: pd.DataFrame) -> None:
    change = found["change_log_odds"].xs("objective_response", level="endpoint")
    assert change["slc46a3_mrna_z", "T-DM1"] > 0.1
    assert change["slc46a3_mrna_z"][["T-DXd", "RC48", "ARX788"]].abs().max() == 0.0
    assert change["abcc1_mrna_z", "T-DXd"] < -0.1
    assert change["abcc1_mrna_z", "T-DM1"] == 0.0
    assert change["pik3ca_mutated"].abs().max() == 0.0
    assert change["her2_ihc", "T-DM1"] > change["her2_ihc", "RC48"] > 0.0
    assert change["her2_heterogeneous", "T-DM1"] < 3.0 * change["her2_heterogeneous", "T-DXd"] < 0.0
    assert change["erbb2_deletion", "T-DXd"] < -0.5


def test_an_additive_effect_is_its_size_in_every_patient() -> None:
    changes = patient_effects(400, 5, setting="metastatic", adcs=["T-DXd"])
    expected = effects()["cdk12"].best_estimate("topoisomerase1_cleavable")
    np.testing.assert_allclose(changes["cdk12_amplified"], expected, atol=1e-9)


def test_an_effect_before_a_bounded_step_differs_between_patients() -> None:
    changes = patient_effects(400, 5, setting="metastatic", adcs=["T-DM1"])
    assert changes["her2_negative_fraction"].std() > 0.05
    assert (changes["her2_negative_fraction"] < 0).all()


def test_an_intervention_leaves_the_original_and_everything_else_as_it_was() -> None:
    tumours = {"a": np.arange(3.0), "b": np.ones(3)}
    changed = intervene(tumours, "a", 7.0)
    np.testing.assert_array_equal(tumours["a"], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(changed["a"], [7.0, 7.0, 7.0])
    assert changed["b"] is tumours["b"]


def test_interventions_are_on_measures_of_the_cohort_file() -> None:
    assert set(interventions()) <= {*MEASURES, "pam50_her2_enriched"}


def test_the_oracle_file_holds_scores_and_effects_and_says_simulated(tmp_path: Path) -> None:
    path = write_oracle(tmp_path / "oracle.json", patients=300, seed=1, trial="DESTINY-Breast03")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["data_origin"] == "simulated"
    assert {row["adc"] for row in content["best_attainable"]} == {"all", "T-DM1", "T-DXd"}
    assert all(0.5 <= row["auroc"] <= 1.0 for row in content["best_attainable"])
    assert {row["measure"] for row in content["true_effects"]} == set(MEASURES)
