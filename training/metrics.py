"""Discrimination, accuracy and calibration of held-out predictions, for many bootstrap replicates at once.

Every function takes a matrix of weights, one column per replicate: how often each patient was drawn. A column of ones
gives the plain estimate, so estimate and replicates come from the same code. Predictions are log-odds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Integers = NDArray[np.integer[Any]]

#: Names of the metrics wherever they appear; True where a higher value is better, None where 1 or 0 is.
HIGHER_IS_BETTER: dict[str, bool | None] = {
    "auroc": True,
    "auprc": True,
    "brier": False,
    "log_loss": False,
    "calibration_slope": None,
    "calibration_intercept": None,
}
METRICS = tuple(HIGHER_IS_BETTER)

#: Newton steps stop below this change of slope or intercept. The error left is about its square, so that the second
#: suffices for replicates, whose single precision could not meet the first.
_CONVERGED, _CONVERGED_SINGLE = 1e-8, 1e-2
_MOST_STEPS = 25
#: A slope beyond this is separation: the maximum-likelihood slope is infinite.
_SEPARATED = 50.0


def weighted_mean(losses: Floats, weights: Floats) -> Floats:
    """Mean of a loss per patient under each column of weights.

    Parameters
    ----------
    losses : numpy.ndarray of shape (n_patients,)
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    numpy.ndarray of shape (n_replicates,)
    """
    return np.asarray(losses.astype(weights.dtype) @ weights / weights.sum(axis=0))


def brier_losses(outcome: Integers, log_odds: Floats) -> Floats:
    """Squared difference of probability and outcome of each patient (lower is better; 0.25 is a coin).

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    log_odds : numpy.ndarray of shape (..., n_patients)

    Returns
    -------
    numpy.ndarray of the shape of `log_odds`
    """
    return np.square(expit(log_odds) - outcome)


def log_losses(outcome: Integers, log_odds: Floats) -> Floats:
    """Minus log likelihood of each patient's outcome in nats (lower is better; 0.693 is a coin).

    Computed from log-odds, so that a certain prediction loses no digits.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds : numpy.ndarray of shape (..., n_patients)

    Returns
    -------
    numpy.ndarray of the shape of `log_odds`
    """
    return np.logaddexp(0.0, np.where(outcome == 1, -log_odds, log_odds))


def auroc(outcome: Integers, log_odds: Floats, fold: Integers, weights: Floats) -> Floats:
    """Share of pairs (responder, non-responder) held out together that the score puts in the right order.

    Patients are only compared with patients of the same fold: folds have models of their own, whose levels differ by
    chance, and comparing over folds pushes the AUROC of a useless model below 0.5. Ties count half.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds : numpy.ndarray of shape (n_patients,)
    fold : numpy.ndarray of shape (n_patients,)
        Fold that held the patient out.
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    numpy.ndarray of shape (n_replicates,)
        NaN where no fold holds a pair.

    References
    ----------
    LeDell E, Petersen M, van der Laan M. Electron J Stat 2015;9:1583-1607 (cross-validated AUROC).
    """
    ordered = np.zeros(weights.shape[1], dtype=weights.dtype)
    pairs = np.zeros_like(ordered)
    for k in np.unique(fold):
        rows = np.flatnonzero(fold == k)
        rows = rows[np.argsort(log_odds[rows], kind="stable")]
        responders, others = _tie_groups(outcome[rows], log_odds[rows], weights[rows])
        below = np.cumsum(others, axis=0)
        below -= 0.5 * others
        ordered += np.einsum("ij,ij->j", responders, below)
        pairs += responders.sum(axis=0) * others.sum(axis=0)
    return _ratio(ordered, pairs)


def average_precision(outcome: Integers, log_odds: Floats, weights: Floats) -> Floats:
    """Area under the precision-recall curve as average precision (a useless score gives the share of responders).

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds : numpy.ndarray of shape (n_patients,)
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    numpy.ndarray of shape (n_replicates,)
        NaN where a replicate has no responder.
    """
    rows = np.argsort(-log_odds, kind="stable")
    responders, others = _tie_groups(outcome[rows], log_odds[rows], weights[rows])
    found = np.cumsum(responders, axis=0)
    called = found + np.cumsum(others, axis=0)
    precision = _ratio(found, called, empty=0.0)
    return _ratio(np.einsum("ij,ij->j", responders, precision), found[-1])


def _tie_groups(outcome: Integers, log_odds: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of responders and of others at each distinct score, in the order given."""
    responders = weights * outcome[:, None].astype(weights.dtype)
    others = weights - responders
    starts = np.flatnonzero(np.r_[True, log_odds[1:] != log_odds[:-1]])
    if len(starts) == len(log_odds):
        return responders, others
    return np.add.reduceat(responders, starts, axis=0), np.add.reduceat(others, starts, axis=0)


