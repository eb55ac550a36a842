"""Intervals of the metrics by resampling patients, and paired differences between models.

All repeats' held-out predictions of a patient are drawn together, so the interval is that of new patients, not of
new splits. It does not hold the variation from training on another cohort of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from training import metrics
from training.estimate import Estimate
from training.one_thread import linear_algebra_on_one_thread

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from training.metrics import Floats, Integers

__all__ = [
    "FEWEST_GROUPS",
    "REPLICATES",
    "Estimate",
    "Evaluation",
    "HeldOut",
    "evaluate",
    "interval_of",
    "loss_difference",
    "mean_probability",
    "observed_rate",
    "resampling_weights",
]

REPLICATES = 1000
#: Fewer groups than this say little when they are resampled; patients are resampled instead.
FEWEST_GROUPS = 20
#: Replicates computed together: a block of 5,000 patients stays within a processor's cache.
_BLOCK = 128
#: An interval needs nearly all of its replicates.
_LARGEST_LOST_SHARE = 0.1
#: Predictions whose log-odds spread less than this within a fold do not tell patients apart.
_FLAT = 0.01


@dataclass(frozen=True)
class HeldOut:
    """What all candidate models are judged on.

    Attributes
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    folds : numpy.ndarray of shape (n_repeats, n_patients)
        Fold that held the patient out, per repeat.
    weights : numpy.ndarray of shape (n_patients, n_replicates)
    """

    outcome: Integers
    folds: Integers
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model: the estimate and each replicate, or the reason why there is none."""

    values: dict[str, float] = field(default_factory=dict)
    replicates: dict[str, NDArray[Any]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def estimate(self, metric: str) -> Estimate:
        """Give a metric with its interval.

        Parameters
        ----------
        metric : str
            One of `metrics.METRICS`.

        Returns
        -------
        Estimate
        """
        if metric not in self.values:
            return Estimate(None, reason=self.reasons.get(metric, "not computed"))
        return interval_of(self.values[metric], self.replicates[metric])

    def difference(self, other: Evaluation, metric: str) -> Estimate:
        """Subtract another model in the same patients, with the interval of the paired difference.

        Parameters
        ----------
        other : Evaluation
            Of a model evaluated on the same `HeldOut`.
        metric : str

        Returns
        -------
        Estimate
        """
        for evaluation in (self, other):
            if metric not in evaluation.values:
                return Estimate(None, reason=evaluation.reasons.get(metric, "not computed"))
        return interval_of(
            self.values[metric] - other.values[metric], self.replicates[metric] - other.replicates[metric]
        )


def resampling_weights(units: Integers, *, replicates: int = REPLICATES, seed: int = 0) -> NDArray[np.float32]:
    """How often each patient is drawn in each bootstrap replicate.

    Parameters
    ----------
    units : numpy.ndarray of shape (n_patients,)
        What is drawn with replacement: patients, or groups (sites) whose patients then come together.
    replicates : int
    seed : int

    Returns
    -------
    numpy.ndarray of shape (n_patients, replicates)
        float32, in which counts are exact.
    """
    _, unit = np.unique(units, return_inverse=True)
    count = int(unit.max()) + 1
    random = np.random.default_rng(seed)
    drawn = np.empty((count, replicates), dtype=np.float32)
    for replicate in range(replicates):
        drawn[:, replicate] = np.bincount(random.integers(count, size=count), minlength=count)
    return drawn[unit]


def evaluate(held_out: HeldOut, log_odds: Floats) -> Evaluation:
    """Every metric of one model's held-out predictions, averaged over the repeats.

    Parameters
    ----------
    held_out : HeldOut
    log_odds : numpy.ndarray of shape (n_repeats, n_patients)
        Predictions by models that did not see the patient.

    Returns
    -------
    Evaluation
        A metric that cannot be computed is absent from `values` and has its reason.
    """
    if not np.isfinite(log_odds).all():
        return Evaluation(reasons=dict.fromkeys(metrics.METRICS, "the model gave a prediction that is no number"))
    ones = np.ones((len(held_out.outcome), 1))
    flat = _flat(log_odds, held_out.folds)
    with linear_algebra_on_one_thread():
        values = {m: float(v[0]) for m, v in _all_metrics(held_out, log_odds, ones, flat=flat).items()}
        blocks = [
            _all_metrics(held_out, log_odds, held_out.weights[:, start : start + _BLOCK], flat=flat)
            for start in range(0, held_out.weights.shape[1], _BLOCK)
        ]
    reasons = {}
    for metric in metrics.METRICS:
        if metric not in values:
            reasons[metric] = "the predictions do not differ between patients"
        elif not np.isfinite(values[metric]):
            reasons[metric] = _why_undefined(metric, held_out.outcome)
    return Evaluation(
        values={m: v for m, v in values.items() if np.isfinite(v)},
        replicates={m: np.concatenate([b[m] for b in blocks]).astype(np.float64) for m in values},
        reasons=reasons,
    )


def _flat(log_odds: Floats, folds: Integers) -> bool:
    """Whether predictions differ only between folds, which have models of their own."""
    spreads = [np.std(row[fold == k]) for row, fold in zip(log_odds, folds, strict=True) for k in np.unique(fold)]
    return float(np.mean(spreads)) < _FLAT


def _all_metrics(held_out: HeldOut, log_odds: Floats, weights: NDArray[Any], *, flat: bool) -> dict[str, NDArray[Any]]:
    y = held_out.outcome
    weights = np.ascontiguousarray(weights)
    pairs = list(zip(log_odds, held_out.folds, strict=True))
    result = {
        "auroc": np.mean([metrics.auroc(y, z, fold, weights) for z, fold in pairs], axis=0),
        "auprc": np.mean([metrics.average_precision(y, z, weights) for z, _ in pairs], axis=0),
        "brier": metrics.weighted_mean(metrics.brier_losses(y, log_odds).mean(axis=0), weights),
        "log_loss": metrics.weighted_mean(metrics.log_losses(y, log_odds).mean(axis=0), weights),
        "calibration_intercept": np.mean([metrics.calibration_in_the_large(y, z, weights) for z, _ in pairs], axis=0),
    }
    if not flat:
        slopes = [metrics.calibration_line(y, z, weights)[0] for z, _ in pairs]
        result["calibration_slope"] = np.mean(slopes, axis=0)
    return result


def _why_undefined(metric: str, outcome: Integers) -> str:
    if len(np.unique(outcome)) < 2:
        return "all patients have the same outcome"
    if metric == "calibration_slope":
        return "the predictions separate the outcomes completely"
    return "no fold holds both a responder and a non-responder"


def interval_of(value: float, replicates: NDArray[Any], *, undefined: str = "not defined here") -> Estimate:
    """Put the percentile interval of its replicates beside a value.

    Parameters
    ----------
    value : float
        NaN where it is not defined.
    replicates : numpy.ndarray of shape (n_replicates,)
        NaN where a resample does not define it.
    undefined : str
        Why there is no value, where it is NaN.

    Returns
    -------
    Estimate
        Without an interval where more than a tenth of the resamples do not define it.
    """
    if not np.isfinite(value):
        return Estimate(None, reason=undefined)
    sound = replicates[np.isfinite(replicates)]
    if len(sound) < (1 - _LARGEST_LOST_SHARE) * len(replicates) or not len(sound):
        lost = len(replicates) - len(sound)
        return Estimate(value, reason=f"no interval: undefined in {lost} of {len(replicates)} resamples")
    low, high = np.quantile(sound, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def loss_difference(outcome: Integers, log_odds: Floats, other: Floats, weights: NDArray[np.float32]) -> Estimate:
    """Log loss of one prediction per patient minus that of another, with the paired interval.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds, other : numpy.ndarray of shape (n_patients,)
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    Estimate
        Below zero where the first predicts better.
    """
    losses = metrics.log_losses(outcome, log_odds) - metrics.log_losses(outcome, other)
    return interval_of(float(losses.mean()), metrics.weighted_mean(losses, weights))


def observed_rate(outcome: Integers, weights: NDArray[np.float32]) -> Estimate:
    """Share of responders with its interval.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    Estimate
    """
    return interval_of(float(outcome.mean()), metrics.weighted_mean(outcome.astype(np.float64), weights))


def mean_probability(log_odds: Floats) -> Floats:
    """Mean over repeats of a patient's held-out probabilities.

    Parameters
    ----------
    log_odds : numpy.ndarray of shape (n_repeats, n_patients)

    Returns
    -------
    numpy.ndarray of shape (n_patients,)
    """
    return np.asarray(expit(log_odds).mean(axis=0))
