"""Shift of a population: index and test against hand-worked values, and what a scored file tells of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from serving.population_shift import Shift, calibration_risk, chi_square_tail, compare
from serving.score_stream import score_file
from serving.scoring_plan import ScoringTask

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("statistic", [0.01, 1.0, 5.0, 40.0, 900.0])
def test_the_tail_of_chi_square_is_that_of_scipy(statistic: float, freedom: int) -> None:
    assert chi_square_tail(statistic, freedom) == pytest.approx(chi2.sf(statistic, freedom), rel=1e-10, abs=1e-300)


def test_the_stability_index_is_that_worked_by_hand() -> None:
    # Halves become 0.8 and 0.2: 0.3 ln(1.6) - 0.3 ln(0.4) = 0.41589.
    assert compare([5_000_000, 5_000_000], [8_000_000, 2_000_000]).psi == pytest.approx(0.41589, abs=1e-5)
    assert compare([10, 20, 30], [100, 200, 300]).p_value == pytest.approx(1.0)
    found = compare([30, 20, 10], [10, 20, 30])
    assert found.p_value == pytest.approx(chi2_contingency([[30, 20, 10], [10, 20, 30]]).pvalue)
    assert compare([], []) == (0.0, 1.0)
    assert [calibration_risk(Shift(psi, 0.001)) for psi in (0.05, 0.2, 0.3)] == ["low", "moderate", "high"]


def test_few_patients_of_the_same_kind_raise_no_alarm() -> None:
    rng = np.random.default_rng(0)
    training = rng.multinomial(200, [0.1] * 10).tolist()
    told = [calibration_risk(compare(training, rng.multinomial(40, [0.1] * 10).tolist())) for _ in range(300)]
    assert "uncertain" in told
    assert told.count("moderate") + told.count("high") <= 6


def test_a_file_like_the_training_cohort_has_not_moved_and_another_one_has(
    learned_cohort: Cohort, bundle_folder: Path, tmp_path: Path
) -> None:
    patients = learned_cohort.patients.drop(columns="pcr")
    patients.to_csv(tmp_path / "same.csv", index=False)
    patients.assign(til_percent=np.where(patients["til_percent"].isna(), np.nan, 40.0), her2_ihc="3+").to_csv(
        tmp_path / "other.csv", index=False
    )
    told = {}
    for name in ("same", "other"):
        manifest = score_file(ScoringTask(tmp_path / f"{name}.csv", bundle_folder, tmp_path / f"{name}.out.csv"))
        told[name] = {shift.name: shift for shift in manifest.shift}
        json.loads(manifest.to_json())
    assert all((shift.psi or 0.0) < 0.01 for shift in told["same"].values())
    assert told["same"]["til_percent"].p_value == pytest.approx(1.0, abs=0.01)
    for name in ("til_percent", "her2_ihc"):
        assert told["other"][name].moved
    assert not told["other"]["erbb2_mrna_z"].moved