def _ratio(numerator: Floats, denominator: Floats, *, empty: float = np.nan) -> Floats:
    out = np.full_like(numerator, empty)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def calibration_line(outcome: Integers, log_odds: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept of the outcome's log-odds on the predicted log-odds (ideal: 1 and 0).

    A slope below 1 means that predictions are too extreme (overfitted), above 1 too timid.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds : numpy.ndarray of shape (n_patients,)
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    slope, intercept : numpy.ndarray of shape (n_replicates,)
        NaN where the maximum-likelihood slope is infinite or the predictions do not differ.

    References
    ----------
    Cox DR. Biometrika 1958;45:562-565.
    """
    y = outcome.astype(weights.dtype)
    z = log_odds.astype(weights.dtype)
    line = _newton(y, z, np.ones((len(y), 1)), np.array([[0.0], [1.0]]))
    if weights.shape[1] > 1 or not (weights == 1).all():
        start = line if np.isfinite(line).all() else np.array([[0.0], [1.0]])
        line = _newton(y, z, weights, start)
    return line[1], line[0]


def _newton(y: Floats, z: Floats, weights: Floats, start: Floats) -> Floats:
    """Maximum-likelihood (intercept, slope) of each replicate, shape (2, n_replicates)."""
    line = np.repeat(start, weights.shape[1], axis=1).astype(np.float64)
    converged = _tolerance(weights)
    with np.errstate(all="ignore"):
        for step in range(_MOST_STEPS):
            sums = _common_sums(y, z, weights, line[:, 0]) if step == 0 else _sums(y, z, weights, line)
            g0, g1, h00, h01, h11 = sums.astype(np.float64)
            determinant = h00 * h11 - h01 * h01
            change = np.array([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0]) / determinant
            line += change
            if not (np.abs(change) > converged).any():
                break
        sound = (np.abs(line[1]) < _SEPARATED) & (np.abs(change) <= converged).all(axis=0)
    return np.where(sound, line, np.nan)


def _tolerance(weights: Floats) -> float:
    return _CONVERGED if weights.dtype == np.float64 else _CONVERGED_SINGLE


def _common_sums(y: Floats, z: Floats, weights: Floats, line: Floats) -> Floats:
    """Gradient and information at a line shared by all replicates: one matrix product."""
    p = expit(line[0] + line[1] * z)
    v = p * (1 - p)
    r = y - p
    rows = np.stack([r, r * z, v, v * z, v * z * z]).astype(weights.dtype)
    return np.asarray(rows @ weights)


def _sums(y: Floats, z: Floats, weights: Floats, line: Floats) -> Floats:
    lines = line.astype(weights.dtype)
    p = expit(lines[0] + lines[1] * z[:, None])
    r = weights * (y[:, None] - p)
    v = weights * p * (1 - p)
    powers = np.stack([np.ones_like(z), z, z * z])
    return np.concatenate([powers[:2] @ r, powers @ v])


def calibration_in_the_large(outcome: Integers, log_odds: Floats, weights: Floats) -> Floats:
    """Intercept with the predicted log-odds as offset (ideal 0; above 0: responses are more frequent than predicted).

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds : numpy.ndarray of shape (n_patients,)
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    numpy.ndarray of shape (n_replicates,)
        NaN where a replicate has one class.

    References
    ----------
    Steyerberg EW. Clinical Prediction Models, 2nd ed., 2019, chapter 15.
    """
    z = log_odds.astype(weights.dtype)
    events = outcome.astype(weights.dtype) @ weights
    mixed = (events > 0) & (events < weights.sum(axis=0))
    intercept = np.zeros(weights.shape[1], dtype=weights.dtype)
    with np.errstate(all="ignore"):
        for step in range(_MOST_STEPS):
            p = expit(z)[:, None] if step == 0 else expit(z[:, None] + intercept)
            expected, information = _expected(p, weights)
            change = np.clip((events - expected) / information, -2.0, 2.0)
            intercept = intercept + change
            if not (np.abs(change[mixed]) > _tolerance(weights)).any():
                break
    return np.where(mixed, intercept, np.nan)


def _expected(p: Floats, weights: Floats) -> tuple[Floats, Floats]:
    if p.shape[1] == 1:
        return p[:, 0] @ weights, (p * (1 - p))[:, 0] @ weights
    wp = weights * p
    return wp.sum(axis=0), np.einsum("ij,ij->j", wp, 1 - p)
