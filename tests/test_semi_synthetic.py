"""Semi-synthetic cohorts: real biomarkers untouched, responses simulated, the truth known, the mark everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import adcr
from features.cohort_file import cohort_from_table, read_cohort
from features.errors import InputError
from features.synthetic import simulate_cohort
from features.synthetic.oracle import bayes_optimal
from features.synthetic.semi_synthetic import SemiSynthesis

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

OUTCOMES = ["pcr", "objective_response", "best_response", "pfs_months", "pfs_event"]


@pytest.fixture(scope="module")
def covariates() -> Cohort:
    """Patients that stand for real ones: 600 metastatic, HER2-positive and HER2-low, with gaps and an own column."""
    simulated = simulate_cohort(600, 5, setting="metastatic", adcs=["T-DXd", "T-DM1"]).patients
    table = simulated.drop(columns=[*OUTCOMES, "data_origin"]).assign(pcr=1.0, Remark="free text", arm="A")
    return cohort_from_table(table, name="real.csv")


@pytest.fixture(scope="module")
def synthesis(covariates: Cohort) -> SemiSynthesis:
    return SemiSynthesis(covariates, seed=2)


def test_every_biomarker_stays_as_it_was_measured_and_as_it_was_missing(
    covariates: Cohort, synthesis: SemiSynthesis
) -> None:
    patients = synthesis.cohort_and_truth().patients
    measured = list(covariates.measured())
    pd.testing.assert_frame_equal(patients[measured], covariates.patients[measured])
    assert patients[measured].isna().sum().sum() > 0


def test_real_outcomes_arms_and_unused_columns_are_gone(synthesis: SemiSynthesis) -> None:
    patients = synthesis.cohort_and_truth().patients
    assert not {"pcr", "arm", "Remark"} & set(patients.columns)
    assert set(patients["data_origin"]) == {"semi-synthetic"}
    assert patients["objective_response"].notna().all()


def test_the_truth_is_the_chance_of_the_response_that_was_drawn(synthesis: SemiSynthesis) -> None:
    found = synthesis.cohort_and_truth()
    truth, response = found.truth, found.patients["objective_response"]
    spread = np.sqrt((truth["true_probability"] * (1 - truth["true_probability"])).sum())
    assert abs(response.sum() - truth["true_probability"].sum()) < 3 * spread
    received = [truth.loc[i, f"probability_{adc}"] for i, adc in enumerate(truth["adc"])]
    assert received == truth["true_probability"].tolist()
    assert set(truth["data_origin"]) == {"semi-synthetic"}


def test_the_attainable_probability_is_calibrated_to_the_truth_and_no_sharper(covariates: Cohort) -> None:
    truths = [SemiSynthesis(covariates, seed=s).cohort_and_truth().truth for s in range(4)]
    together = pd.concat(truths)
    assert together["attainable_probability"].mean() == pytest.approx(together["true_probability"].mean(), abs=0.01)
    assert together["attainable_probability"].std() < together["true_probability"].std()
    slope = np.polyfit(together["attainable_probability"], together["true_probability"], 1)[0]
    assert slope == pytest.approx(1.0, abs=0.08)


def test_nothing_is_attainable_where_patients_cannot_be_told_apart() -> None:
    table = pd.DataFrame({"patient_id": [f"P{i}" for i in range(300)], "adc": "T-DM1", "her2_ihc": "3+"})
    truth = SemiSynthesis(cohort_from_table(table, name="a.csv"), 1, setting="metastatic").cohort_and_truth().truth
    found = bayes_optimal(truth, "attainable_probability").iloc[0]
    assert found["auroc"] == pytest.approx(0.5, abs=0.04)
    rate = found["response_rate"]
    assert found["log_loss"] == pytest.approx(-(rate * np.log(rate) + (1 - rate) * np.log(1 - rate)), abs=0.01)


def test_patients_that_were_simulated_already_stay_marked_so() -> None:
    simulated = cohort_from_table(simulate_cohort(30, 1).patients, name="a.csv")
    assert set(SemiSynthesis(simulated, 1).cohort_and_truth().patients["data_origin"]) == {"simulated"}


def test_donors_are_reported_as_the_patients_were(covariates: Cohort, synthesis: SemiSynthesis) -> None:
    patients, tumours = covariates.patients, synthesis.tumours
    by_ihc = pd.Series(tumours["log10_receptors"]).groupby(patients["her2_ihc"]).mean()
    assert by_ihc[["0", "1+", "2+", "3+"]].is_monotonic_increasing
    known = patients["cdk12_amplified"].notna()
    assert (tumours["cdk12_amplified"][known] == patients["cdk12_amplified"][known]).all()
    level = pd.Series(tumours["log10_mrna"])
    # A z-score tells within its own cohort only.
    within = [level[own.index].corr(own) for _, own in patients.groupby("cohort")["erbb2_mrna_z"]]
    assert min(within) > 0.8


def test_the_true_effects_have_the_signs_of_the_mechanism(synthesis: SemiSynthesis) -> None:
    effects = synthesis.effects().set_index(["measure", "adc"])["change_log_odds"]
    assert effects["her2_ihc", "T-DM1"] > 0
    assert effects["her2_negative_fraction", "T-DM1"] < effects["her2_negative_fraction", "T-DXd"] < 0
    assert effects["cdk12_copy_number", "T-DM1"] == 0


def test_the_same_seed_gives_the_same_cohort_and_another_seed_another(covariates: Cohort) -> None:
    first, again, other = (SemiSynthesis(covariates, seed=s).cohort_and_truth().patients for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert (first["objective_response"] != other["objective_response"]).any()


def test_adcs_are_allotted_where_asked_and_kept_where_not(covariates: Cohort) -> None:
    kept = SemiSynthesis(covariates, seed=1)
    assert kept.adcs == covariates.patients["adc"].tolist()
    allotted = SemiSynthesis(covariates, seed=1, adcs=["RC48", "SYD985"], setting="metastatic")
    assert set(allotted.adcs) == {"RC48", "SYD985"}
    with pytest.raises(InputError, match="RC48 is not simulated for pcr"):
        SemiSynthesis(covariates, seed=1, adcs=["RC48"], setting="neoadjuvant")


def test_the_command_marks_every_file_and_the_check_says_so(
    covariates: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    covariates.patients.drop(columns="setting").to_csv(tmp_path / "real.csv", index=False)
    argv = ["cohort", "simulate", "--covariates", str(tmp_path / "real.csv"), "-o", str(tmp_path / "s.csv")]
    assert adcr.main(argv) == 2
    assert "Say --setting" in capsys.readouterr().err
    outputs = ["--truth", str(tmp_path / "t.csv"), "--oracle", str(tmp_path / "o.json")]
    assert adcr.main([*argv, *outputs, "--setting", "neoadjuvant", "--adcs", "T-DM1"]) == 0
    oracle = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert oracle["data_origin"] == "semi-synthetic"
    ideal, attainable = (oracle[k][0]["auroc"] for k in ("best_attainable", "best_attainable_from_measured"))
    assert 0.5 < attainable < ideal < 1.0
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").count("semi-synthetic") == 600
    assert read_cohort(tmp_path / "s.csv").source.kind == "semi-synthetic"
    capsys.readouterr()
    adcr.main(["cohort", "check", str(tmp_path / "s.csv")])
    assert "SEMI-SYNTHETIC COHORT: real biomarkers, simulated responses." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--patients", "5"], "--patients cannot be combined"),
        (["--trial", "EMILIA", "--shift"], "--trial and --shift cannot"),
        (["--truth", "s.csv"], "cannot share a file"),
        (["--truth", "real.csv"], "would replace the file"),
        (["--sites", "3"], "--sites cannot be combined"),
    ],
)
def test_what_does_not_go_with_covariates_is_refused(
    covariates: Cohort,
    tmp_path: Path,
    options: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    covariates.patients.to_csv("real.csv", index=False)
    assert adcr.main(["cohort", "simulate", "--covariates", "real.csv", "-o", "s.csv", *options]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()
