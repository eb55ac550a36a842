"""A cohort in bins, as additive effects see it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from training.column_scores import ColumnBins, bin_column, column_scale, level_scores

if TYPE_CHECKING:
    from training.cohort_prior import CohortPrior
    from training.metrics import Floats


class BinnedCohort:
    """A cohort in bins, as additive effects see it.

    Parameters
    ----------
    prior : CohortPrior
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    """

    def __init__(self, prior: CohortPrior, matrix: Floats) -> None:
        self.prior = prior
        self.bins: dict[int, ColumnBins] = {}
        for j, column in enumerate(prior.schema.columns):
            scale = None if column.kind == "categorical" else prior.scales[j] or column_scale(matrix[:, j])
            # A fold may hold one value of a column only: nothing to learn from.
            if scale is not None and len(np.unique(matrix[np.isfinite(matrix[:, j]), j])) > 1:
                self.bins[j] = bin_column(matrix[:, j], scale)
        self.route_counts = np.bincount(prior.route_of(matrix) + 1, minlength=len(prior.routes) + 1)[1:]
        self.patients = len(matrix)

    def terms(self, matrix: Floats) -> Floats:
        """Scores of the prior's terms, binned; 0 where missing or of another route.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, n_terms)
        """
        route = self.prior.route_of(matrix)
        scores = np.zeros((len(matrix), len(self.prior.terms)))
        for position, term in enumerate(self.prior.terms):
            values = matrix[:, term.column]
            if term.level is not None:
                of_term = level_scores(self.prior.schema.columns[term.column], term.level, values)
            elif term.column in self.bins:
                bins = self.bins[term.column]
                of_term = np.append(bins.scores, 0.0)[bins.place(values)]
            else:
                continue
            scores[:, position] = of_term if term.route is None else of_term * (route == term.route)
        return scores

    @cached_property
    def shapes(self) -> dict[int, Floats]:
        """Bent shapes of each numeric column that can bend, by column."""
        columns = self.prior.schema.columns
        found = {j: bins.shapes() for j, bins in self.bins.items() if columns[j].source != "adc_profile"}
        return {j: s for j, s in found.items() if s.shape[1]}

    def bends(self, matrix: Floats) -> Floats:
        """Values of the bent shapes; 0 where missing.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, n_shapes)
        """
        parts = [
            np.vstack([shape, np.zeros(shape.shape[1])])[self.bins[j].place(matrix[:, j])]
            for j, shape in self.shapes.items()
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(matrix), 0))
