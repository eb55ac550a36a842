"""Distributions of one biomarker in several cohorts, side by side, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.biomarkers import measures
from features.columns.cohort_columns import CONTEXT_LEVELS, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.biomarkers import Measure

#: From this difference on two cohorts are called unlike: a standardised mean difference, or a share of patients who
#: would have to change level. Conventional for a medium effect (Cohen 1988), and no test.
UNLIKE = 0.5


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values of a measure in one cohort.

    Attributes
    ----------
    cohort : str
    patients, known : int
        All, and those with a value.
    middle, low, high : float or None
        Median and quartiles of a number; the share of yes (middle) of a binary measure.
    shares : dict of str to float
        Share of each level, of those with a value.
    """

    cohort: str
    patients: int
    known: int
    middle: float | None
    low: float | None
    high: float | None
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measure in every cohort.

    Attributes
    ----------
    measure : str
    kind : {"numeric", "binary", "levels"}
    distributions : tuple of Distribution
        One per cohort, in order; without values where it was not measured.
    difference : float or None
        Largest difference between two cohorts with at least 10 values: standardised mean difference of numbers and
        yes/no, total variation distance of levels.
    """

    measure: str
    kind: str
    distributions: tuple[Distribution, ...]
    difference: float | None


def compare_cohorts(cohorts: Mapping[str, pd.DataFrame]) -> tuple[Comparison, ...]:
    """Compare every measure and outcome that any cohort holds.

    Parameters
    ----------
    cohorts : mapping of str to pandas.DataFrame
        Patients in canonical columns, by name of the cohort.

    Returns
    -------
    tuple of Comparison
        Outcomes, then settings, then measures in catalogue order.
    """
    known: dict[str, Measure] = {**OUTCOMES, "setting": CONTEXT_LEVELS["setting"], **measures()}
    held = {str(c) for patients in cohorts.values() for c in patients.columns[patients.notna().any()]}
    return tuple(_comparison(measure, cohorts) for name, measure in known.items() if name in held)


def _comparison(measure: Measure, cohorts: Mapping[str, pd.DataFrame]) -> Comparison:
    kind = {"numeric": "numeric", "binary": "binary"}.get(measure.kind, "levels")
    columns = {name: patients.get(measure.id, pd.Series(dtype="float64")) for name, patients in cohorts.items()}
    found = tuple(_distribution(name, kind, columns[name], len(cohorts[name]), measure.levels) for name in cohorts)
    values = [c.dropna() for c in columns.values() if c.notna().sum() >= 10]
    pairs = [(a, b) for i, a in enumerate(values) for b in values[i + 1 :]]
    distance = _between_levels if kind == "levels" else _between_numbers
    return Comparison(measure.id, kind, found, max((distance(a, b) for a, b in pairs), default=None))


def _distribution(
    cohort: str, kind: str, column: pd.Series[float], patients: int, levels: tuple[str, ...]
) -> Distribution:
    values = column.dropna()
    if values.empty:
        return Distribution(cohort, patients, 0, None, None, None, {})
    if kind == "numeric":
        low, middle, high = (float(q) for q in np.quantile(values.to_numpy(dtype=np.float64), [0.25, 0.5, 0.75]))
        return Distribution(cohort, patients, len(values), middle, low, high, {})
    if kind == "binary":
        return Distribution(cohort, patients, len(values), float(values.mean()), None, None, {})
    shares = values.value_counts(normalize=True)
    return Distribution(
        cohort, patients, len(values), None, None, None, {lv: float(shares.get(lv, 0.0)) for lv in levels}
    )


def _between_numbers(a: pd.Series[float], b: pd.Series[float]) -> float:
    spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    gap = abs(float(a.mean()) - float(b.mean()))
    return float(gap / spread) if spread > 0 else (0.0 if gap == 0 else float("inf"))


def _between_levels(a: pd.Series[float], b: pd.Series[float]) -> float:
    shares = pd.concat([a.value_counts(normalize=True), b.value_counts(normalize=True)], axis=1).fillna(0.0)
    return float((shares.iloc[:, 0] - shares.iloc[:, 1]).abs().sum() / 2)
