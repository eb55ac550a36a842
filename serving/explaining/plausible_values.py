"""How far an unmeasured biomarker could move a patient's probability: what to measure next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn
    from serving.explaining.like_patients import LikePatients
    from training.bundle_schema import TrainingRange
    from training.model_bundle import ModelBundle

    Floats = NDArray[np.float64]

#: Values tried between the first and the ninety-ninth percentile of a number.
_TRIED = 15
#: Of the patients who resemble one: a level that fewer have is not plausible, nor is a number beyond this share.
_RARE = 0.01
_FEWEST_ALIKE = 50


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


def unmeasured_ranges(bundle: ModelBundle, patient: Floats, like: LikePatients | None = None) -> list[UnmeasuredRange]:
    """Range of a patient's probability over the plausible values of each biomarker that was not measured.

    Parameters
    ----------
    bundle : ModelBundle
    patient : numpy.ndarray of shape (n_columns,)
        Encoded; NaN is not measured.
    like : LikePatients, optional
        Tells which values go with what was measured of the patient.

    Returns
    -------
    list of UnmeasuredRange
        Widest first; biomarkers of one plausible value or less are left out.
    """
    tried: list[tuple[int, float]] = []
    for j, column in enumerate(bundle.record.schema.columns):
        if np.isnan(patient[j]) and column.source in ("biomarker", "extra"):
            alike = like.values(patient, j) if like else np.empty(0)
            values = plausible_values(column, bundle.record.training_ranges.get(column.name), alike)
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


def plausible_values(column: FeatureColumn, seen: TrainingRange | None, alike: Floats | None = None) -> list[float]:
    """Values of a column that training patients had, and that go with what else is known of the patient.

    Parameters
    ----------
    column : FeatureColumn
    seen : TrainingRange or None
    alike : numpy.ndarray of shape (n_values,), optional
        Values of patients who resemble the patient; too few, or none within what training patients had, narrow nothing.

    Returns
    -------
    list of float
        Encoded; empty where nothing is known of it.
    """
    alike = np.empty(0) if alike is None or len(alike) < _FEWEST_ALIKE else alike
    if column.levels or column.kind == "binary":
        counts = seen.level_counts if seen else {}
        had = [float(i) for i, level in enumerate(column.levels) if counts.get(level)] if column.levels else [0.0, 1.0]
        return [v for v in had if np.mean(alike == v) >= _RARE] or had if len(alike) else had
    if seen is None or seen.p01 is None or seen.p99 is None or seen.p01 == seen.p99:
        return []
    low, high = seen.p01, seen.p99
    if len(alike):
        least, most = (float(v) for v in np.quantile(alike, [_RARE, 1 - _RARE]))
        if max(low, least) < min(high, most):
            low, high = max(low, least), min(high, most)
    return [float(v) for v in np.linspace(low, high, _TRIED)]
