"""How much of two models to use: their held-out predictions decide, and a doubt favours the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from training.metrics import Floats, Integers

#: Log-likelihood that the second model must win to be used alone: a likelihood ratio of about 20.
_DOUBT = 3.0
_GRID = np.linspace(0.0, 1.0, 21)
#: Less than this is not worth the trees.
_LEAST = 0.02


def mixing_weight(outcome: Integers, first: Floats, second: Floats) -> float:
    """Weight of the second model in the mean of two log-odds.

    The mean of the weight under its likelihood for the held-out outcomes, not the weight of the highest likelihood:
    with few patients that would jump from 0 to 1.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    first, second : numpy.ndarray of shape (n_patients,)
        Log-odds by models that did not see the patient.

    Returns
    -------
    float
        0 to 1; 0 where it would be below 0.02.

    References
    ----------
    Yao Y et al. Bayesian Anal 2018;13:917-1007 (stacking of predictive distributions).
    """
    sign = 2.0 * outcome - 1.0
    losses = [
        np.logaddexp(0.0, -sign * ((1 - weight) * first + weight * second)).sum() + _DOUBT * weight for weight in _GRID
    ]
    likelihood = np.exp(np.min(losses) - np.array(losses))
    weight = float(likelihood @ _GRID / likelihood.sum())
    return 0.0 if weight < _LEAST else weight
