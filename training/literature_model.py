"""The prior alone as a model: it has seen no patient, and everything made from it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.special import expit

from features.catalogue_version import catalogue_sha256
from features.cohort import Cohort, CohortSource
from features.errors import ModelError
from features.feature_table import build_schema, encode
from training.bundle_record import package_versions, training_ranges
from training.calibration import venn_abers_table
from training.model_bundle import (
    SCHEMA_VERSION,
    BundleRecord,
    Calibration,
    CohortStamp,
    ModelBundle,
    read_bundle,
    seal,
    write_bundle,
)
from training.prior import LiteraturePrior, literature_prior

if TYPE_CHECKING:
    from pathlib import Path

    from training.metrics import Floats, Integers
    from training.prior_worlds import Evidence
    from training.training_table import Endpoint

#: Simulated patients whose outcomes calibrate the interval: as sure as a cohort of that size, no surer.
_OUTCOMES = 1000
_SEED = 20_240_401


def literature_bundle(endpoint: Endpoint, prior: LiteraturePrior | None = None) -> ModelBundle:
    """Model that is the literature prior and nothing else.

    Its trees are the mean log-odds of response over the simulated worlds, for every ADC and measure that is
    simulated. Its interval is that of simulated outcomes in worlds drawn at random, so it is as wide as the worlds
    disagree.

    Parameters
    ----------
    endpoint : {"objective_response", "pcr"}
    prior : LiteraturePrior, optional
        The usual one by default.

    Returns
    -------
    ModelBundle
        Kept beside the prior; `record.cohort.kind` is "simulated", its name "literature".

    Raises
    ------
    ModelError
        It cannot be kept, so that it cannot be read again.
    """
    prior = prior or literature_prior()
    if prior.folder is None:
        raise ModelError(
            "the literature model cannot be kept: the cache folder cannot be written.",
            where="literature",
            mend="Set XDG_CACHE_HOME to a folder that can.",
        )
    folder = prior.folder / f"literature-{endpoint}"
    try:
        return read_bundle(folder)
    except ModelError:
        record, text = _make(prior, endpoint)
        return read_bundle(write_bundle(folder, record, text))


def literature_folder(endpoint: Endpoint) -> Path:
    """Folder of the literature model's bundle, which is made if it is not there.

    Parameters
    ----------
    endpoint : {"objective_response", "pcr"}

    Returns
    -------
    Path
    """
    return literature_bundle(endpoint).folder


def _make(prior: LiteraturePrior, endpoint: Endpoint) -> tuple[BundleRecord, str]:
    rows = np.flatnonzero(prior.evidence.patients["endpoint"].to_numpy() == endpoint)
    patients = prior.evidence.patients.iloc[rows].reset_index(drop=True)
    source = CohortSource("literature", None, prior.record.key, kind="simulated", note="simulated worlds, no patient")
    schema = build_schema(Cohort(source, patients, tuple(range(len(patients))), len(patients)))
    adc_ids, counts = np.unique(patients["adc"].to_numpy(dtype=str), return_counts=True)
    text = prior.of_cohort(schema, adc_ids.tolist(), endpoint).trees.text
    features = encode(patients, schema)
    outcome, log_odds = _simulated_outcomes(prior.evidence, rows, features.to_numpy(), text)
    record = BundleRecord(
        schema_version=SCHEMA_VERSION,
        model_name="literature",
        model_version="",
        endpoint=endpoint,
        cohort=CohortStamp(
            name="literature",
            sha256=prior.record.key,
            kind="simulated",
            patients=len(patients),
            events=round(float(expit(prior.evidence.log_odds[rows].astype(np.float64)).mean()) * len(patients)),
            adcs={str(adc): int(count) for adc, count in zip(adc_ids, counts, strict=True)},
            settings=tuple(sorted(set(patients["setting"]))),
        ),
        schema=schema,
        calibration=Calibration(method="none"),
        venn_abers=venn_abers_table(outcome, np.round(log_odds, 5)),
        training_ranges=training_ranges(features, schema),
        response_rate=float(expit(log_odds).mean()),
        metrics={},
        held_out_log_odds=(),
        catalogue_sha256=catalogue_sha256(),
        packages=package_versions(),
        seed=0,
        files={},
    )
    return seal(msgspec.structs.replace(record), text), text


def _simulated_outcomes(evidence: Evidence, rows: Integers, matrix: Floats, text: str) -> tuple[Integers, Floats]:
    """Outcomes of some patients, each in a world of its own, with the literature's log-odds."""
    import lightgbm

    draws = np.random.default_rng(_SEED)
    chosen = np.sort(draws.choice(len(rows), size=min(_OUTCOMES, len(rows)), replace=False))
    worlds = draws.integers(evidence.log_odds.shape[1], size=len(chosen))
    truth = expit(evidence.log_odds[rows[chosen], worlds].astype(np.float64))
    outcome = (draws.random(len(chosen)) < truth).astype(np.int64)
    booster = lightgbm.Booster(model_str=text)
    return outcome, np.asarray(booster.predict(matrix[chosen], raw_score=True, num_threads=1))
