"""A finished model judged on a cohort: as it is, recalibrated, in subgroups, and against a comparator arm."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from features.cohort import NO_ADC
from features.errors import InputError
from features.faults import listed
from features.feature_table import encode
from training.bootstrap import HeldOut, evaluate, resampling_weights
from training.bundle_schema import Calibration
from training.calibration import recalibrate
from training.cross_validation import CandidateResult
from training.metrics import METRICS
from training.splits import assign_folds, patient_groups
from training.training_table import PUT_ASIDE, outcome_of, put_aside
from training.validation.comparator import comparator_test
from training.validation.decision_curve import decision_curve
from training.validation.of_training import calibration_of, signal_sentence, unsaid
from training.validation.records import ComparatorRecord, ExternalRecord, Judged
from training.validation.strata import subgroups, within

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from features.cohort import Cohort
    from training.metrics import Floats, Integers
    from training.model_bundle import ModelBundle

#: Below these a validation says nothing, whatever the model.
FEWEST_PATIENTS, FEWEST_OF_OUTCOME = 20, 5
_FOLDS = 10
_NO_CHANGE = Calibration(method="none")
#: Columns that name the arm of a patient.
_ARM_COLUMNS = ("arm", "partner_drugs", "cohort")


def validate_model(
    bundle: ModelBundle, cohort: Cohort, *, comparator: str | None = None, seed: int = 0
) -> ExternalRecord:
    """Judge a model on the patients of a cohort who received an ADC and whose outcome is known.

    Parameters
    ----------
    bundle : ModelBundle
    cohort : Cohort
        Where it is the one that the model learned from, the model's held-out predictions are judged instead.
    comparator : str, optional
        Arm without an ADC, to see whether the score is specific to the ADC.
    seed : int

    Returns
    -------
    ExternalRecord

    Raises
    ------
    InputError
        The outcome or the comparator arm is absent, or there are too few patients.
    """
    record, patients = bundle.record, cohort.patients
    outcome = outcome_of(patients, record.endpoint)
    treated, known = (patients["adc"] != NO_ADC).to_numpy(), np.isfinite(outcome)
    rows = np.flatnonzero(treated & known)
    judged_patients = patients.iloc[rows].reset_index(drop=True)
    responses = outcome[rows].astype(np.int64)
    _require_enough(responses, record.endpoint, cohort)
    matrix = encode(judged_patients, record.schema).to_numpy()
    log_odds, own = _predictions(bundle, cohort, matrix)
    held_out = HeldOut(
        responses,
        np.zeros((1, len(rows)), dtype=np.int64),
        resampling_weights(patient_groups(judged_patients), seed=seed),
    )
    as_it_is = _result("as_it_is", "as it is", held_out, log_odds)
    corrected = _recalibrated(held_out, judged_patients, log_odds, seed)
    probability = expit(log_odds)
    groups = subgroups(judged_patients, held_out, log_odds[None, :])
    strata = within(judged_patients, held_out, log_odds[None, :])
    last = corrected[-1]
    assert last.log_odds is not None
    return ExternalRecord(
        model=record.model_name,
        model_version=record.model_version,
        endpoint=record.endpoint,
        trained_on=record.cohort.name,
        cohort=cohort.source.name,
        cohort_kind=cohort.source.kind,
        patients=len(rows),
        events=int(responses.sum()),
        left_out=_left_out(cohort, treated, known, record.endpoint),
        adcs=dict(Counter(judged_patients["adc"].astype(str)).most_common()),
        own_cohort=own,
        as_it_is=_judged(as_it_is, None),
        recalibrated=tuple(_judged(c, as_it_is) for c in corrected),
        calibration=calibration_of(responses, probability, as_it_is, _NO_CHANGE),
        calibration_recalibrated=calibration_of(
            responses, expit(last.log_odds[0]), last, recalibrate(responses, log_odds)
        ),
        decision_curve=decision_curve(responses, probability, None, held_out.weights),
        within=strata,
        subgroups=groups,
        comparator=_comparator(bundle, cohort, comparator, (responses, log_odds), judged_patients),
        columns_missing=tuple(
            c.name for c, column in zip(record.schema.columns, matrix.T, strict=True) if np.isnan(column).all()
        ),
        signal=signal_sentence(as_it_is.evaluation.estimate("auroc")),
        unsaid=unsaid(judged_patients, {w.by for w in strata}, {g.by for g in groups}, comparator=comparator),
    )


def _require_enough(outcome: Integers, endpoint: str, cohort: Cohort) -> None:
    rarer = min(int(outcome.sum()), len(outcome) - int(outcome.sum()))
    if len(outcome) < FEWEST_PATIENTS or rarer < FEWEST_OF_OUTCOME:
        raise InputError(
            f"{len(outcome)} patients received an ADC and have a known {endpoint}, {rarer} of the rarer outcome; a "
            f"validation needs {FEWEST_PATIENTS} and {FEWEST_OF_OUTCOME}.{put_aside(cohort)}",
            where=cohort.source.name,
            mend="Add patients with a known outcome, or use 'adcr score' if there is none.",
        )


def _predictions(bundle: ModelBundle, cohort: Cohort, matrix: NDArray[np.float64]) -> tuple[Floats, bool]:
    """Log-odds of the patients; by models that did not see them where the model learned from this very cohort."""
    record = bundle.record
    if cohort.source.sha256 == record.cohort.sha256 and len(matrix) == len(record.held_out_log_odds):
        return np.asarray(record.held_out_log_odds), True
    return bundle.predict_log_odds(matrix), False


def _result(name: str, label: str, held_out: HeldOut, log_odds: Floats) -> CandidateResult:
    evaluation = evaluate(held_out, log_odds[None, :])
    return CandidateResult(name, label, baseline=False, log_odds=log_odds[None, :], evaluation=evaluation)


def _recalibrated(
    held_out: HeldOut, patients: pd.DataFrame, log_odds: Floats, seed: int
) -> tuple[CandidateResult, CandidateResult]:
    """Correct the intercept alone, and slope and intercept, each patient by a correction fitted without it."""
    groups = patient_groups(patients)
    count = min(_FOLDS, len(np.unique(groups)))
    folds = assign_folds(held_out.outcome, groups, folds=count, repeats=1, seed=seed)[0]
    level, line = log_odds.copy(), log_odds.copy()
    for fold in np.unique(folds):
        rest, rows = folds != fold, folds == fold
        outcome = held_out.outcome[rest]
        if len(np.unique(outcome)) < 2:
            continue
        for corrected, fewest in ((level, len(outcome) + 1), (line, 0)):
            fitted = recalibrate(outcome, log_odds[rest], fewest_for_slope=fewest)
            corrected[rows] = fitted.intercept + fitted.slope * log_odds[rows]
    return (
        _result("intercept", "intercept", held_out, level),
        _result("slope_intercept", "slope and intercept", held_out, line),
    )


def _judged(result: CandidateResult, as_it_is: CandidateResult | None) -> Judged:
    difference = None if as_it_is is None else result.evaluation.difference(as_it_is.evaluation, "log_loss")
    metrics = {m: result.evaluation.estimate(m) for m in METRICS}
    return Judged(result.id, result.label, baseline=False, metrics=metrics, difference=difference)


def _left_out(cohort: Cohort, treated: np.ndarray, known: np.ndarray, endpoint: str) -> dict[str, int]:
    counts = {
        PUT_ASIDE: len(cohort.rejected),
        "identical duplicates": cohort.duplicates_merged,
        "no ADC (comparator arm)": int((~treated).sum()),
        f"{endpoint} not known": int((treated & ~known).sum()),
    }
    return {reason: count for reason, count in counts.items() if count}


def _comparator(
    bundle: ModelBundle,
    cohort: Cohort,
    arm: str | None,
    adc: tuple[Integers, Floats],
    adc_patients: pd.DataFrame,
) -> ComparatorRecord | None:
    if arm is None:
        return None
    outcome = outcome_of(cohort.patients, bundle.record.endpoint)
    rows = np.flatnonzero(_of_arm(cohort.patients, arm) & np.isfinite(outcome))
    if not len(rows):
        raise InputError(
            f"No patient of '{arm}' has a known {bundle.record.endpoint}.",
            where="--comparator",
            mend="Name another arm.",
        )
    scored_as = str(adc_patients["adc"].value_counts().index[0])
    patients = cohort.patients.iloc[rows].reset_index(drop=True).assign(adc=scored_as)
    log_odds = bundle.predict_log_odds(encode(patients, bundle.record.schema).to_numpy())
    return comparator_test(arm, scored_as, adc, (outcome[rows].astype(np.int64), log_odds))


def _of_arm(patients: pd.DataFrame, arm: str) -> np.ndarray:
    """Rows of an arm without an ADC, by any of the columns that can name it."""
    without = (patients["adc"] == NO_ADC).to_numpy()
    names: set[str] = set()
    for column in _ARM_COLUMNS:
        if column not in patients:
            continue
        level = patients[column].astype(object).astype(str)
        found = without & (level.str.casefold() == arm.casefold()).to_numpy()
        if found.any():
            return np.asarray(found)
        if column == "arm" or not names:
            names |= set(level[without & patients[column].notna().to_numpy()])
    raise InputError(
        f"There is no arm '{arm}' without an ADC.",
        where="--comparator",
        mend=f"There are: {listed(sorted(names))}." if names else "Its patients need 'adc' none and an 'arm'.",
    )
