"""Training: who is learned from, what is refused, and an honest comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.cohort import Cohort, CohortSource
from features.errors import InputError
from features.feature_table import encode
from features.synthetic.cohort import simulate_cohort
from training.bootstrap import Estimate
from training.model_bundle import ModelBundle
from training.text_lines import cell, metrics_table, wrapped
from training.train import Plan, TrainingResult, prepare_training, train
from training.training_table import outcome_of, prepare
from training.training_text import verdict


def cohort(patients: int, seed: int = 0, **options: object) -> Cohort:
    table = simulate_cohort(patients, seed, setting="metastatic", **options).patients
    return of_table(table)


def of_table(table: pd.DataFrame, kind: str = "simulated") -> Cohort:
    source = CohortSource("cohort.csv", None, "c" * 64, kind)
    return Cohort(source, table, tuple(range(2, len(table) + 2)), len(table))


@pytest.fixture(scope="module")
def trained() -> TrainingResult:
    return train(cohort(160), "objective_response", folds=3, repeats=2)


# -- who is learned from -------------------------------------------------------------------------------------


def test_patients_without_an_adc_or_a_known_outcome_are_left_out_and_counted() -> None:
    table = cohort(100).patients.copy()
    table.loc[:9, "adc"] = "none"
    table.loc[10:24, "objective_response"] = np.nan
    learned, attrition = prepare(replace(of_table(table), rejected=(120, 121), rows_in=102), "objective_response")
    assert learned.patients == 75
    assert attrition.rows_in == 102
    assert attrition.left_out == {
        "rows put aside with a fault": 2,
        "no ADC (comparator arm)": 10,
        "objective_response not known": 15,
    }


def test_objective_response_is_read_from_best_response_and_not_evaluable_is_no_outcome() -> None:
    table = pd.DataFrame({"best_response": ["CR", "PR", "SD", "PD", "NE", None]})
    np.testing.assert_array_equal(outcome_of(table, "objective_response"), [1, 1, 0, 0, np.nan, np.nan])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.iloc[:25], "25 patients received an ADC"),
        (lambda t: t.assign(objective_response=1.0), "All 100 patients"),
        (lambda t: t.assign(objective_response=[1.0] * 9 + [0.0] * 91), "9 of 100 patients responded"),
        (lambda t: t.assign(objective_response=[0.0] * 9 + [1.0] * 91), "9 of 100 patients did not respond"),
        (lambda t: t.drop(columns=["objective_response", "best_response"]), "no column 'objective_response'"),
        (lambda t: t[["patient_id", "adc", "objective_response"]].assign(adc="T-DM1"), "No biomarker differs"),
    ],
)
def test_a_cohort_that_no_model_can_learn_from_is_refused_with_reason_and_mend(change, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        prepare(of_table(change(cohort(100).patients).reset_index(drop=True)), "objective_response")
    assert caught.value.mend
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_the_cohort_has_not_is_refused_with_those_it_has() -> None:
    table = cohort(100).patients.drop(columns=["pcr"])
    with pytest.raises(InputError, match="It holds objective_response, known of 100 patients"):
        prepare(of_table(table), "pcr")


def test_too_few_patients_are_told_with_the_rows_put_aside() -> None:
    few = replace(of_table(cohort(100).patients.iloc[:25]), rejected=tuple(range(100, 180)), rows_in=105)
    with pytest.raises(InputError, match=r"80 of 105 rows were put aside: 'adcr cohort check' tells why\."):
        prepare(few, "objective_response")


def test_a_patient_with_two_rows_is_never_split() -> None:
    table = cohort(90).patients.copy()
    twice = pd.concat([table, table.iloc[:30].assign(adc="T-DXd")], ignore_index=True)
    prepared = prepare_training(of_table(twice), "objective_response", Plan(folds=3, repeats=2))
    for row in prepared.held_out.folds:
        assert (row[:30] == row[90:120]).all()


def test_sites_stay_together_and_are_resampled_where_there_are_enough() -> None:
    table = cohort(120).patients.copy()
    table["site"] = [f"site {i % 24}" for i in range(120)]
    prepared = prepare_training(of_table(table), "objective_response", Plan(folds=3, repeats=1, group="site"))
    assert prepared.resampled == "site"
    folds = pd.Series(prepared.held_out.folds[0]).groupby(table["site"].to_numpy()).nunique()
    assert (folds == 1).all()
    weights = pd.DataFrame(prepared.held_out.weights).groupby(table["site"].to_numpy()).nunique()
    assert (weights == 1).all(axis=None)


# -- what comes of it ----------------------------------------------------------------------------------------


def test_every_baseline_and_the_model_are_judged_on_the_same_patients(trained: TrainingResult) -> None:
    assert [c.id for c in trained.candidates] == [
        "mean_by_adc",
        "mean_by_her2",
        "mean_by_adc_her2",
        "logistic_core",
        "prior_alone",
        "lightgbm",
        "primed",
    ]
    for candidate in trained.candidates:
        assert candidate.log_odds is not None
        assert candidate.log_odds.shape == (2, trained.table.patients)
        for metric in ("auroc", "auprc", "brier", "log_loss", "calibration_intercept"):
            estimate = candidate.evaluation.estimate(metric)
            assert estimate.low <= estimate.value <= estimate.high


def test_the_bundle_scores_new_patients_and_bears_the_mark_of_simulated_ones(trained: TrainingResult, tmp_path) -> None:
    record = trained.record
    assert record.simulated
    assert record.cohort.adcs.keys() == {"T-DM1", "T-DXd"}
    assert len(record.held_out_log_odds) == trained.table.patients
    bundle = ModelBundle(record, trained.model_text, tmp_path)
    fresh = cohort(50, seed=9).patients
    log_odds = bundle.predict_log_odds(encode(fresh, record.schema).to_numpy())
    low, high = bundle.interval(log_odds)
    assert ((low <= bundle.probability(log_odds)) & (bundle.probability(log_odds) <= high)).all()


def test_no_patient_is_in_the_record(trained: TrainingResult) -> None:
    import msgspec

    text = msgspec.json.encode(trained.record).decode() + trained.model_text
    assert not any(patient in text for patient in cohort(160).patients["patient_id"])


def test_equal_seeds_give_equal_models() -> None:
    once, again = (train(cohort(60), "objective_response", folds=2, repeats=1, seed=3) for _ in range(2))
    assert once.record == again.record
    assert once.model_text == again.model_text


def test_the_result_does_not_depend_on_the_order_of_columns(trained: TrainingResult) -> None:
    table = cohort(160).patients
    shuffled = train(of_table(table[table.columns[::-1]]), "objective_response", folds=3, repeats=2)
    assert shuffled.model_text == trained.model_text


def test_better_is_said_only_where_every_interval_of_the_difference_excludes_zero(trained: TrainingResult) -> None:
    differences = trained.differences("log_loss")
    clear = all(d.excludes_zero and d.value < 0 for d in differences.values())
    assert trained.beats_baselines == clear
    assert ("is better than every baseline" in verdict(trained)) == clear
    assert ("is not shown to be better" in verdict(trained)) == (not clear)


def test_a_baseline_that_the_cohort_does_not_allow_is_missing_with_its_reason() -> None:
    table = cohort(80).patients
    kept = ["patient_id", "adc", "objective_response", "age_years", "ki67_percent", "til_percent"]
    result = train(of_table(table[kept]), "objective_response", folds=2, repeats=1)
    logistic = next(c for c in result.candidates if c.id == "logistic_core")
    assert "core five" in logistic.reason
    assert logistic.evaluation.estimate("auroc").value is None
    assert result.model.evaluation.estimate("auroc").value is not None


def test_progress_counts_every_fit() -> None:
    steps: list[int] = []
    train(cohort(60), "objective_response", folds=2, repeats=1, progress=steps.append)
    assert sum(steps) == Plan(folds=2, repeats=1, optimism=0).fits


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.714, 0.65, 0.778), "0.71 (0.65, 0.78)"),
        (Estimate(-0.001, -0.2, 0.2), "0.00 (-0.20, 0.20)"),
        (Estimate(None, reason="none"), "-"),
        (Estimate(0.5, reason="no interval"), "0.50"),
    ],
)
def test_the_table_writes_estimates_short(estimate: Estimate, text: str) -> None:
    assert cell(estimate) == text


def test_text_is_as_wide_as_the_terminal_and_never_wider_than_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("mean by ADC", {m: Estimate(0.65, 0.55, 0.75) for m in ("auroc", "brier", "log_loss")})]
    for columns, widest in (("44", 44), ("200", 80)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = [*wrapped("many words of one sentence " * 9), *metrics_table(rows, ("auroc", "brier", "log_loss"))]
        assert max(map(len, lines)) <= widest
        assert sum(line.startswith("mean by ADC") for line in lines) == (3 if widest < 80 else 1)
