"""Real public cohorts through the whole way: scored by the literature, and a model of one judged in another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import adcr
from features.cohort_import import import_cohort

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared_data


@pytest.mark.parametrize("adc", ["T-DM1", "T-DXd"])
@pytest.mark.parametrize("source", ["msk_breast_2018", "tcga_brca"])
def test_the_literature_orders_her2_classes_as_trials_do(
    shared_data: Path, tmp_path: Path, source: str, adc: str
) -> None:
    folder = shared_data / source
    if source == "tcga_brca":
        file, mapping = folder / "nationwidechildrens.org_clinical_patient_brca.txt", "tcga_brca_clinical"
        matrix = folder / "tcga_rna_subset_47genes.csv"
        cohort = import_cohort(
            file, tmp_path / "c.csv", mapping=mapping, adc=adc, expression=matrix, expression_scale="linear"
        )
    else:
        cohort = import_cohort(folder, tmp_path / "c.csv", adc=adc)
    argv = ["score", str(tmp_path / "c.csv"), "--model", "literature", "-o", str(tmp_path / "s.csv"), "--quiet"]
    assert adcr.main(argv) == 0
    scores = pd.read_csv(tmp_path / "s.csv").set_index("patient_id")["response_probability"]
    assert len(scores) == len(cohort.patients)
    her2 = cohort.patients.set_index("patient_id")["her2_class"]
    means = scores.groupby(her2.reindex(scores.index)).mean()
    assert means["zero"] < means["low"] < means["positive"]


def test_a_model_of_one_cohort_is_validated_in_another_with_columns_of_its_own(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {"ispy2_wolf2022": "combined_clin_radiogenomic.csv", "transneo_sammut2022": "training_df.csv"}
    for mapping, file in wanted.items():
        cohort = import_cohort(shared_data / mapping / file, tmp_path / "all.csv", mapping=mapping)
        # As if on T-DM1: no second public cohort has an outcome of an ADC.
        positive = cohort.patients[cohort.patients["her2_status"] == 1].assign(adc="T-DM1")
        known = ["patient_id", "adc", "setting", "pcr", *cohort.measured()]
        positive[known].to_csv(tmp_path / f"{mapping}.csv", index=False)
    train = ["train", "ispy2_wolf2022.csv", "--endpoint", "pcr", "--output", "model", "--folds", "3", "--repeats", "1"]
    assert adcr.main([*train, "--optimism", "0"]) == 0
    assert adcr.main(["score", "transneo_sammut2022.csv", "--model", "model", "-o", "s.csv", "--quiet"]) == 0
    scores = pd.read_csv("s.csv")
    assert len(scores) == 55
    assert scores["response_probability"].between(0, 1, inclusive="neither").all()
    capsys.readouterr()
    assert adcr.main(["validate", "model", "transneo_sammut2022.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["patients"], found["events"]) == (55, 17)
    # What the second cohort did not measure is missing, and said.
    assert "immune_score_z" in found["columns_missing"]
