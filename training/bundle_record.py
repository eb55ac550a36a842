"""The record of a trained model: whom it learned from, in which ranges, on which catalogue and with which packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features.catalogue_version import catalogue_sha256
from training.calibration import venn_abers_table
from training.metrics import METRICS
from training.model_bundle import (
    SCHEMA_VERSION,
    BundleRecord,
    CohortStamp,
    TrainingRange,
    seal,
)
from training.training_table import settings_of

if TYPE_CHECKING:
    import pandas as pd

    from features.cohort import Cohort
    from features.feature_table import FeatureColumn, FeatureSchema
    from training.boosting import AdcResponseClassifier
    from training.cross_validation import CandidateResult
    from training.explaining.stability import RefitFindings
    from training.training_table import Endpoint, TrainingTable

#: What decides a score, besides adcr itself.
PACKAGES = ("adcr", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "venn-abers")
#: Held-out log-odds are kept to this many decimals: far finer than their noise, and a smaller file.
_DECIMALS = 5


def package_versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Installed versions; a package that is not installed as one is left out.

    Parameters
    ----------
    names : tuple of str

    Returns
    -------
    dict of str to str
    """
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def training_ranges(features: pd.DataFrame, schema: FeatureSchema) -> dict[str, TrainingRange]:
    """Range, percentiles, missing share and level counts of each column.

    Parameters
    ----------
    features : pandas.DataFrame of shape (n_patients, n_columns)
        Encoded.
    schema : FeatureSchema

    Returns
    -------
    dict of str to TrainingRange
    """
    return {c.name: _range(features[c.name].to_numpy(), c) for c in schema.columns}


def _range(values: np.ndarray, column: FeatureColumn) -> TrainingRange:
    known = values[np.isfinite(values)]
    counts = {level: int((known == i).sum()) for i, level in enumerate(column.levels)}
    missing_rate = float(1 - len(known) / len(values))
    edges, in_bins = _bins(known, column)
    if not len(known) or column.kind == "categorical":
        return TrainingRange(missing_rate, level_counts=counts, bin_edges=edges, bin_counts=in_bins)
    low, p01, p99, high = map(float, np.percentile(known, [0, 1, 99, 100]))
    return TrainingRange(missing_rate, low, p01, p99, high, counts, edges, in_bins)


def _bins(known: np.ndarray, column: FeatureColumn) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges of the bins that shift is looked for in, and the patients of each."""
    if not len(known):
        return (), ()
    if column.kind == "numeric":
        tenths = np.quantile(known, np.linspace(0.1, 0.9, 9))
        edges = np.unique([float(f"{edge:.3g}") for edge in tenths])
    else:
        edges = np.arange(max(len(column.levels), 2) - 1) + 0.5
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return tuple(map(float, edges)), tuple(map(int, counts))


def cohort_stamp(cohort: Cohort, table: TrainingTable) -> CohortStamp:
    """Name, hash and counts of the cohort that is learned from.

    Parameters
    ----------
    cohort : Cohort
    table : TrainingTable

    Returns
    -------
    CohortStamp
    """
    drugs, counts = np.unique(table.adc.astype(str), return_counts=True)
    return CohortStamp(
        name=cohort.source.name,
        sha256=cohort.source.sha256,
        kind=cohort.source.kind,
        patients=table.patients,
        events=table.events,
        adcs={str(drug): int(count) for drug, count in zip(drugs, counts, strict=True)},
        settings=settings_of(cohort, table),
        adcs_by_her2=_adcs_by_her2(cohort, table),
    )


def _adcs_by_her2(cohort: Cohort, table: TrainingTable) -> dict[str, dict[str, int]]:
    """Count the patients per ADC and HER2 class: how many a new patient can be compared with."""
    if "her2_class" not in cohort.patients:
        return {}
    classes = cohort.patients["her2_class"].iloc[table.rows].fillna("").astype(str).to_numpy()
    counts: dict[str, dict[str, int]] = {}
    for drug, level in zip(table.adc.astype(str), classes, strict=True):
        by_class = counts.setdefault(str(drug), {})
        by_class[str(level)] = by_class.get(str(level), 0) + 1
    return {drug: dict(sorted(by_class.items())) for drug, by_class in sorted(counts.items())}


def bundle_record(
    cohort: Cohort,
    table: TrainingTable,
    classifier: AdcResponseClassifier,
    judged: CandidateResult,
    *,
    name: str,
    endpoint: Endpoint,
    seed: int,
    refits: RefitFindings | None = None,
) -> BundleRecord:
    """Put together the record of a fitted model.

    Parameters
    ----------
    cohort : Cohort
    table : TrainingTable
    classifier : AdcResponseClassifier
        Fitted to the whole table.
    judged : CandidateResult
        Held-out predictions of the same procedure.
    name : str
    endpoint : {"pcr", "objective_response"}
    seed : int
    refits : RefitFindings, optional
        How stable explanations of the model are.

    Returns
    -------
    BundleRecord
        Sealed, ready for `write_bundle`.
    """
    assert judged.log_odds is not None
    held_out = judged.log_odds.mean(axis=0)
    record = BundleRecord(
        schema_version=SCHEMA_VERSION,
        model_name=name,
        model_version="",
        endpoint=endpoint,
        cohort=cohort_stamp(cohort, table),
        # A sign that the cohort contradicts is no longer claimed.
        schema=classifier.schema_,
        calibration=classifier.calibration_,
        venn_abers=venn_abers_table(table.outcome, np.round(held_out, _DECIMALS)),
        training_ranges=training_ranges(table.features, table.schema),
        response_rate=table.events / table.patients,
        metrics={m: judged.evaluation.estimate(m) for m in METRICS},
        held_out_log_odds=tuple(round(float(v), _DECIMALS) for v in held_out),
        catalogue_sha256=catalogue_sha256(),
        packages=package_versions(),
        seed=seed,
        files={},
        refits=refits or msgspec.UNSET,
    )
    return seal(record, classifier.model_text_)
