"""Response as literature plus cohort: prior trees and additive effects under the literature's normal prior.

    log-odds = intercept + sum over mechanism steps of b * prior trees of the step + sum of additive effects

The intercept is the cohort's. Each step's weight `b` starts at 1 and may shrink to 0. The additive effects start where
the simulated worlds have them and move as far as the worlds disagree; wider and narrower versions of that prior, ones
that trust the catalogue's directions beyond the simulator or without it, ones with bent effects, and ones without any
literature are all fitted, and averaged by their evidence times a prior that trusts the literature first (Bayesian model
averaging). A cohort that contradicts the literature so falls back on what it says itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit

from training.beliefs import BENDS, BEST, STRAIGHT_BELIEFS, Belief
from training.binned_cohort import BinnedCohort
from training.laplace import ConstrainedMode, NormalPrior, Posterior, constrained_mode, posterior

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.cohort_prior import CohortPrior
    from training.metrics import Floats, Integers

#: Precision of the intercept: standard deviation 5.
_INTERCEPT_PRECISION = 0.04
#: Standard deviation around 1 of the weight that all steps of the prior trees share, and of each step's own around it.
_SHARED_WEIGHT_SD, _STEP_WEIGHT_SD = 0.5, 0.25
#: Mean and standard deviation of a biomarker's effect per score in the catalogue's direction, where a belief trusts it.
_DIRECTION_MEAN, _DIRECTION_SD = 0.15, 0.15
#: Standard deviation of the effect of a column that the user adds, per score, where a belief expects much of it: the
#: literature has nothing to say of such a column. Tried on the best of the other beliefs.
_ADDED_SD = 0.5
#: Beliefs of less weight than this are not refitted under constraints.
_LEAST_SHARE = 0.05
_JITTER = 1e-9


@dataclass(frozen=True)
class Effects:
    """Coefficients of the model on the log-odds scale."""

    intercept: float
    weights: Floats
    terms: Floats
    bends: Floats

    def log_odds(self, trees: Floats, terms: Floats, bends: Floats) -> Floats:
        """Log-odds of some patients, given the parts of their prior trees, term scores and shapes."""
        return np.asarray(self.intercept + trees @ self.weights + terms @ self.terms + bends @ self.bends)


@dataclass(frozen=True)
class FittedBelief:
    """One belief with what the cohort made of it."""

    belief: Belief
    design: Floats
    posterior: Posterior
    effects: Effects
    root: Floats


class Primed:
    """Bayesian average of the beliefs, fitted to a cohort.

    Parameters
    ----------
    prior : CohortPrior
    trees : numpy.ndarray of shape (n_patients, n_steps)
        Parts of the log-odds of the prior trees.
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.

    Attributes
    ----------
    fits : list of FittedBelief
    shares : numpy.ndarray of shape (n_fits,)
        Weight of each belief by its evidence; sums to 1.
    effects : Effects
        Averaged.
    held_out : numpy.ndarray of shape (n_patients,)
        Log-odds of each patient by the model without that patient (approximately), moderated.
    slope : float
        Factor at or below 1 by which uncertainty draws predictions towards the mean.
    """

    def __init__(self, prior: CohortPrior, trees: Floats, matrix: Floats, outcome: Integers) -> None:
        self.prior = prior
        self.cohort = BinnedCohort(prior, matrix)
        self.trees, self.outcome = trees, outcome
        self.terms, self.bends = self.cohort.terms(matrix), self.cohort.bends(matrix)
        columns = prior.schema.columns
        self._added = np.array([columns[t.column].source == "extra" for t in prior.terms], dtype=bool)
        steps = trees.shape[1]
        self._weights_root = cholesky(
            np.full((steps, steps), _SHARED_WEIGHT_SD**2) + np.eye(steps) * _STEP_WEIGHT_SD**2, lower=True
        )
        self._roots: dict[Belief, tuple[Floats, Floats]] = {}
        self.fits = [self._fit(belief) for belief in STRAIGHT_BELIEFS]
        if self._added.any():
            self.fits += [self._fit(replace(belief, added=_ADDED_SD)) for belief in self._best()]
        if self.bends.shape[1]:
            self.fits += [self._fit(replace(belief, bent=bend)) for bend in BENDS for belief in self._best()]
        evidence = np.array([f.posterior.log_evidence + f.belief.log_prior for f in self.fits])
        shares = np.exp(evidence - evidence.max())
        self.shares: Floats = shares / shares.sum()
        self.effects = average([f.effects for f in self.fits], self.shares)
        self.held_out, self.slope = self._moderated()

    @property
    def literature_share(self) -> float:
        """Share of the beliefs that hold the literature, 0 to 1."""
        return float(sum(s for s, f in zip(self.shares, self.fits, strict=True) if f.belief.literature))

    def _best(self) -> list[Belief]:
        """Best straight beliefs so far."""
        straight = [f for f in self.fits if not f.belief.bent]
        ranked = sorted(straight, key=lambda f: -f.posterior.log_evidence - f.belief.log_prior)
        return [f.belief for f in ranked[:BEST]]

    def _root(self, belief: Belief) -> tuple[Floats, Floats]:
        """Mean of the terms' effects under a belief, and a root of their covariance."""
        straight = replace(belief, bent=0.0)
        if straight not in self._roots:
            prior = self.prior
            mean = np.zeros(len(prior.terms))
            free = np.where(self._added, max(belief.free, belief.added), belief.free)
            covariance = belief.worlds * prior.covariance + np.diag(free**2 / np.sqrt(prior.sharing))
            if belief.literature:
                mean = mean + prior.mean
            if belief.directed:
                mean = mean + _DIRECTION_MEAN * prior.direction
                common = np.outer(prior.direction, prior.direction) + np.diag(prior.direction**2)
                covariance = covariance + _DIRECTION_SD**2 * common
            covariance[np.diag_indices_from(covariance)] += _JITTER
            self._roots[straight] = mean, cholesky(covariance, lower=True)
        return self._roots[straight]

    def _fit(self, belief: Belief) -> FittedBelief:
        mean, root = self._root(belief)
        known = belief.literature
        parts: list[Floats] = [np.ones((len(self.outcome), 1))]
        parts += [self.trees @ self._weights_root] if known else []
        parts += [self.terms @ root]
        parts += [belief.bent * self.bends] if belief.bent else []
        design = np.concatenate(parts, axis=1)
        precision = np.ones(design.shape[1])
        precision[0] = _INTERCEPT_PRECISION
        offset = self.terms @ mean + (self.trees.sum(axis=1) if known else 0.0)
        fit = posterior(design, self.outcome, offset, precision)
        steps = self.trees.shape[1]
        first = 1 + known * steps
        last = first + len(mean)
        effects = Effects(
            intercept=float(fit.mode[0]),
            weights=1.0 + self._weights_root @ fit.mode[1:first] if known else np.zeros(steps),
            terms=mean + root @ fit.mode[first:last],
            bends=belief.bent * fit.mode[last:] if belief.bent else np.zeros(self.bends.shape[1]),
        )
        return FittedBelief(belief, design, fit, effects, root)

    def _moderated(self) -> tuple[Floats, float]:
        """Leave-one-out log-odds, drawn towards the mean by their uncertainty, and the slope that does so on average.

        References
        ----------
        MacKay DJC. Neural Comput 1992;4:720-736 (moderated outputs); Rasmussen and Williams 2006, section 5.4.2.
        """
        centres, variances, shares = [], [], []
        for fit, share in zip(self.fits, self.shares, strict=True):
            if share < _LEAST_SHARE / 5:
                continue
            log_odds = fit.effects.log_odds(self.trees, self.terms, self.bends)
            p = expit(log_odds)
            variance = fit.posterior.variances(fit.design)
            without = variance / np.maximum(1 - p * (1 - p) * variance, 0.1)
            centres.append(log_odds - without * (self.outcome - p))
            variances.append(without)
            shares.append(share)
        share_of = np.array(shares)[:, None] / sum(shares)
        centre = (share_of * centres).sum(axis=0)
        variance = (share_of * (np.array(variances) + (np.array(centres) - centre) ** 2)).sum(axis=0)
        moderated = centre / np.sqrt(1 + np.pi / 8 * variance)
        spread = centre - centre.mean()
        slope = float(np.clip(spread @ (moderated - moderated.mean()) / max(spread @ spread, 1e-12), 0.0, 1.0))
        return moderated.mean() + slope * spread, slope

    def constrained(self, signs: Floats) -> tuple[Effects, Callable[[Integers], float]]:
        """Effects with terms held to their signs and the weights of the trees held above 0.

        Parameters
        ----------
        signs : numpy.ndarray of shape (n_terms,)
            +1, -1, or 0 for free.

        Returns
        -------
        Effects
        gain : callable
            Log-posterior that freeing the terms of the given positions would win.
        """
        kept = np.flatnonzero(self.shares >= min(_LEAST_SHARE, float(self.shares.max())))
        found = [self._constrained(self.fits[i], signs) for i in kept]
        shares = self.shares[kept] / self.shares[kept].sum()

        def gain(terms: Integers) -> float:
            return float(
                sum(s * mode.gain(terms + 1 + self.trees.shape[1]) for s, (_, mode) in zip(shares, found, strict=True))
            )

        return average([e for e, _ in found], shares), gain

    def _constrained(self, fit: FittedBelief, signs: Floats) -> tuple[Effects, ConstrainedMode]:
        belief, count, steps = fit.belief, len(signs), self.trees.shape[1]
        mean, root = self._root(belief)
        inverse = solve_triangular(root, np.eye(count), lower=True)
        # Without literature the trees carry weights that the prior holds at 0.
        weight_mean = 1.0 if belief.literature else 0.0
        bends = self.bends.shape[1] if belief.bent else 0
        first = 1 + steps
        last = first + count
        precision = np.diag(
            np.concatenate([[_INTERCEPT_PRECISION], np.full(steps, 1e6), np.zeros(count), np.ones(bends)])
        )
        if belief.literature:
            precision[1:first, 1:first] = np.linalg.inv(self._weights_root @ self._weights_root.T)
        precision[first:last, first:last] = inverse.T @ inverse
        precision[last:, last:] *= belief.bent**-2 if bends else 1.0
        prior = NormalPrior(np.concatenate([[0.0], np.full(steps, weight_mean), mean, np.zeros(bends)]), precision)
        parts: list[Floats] = [np.ones((len(self.outcome), 1)), self.trees, self.terms]
        design = np.concatenate([*parts, self.bends] if bends else parts, axis=1)
        e = fit.effects
        start = np.concatenate([[e.intercept], e.weights, e.terms, e.bends if bends else []])
        held = np.concatenate([[0.0], np.ones(steps), signs, np.zeros(bends)])
        found = constrained_mode(design, self.outcome, prior, held, start)
        mode = found.mode
        free = mode[last:] if bends else np.zeros(self.bends.shape[1])
        return Effects(float(mode[0]), mode[1:first], mode[first:last], free), found


def average(effects: list[Effects], shares: Floats) -> Effects:
    """Mean of some effects.

    Parameters
    ----------
    effects : list of Effects
    shares : numpy.ndarray of shape (n_effects,)
        Sums to 1.

    Returns
    -------
    Effects
    """
    pairs = list(zip(shares, effects, strict=True))
    return Effects(
        intercept=float(sum(s * e.intercept for s, e in pairs)),
        weights=np.asarray(sum(s * e.weights for s, e in pairs)),
        terms=np.asarray(sum(s * e.terms for s, e in pairs)),
        bends=np.asarray(sum(s * e.bends for s, e in pairs)),
    )
