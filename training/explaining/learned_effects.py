"""What the model makes of more of a biomarker, drug by drug, in natural units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema
    from training.metrics import Floats

#: Fewer patients with a value on a drug than this tell no slope.
FEWEST_PATIENTS = 10
#: Changes of the log-odds below this (odds ratio 1.05) are called no clear effect.
NEGLIGIBLE = 0.05


class LearnedEffect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Change of the log-odds, by the model, from a low to a high value of a column in the patients of one ADC.

    Attributes
    ----------
    low, high : float
        Encoded: tenth and ninetieth percentile of the cohort, or the two ends where these are equal.
    change : float
        Slope of the column's SHAP contributions on its values, times high less low.
    patients : int
        With a value, on this ADC.
    """

    name: str
    label: str
    adc: str
    low: float
    high: float
    change: float
    patients: int

    @property
    def sign(self) -> int:
        """+1 or -1 where the change is clear, else 0."""
        return 0 if abs(self.change) < NEGLIGIBLE else 1 if self.change > 0 else -1


def learned_effects(
    schema: FeatureSchema, matrix: Floats, shap: Floats, adc: NDArray[Any]
) -> tuple[LearnedEffect, ...]:
    """Effect of every ordered column in the patients of each ADC.

    Parameters
    ----------
    schema : FeatureSchema
    matrix, shap : numpy.ndarray of shape (n_patients, n_columns)
        Values, and contributions without the base value.
    adc : numpy.ndarray of str, shape (n_patients,)

    Returns
    -------
    tuple of LearnedEffect
        Columns in order, ADCs by name; none for categories, the drug's own parts, and where too few have a value.
    """
    found = []
    for j, column in enumerate(schema.columns):
        if column.kind == "categorical" or column.source == "adc_profile":
            continue
        low, high = ends(column, matrix[:, j])
        for drug in np.unique(adc):
            own = (adc == drug) & np.isfinite(matrix[:, j])
            slope = slope_of(matrix[own, j], shap[own, j])
            if slope is not None:
                change = slope * (high - low)
                found.append(LearnedEffect(column.name, column.label, str(drug), low, high, change, int(own.sum())))
    return tuple(found)


def ends(column: FeatureColumn, values: Floats) -> tuple[float, float]:
    """Low and high value that effects are told between.

    Parameters
    ----------
    column : FeatureColumn
    values : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    low, high : float
    """
    known = values[np.isfinite(values)]
    if column.kind == "binary" or not len(known):
        return 0.0, 1.0
    # Of levels, one that patients have; of numbers, what lies between two patients too.
    cuts = np.quantile(known, [0.1, 0.9], method="nearest") if column.levels else np.quantile(known, [0.1, 0.9])
    low, high = (float(v) for v in cuts)
    return (low, high) if low < high else (float(known.min()), float(known.max()))


def slope_of(values: Floats, contributions: Floats) -> float | None:
    """Slope of contributions on values.

    Parameters
    ----------
    values, contributions : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    float or None
        None with fewer than FEWEST_PATIENTS, or where values are all the same.
    """
    if len(values) < FEWEST_PATIENTS or np.ptp(values) == 0:
        return None
    centred = values - values.mean()
    return float(centred @ (contributions - contributions.mean()) / (centred @ centred))
