"""Typed records of `bundle.json`: everything about a model but its trees."""

from __future__ import annotations

from typing import Literal

import msgspec

from features.feature_schema import FeatureSchema
from training.estimate import Estimate
from training.explaining.stability import RefitFindings

#: Raised when a field is added, removed or changes its meaning.
SCHEMA_VERSION = 3
#: Format 2 lacks `refits`, and is read without it.
READABLE_VERSIONS = (2, 3)


class TrainingRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values of one column among the training patients, for checks of new patients."""

    missing_rate: float
    #: numeric, binary and ordinal columns (ordinal: position of the level); None where all are missing
    minimum: float | None = None
    p01: float | None = None
    p99: float | None = None
    maximum: float | None = None
    #: patients per level (ordinal and categorical)
    level_counts: dict[str, int] = {}
    #: patients between consecutive edges, the last edge of a bin belonging to it: for shift checks; empty in older
    #: models. Edges are tenths of the values, rounded, or lie between levels.
    bin_edges: tuple[float, ...] = ()
    bin_counts: tuple[int, ...] = ()


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recalibration of the log-odds, intercept + slope x raw, already inside the trees of `model.txt`."""

    method: Literal["none", "intercept", "slope_intercept"]
    intercept: float = 0.0
    slope: float = 1.0


class VennAbersTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """95% limits of the response rate among patients of a score, as two step functions of it.

    `scores` are held-out log-odds in ascending order; `low` and `high` have one entry more than `scores`.
    """

    scores: tuple[float, ...]
    #: from a score up to below the next
    low: tuple[float, ...]
    #: from above a score up to the next
    high: tuple[float, ...]


class CohortStamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which cohort a model was trained on; no patient is in it."""

    name: str
    sha256: str
    kind: Literal["measured", "simulated", "semi-synthetic"]
    patients: int
    events: int
    #: patients per ADC
    adcs: dict[str, int]
    settings: tuple[str, ...] = ()
    #: patients per ADC and HER2 class ("" where it is not known); empty in older models
    adcs_by_her2: dict[str, dict[str, int]] = {}


class GoldenRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Made-up rows, nobody's values, and the scores that the model gave them when it was made."""

    #: encoded as the schema says; None where missing
    values: tuple[tuple[float | None, ...], ...] = ()
    log_odds: tuple[float, ...] = ()


class BundleRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of `bundle.json`."""

    schema_version: int
    model_name: str
    #: first twelve digits of the hash over everything that decides a score
    model_version: str
    endpoint: Literal["pcr", "objective_response"]
    cohort: CohortStamp
    schema: FeatureSchema
    calibration: Calibration
    venn_abers: VennAbersTable
    training_ranges: dict[str, TrainingRange]
    #: response rate of the training patients: the level that risk bands are cut at
    response_rate: float
    #: cross-validated metrics of this model
    metrics: dict[str, Estimate]
    #: mean over repeats of each patient's held-out log-odds, by position in the cohort: for comparing models trained
    #: on the same cohort pair by pair. Neither ids nor outcomes.
    held_out_log_odds: tuple[float, ...]
    catalogue_sha256: str
    packages: dict[str, str]
    seed: int
    #: sha256 of every other file
    files: dict[str, str]
    #: scored again before the model is trusted elsewhere
    golden: GoldenRows = GoldenRows()
    #: how stable explanations are; left out, not null, where it is not known, so that the hash of older records holds
    refits: RefitFindings | msgspec.UnsetType = msgspec.UNSET

    @property
    def simulated(self) -> bool:
        """Whether the model learned from patients that never lived."""
        return self.cohort.kind != "measured"
