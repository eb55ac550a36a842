"""Ranking of ADCs: each patient under each of them, and abstention wherever the training cohort cannot bear it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import pytest

from features.errors import InputError, ModelError
from serving.adc_ranking import FEWEST_COMPARABLE, HYPOTHESIS, rank, ranked_adcs, ranking_columns
from serving.patients import Patients
from serving.score_stream import score_file
from serving.scores import score
from serving.scoring_plan import ScoringTask
from training.model_bundle import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort
    from training.model_bundle import ModelBundle

PAIR = ("T-DM1", "T-DXd")


@pytest.fixture
def bundle(bundle_folder: Path) -> ModelBundle:
    return read_bundle(bundle_folder)


@pytest.fixture
def patients(learned_cohort: Cohort) -> pd.DataFrame:
    return learned_cohort.patients.drop(columns="pcr").head(60)


def ranked(bundle: ModelBundle, patients: pd.DataFrame, names: tuple[str, ...] = PAIR) -> pd.DataFrame:
    found = rank(bundle, Patients.of(patients), names)
    return pd.DataFrame({name: column.to_pylist() for name, column in found.items()})


def with_stamp(bundle: ModelBundle, **changes: object) -> ModelBundle:
    stamp = msgspec.structs.replace(bundle.record.cohort, **changes)
    return replace(bundle, record=msgspec.structs.replace(bundle.record, cohort=stamp))


def test_each_patient_is_scored_under_each_adc_as_if_it_had_been_given(
    bundle: ModelBundle, patients: pd.DataFrame
) -> None:
    from features.feature_table import encode

    table = ranked(bundle, patients)
    assert tuple(table.columns) == ranking_columns(PAIR)
    for adc in PAIR:
        given = patients.assign(adc=pd.Series([adc] * len(patients), dtype="str"))
        alone = score(bundle, given, encode(given, bundle.record.schema), top_reasons=0).table
        np.testing.assert_array_equal(table[f"probability_{adc}"], alone["response_probability"])
        np.testing.assert_array_equal(table[f"probability_low_{adc}"], alone["probability_low"])
    differences = table[[f"probability_difference_to_best_{adc}" for adc in PAIR]]
    assert (differences.max(axis=1) == 0.0).all()
    assert (table["adc_ranking_use"] == HYPOTHESIS).all()


def test_a_first_adc_is_named_only_where_its_interval_leaves_the_others_behind(
    bundle: ModelBundle, patients: pd.DataFrame
) -> None:
    table = ranked(bundle, patients)
    for row in table.to_dict(orient="records"):
        first, other = sorted(PAIR, key=lambda adc: -row[f"probability_{adc}"])
        apart = row[f"probability_low_{first}"] > row[f"probability_high_{other}"]
        assert row["adc_ranked_first"] == (first if apart else "")
        assert ("intervals" in row["adc_ranking_abstains"]) == (not apart)


def test_an_adc_that_was_never_seen_or_hardly_is_not_ranked_and_says_why(
    bundle: ModelBundle, patients: pd.DataFrame
) -> None:
    table = ranked(bundle, patients, (*PAIR, "RC48"))
    assert table["probability_RC48"].isna().all()
    assert (table["adc_ranked_first"] == "").all()
    assert (table["adc_ranking_abstains"] == "RC48: never seen in training").all()
    few = with_stamp(bundle, adcs={"T-DM1": 200, "T-DXd": FEWEST_COMPARABLE - 1}, adcs_by_her2={})
    told = ranked(few, patients)
    assert (told["adc_ranking_abstains"] == "T-DXd: 19 training patients, fewer than 20").all()


def test_patients_are_compared_with_those_of_their_own_her2_class(bundle: ModelBundle, patients: pd.DataFrame) -> None:
    counts = {"T-DM1": {"positive": 100, "low": 1}, "T-DXd": {"positive": 100, "low": 100}}
    known = with_stamp(bundle, adcs_by_her2=counts)
    classes = pd.Series(["low", "positive"] * 30, dtype="str")
    table = ranked(known, patients.assign(her2_class=classes))
    low = classes == "low"
    assert (table.loc[low, "adc_ranking_abstains"] == "T-DM1: 1 training patient with HER2 low, fewer than 20").all()
    assert table.loc[~low, "probability_T-DM1"].notna().all()


def test_names_that_cannot_be_ranked_are_refused(bundle: ModelBundle) -> None:
    assert ranked_adcs(" T-DM1, T-DXd,T-DM1", bundle.record) == PAIR
    with pytest.raises(InputError, match="'T-DX' is not an ADC"):
        ranked_adcs("T-DM1,T-DX", bundle.record)
    with pytest.raises(InputError, match="two ADCs or more"):
        ranked_adcs("T-DM1", bundle.record)
    schema = msgspec.structs.replace(
        bundle.record.schema, columns=tuple(c for c in bundle.record.schema.columns if c.source != "adc_profile")
    )
    with pytest.raises(ModelError, match="cannot tell ADCs apart"):
        ranked_adcs("T-DM1,T-DXd", msgspec.structs.replace(bundle.record, schema=schema))


def test_a_score_file_holds_the_ranking(patients: pd.DataFrame, bundle_folder: Path, tmp_path: Path) -> None:
    patients.to_csv(tmp_path / "a.csv", index=False)
    task = ScoringTask(tmp_path / "a.csv", bundle_folder, tmp_path / "out.csv", top_reasons=0, rank_adcs="T-DM1,T-DXd")
    manifest = score_file(task)
    written = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert set(ranking_columns(PAIR)) <= set(manifest.columns) == set(written.columns)
    assert (written["adc_ranking_use"] == HYPOTHESIS).all()


@pytest.mark.slow
def test_the_first_adc_is_the_true_best_of_most_simulated_patients() -> None:
    from benchmarks.adc_ranking import ranked as against_truth

    told = against_truth(("T-DM1", "RC48"), 0, 600, scored=1000)
    assert told["named"] > 0.1
    assert told["right"] > 0.9
    assert told["loss"] < told["coin"] / 2
