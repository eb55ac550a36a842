"""Simulated cohort files: reproducible bytes, catalogue columns, outcomes drawn from the truth, clear errors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from scipy.stats import chi2_contingency

from features.biomarkers import measures
from features.cohort import CONTEXT_COLUMNS, OUTCOME_COLUMNS
from features.cohort_file import read_cohort
from features.errors import InputError, OutputError
from features.synthetic import SimulatedCohort, simulate_cohort, write_cohort
from features.synthetic.parameters import modelled_adcs, trial_names
from features.synthetic.streams import BLOCK_SIZE


@pytest.fixture(scope="module")
def large() -> SimulatedCohort:
    return simulate_cohort(20_000, 11, missing=0.2, sites=4)


@pytest.fixture(scope="module")
def complete() -> SimulatedCohort:
    return simulate_cohort(4_000, 5, missing=0.0)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(suffix: str, tmp_path: Path) -> None:
    found = set()
    for threads in (1, 2, 5):
        path, truth = tmp_path / f"c{threads}{suffix}", tmp_path / f"t{threads}{suffix}"
        write_cohort(path, patients=2 * BLOCK_SIZE + 77, seed=4, truth=truth, threads=threads)
        found.add((digest(path), digest(truth)))
    assert len(found) == 1


def test_the_first_patients_of_a_larger_cohort_are_those_of_a_smaller_one() -> None:
    small, more = simulate_cohort(150, 9), simulate_cohort(BLOCK_SIZE + 200, 9)
    pd.testing.assert_frame_equal(small.patients, more.patients.head(150))
    pd.testing.assert_frame_equal(small.truth, more.truth.head(150))


def test_written_and_returned_cohorts_are_the_same(tmp_path: Path) -> None:
    cohort = simulate_cohort(500, 3)
    write_cohort(tmp_path / "c.parquet", patients=500, seed=3, truth=tmp_path / "t.csv")
    written = pd.read_parquet(tmp_path / "c.parquet")
    pd.testing.assert_frame_equal(written, cohort.patients, check_dtype=False)
    truth = pd.read_csv(tmp_path / "t.csv")
    np.testing.assert_allclose(truth["true_probability"], cohort.truth["true_probability"], atol=1e-9)


def test_another_seed_or_world_gives_another_cohort() -> None:
    first = simulate_cohort(300, 1)
    assert not first.patients["til_percent"].equals(simulate_cohort(300, 2).patients["til_percent"])
    other_world = simulate_cohort(300, 1, world=8)
    pd.testing.assert_series_equal(first.patients["til_percent"], other_world.patients["til_percent"])
    assert not first.truth["true_probability"].equals(other_world.truth["true_probability"])


def test_columns_are_those_of_a_cohort_file_and_of_the_catalogue(complete: SimulatedCohort) -> None:
    known = {*CONTEXT_COLUMNS, *OUTCOME_COLUMNS, "data_origin", *measures()}
    assert set(complete.patients.columns) <= known
    assert (complete.patients["data_origin"] == "simulated").all()
    assert complete.patients["patient_id"].is_unique
    assert complete.patients["patient_id"].iloc[0] == "SIM-000001"


def test_every_value_is_in_the_range_and_levels_of_the_catalogue(complete: SimulatedCohort) -> None:
    for name in set(complete.patients.columns) & set(measures()):
        measure, values = measures()[name], complete.patients[name].dropna()
        if measure.kind in ("ordinal", "categorical"):
            assert set(values) <= set(measure.levels), name
        elif measure.kind == "binary":
            assert set(values) <= {0.0, 1.0}, name
        else:
            assert measure.minimum is None or values.min() >= measure.minimum, name
            assert measure.maximum is None or values.max() <= measure.maximum, name


def test_a_simulated_file_is_read_without_a_rejected_row_and_known_as_simulated(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    write_cohort(path, patients=800, seed=2)
    cohort = read_cohort(path)
    assert cohort.source.kind == "simulated"
    assert len(cohort.patients) == 800
    assert cohort.rejected == ()
    assert cohort.unused() == ()


def test_a_parquet_file_says_in_its_metadata_that_it_is_simulated(tmp_path: Path) -> None:
    write_cohort(tmp_path / "c.parquet", patients=20, seed=6, world=3)
    metadata = pyarrow.parquet.read_schema(tmp_path / "c.parquet").metadata
    assert metadata[b"data_origin"] == b"simulated"
    assert (metadata[b"seed"], metadata[b"world"]) == (b"6", b"3")


def test_the_default_cohort_holds_both_endpoints_and_both_main_drugs(large: SimulatedCohort) -> None:
    patients = large.patients
    early = patients["setting"] == "neoadjuvant"
    assert 0.2 < early.mean() < 0.3
    assert patients.loc[early, "pcr"].notna().all()
    assert patients.loc[early, ["objective_response", "best_response", "pfs_months"]].isna().all().all()
    assert patients.loc[~early, "objective_response"].notna().all()
    assert patients.loc[~early, "pcr"].isna().all()
    assert set(patients["adc"]) == {"T-DM1", "T-DXd"}
    assert patients["adc"].value_counts(normalize=True).min() > 0.4


def test_best_response_and_objective_response_agree(large: SimulatedCohort) -> None:
    late = large.patients[large.patients["setting"] == "metastatic"]
    responded = late["best_response"].isin(["CR", "PR"])
    np.testing.assert_array_equal(responded, late["objective_response"] == 1.0)
    # DESTINY-Breast03: 16.1% complete responses among 79.7%, and 1.1% progressions, on T-DXd.
    third = simulate_cohort(8_000, 1, trial="DESTINY-Breast03", adcs=["T-DXd"]).patients["best_response"]
    assert np.mean(third == "CR") == pytest.approx(0.161, abs=0.07)
    assert np.mean(third == "PD") < 0.08


def test_responders_stay_free_of_progression_for_longer(large: SimulatedCohort) -> None:
    late = large.patients[large.patients["setting"] == "metastatic"]
    median = late.groupby("objective_response")["pfs_months"].median()
    assert median[1.0] > 2.0 * median[0.0]
    assert late["pfs_months"].min() > 0.0
    assert set(late["pfs_event"]) == {0.0, 1.0}


def test_outcomes_are_drawn_from_the_true_probabilities(large: SimulatedCohort) -> None:
    outcome = large.patients["objective_response"].fillna(large.patients["pcr"]).to_numpy()
    probability = large.truth["true_probability"].to_numpy()
    assert 0.0 < probability.min() < probability.max() < 1.0
    for group in np.array_split(np.argsort(probability), 10):
        error = np.sqrt(np.mean(probability[group] * (1 - probability[group])) / len(group))
        assert abs(outcome[group].mean() - probability[group].mean()) < 4.0 * error


def test_the_truth_names_the_adc_with_the_highest_probability(large: SimulatedCohort) -> None:
    truth = large.truth
    columns = [f"probability_{adc}" for adc in modelled_adcs()]
    best = truth[columns].idxmax(axis=1).str.removeprefix("probability_")
    assert (best == truth["best_adc"]).all()
    received = truth.apply(lambda row: row[f"probability_{row['adc']}"], axis=1)
    np.testing.assert_array_equal(received, truth["true_probability"])
    assert truth.loc[truth["endpoint"] == "pcr", "probability_RC48"].isna().all()


def test_missing_values_do_not_depend_on_the_outcome(large: SimulatedCohort) -> None:
    late = large.patients[large.patients["setting"] == "metastatic"]
    for name in ("erbb2_mrna_z", "pik3ca_mutated", "p95her2_ratio", "ki67_percent"):
        # p95HER2 is looked for in HER2-positive tumours only, so one IHC class is compared.
        own = late[late["her2_ihc"] == "3+"]
        table = pd.crosstab(own[name].isna(), own["objective_response"])
        assert chi2_contingency(table).pvalue > 0.0005, name


def test_missing_values_depend_on_the_site_and_come_panel_by_panel(large: SimulatedCohort) -> None:
    by_site = large.patients.groupby("site")["erbb2_mrna_z"].apply(lambda v: v.isna().mean())
    assert by_site.max() - by_site.min() > 0.05
    rna = [m for m in large.patients if m.endswith("_mrna_z")]
    absent = large.patients[rna].isna()
    assert (absent.all(axis=1) | ~absent.any(axis=1)).all()


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_about_the_stated_share_of_values_is_missing(rate: float) -> None:
    patients = simulate_cohort(6_000, 2, missing=rate).patients
    assert patients["pik3ca_mutated"].isna().mean() == pytest.approx(rate, abs=0.03)
    assert patients["her2_ihc"].isna().mean() < rate / 3


def test_without_missing_values_only_what_is_never_measured_is_empty(complete: SimulatedCohort) -> None:
    empty = set(complete.patients.columns[complete.patients.isna().any()]) & set(measures())
    assert empty == {"her2_heterogeneous", "her2_negative_fraction", "p95her2_ratio", "p95her2_positive"}


def test_a_shift_moves_staining_platform_and_case_mix() -> None:
    usual = simulate_cohort(6_000, 3, missing=0.0).patients
    shifted = simulate_cohort(6_000, 3, missing=0.0, shift=True).patients
    assert abs(shifted["slc46a3_mrna_z"].mean() - usual["slc46a3_mrna_z"].mean()) > 0.1
    assert (shifted["her2_ihc"] == "3+").mean() < (usual["her2_ihc"] == "3+").mean() - 0.05
    late = usual["setting"] == "metastatic"
    assert shifted.loc[late, "prior_lines"].mean() > usual.loc[late, "prior_lines"].mean() + 0.5


def test_expression_is_standardised_within_the_cohort(complete: SimulatedCohort) -> None:
    for _, cohort in complete.patients.groupby("cohort"):
        assert cohort["erbb2_mrna_z"].mean() == pytest.approx(0.0, abs=0.12)
        assert cohort["erbb2_mrna_z"].std() == pytest.approx(1.0, abs=0.1)


def test_a_trial_draws_its_population_and_arms() -> None:
    trial = simulate_cohort(524 * 8, 1, trial="DESTINY-Breast03", missing=0.0).patients
    assert set(trial["cohort"]) == {"DESTINY-Breast03"}
    assert trial["adc"].value_counts(normalize=True)["T-DXd"] == pytest.approx(261 / 524, abs=0.03)
    assert (trial["her2_ihc"] == "3+").mean() == pytest.approx(0.89, abs=0.02)
    assert trial["hr_status"].mean() == pytest.approx(0.506, abs=0.03)
    assert trial["her2_status"].mean() > 0.97
    rate = trial.groupby("adc")["objective_response"].mean()
    assert rate["T-DXd"] == pytest.approx(0.797, abs=0.035)
    assert rate["T-DM1"] == pytest.approx(0.342, abs=0.035)


@pytest.mark.parametrize("trial", trial_names())
def test_every_trial_can_be_drawn(trial: str) -> None:
    cohort = simulate_cohort(40, 1, trial=trial.lower())
    assert len(cohort.patients) == 40
    assert cohort.truth["true_probability"].between(0.0, 1.0, inclusive="neither").all()


def test_a_comparator_arm_has_no_adc() -> None:
    patients = simulate_cohort(2_000, 1, trial="EMILIA").patients
    control = patients[patients["adc"] == "none"]
    assert set(control["partner_drugs"]) == {"lapatinib; capecitabine"}
    assert control["objective_response"].mean() == pytest.approx(0.308, abs=0.06)


@pytest.mark.parametrize("adc", list(modelled_adcs()))
def test_every_modelled_adc_can_be_drawn_alone(adc: str) -> None:
    cohort = simulate_cohort(60, 1, adcs=[adc], setting="metastatic")
    assert set(cohort.patients["adc"]) == {adc}


def test_an_adc_and_a_trial_go_by_their_other_names_too() -> None:
    assert set(simulate_cohort(20, 1, adcs=["Kadcyla", "tdm1"]).patients["adc"]) == {"T-DM1"}
    assert set(simulate_cohort(20, 1, trial="db-03").patients["cohort"]) == {"DESTINY-Breast03"}
    assert set(simulate_cohort(20, 1, trial="destiny breast 03").patients["cohort"]) == {"DESTINY-Breast03"}


def test_adcs_that_are_named_come_in_equal_parts() -> None:
    counts = simulate_cohort(6_000, 1, adcs=["T-DM1", "T-DXd", "RC48"]).patients["adc"].value_counts(normalize=True)
    assert counts.min() > 0.3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"patients": 0}, "--patients: 0 is out of range."),
        ({"patients": -5}, "--patients: -5 is out of range."),
        ({"seed": -1}, "--seed: -1 is out of range."),
        ({"world": -1}, "--world: -1 is out of range."),
        ({"sites": 0}, "--sites: 0 is out of range."),
        ({"missing": 1.5}, "--missing: 1.5 is not a share"),
        ({"missing": float("nan")}, "--missing: nan is not a share"),
        ({"trial": "DESTINY-Breast30"}, "no trial 'DESTINY-Breast30'. Did you mean DESTINY-Breast"),
        ({"trial": "Metzger"}, "no trial 'Metzger'. Did you mean Metzger Filho?"),
        ({"trial": ""}, "no trial ''."),
        ({"trial": "KEYNOTE-522"}, "no trial 'KEYNOTE-522'."),
        ({"adcs": ["T-DXb"]}, "no ADC 'T-DXb'. Did you mean T-DXd"),
        ({"adcs": ["ZW49"]}, "no ADC 'ZW49'."),
        ({"adcs": []}, "--adcs: no ADC is named."),
        ({"adcs": ["RC48"], "setting": "neoadjuvant"}, "a simulated clinic, neoadjuvant has no patients on RC48."),
        ({"adcs": ["T-DXd"], "trial": "EMILIA"}, "EMILIA has no patients on T-DXd. It has T-DM1"),
        ({"setting": "adjuvant"}, "--setting: 'adjuvant' is not a setting that is simulated."),
        ({"setting": "neoadjuvant", "trial": "EMILIA"}, "EMILIA has no neoadjuvant patients."),
    ],
)
def test_a_wrong_argument_gets_one_clear_line(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as raised:
        simulate_cohort(**{"patients": 10, "seed": 1, **arguments})
    message = str(raised.value)
    assert said in message
    assert "\n" not in message
    assert raised.value.mend


def test_an_unknown_format_or_folder_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.json' is not a format"):
        write_cohort(tmp_path / "c.json", patients=10, seed=1)
    with pytest.raises(OutputError, match="folder does not exist"):
        write_cohort(tmp_path / "nowhere" / "c.csv", patients=10, seed=1)
    with pytest.raises(InputError, match="cannot share a file"):
        write_cohort(tmp_path / "c.csv", patients=10, seed=1, truth=tmp_path / "c.csv")


def test_an_interrupted_write_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("old", encoding="utf-8")

    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cohort(path, patients=BLOCK_SIZE + 1, seed=1, progress=interrupt)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.csv"]


def test_progress_counts_every_patient(tmp_path: Path) -> None:
    seen: list[int] = []
    write_cohort(tmp_path / "c.csv", patients=BLOCK_SIZE + 5, seed=1, progress=seen.append)
    assert seen == [BLOCK_SIZE, BLOCK_SIZE + 5]
