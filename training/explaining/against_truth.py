"""Explanations beside what a simulator knows to be true: each biomarker's effect by intervention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.stats import spearmanr

from features.synthetic.oracle import interventions
from training.explaining.learned_effects import slope_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema
    from features.synthetic.oracle import Intervention
    from training.metrics import Floats

#: Measures that report on the same truth as the cause they stand with: the model may credit any of them for it.
REPORTS: Mapping[str, tuple[str, ...]] = {
    "her2_ihc": (
        "her2_h_score", "her2_class", "her2_status", "erbb2_mrna_z", "her2_ish_ratio", "erbb2_copy_number",
        "her2_ish_positive", "erbb2_amplified",
    ),
    "her2_negative_fraction": ("her2_heterogeneous",),
    "p95her2_ratio": ("p95her2_positive",),
    "cdk12_amplified": ("cdk12_copy_number",),
    "til_percent": ("immune_score_z",),
    "hr_status": ("er_status", "pr_status", "er_percent", "pr_percent"),
    "pten_loss": ("pten_h_score",),
}  # fmt: skip


class CheckedEffect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """True and learned change of the log-odds from a cause's low to its high value, mean over the patients."""

    name: str
    label: str
    low: str
    high: str
    true: float
    learned: float

    @property
    def same_sign(self) -> bool:
        """Whether the model has the direction right."""
        return self.true * self.learned > 0


class TruthCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a model's explanations agree with the truth.

    Attributes
    ----------
    effects : tuple of CheckedEffect
        By falling true size.
    sign_agreement : float
        Share of right directions among the causes whose true effect is above the median of those that act.
    rank_correlation : float
        Spearman's, of signed true and learned effects.
    rank_correlation_of_sizes : float
        Spearman's, of their absolute values.
    """

    effects: tuple[CheckedEffect, ...]
    sign_agreement: float
    rank_correlation: float
    rank_correlation_of_sizes: float

    def learned(self, name: str) -> float:
        """Learned effect of a cause."""
        return next(e.learned for e in self.effects if e.name == name)


def against_truth(
    schema: FeatureSchema, matrix: Floats, shap: Floats, adc: NDArray[Any], true: Mapping[str, float]
) -> TruthCheck:
    """Judge contributions by the truth.

    The learned effect of a cause is the slope, among the patients of each ADC, of the contributions of all its reports
    together on its own measure, times the step that the true effect was computed for; ADCs count by their patients.

    Parameters
    ----------
    schema : FeatureSchema
    matrix, shap : numpy.ndarray of shape (n_patients, n_columns)
        Values, and contributions without the base value.
    adc : numpy.ndarray of str, shape (n_patients,)
    true : mapping of str to float
        True change of the log-odds by measure, mean over the same patients (`features.synthetic.oracle`).

    Returns
    -------
    TruthCheck
        Causes that the model has no column for, and categories, are left out.
    """
    columns = {column.name: column for column in schema.columns}
    causes = interventions()
    reported = {report for reports in REPORTS.values() for report in reports}
    found = []
    for name, cause in causes.items():
        column = columns.get(name)
        if column is None or column.kind == "categorical" or name in reported:
            continue
        block = [j for j, other in enumerate(schema.names) if other == name or other in REPORTS.get(name, ())]
        step = encoded(column, cause.high) - encoded(column, cause.low)
        slope = _slope(matrix[:, schema.names.index(name)], shap[:, block].sum(axis=1), adc)
        found.append(_checked(column, cause, float(true[name]), slope * step))
    return summarised(found)


def encoded(column: FeatureColumn, value: str) -> float:
    """Value of an intervention as the model's column holds it.

    Parameters
    ----------
    column : FeatureColumn
    value : str

    Returns
    -------
    float
    """
    return float(column.levels.index(value)) if column.levels else float(value)


def _checked(column: FeatureColumn, cause: Intervention, true: float, learned: float) -> CheckedEffect:
    return CheckedEffect(column.name, column.label, cause.low, cause.high, true, learned)


def _slope(values: Floats, contributions: Floats, adc: NDArray[Any]) -> float:
    """Mean of the slopes within each ADC, by patients; 0 where there is none."""
    slopes, patients = [], []
    for drug in np.unique(adc):
        own = (adc == drug) & np.isfinite(values)
        slope = slope_of(values[own], contributions[own])
        if slope is not None:
            slopes.append(slope)
            patients.append(int(own.sum()))
    return float(np.average(slopes, weights=patients)) if slopes else 0.0


def summarised(effects: list[CheckedEffect]) -> TruthCheck:
    """Sum up how far learned and true effects agree.

    Parameters
    ----------
    effects : list of CheckedEffect

    Returns
    -------
    TruthCheck
    """
    true, learned = np.array([e.true for e in effects]), np.array([e.learned for e in effects])
    sizes = np.abs(true)
    acting = sizes > 1e-9
    large = sizes > np.median(sizes[acting])
    agreed = [e.same_sign for e, is_large in zip(effects, large, strict=True) if is_large]
    return TruthCheck(
        tuple(sorted(effects, key=lambda e: -abs(e.true))),
        float(np.mean(agreed)),
        float(spearmanr(true, learned).statistic),
        float(spearmanr(sizes, np.abs(learned)).statistic),
    )
