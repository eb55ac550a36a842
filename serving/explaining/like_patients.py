"""Simulated patients who resemble one: which values of an unmeasured biomarker go with what was measured.

A tumour of IHC 3+ has no H-score of 1, though training patients had one. The simulator knows how biomarkers go along
with each other; of its patients on the same ADC, those nearest to the patient in what goes along with the biomarker
tell which of its values are plausible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.feature_table import encode
from training.explaining.blocks import rank_correlations
from training.prior import literature_prior

if TYPE_CHECKING:
    from features.feature_schema import FeatureSchema
    from serving.explaining.explained_cohort import Floats
    from training.training_table import Endpoint

#: Rank correlation from which one column tells of another.
_TELLS = 0.25
#: Nearest simulated patients that are looked at: five in a hundred of those on one ADC.
NEAREST = 200


class LikePatients:
    """Simulated patients on one ADC, encoded as a model's columns.

    Parameters
    ----------
    schema : FeatureSchema
    adc : str
    endpoint : {"pcr", "objective_response"}
    """

    def __init__(self, schema: FeatureSchema, adc: str, endpoint: Endpoint) -> None:
        patients = literature_prior().evidence.patients
        own = ((patients["endpoint"] == endpoint) & (patients["adc"] == adc)).to_numpy()
        self._schema = schema
        self._matrix = encode(patients[own], schema).to_numpy(dtype=np.float64) if own.any() else None
        if self._matrix is not None:
            ordered = [c.kind != "categorical" and c.source != "adc_profile" for c in schema.columns]
            self._together = np.where(np.outer(ordered, ordered), np.abs(rank_correlations(self._matrix)), 0.0)

    def values(self, patient: Floats, column: int) -> Floats:
        """Values of a column among the simulated patients nearest to a patient.

        Parameters
        ----------
        patient : numpy.ndarray of shape (n_columns,)
            Encoded; NaN is not measured.
        column : int
            One that was not measured.

        Returns
        -------
        numpy.ndarray of shape (n_values,)
            Empty where the ADC or the column is not simulated, or nothing that was measured goes along with it.
        """
        if self._matrix is None:
            return np.empty(0)
        weights = np.where(np.isnan(patient), 0.0, self._together[column])
        weights[(weights < _TELLS) | (np.arange(len(weights)) == column)] = 0.0
        rows = self._matrix[np.isfinite(self._matrix[:, column])]
        told = np.flatnonzero(weights)
        if not len(told) or len(rows) < NEAREST:
            return np.empty(0)
        away = np.column_stack([_ranks_away(rows[:, k], patient[k]) for k in told])
        known = np.isfinite(away) * weights[told]
        distance = np.nansum(away * weights[told], axis=1) / np.maximum(known.sum(axis=1), 1e-12)
        # Someone of whom little is known is not near.
        distance[known.sum(axis=1) < weights.sum() / 2] = np.inf
        nearest = np.argsort(distance, kind="stable")[:NEAREST]
        return np.asarray(rows[nearest[np.isfinite(distance[nearest])], column])


def _ranks_away(values: Floats, at: float) -> Floats:
    """Share of the known values that lie between each value and a place, half of those at either end counted."""
    known = np.sort(values[np.isfinite(values)])

    def rank(of: Floats) -> Floats:
        return np.asarray((np.searchsorted(known, of, "left") + np.searchsorted(known, of, "right")) / 2 / len(known))

    found = np.abs(rank(values) - rank(np.array([at])))
    return np.where(np.isfinite(values), found, np.nan)
