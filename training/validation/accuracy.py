"""Integrated calibration index, smooth calibration curves, and AUROC with DeLong's variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.estimate import Estimate

if TYPE_CHECKING:
    from training.metrics import Floats, Integers

#: Share of the patients that each local line is fitted to, as in loess.
_SPAN = 0.75
_GRID = 100
_Z95 = 1.959964


def smooth_calibration(outcome: Integers, probability: Floats) -> tuple[Floats, Floats]:
    """Observed response as a smooth function of the predicted one: local lines with tricube weights.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    probability : numpy.ndarray of shape (n_patients,)
        Predicted.

    Returns
    -------
    grid, observed : numpy.ndarray of shape (n_points,)
        `observed` lies between 0 and 1.

    References
    ----------
    Cleveland WS. J Am Stat Assoc 1979;74:829-836 (loess); Austin PC, Steyerberg EW. Stat Med 2014;33:517-535.
    """
    grid = np.unique(np.quantile(probability, np.linspace(0, 1, _GRID)))
    near = max(2, int(np.ceil(_SPAN * len(outcome))))
    distance = np.abs(probability[None, :] - grid[:, None])
    reach = np.partition(distance, near - 1, axis=1)[:, near - 1 : near] * 1.000001 + 1e-12
    tricube = np.clip(1 - (distance / reach) ** 3, 0, None) ** 3
    total = tricube.sum(axis=1)
    mean_x = tricube @ probability / total
    mean_y = tricube @ outcome / total
    away = probability[None, :] - mean_x[:, None]
    spread = (tricube * away**2).sum(axis=1)
    slope = np.divide((tricube * away) @ outcome, spread, out=np.zeros_like(spread), where=spread > 1e-12 * total)
    return grid, np.clip(mean_y + slope * (grid - mean_x), 0.0, 1.0)


def integrated_calibration_index(outcome: Integers, probability: Floats) -> float:
    """Mean absolute distance between predicted and smoothly observed response (0 is ideal).

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    float

    References
    ----------
    Austin PC, Steyerberg EW. Stat Med 2019;38:4051-4065.
    """
    grid, observed = smooth_calibration(outcome, probability)
    return float(np.mean(np.abs(np.interp(probability, grid, observed) - probability)))


def delong(outcome: Integers, scores: Floats) -> Estimate:
    """AUROC with DeLong's 95% interval, on the log-odds scale so that it stays between 0 and 1.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    scores : numpy.ndarray of shape (n_patients,)
        Higher for likelier responders, by one model for all patients.

    Returns
    -------
    Estimate
        Without an interval where the two outcomes are separated completely.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845; Sun X, Xu W. IEEE Signal Process Lett
    2014;21:1389-1393.
    """
    responders, others = scores[outcome == 1], scores[outcome == 0]
    if not len(responders) or not len(others):
        return Estimate(None, reason="all patients have the same outcome")
    of_responder, of_other = placements(responders, others)
    area = float(of_responder.mean())
    if len(responders) < 2 or len(others) < 2:
        return Estimate(area, reason="no interval: one patient with an outcome")
    variance = of_responder.var(ddof=1) / len(responders) + of_other.var(ddof=1) / len(others)
    if not 0 < area < 1 or variance <= 0:
        return Estimate(area, reason="no interval: the outcomes are separated completely")
    middle, half = np.log(area / (1 - area)), _Z95 * np.sqrt(variance) / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(middle - half))), 1 / (1 + np.exp(-(middle + half)))
    return Estimate(area, float(low), float(high))


def placements(responders: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Share of the others that each responder is placed above, and of the responders below which each other is.

    Parameters
    ----------
    responders, others : numpy.ndarray
        Scores.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        Ties count half; both have the AUROC as mean.
    """

    def share_below(of: Floats, among: Floats) -> Floats:
        ordered = np.sort(among)
        below, up_to = np.searchsorted(ordered, of, side="left"), np.searchsorted(ordered, of, side="right")
        return np.asarray((below + up_to) / (2 * len(among)))

    return share_below(responders, others), 1.0 - share_below(others, responders)
