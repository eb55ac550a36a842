"""How far an unmeasured biomarker could move a patient's probability: what to measure next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn
    from training.bundle_schema import TrainingRange
    from training.model_bundle import ModelBundle

    Floats = NDArray[np.float64]

#: Values tried between the first and the ninety-ninth percentile of a number.
_TRIED = 15


class UnmeasuredRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lowest and highest probability over the plausible values of one biomarker, and where they are reached."""

    name: str
    lowest: float
    highest: float
    lowest_at: float
    highest_at: float

    @property
    def width(self) -> float:
        """How much the answer could change."""
        return self.highest - self.lowest


def unmeasured_ranges(bundle: ModelBundle, patient: Floats) -> list[UnmeasuredRange]:
    """Range of a patient's probability over the plausible values of each biomarker that was not measured.

    Parameters
    ----------
    bundle : ModelBundle
    patient : numpy.ndarray of shape (n_columns,)
        Encoded; NaN is not measured.

    Returns
    -------
    list of UnmeasuredRange
        Widest first; biomarkers of one plausible value or less are left out.
    """
    tried: list[tuple[int, float]] = []
    for j, column in enumerate(bundle.record.schema.columns):
        if np.isnan(patient[j]) and column.source in ("biomarker", "extra"):
            values = plausible_values(column, bundle.record.training_ranges.get(column.name))
            tried += [(j, value) for value in values if len(values) > 1]
    if not tried:
        return []
    rows = np.repeat(patient[None, :], len(tried), axis=0)
    places = np.array([j for j, _ in tried])
    rows[np.arange(len(tried)), places] = [value for _, value in tried]
    probability = bundle.probability(bundle.predict_log_odds(rows))
    found = []
    for j in np.unique(places):
        own = np.flatnonzero(places == j)
        low, high = own[np.argmin(probability[own])], own[np.argmax(probability[own])]
        found.append(
            UnmeasuredRange(
                bundle.record.schema.names[j],
                float(probability[low]),
                float(probability[high]),
                tried[low][1],
                tried[high][1],
            )
        )
    return sorted(found, key=lambda r: (-r.width, r.name))


def plausible_values(column: FeatureColumn, seen: TrainingRange | None) -> list[float]:
    """Values of a column that training patients had.

    Parameters
    ----------
    column : FeatureColumn
    seen : TrainingRange or None

    Returns
    -------
    list of float
        Encoded; empty where nothing is known of it.
    """
    if column.levels:
        counts = seen.level_counts if seen else {}
        return [float(i) for i, level in enumerate(column.levels) if counts.get(level)]
    if column.kind == "binary":
        return [0.0, 1.0]
    if seen is None or seen.p01 is None or seen.p99 is None or seen.p01 == seen.p99:
        return []
    return [float(v) for v in np.linspace(seen.p01, seen.p99, _TRIED)]
