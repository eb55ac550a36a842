"""Populations as lookup tables, so that a block of patients of several populations is drawn in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit, pdtr

from features.synthetic.parameters import HER2_CLASSES, marginal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.synthetic.arrays import FloatArray
    from features.synthetic.parameters import Population

#: Most lines of therapy before this treatment that any trial reports.
_MOST_LINES = 13


@dataclass(frozen=True, slots=True)
class PopulationTables:
    """Populations as lookup tables, one row each.

    Attributes
    ----------
    class_cumulative : ndarray, shape (n_populations, 6)
        Cumulative shares of `HER2_CLASSES`.
    hr_positive : ndarray, shape (n_populations, 6)
        P(HR-positive) by HER2 class.
    lines_cumulative : ndarray, shape (n_populations, 14)
        Cumulative distribution of prior lines 0 to 13.
    prior_pertuzumab, brain_metastases : ndarray, shape (n_populations,)
        Shares of patients.
    """

    class_cumulative: FloatArray
    hr_positive: FloatArray
    lines_cumulative: FloatArray
    prior_pertuzumab: FloatArray
    brain_metastases: FloatArray


def population_tables(members: Sequence[Population]) -> PopulationTables:
    """Turn populations into lookup tables."""
    shares = np.array([[p.classes.get(c, 0.0) for c in HER2_CLASSES] for p in members])
    cumulative = np.cumsum(shares, axis=1)
    return PopulationTables(
        cumulative / cumulative[:, -1:],
        np.array([_hr_positive_by_class(p) for p in members]),
        np.array([_lines_cumulative(p) for p in members]),
        np.array([p.prior_pertuzumab for p in members]),
        np.array([p.brain_metastases for p in members]),
    )


def _hr_positive_by_class(member: Population) -> FloatArray:
    """P(HR-positive) of each HER2 class, moved on the log-odds scale to the population's overall share."""
    usual = np.array([marginal(f"hr_positive_given_{c}") for c in HER2_CLASSES])
    if member.hr_positive is None:
        return usual
    if member.hr_positive in (0.0, 1.0):
        return np.full(len(HER2_CLASSES), member.hr_positive)
    shares = np.array([member.classes.get(c, 0.0) for c in HER2_CLASSES])
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        overall = shares @ expit(logit(usual) + middle) / shares.sum()
        low, high = (middle, high) if overall < member.hr_positive else (low, middle)
    return np.asarray(expit(logit(usual) + low))


def _lines_cumulative(member: Population) -> FloatArray:
    """Cumulative distribution of prior lines: the fewest plus a Poisson number, at most 13."""
    fewest, mean = member.prior_lines
    more = np.arange(_MOST_LINES) - fewest
    below = np.where(more >= 0, pdtr(np.maximum(more, 0), max(mean - fewest, 1e-9)), 0.0)
    return np.append(below, 1.0)
