"""Everything that one training shows about its model, put together from held-out predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.bootstrap import mean_probability
from training.estimate import Estimate
from training.metrics import METRICS
from training.rates import wilson_interval
from training.validation.accuracy import integrated_calibration_index, smooth_calibration
from training.validation.decision_curve import decision_curve
from training.validation.questions import SENTENCES
from training.validation.records import (
    BinnedRate,
    CalibrationRecord,
    CheckFinding,
    Judged,
    OptimismRecord,
    Split,
    ValidationRecord,
)
from training.validation.strata import HER2_COLUMNS, SUBGROUP_COLUMNS, subgroups, within

if TYPE_CHECKING:
    import pandas as pd

    from training.bootstrap import HeldOut
    from training.bundle_schema import Calibration
    from training.cross_validation import CandidateResult
    from training.metrics import Floats, Integers

#: Calibration bins hold about this many patients: a share of fewer has an interval as wide as the plot.
_PATIENTS_PER_BIN, _MOST_BINS = 40, 8
_FEWEST_FOR_CURVE = 30


def validation_record(
    candidates: tuple[CandidateResult, ...],
    held_out: HeldOut,
    patients: pd.DataFrame,
    *,
    split: Split,
    recalibration: Calibration,
    optimism: OptimismRecord,
    checks: tuple[CheckFinding, ...],
) -> ValidationRecord:
    """Put the validation of a training together.

    Parameters
    ----------
    candidates : tuple of CandidateResult
        The model last.
    held_out : HeldOut
    patients : pandas.DataFrame of shape (n_patients, any)
        Canonical columns of the patients learned from.
    split : Split
    recalibration : Calibration
        Of the final model.
    optimism : OptimismRecord
    checks : tuple of CheckFinding

    Returns
    -------
    ValidationRecord
        A part that cannot be computed is left out, and named in `unsaid`.
    """
    model = candidates[-1]
    judged = tuple(_judged(c, model) for c in candidates)
    if model.log_odds is None:
        why = f"The model could not be judged: {model.reason}."
        return ValidationRecord(split, judged, None, (), (), (), optimism, checks, why, (why,))
    probability = mean_probability(model.log_odds)
    her2 = next((c for c in candidates if c.id == "mean_by_her2" and c.log_odds is not None), None)
    her2_rate = None if her2 is None or her2.log_odds is None else mean_probability(her2.log_odds)
    groups, strata = subgroups(patients, held_out, model.log_odds), within(patients, held_out, model.log_odds)
    return ValidationRecord(
        split=split,
        candidates=judged,
        calibration=calibration_of(held_out.outcome, probability, model, recalibration),
        decision_curve=decision_curve(held_out.outcome, probability, her2_rate, held_out.weights),
        within=strata,
        subgroups=groups,
        optimism=optimism,
        checks=checks,
        signal=signal_sentence(model.evaluation.estimate("auroc")),
        unsaid=unsaid(patients, {w.by for w in strata}, {g.by for g in groups}),
    )


def _judged(candidate: CandidateResult, model: CandidateResult) -> Judged:
    return Judged(
        id=candidate.id,
        label=candidate.label,
        baseline=candidate.baseline,
        metrics={m: candidate.evaluation.estimate(m) for m in METRICS},
        difference=None if candidate.id == model.id else model.evaluation.difference(candidate.evaluation, "log_loss"),
        reason=candidate.reason,
    )


def calibration_of(
    outcome: Integers, probability: Floats, model: CandidateResult, recalibration: Calibration
) -> CalibrationRecord:
    """Slope, intercept, index, bins and curve of a model's held-out probabilities.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)
    model : CandidateResult
    recalibration : Calibration

    Returns
    -------
    CalibrationRecord
    """
    return CalibrationRecord(
        slope=model.evaluation.estimate("calibration_slope"),
        intercept=model.evaluation.estimate("calibration_intercept"),
        ici=calibration_index(outcome, probability),
        bins=binned_rates(outcome, probability),
        curve=calibration_curve(outcome, probability),
        recalibration=_recalibration(recalibration),
    )


def calibration_index(outcome: Integers, probability: Floats) -> Estimate:
    """Integrated calibration index.

    Without an interval: a mean of distances is never below 0, so that resampling only makes it larger.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    Estimate
    """
    if len(outcome) < _FEWEST_FOR_CURVE or np.ptp(probability) < 1e-6:
        return Estimate(None, reason="too few patients, or predictions that do not differ")
    return Estimate(integrated_calibration_index(outcome, probability))


def calibration_curve(outcome: Integers, probability: Floats) -> tuple[tuple[float, float], ...]:
    """Smooth curve of observed against predicted response; empty where there are too few patients.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    tuple of (float, float)
    """
    if len(outcome) < _FEWEST_FOR_CURVE or np.ptp(probability) < 1e-6:
        return ()
    grid, observed = smooth_calibration(outcome, probability)
    return tuple(zip(np.round(grid, 4).tolist(), np.round(observed, 4).tolist(), strict=True))


def binned_rates(outcome: Integers, probability: Floats) -> tuple[BinnedRate, ...]:
    """Observed share and mean prediction in bins of about equal size.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    tuple of BinnedRate
    """
    bins = int(np.clip(len(outcome) // _PATIENTS_PER_BIN, 2, _MOST_BINS))
    found = []
    for rows in np.array_split(np.argsort(probability, kind="stable"), bins):
        low, high = wilson_interval(int(outcome[rows].sum()), len(rows))
        found.append(BinnedRate(float(probability[rows].mean()), float(outcome[rows].mean()), low, high, len(rows)))
    return tuple(found)


def _recalibration(calibration: Calibration) -> str:
    words = {
        "none": "none",
        "intercept": f"intercept only ({calibration.intercept:+.2f}): too few patients to judge the slope",
        "slope_intercept": f"slope {calibration.slope:.2f} and intercept {calibration.intercept:+.2f}",
    }
    return words[calibration.method]


def signal_sentence(auroc: Estimate) -> str:
    """Say whether there is any signal.

    Parameters
    ----------
    auroc : Estimate
        Of held-out predictions.

    Returns
    -------
    str
    """
    if auroc.value is None or auroc.low is None:
        return f"Whether there is a signal cannot be said: {auroc.reason or 'no interval'}."
    if auroc.low <= 0.5:
        return (
            f"No signal is shown: in patients that the model did not see its AUROC is {auroc.value:.2f} "
            f"(95% interval {auroc.low:.2f} to {auroc.high:.2f}), which a coin would reach too."
        )
    return (
        f"There is a signal: in patients that the model did not see its AUROC is {auroc.value:.2f} "
        f"(95% interval {auroc.low:.2f} to {auroc.high:.2f}; a coin has 0.50)."
    )


def unsaid(
    patients: pd.DataFrame, within_of: set[str], subgroups_of: set[str], *, comparator: str | None = None
) -> tuple[str, ...]:
    """Name what this cohort gives no answer to, with the reason.

    Parameters
    ----------
    patients : pandas.DataFrame of shape (n_patients, any)
    within_of, subgroups_of : set of str
        Divisions that were judged.
    comparator : str, optional
        Arm that the score was compared in.

    Returns
    -------
    tuple of str
    """
    told = []
    if "ADC" not in within_of:
        told.append("How well the model does within one ADC: the cohort has one drug.")
    if not set(HER2_COLUMNS.values()) & set(within_of):
        told.append("How well the model does within one HER2 class: the cohort has one HER2 class, or none stated.")
    for column, by in SUBGROUP_COLUMNS.items():
        if column not in patients or not patients[column].notna().any():
            told.append(f"How well it does by {by}: the cohort does not state it.")
        elif by not in subgroups_of:
            told.append(f"How well it does by {by}: all patients are alike in it, or there are too many levels.")
    if comparator is None:
        told.append("Whether it predicts response to the ADC or to any treatment: see 'adcr validate --comparator'.")
    return tuple(told)


def split_of(question: str, folds: int, repeats: int, held_out: tuple[str, ...], resampled: str) -> Split:
    """Describe a split in words.

    Parameters
    ----------
    question : str
    folds, repeats : int
    held_out : tuple of str
        What each fold held out.
    resampled : str

    Returns
    -------
    Split
    """
    return Split(question, SENTENCES[question], folds, repeats, held_out, resampled)
