"""What a training run is described by: its settings, tags, and metrics with intervals. No patient is in them."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from training.boosting import AdcResponseClassifier
from training.bundle_record import package_versions
from training.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from features.cohort import Cohort
    from training.bootstrap import Estimate
    from training.cross_validation import CandidateResult
    from training.training_result import TrainingResult

COHORT_TAG, SIMULATED_TAG = "adcr.cohort_sha256", "adcr.simulated"


def code_sha256() -> str:
    """Hash of the sources that make a model: code and catalogues of features and training.

    Returns
    -------
    str
        Tells edited code apart, which the version does not.
    """
    digest = hashlib.sha256()
    for package in ("features", "training"):
        for source in _sources(files(package)):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def _sources(folder: Traversable) -> Iterator[Traversable]:
    """Walk through the sources of a package and of the rooms in it, in order."""
    for entry in sorted(folder.iterdir(), key=lambda f: f.name):
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.name.endswith((".py", ".toml")):
            yield entry


def run_tags(cohort: Cohort, endpoint: str, model_name: str) -> dict[str, str]:
    """Tags of the parent run and its children.

    Parameters
    ----------
    cohort : Cohort
    endpoint : str
    model_name : str

    Returns
    -------
    dict of str to str
    """
    return {
        "adcr.endpoint": endpoint,
        "adcr.model_name": model_name,
        "adcr.cohort": cohort.source.name,
        COHORT_TAG: cohort.source.sha256,
        "adcr.cohort_kind": cohort.source.kind,
        SIMULATED_TAG: str(cohort.source.kind != "measured").lower(),
        "adcr.version": package_versions(("adcr",)).get("adcr", ""),
        "adcr.code_sha256": code_sha256(),
    }


def run_parameters(result: TrainingResult) -> dict[str, str]:
    """Give the settings of a training run.

    Parameters
    ----------
    result : TrainingResult

    Returns
    -------
    dict of str to str
    """
    plan, calibration = result.plan, result.record.calibration
    boosting = {k: v for k, v in AdcResponseClassifier().get_params().items() if k not in {"schema", "prior", "seed"}}
    extra = [c.name for c in result.table.schema.columns if c.source == "extra"]
    settings: dict[str, Any] = {
        "endpoint": result.endpoint,
        "folds": plan.folds,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "group": plan.group or "patient_id",
        "question": plan.question,
        "optimism_resamples": plan.optimism,
        "checks": ", ".join(sorted({f.code for f in result.validation.checks if not f.ignored})) or "none",
        "resampled": result.resampled,
        "replicates": result.held_out.weights.shape[1],
        "columns": len(result.table.schema.columns),
        "monotone_columns": sum(c.monotone != 0 for c in result.table.schema.columns),
        "extra_features": ", ".join(extra) or "none",
        "adcs": ", ".join(result.record.cohort.adcs),
        "settings": ", ".join(result.record.cohort.settings) or "not stated",
        "rounds": result.rounds,
        "recalibration": calibration.method,
        "recalibration_slope": round(calibration.slope, 4),
        "recalibration_intercept": round(calibration.intercept, 4),
        "prior": result.prior.key if result.prior else "none",
        "prior_adcs": result.prior.source if result.prior else "none",
        "tuned": str(plan.tuning is not None).lower(),
        "contradicted": ", ".join(result.literature.contradicted) or "none" if result.literature else "none",
        **{f"boosting_{k}": v for k, v in boosting.items()},
    }
    return {key: str(value)[:500] for key, value in settings.items()}


def spread(metric: str, estimate: Estimate) -> dict[str, float]:
    """Name a metric and its interval as MLflow holds them.

    Parameters
    ----------
    metric : str
    estimate : Estimate

    Returns
    -------
    dict of str to float
        `metric`, `metric_low` and `metric_high`, as far as they exist.
    """
    values = {metric: estimate.value, f"{metric}_low": estimate.low, f"{metric}_high": estimate.high}
    return {key: value for key, value in values.items() if value is not None}


def candidate_metrics(candidate: CandidateResult) -> dict[str, float]:
    """Metrics of one candidate with their intervals.

    Parameters
    ----------
    candidate : CandidateResult

    Returns
    -------
    dict of str to float
    """
    named = [spread(m, candidate.evaluation.estimate(m)) for m in METRICS]
    return {key: value for values in named for key, value in values.items()}


def parent_metrics(result: TrainingResult) -> dict[str, float]:
    """Metrics of the parent run: those of the model, its differences from the baselines, and counts.

    Parameters
    ----------
    result : TrainingResult

    Returns
    -------
    dict of str to float
    """
    metrics = {
        **candidate_metrics(result.model),
        "patients": float(result.table.patients),
        "events": float(result.table.events),
        "response_rate": result.record.response_rate,
        "training_seconds": result.seconds,
    }
    for found in result.validation.optimism.metrics:
        metrics |= {f"{found.metric}_apparent": found.apparent, **spread(f"{found.metric}_corrected", found.corrected)}
    if result.validation.calibration:
        metrics |= spread("calibration_index", result.validation.calibration.ici)
    for baseline, difference in result.differences("log_loss").items():
        metrics |= spread(f"log_loss_minus_{baseline}", difference)
    return metrics


def missing_metric_tags(candidate: CandidateResult) -> dict[str, str]:
    """Reasons why metrics of a candidate are missing.

    Parameters
    ----------
    candidate : CandidateResult

    Returns
    -------
    dict of str to str
    """
    estimates = {m: candidate.evaluation.estimate(m) for m in METRICS}
    return {f"adcr.missing.{m}": e.reason for m, e in estimates.items() if e.reason}
