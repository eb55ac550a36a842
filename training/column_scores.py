"""Columns on a common scale, in bins: what additive effects are estimated on and written as small trees.

Within a cohort a column becomes at most `MOST_BINS` bins, each with the mean score of its patients. An additive effect
is then one value per bin, so that it is exactly a tree of one column, not an approximation of a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from features.feature_schema import FeatureColumn
    from training.metrics import Floats, Integers

#: Depth of four; with the leaf of the missing and two of other payloads a tree keeps below 16 leaves.
MOST_BINS = 12
#: Columns of more distinct values are scored by rank, since their units and tails say little about effects.
_MOST_CODES = 12
_LARGEST_SCORE = 3.2
#: Leading shapes of a random walk over the bins; three hold most of a step, a threshold or a plateau.
SHAPES = 3


@dataclass(frozen=True)
class ColumnScale:
    """Score of each value of a column: about mean 0 and standard deviation 1 in a reference population.

    Attributes
    ----------
    values, scores : tuple of float
        Ascending; between them the score is interpolated, beyond them it is the nearest.
    """

    values: tuple[float, ...]
    scores: tuple[float, ...]

    def score(self, values: Floats) -> Floats:
        """Scores of some values; missing stays NaN.

        Parameters
        ----------
        values : numpy.ndarray of shape (n_patients,)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return np.clip(np.interp(values, self.values, self.scores), -_LARGEST_SCORE, _LARGEST_SCORE)


def column_scale(values: Floats) -> ColumnScale | None:
    """Scale of a numeric, ordinal or binary column.

    Few distinct values are standardised; more are replaced by the normal scores of their ranks.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_patients,)
        NaN is missing.

    Returns
    -------
    ColumnScale, or None
        None where there are not two different values.
    """
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if len(distinct) < 2:
        return None
    share = counts / counts.sum()
    if len(distinct) > _MOST_CODES:
        scores = ndtri(np.clip(np.cumsum(share) - share / 2, 0.002, 0.998))
    else:
        spread = np.sqrt(share @ (distinct - share @ distinct) ** 2)
        scores = distinct / spread
    return ColumnScale(tuple(distinct.tolist()), tuple((scores - share @ scores).tolist()))


@dataclass(frozen=True)
class ColumnBins:
    """A column of a cohort in bins.

    Attributes
    ----------
    edges : numpy.ndarray of shape (n_bins - 1,)
        A value at an edge belongs below it.
    scores : numpy.ndarray of shape (n_bins,)
        Mean score of the patients of each bin; rises.
    counts : numpy.ndarray of shape (n_bins,)
        Patients.
    missing : int
        Patients without a value.
    """

    edges: Floats
    scores: Floats
    counts: Integers
    missing: int

    def place(self, values: Floats) -> Integers:
        """Bin of each value; `n_bins` where it is missing.

        Parameters
        ----------
        values : numpy.ndarray of shape (n_patients,)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return np.where(np.isnan(values), len(self.scores), np.searchsorted(self.edges, values, side="left"))

    def shapes(self) -> Floats:
        """Give the leading shapes of a random walk over the bins, of mean 0 and total variance 1.

        Returns
        -------
        numpy.ndarray of shape (n_bins, n_shapes)
            No shapes where there are two bins: two values are a line.
        """
        bins = len(self.scores)
        if bins < 3:
            return np.zeros((bins, 0))
        share = (self.counts + 0.5) / (self.counts + 0.5).sum()
        steps = np.arange(bins, dtype=np.float64)
        centre = np.eye(bins) - share[None, :]
        walk = centre @ np.minimum.outer(steps, steps) @ centre.T
        sizes, shapes = np.linalg.eigh(walk / (share @ np.diag(walk)))
        leading = np.argsort(-sizes)[:SHAPES]
        # The sign of an eigenvector is arbitrary; fixed, so that models are the same on every machine.
        shapes = shapes[:, leading] * np.sign(shapes[-1, leading] + 1e-12)
        return np.asarray(shapes * np.sqrt(np.maximum(sizes[leading], 0.0)))


def bin_column(values: Floats, scale: ColumnScale) -> ColumnBins:
    """Cut a column of a cohort into bins of about equal size; few distinct values get a bin each.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_patients,)
        NaN is missing.
    scale : ColumnScale

    Returns
    -------
    ColumnBins
    """
    known = values[np.isfinite(values)]
    distinct = np.unique(known)
    if len(distinct) > MOST_BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, MOST_BINS + 1)[1:-1], method="lower"))
        edges = edges[edges < distinct[-1]]
    else:
        edges = (distinct[1:] + distinct[:-1]) / 2
    place = np.searchsorted(edges, known, side="left")
    counts = np.bincount(place, minlength=len(edges) + 1)
    sums = np.bincount(place, weights=scale.score(known), minlength=len(edges) + 1)
    return ColumnBins(edges, sums / np.maximum(counts, 1), counts, int(len(values) - len(known)))


def level_scores(column: FeatureColumn, level: int, values: Floats) -> Floats:
    """Centred indicator of one level of a category; 0 where it is missing.

    Parameters
    ----------
    column : FeatureColumn
    level : int
    values : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    numpy.ndarray of shape (n_patients,)
    """
    return np.where(np.isnan(values), 0.0, (values == level) - 1.0 / len(column.levels))
