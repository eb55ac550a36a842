"""The naive baselines, against rates worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from features.errors import InputError
from features.feature_table import FeatureColumn, FeatureSchema
from training.baselines import BASELINES, PSEUDO_PATIENTS, CoreLogistic, MeanResponse
from training.training_table import TrainingTable

IHC = ("0", "ultralow", "1+", "2+", "3+")


def table(adc: list[str], ihc: list[float], outcome: list[int], **others: list[float]) -> TrainingTable:
    columns = [FeatureColumn("her2_ihc", "HER2 IHC", "ordinal", "level", "biomarker", levels=IHC, core=True)]
    columns += [FeatureColumn(name, name, "numeric", "ratio", "biomarker", core=True) for name in others]
    rows = np.arange(len(adc))
    features = pd.DataFrame({"her2_ihc": ihc, **others}, dtype=float)
    return TrainingTable(
        features, np.array(outcome), np.array(adc, dtype=object), rows, rows, rows, FeatureSchema(tuple(columns))
    )


#: T-DM1: 1 of 4 responded; T-DXd: 3 of 4. IHC 3+ (position 4) and 2+ (position 3).
EIGHT = table(["T-DM1"] * 4 + ["T-DXd"] * 4, [4, 4, 3, np.nan, 4, 4, 3, 3], [1, 0, 0, 0, 1, 1, 1, 0])
OVERALL = (4 + 0.5) / (8 + 1)
T_DM1 = (1 + PSEUDO_PATIENTS * OVERALL) / (4 + PSEUDO_PATIENTS)


def rates(model: MeanResponse, of: TrainingTable) -> np.ndarray:
    return expit(model.log_odds(of))


def test_mean_response_by_adc_equals_the_rate_worked_by_hand() -> None:
    model = MeanResponse(("adc",)).fit(EIGHT)
    assert rates(model, EIGHT)[:4] == pytest.approx([T_DM1] * 4)
    assert rates(model, EIGHT)[4:] == pytest.approx([(3 + PSEUDO_PATIENTS * OVERALL) / (4 + PSEUDO_PATIENTS)] * 4)


def test_mean_response_by_ihc_treats_missing_as_a_class_of_its_own() -> None:
    model = MeanResponse(("her2",)).fit(EIGHT)
    assert rates(model, EIGHT)[0] == pytest.approx((3 + PSEUDO_PATIENTS * OVERALL) / (4 + PSEUDO_PATIENTS))
    assert rates(model, EIGHT)[3] == pytest.approx((0 + PSEUDO_PATIENTS * OVERALL) / (1 + PSEUDO_PATIENTS))


def test_a_cell_of_drug_and_ihc_is_shrunk_towards_its_drug_and_an_empty_one_is_its_drug() -> None:
    model = MeanResponse(("adc", "her2")).fit(EIGHT)
    assert rates(model, EIGHT)[0] == pytest.approx((1 + PSEUDO_PATIENTS * T_DM1) / (2 + PSEUDO_PATIENTS))
    unseen = table(["T-DM1", "RC48"], [0, 4], [0, 0])
    assert rates(model, unseen) == pytest.approx([T_DM1, OVERALL])


def test_the_her2_class_comes_from_the_next_column_where_ihc_was_not_measured() -> None:
    status = FeatureColumn("her2_status", "HER2 status", "binary", "yes/no", "biomarker")
    rows = np.arange(4)
    of = TrainingTable(
        pd.DataFrame({"her2_status": [0.0, 0.0, 1.0, 1.0]}),
        np.array([0, 0, 1, 1]),
        np.array(["T-DM1"] * 4, dtype=object),
        rows,
        rows,
        rows,
        FeatureSchema((status,)),
    )
    low, *_, high = rates(MeanResponse(("her2",)).fit(of), of)
    assert low < 0.5 < high


def test_a_cohort_where_all_responded_still_gives_finite_log_odds() -> None:
    of = table(["T-DM1"] * 5, [4] * 5, [1] * 5)
    assert np.isfinite(MeanResponse(("adc", "her2")).fit(of).log_odds(of)).all()
    assert MeanResponse(("adc",)).fit(of).log_odds(of)[0] < logit(0.99)


def test_the_logistic_baseline_finds_a_rising_effect_in_spite_of_missing_values() -> None:
    random = np.random.default_rng(0)
    ratio = random.normal(size=200)
    outcome = (random.random(200) < expit(1.5 * ratio)).astype(int)
    ratio[::7] = np.nan
    of = table(["T-DM1"] * 200, [4.0] * 200, outcome.tolist(), her2_ish_ratio=ratio.tolist())
    model = CoreLogistic().fit(of)
    probe = table(["T-DM1"] * 3, [4.0] * 3, [0, 0, 0], her2_ish_ratio=[-2.0, 0.0, 2.0])
    low, middle, high = model.log_odds(probe)
    assert low < middle < high
    assert high - low == pytest.approx(4 * 1.5, abs=1.5)


def test_the_logistic_baseline_says_why_it_cannot_be_fitted() -> None:
    of = table(["T-DM1"] * 4, [4] * 4, [0, 1, 0, 1])
    bare = TrainingTable(of.features, of.outcome, of.adc, of.rows, of.rows, of.rows, FeatureSchema(()))
    with pytest.raises(InputError, match="none of the core five"):
        CoreLogistic().fit(bare)


def test_every_baseline_has_an_id_and_a_label_that_fits_the_table() -> None:
    assert [b().id for b in BASELINES] == ["mean_by_adc", "mean_by_her2", "mean_by_adc_her2", "logistic_core"]
    assert all(len(b().label) <= 22 for b in BASELINES)
    assert all(b().baseline for b in BASELINES)
