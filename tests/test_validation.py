"""Validation of trainings and of finished models: what is said, and what cannot be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.cohort import Cohort, CohortSource
from features.errors import InputError
from features.report.document import Checklist, Document, Figure
from features.report.files import report_files
from features.synthetic.cohort import simulate_cohort
from training.checks.before_training import check_before_training
from training.checks.rules import RULES
from training.model_bundle import ModelBundle
from training.report.of_training import training_document
from training.report.of_validation import validation_document
from training.report.parts import strata_section
from training.train import Plan, TrainingResult, prepare_training, train
from training.validation.external import validate_model
from training.validation.questions import held_out_levels
from training.validation.strata import subgroups


def cohort_of(count: int, seed: int, **changes: object) -> Cohort:
    """Give a simulated metastatic cohort, some columns replaced."""
    patients = simulate_cohort(count, seed, setting="metastatic").patients.assign(**changes)
    source = CohortSource(f"cohort_{seed}", None, f"{seed:064d}", kind="simulated")
    return Cohort(source, patients, tuple(range(2, count + 2)), count)


@pytest.fixture(scope="module")
def judged() -> TrainingResult:
    sites = np.array(["north", "south", "west"], dtype=object)[np.arange(240) % 3]
    cohort = cohort_of(240, 51, site=sites)
    return train(cohort, "objective_response", folds=3, repeats=1, resamples=10)


@pytest.fixture(scope="module")
def document(judged: TrainingResult) -> Document:
    return training_document(judged, verdict="The verdict.", literature="The literature.")


def codes(cohort: Cohort, **options: object) -> dict[str, str]:
    """Give findings on a cohort by code."""
    prepared = prepare_training(cohort, "objective_response", Plan(2, 1, prior=False), **options)  # type: ignore[arg-type]
    return {f.code: f.what for f in prepared.checks}


# -- questions ---------------------------------------------------------------------------------------------------


def test_a_new_site_is_held_out_whole() -> None:
    sites = np.array(["a", "b", "c"], dtype=object)[np.arange(150) % 3]
    result = train(cohort_of(150, 52, site=sites), "objective_response", prior=False, question="new-site", resamples=0)
    assert result.validation.split.held_out == ("a", "b", "c")
    for fold, name in enumerate("abc"):
        assert set(sites[result.table.rows][result.held_out.folds[0] == fold]) == {name}


def test_a_drug_never_seen_is_held_out_whole_and_known_by_its_profile_alone() -> None:
    result = train(cohort_of(300, 53), "objective_response", prior=False, question="new-adc", resamples=0)
    folds = result.held_out.folds[0]
    assert len(result.validation.split.held_out) == len(set(result.table.adc))
    assert all(len(set(result.table.adc[folds == k])) == 1 for k in np.unique(folds))
    assert "adc" not in result.table.schema.names


def test_a_question_that_the_cohort_cannot_answer_is_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match="--question new-site: All patients have the same site"):
        train(cohort_of(80, 54, site="one"), "objective_response", prior=False, question="new-site")


def test_a_patient_of_two_sites_is_held_out_once_and_many_sites_go_together() -> None:
    patients = pd.DataFrame({"site": ["a", "b", "b", "a"], "adc": "T-DM1"})
    folds, _ = held_out_levels("new-site", patients, np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1]), seed=0)
    assert folds[0, 0] == folds[0, 1]
    many = pd.DataFrame({"site": [f"s{i % 40}" for i in range(200)], "adc": "T-DM1"})
    folds, names = held_out_levels("new-site", many, np.arange(200), np.arange(200) % 2, seed=0)
    assert len(names) == 10
    assert all(len(set(folds[0][(many["site"] == s).to_numpy()])) == 1 for s in set(many["site"]))


# -- what a training shows ---------------------------------------------------------------------------------------


def test_apparent_performance_is_flattering_and_corrected_down(judged: TrainingResult) -> None:
    found = {o.metric: o for o in judged.validation.optimism.metrics}
    assert judged.validation.optimism.resamples == 10
    assert found["auroc"].optimism > 0
    assert found["brier"].optimism < 0
    assert found["auroc"].harrell == pytest.approx(found["auroc"].apparent - found["auroc"].optimism)
    assert found["auroc"].corrected.value is not None
    assert found["auroc"].left_out <= found["auroc"].corrected.value < found["auroc"].apparent


def test_pure_noise_gives_no_signal_and_the_report_says_so() -> None:
    cohort = cohort_of(160, 55, objective_response=np.random.default_rng(55).integers(0, 2, 160).astype(float))
    result = train(cohort, "objective_response", folds=4, repeats=2, resamples=12)
    found = {o.metric: o for o in result.validation.optimism.metrics}
    assert found["auroc"].apparent > 0.6
    assert found["auroc"].corrected.value == pytest.approx(0.5, abs=0.12)
    assert result.validation.signal.startswith("No signal is shown")
    told = training_document(result, verdict="", literature="")
    assert "No signal is shown" in report_files(told)["report.html"]


def test_a_model_that_only_knows_the_drug_is_found_out() -> None:
    # Half of the patients on one drug respond nearly always, half on the other hardly ever; nothing else matters.
    draws = np.random.default_rng(56)
    adc = np.where(np.arange(240) % 2 == 0, "T-DXd", "T-DM1")
    responds = (draws.random(240) < np.where(adc == "T-DXd", 0.9, 0.1)).astype(float)
    cohort = cohort_of(240, 56, adc=adc, objective_response=responds)
    result = train(cohort, "objective_response", folds=4, repeats=1, resamples=0, prior=False)
    by_adc = next(w for w in result.validation.within if w.by == "ADC")
    assert by_adc.pooled.value is not None
    assert by_adc.pooled.value > 0.8
    assert "only the ADC speaking" in by_adc.warning


def test_a_subgroup_of_a_few_gives_counts_and_no_number(judged: TrainingResult) -> None:
    patients = pd.DataFrame({"adc": "T-DM1", "site": ["small"] * 8 + ["large"] * (judged.table.patients - 8)})
    assert judged.model.log_odds is not None
    small = next(g for g in subgroups(patients, judged.held_out, judged.model.log_odds) if g.level == "small")
    assert small.patients == 8
    assert small.metrics == {}
    assert "too few" in small.reason
    assert "too few" in str(strata_section((), (small,)).blocks)


def test_subgroups_are_named_by_what_they_are_divided_by_and_come_in_order(judged: TrainingResult) -> None:
    ihc = np.array(["3+", "ultralow", "0", "1+"], dtype=object)[np.arange(judged.table.patients) % 4]
    ages = np.array([70, 40, 60])[np.arange(judged.table.patients) % 3]
    patients = pd.DataFrame({"adc": "T-DM1", "her2_ihc": ihc, "age_years": ages})
    assert judged.model.log_odds is not None
    found = [(g.by, g.level) for g in subgroups(patients, judged.held_out, judged.model.log_odds)]
    assert found == [
        *(("HER2 IHC", level) for level in ("0", "ultralow", "1+", "3+")),
        *(("age", level) for level in ("below 50", "50 to 64", "65 and over")),
    ]


def test_a_cohort_of_31_with_one_site_and_one_drug_still_gets_a_report_that_says_what_it_cannot() -> None:
    patients = simulate_cohort(31, 57, setting="metastatic", adcs=["T-DM1"], missing=0.4).patients
    responds = (np.arange(31) % 2).astype(float)
    cohort = Cohort(CohortSource("small", None, "0" * 64), patients.assign(objective_response=responds), (), 31)
    cohort = replace(cohort, rows=tuple(range(31)))
    result = train(cohort, "objective_response", folds=3, repeats=1, resamples=10)
    told = report_files(training_document(result, verdict="", literature=""))["report.html"]
    assert "What this cohort cannot say" in told
    assert "the cohort has one drug" in told


# -- checks ------------------------------------------------------------------------------------------------------


def test_a_column_made_from_the_outcome_is_suspected() -> None:
    cohort = cohort_of(120, 58)
    outcome = cohort.patients["objective_response"].to_numpy()
    leaky = replace(cohort, patients=cohort.patients.assign(tumour_change=np.where(outcome == 1, -40.0, 10.0)))
    found = codes(leaky, extra_features=["tumour_change"])
    assert "tumour_change" in found["ADC003"]
    assert "tumour_change" in found["ADC005"]


def test_the_same_patient_under_two_names_is_found_and_named_by_row_alone() -> None:
    cohort = cohort_of(120, 59)
    copied = cohort.patients.copy()
    own = copied.iloc[7, 1:].to_list()
    copied.iloc[50, 1:] = own
    found = codes(replace(cohort, patients=copied))
    assert "9 and 52" in found["ADC008"]
    assert str(copied["patient_id"].iloc[7]) not in found["ADC008"]


def test_places_that_differ_in_response_and_missing_values_that_follow_it_are_told() -> None:
    cohort = cohort_of(200, 60)
    outcome = cohort.patients["objective_response"].to_numpy()
    site = np.where(outcome == 1, "north", np.where(np.arange(200) % 4 == 0, "north", "south"))
    ki67 = cohort.patients["her2_h_score"].where(outcome == 1, np.nan)
    found = codes(replace(cohort, patients=cohort.patients.assign(site=site, her2_h_score=ki67)))
    assert "'site'" in found["ADC006"]
    assert "her2_h_score" in found["ADC012"]


def test_a_sound_cohort_of_thousands_has_no_serious_doubt() -> None:
    prepared = prepare_training(cohort_of(3000, 61), "objective_response", Plan(2, 1, prior=False))
    assert not [f.code for f in prepared.checks if f.severity == "serious"]
    assert "ADC001" not in {f.code for f in prepared.checks}


def test_an_ignored_check_is_marked_and_an_unknown_code_refused(judged: TrainingResult) -> None:
    cohort = cohort_of(80, 62)
    prepared = prepare_training(cohort, "objective_response", Plan(2, 1, prior=False, ignore=("ADC001",)))
    assert [f.ignored for f in prepared.checks if f.code == "ADC001"] == [True]
    with pytest.raises(InputError, match="no check ADC999"):
        check_before_training(cohort, prepared.table, prepared.attrition, None, ignore=("ADC999",))


def test_the_readme_lists_every_check(project_root: Path) -> None:
    text = (project_root / "README.md").read_text(encoding="utf-8")
    assert [rule.code for rule in RULES] == [f"ADC{n:03d}" for n in range(1, len(RULES) + 1)]
    for rule in RULES:
        assert f"| {rule.code} | {rule.severity} | {rule.title} |" in text


# -- a finished model in another cohort --------------------------------------------------------------------------


def test_a_model_is_judged_in_another_cohort_as_it_is_and_recalibrated(judged: TrainingResult) -> None:
    bundle = ModelBundle(judged.record, judged.model_text, Path())
    other = cohort_of(400, 63)
    outcome = other.patients["objective_response"].to_numpy(copy=True)
    # A cohort that responds far less often at the same biomarkers: the level is off, and put right.
    outcome[np.random.default_rng(1).random(400) < 0.6] = 0.0
    found = validate_model(bundle, replace(other, patients=other.patients.assign(objective_response=outcome)))
    assert not found.own_cohort
    before = found.as_it_is.metrics["calibration_intercept"].value
    after = found.recalibrated[0].metrics["calibration_intercept"].value
    assert before is not None
    assert after is not None
    assert abs(after) < 0.1 < abs(before)
    assert found.recalibrated[0].difference is not None
    assert found.recalibrated[0].difference.excludes_zero
    html = report_files(validation_document(found))["report.html"]
    assert "SIMULATED PATIENTS" in html


def test_the_cohort_that_a_model_learned_from_is_judged_by_held_out_predictions(judged: TrainingResult) -> None:
    sites = np.array(["north", "south", "west"], dtype=object)[np.arange(240) % 3]
    own = cohort_of(240, 51, site=sites)
    found = validate_model(ModelBundle(judged.record, judged.model_text, Path()), own)
    assert found.own_cohort
    held_out = judged.model.evaluation.estimate("log_loss").value
    assert found.as_it_is.metrics["log_loss"].value == pytest.approx(held_out, abs=0.01)


def test_an_arm_that_is_not_there_is_refused_with_those_that_are(judged: TrainingResult) -> None:
    bundle = ModelBundle(judged.record, judged.model_text, Path())
    cohort = cohort_of(200, 64)
    patients = cohort.patients.assign(arm=np.where(np.arange(200) < 60, "control", "ADC"))
    patients.loc[patients["arm"] == "control", "adc"] = "none"
    cohort = replace(cohort, patients=patients)
    with pytest.raises(InputError, match="There are: control"):
        validate_model(bundle, cohort, comparator="placebo")
    found = validate_model(bundle, cohort, comparator="Control").comparator
    assert found is not None
    assert found.patients_comparator == 60
    assert found.difference.low is not None


# -- the report --------------------------------------------------------------------------------------------------


def test_the_report_is_one_file_made_from_its_json(document: Document) -> None:
    files = report_files(document)
    assert set(files) == {"report.html", "report.json"}
    html = files["report.html"]
    assert "<script" not in html
    assert " src=" not in html
    # Sources are cited by their addresses as text; nothing is fetched, and the page's own policy forbids it.
    assert not re.search(r"(?:href|src)=.?http|@import|url\(.?http", html.replace("http://www.w3.org/1999/xlink", ""))
    assert "default-src &#39;none&#39;" in html
    assert json.loads(files["report.json"])["kind"] == "training"
    assert html == report_files(document)["report.html"]


def test_the_report_holds_every_section_and_27_items(document: Document) -> None:
    titles = [s.title for s in document.sections]
    for wanted in ("Table 1", "Calibration", "Learning curve", "Limits", "Reporting standards"):
        assert wanted in titles
    tripod, probast = (b for s in document.sections for b in s.blocks if isinstance(b, Checklist))
    assert [i.number for i in tripod.items] == [str(n) for n in range(1, 28)]
    assert len(probast.items) == 4
    assert all(i.answer for i in (*tripod.items, *probast.items))
    assert any(i.by_person for i in tripod.items)
    assert all(f.alternative for s in document.sections for f in s.blocks if isinstance(f, Figure))


def test_no_patient_is_in_the_report(judged: TrainingResult, document: Document) -> None:
    ids = simulate_cohort(240, 51, setting="metastatic").patients["patient_id"]
    text = "".join(report_files(document).values())
    assert not [i for i in ids if i in text]


def test_a_hostile_name_is_shown_as_text(judged: TrainingResult) -> None:
    hostile = replace(judged, name="<script>alert(1)</script>")
    html = report_files(training_document(hostile, verdict="<b>x</b>", literature="</style><img src=x>"))["report.html"]
    assert "<script>" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_validating_from_the_command_line_writes_a_report_and_refuses_a_full_folder(
    judged: TrainingResult, tmp_path: Path
) -> None:
    from training.model_bundle import write_bundle

    write_bundle(tmp_path / "model", judged.record, judged.model_text)
    simulate_cohort(150, 65, setting="metastatic").patients.to_csv(tmp_path / "next.csv", index=False)
    command = [sys.executable, "-m", "adcr", "validate", "model", "next.csv", "--report", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "slope and intercept" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    (tmp_path / "out" / "mine.txt").write_text("x", encoding="utf-8")
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 5
    assert "mine.txt" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
