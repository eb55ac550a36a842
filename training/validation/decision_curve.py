"""Net benefit of treating by the model's probability, beside treating all, none, or by HER2 IHC alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.validation.records import NetBenefit

if TYPE_CHECKING:
    from training.metrics import Floats, Integers

THRESHOLDS = tuple(round(t, 2) for t in np.arange(0.05, 0.96, 0.05).tolist())


def net_benefit(outcome: Integers, probability: Floats, threshold: float, weights: Floats | None = None) -> Floats:
    """Responders treated less non-responders treated at the odds of the threshold, per patient.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)
        Patients at the threshold or above are treated.
    threshold : float
        Probability of response from which on a treatment is worth its harm.
    weights : numpy.ndarray of shape (n_patients, n_replicates), optional

    Returns
    -------
    numpy.ndarray of shape (n_replicates,)
        Of one replicate without weights.

    References
    ----------
    Vickers AJ, Elkin EB. Med Decis Making 2006;26:565-574.
    """
    counts = np.ones((len(outcome), 1)) if weights is None else weights
    treated = (probability >= threshold).astype(np.float64)
    value = treated * np.where(outcome == 1, 1.0, -threshold / (1 - threshold))
    return np.asarray(value @ counts / counts.sum(axis=0))


def decision_curve(
    outcome: Integers, probability: Floats, her2_ihc: Floats | None, weights: Floats
) -> tuple[NetBenefit, ...]:
    """Net benefit over thresholds, with the interval of the model's.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    probability : numpy.ndarray of shape (n_patients,)
        Held out.
    her2_ihc : numpy.ndarray of shape (n_patients,), optional
        Held-out response rate of the patient's HER2 class.
    weights : numpy.ndarray of shape (n_patients, n_replicates)

    Returns
    -------
    tuple of NetBenefit
    """
    points = []
    everyone = np.ones(len(outcome))
    for threshold in THRESHOLDS:
        replicates = net_benefit(outcome, probability, threshold, weights.astype(np.float64))
        low, high = np.quantile(replicates, [0.025, 0.975])
        points.append(
            NetBenefit(
                threshold=threshold,
                model=float(net_benefit(outcome, probability, threshold)[0]),
                low=float(low),
                high=float(high),
                treat_all=float(net_benefit(outcome, everyone, threshold)[0]),
                her2_ihc=None if her2_ihc is None else float(net_benefit(outcome, her2_ihc, threshold)[0]),
            )
        )
    return tuple(points)
