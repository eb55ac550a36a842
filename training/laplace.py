"""Logistic regression under a normal prior: mode, curvature and the evidence for the prior (Laplace's method)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.metrics import Floats, Integers

    Bools = NDArray[np.bool_]

_STEPS, _SMALL_GAIN = 40, 1e-7
#: Weights of patients whose outcome the model is sure of are kept above this, so that curvatures stay invertible.
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Posterior:
    """Normal approximation at the mode.

    Attributes
    ----------
    mode : numpy.ndarray of shape (n_coefficients,)
    factor : tuple
        Cholesky factor of the curvature, as `scipy.linalg.cho_solve` takes it.
    log_evidence : float
        Log of the probability of the outcomes under the prior, up to a constant that all priors share.
    """

    mode: Floats
    factor: tuple[Floats, bool]
    log_evidence: float

    def variances(self, rows: Floats) -> Floats:
        """Variance of the log-odds of some patients.

        Parameters
        ----------
        rows : numpy.ndarray of shape (n_patients, n_coefficients)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return np.asarray((rows * cho_solve(self.factor, rows.T).T).sum(axis=1))


def posterior(design: Floats, outcome: Integers, offset: Floats, precision: Floats) -> Posterior:
    """Mode and curvature of independent normal coefficients around 0.

    Parameters
    ----------
    design : numpy.ndarray of shape (n_patients, n_coefficients)
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    offset : numpy.ndarray of shape (n_patients,)
        Log-odds at coefficients of 0.
    precision : numpy.ndarray of shape (n_coefficients,)
        Inverse variance of each coefficient, above 0.

    Returns
    -------
    Posterior

    References
    ----------
    Rasmussen CE, Williams CKI. Gaussian Processes for Machine Learning, 2006, section 3.4.
    """
    sign = np.asarray(2.0 * outcome - 1.0)

    def log_joint(at: Floats) -> float:
        return float(-np.logaddexp(0.0, -sign * (offset + design @ at)).sum() - 0.5 * (precision * at * at).sum())

    mode: Floats = np.zeros(design.shape[1])
    value = log_joint(mode)
    for _ in range(_STEPS):
        p = expit(offset + design @ mode)
        factor = cho_factor(_curvature(design, p, precision))
        newton = np.asarray(cho_solve(factor, design.T @ (outcome - p) - precision * mode), dtype=np.float64)
        step, gained = _descend(log_joint, mode, newton, value)
        mode = mode + step
        value += gained
        if gained < _SMALL_GAIN:
            break
    factor = cho_factor(_curvature(design, expit(offset + design @ mode), precision))
    evidence = value - float(np.log(np.diag(factor[0])).sum()) + 0.5 * float(np.log(precision).sum())
    return Posterior(mode, factor, evidence)


def _descend(log_joint: Callable[[Floats], float], mode: Floats, step: Floats, value: float) -> tuple[Floats, float]:
    """Halve a Newton step until it does not lose."""
    for _ in range(12):
        gained = log_joint(mode + step) - value
        if gained >= 0:
            return step, gained
        step = step / 2
    return np.zeros_like(step), 0.0


def _curvature(design: Floats, p: Floats, precision: Floats) -> Floats:
    curvature = (design * np.maximum(p * (1 - p), _LEAST_WEIGHT)[:, None]).T @ design
    curvature[np.diag_indices_from(curvature)] += precision
    return np.asarray(curvature)


@dataclass(frozen=True)
class NormalPrior:
    """Normal prior of coefficients that may be bound to a sign.

    Attributes
    ----------
    mean : numpy.ndarray of shape (n_coefficients,)
    precision : numpy.ndarray of shape (n_coefficients, n_coefficients)
        Inverse covariance.
    """

    mean: Floats
    precision: Floats


@dataclass(frozen=True)
class ConstrainedMode:
    """Mode with some coefficients held to a sign.

    Attributes
    ----------
    mode : numpy.ndarray of shape (n_coefficients,)
        Every coefficient has its sign or is 0.
    held : numpy.ndarray of shape (n_coefficients,)
        Those at 0 that would change their sign.
    gradient, hessian : numpy.ndarray
        Of the log-posterior at the mode, the hessian with its sign turned.
    prior : NormalPrior
    """

    mode: Floats
    held: Bools
    gradient: Floats
    hessian: Floats
    prior: NormalPrior

    def gain(self, coefficients: Integers) -> float:
        """Log-likelihood that freeing some coefficients together would win, in the quadratic approximation.

        They move to where the posterior has its mode without their signs; what the prior gains or loses there is not
        counted, so that a sign is never given up for the prior's own sake.

        Parameters
        ----------
        coefficients : numpy.ndarray of int

        Returns
        -------
        float
            0 where none of them is held.
        """
        bound = coefficients[self.held[coefficients]]
        if not len(bound):
            return 0.0
        moving = np.flatnonzero(~self.held)
        moving = np.concatenate([moving, bound])
        step = np.linalg.solve(self.hessian[np.ix_(moving, moving)], self.gradient[moving])
        of_prior = self.prior.precision @ (self.mode - self.prior.mean)
        likelihood = self.hessian[np.ix_(moving, moving)] - self.prior.precision[np.ix_(moving, moving)]
        return float((self.gradient + of_prior)[moving] @ step - 0.5 * step @ likelihood @ step)


def constrained_mode(
    design: Floats, outcome: Integers, prior: NormalPrior, signs: Floats, start: Floats
) -> ConstrainedMode:
    """Mode with coefficients held to a sign, by Newton steps on active sets.

    Parameters
    ----------
    design : numpy.ndarray of shape (n_patients, n_coefficients)
    outcome : numpy.ndarray of shape (n_patients,)
    prior : NormalPrior
    signs : numpy.ndarray of shape (n_coefficients,)
        +1 not below 0, -1 not above 0, 0 free.
    start : numpy.ndarray of shape (n_coefficients,)

    Returns
    -------
    ConstrainedMode

    References
    ----------
    Hintermueller M, Ito K, Kunisch K. SIAM J Optim 2002;13:865-888 (primal-dual active sets).
    """
    mode = np.where(start * signs < 0, 0.0, start)
    held = (mode == 0) & (signs != 0)
    for _ in range(12):
        p = expit(design @ mode)
        hessian = (design * np.maximum(p * (1 - p), 1e-4)[:, None]).T @ design + prior.precision
        target = design.T @ (outcome - p) - prior.precision @ (mode - prior.mean) + hessian @ mode
        new, held = _active_sets(hessian, target, signs, held)
        moved = float(np.abs(new - mode).max())
        mode = new
        if moved < 1e-5:
            break
    return ConstrainedMode(mode, held, target - hessian @ mode, hessian, prior)


def _active_sets(hessian: Floats, target: Floats, signs: Floats, held: Bools) -> tuple[Floats, Bools]:
    """Minimise x'Hx/2 - target'x with signs; sets that do not settle are ended by cutting what is left over."""
    for _ in range(30):
        free = ~held
        mode = np.zeros(len(target))
        mode[free] = np.linalg.solve(hessian[np.ix_(free, free)], target[free])
        multiplier = (hessian @ mode - target) * signs
        wanted = np.where(held, multiplier > 0, mode * signs < 0) & (signs != 0)
        if np.array_equal(wanted, held):
            break
        held = wanted
    return np.where(mode * signs < 0, 0.0, mode), held
