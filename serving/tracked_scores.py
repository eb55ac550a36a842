"""A scoring run in MLflow: counts, score distribution and shift, so that cohorts can be watched over time.

No patient is in it: what is told is what the manifest holds of all rows together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.run_store import default_store
from training.tracked_run import now_milliseconds, open_run

if TYPE_CHECKING:
    from serving.manifest import Manifest


def track_scores(manifest: Manifest, experiment: str) -> str:
    """Write what became of a scoring run, with the manifest, as one MLflow run.

    Parameters
    ----------
    manifest : Manifest
        Of scores that have been written.
    experiment : str
        Created where it does not exist.

    Returns
    -------
    str
        Id of the run.

    Raises
    ------
    TrackingError
        The store cannot be reached or written.
    """
    with open_run(default_store(), experiment, _name(manifest), {}, kind="scoring") as run:
        from mlflow.entities import Metric, Param, RunTag

        stamp = now_milliseconds()
        run.client.log_batch(
            run.run_id,
            metrics=[Metric(name, float(value), stamp, 0) for name, value in scoring_metrics(manifest).items()],
            params=[Param(name, value) for name, value in _parameters(manifest).items()],
            tags=[RunTag("adcr.calibration_risk", manifest.calibration_risk)],
        )
        run.client.log_text(run.run_id, manifest.to_json(), "manifest.json")
    return run.run_id


def _name(manifest: Manifest) -> str:
    mark = "" if manifest.input.kind == "measured" else f" ({manifest.input.kind})"
    return f"{manifest.input.file}{mark} by {manifest.model.name}"


def _parameters(manifest: Manifest) -> dict[str, str]:
    return {
        "model_name": manifest.model.name,
        "model_version": manifest.model.version,
        "endpoint": manifest.model.endpoint,
        "cohort": manifest.input.file,
        "cohort_sha256": manifest.input.sha256,
        "cohort_kind": manifest.input.kind,
        "engine": manifest.engine,
    }


def scoring_metrics(manifest: Manifest) -> dict[str, float]:
    """Numbers of a scoring run that are worth comparing between cohorts.

    Parameters
    ----------
    manifest : Manifest

    Returns
    -------
    dict of str to float
        Counts of rows, quartiles of the response probability, share of each band, and shift: `score_psi` of the scores,
        `largest_psi` over the columns, and how many columns moved.
    """
    rows = manifest.rows
    found = {
        "rows_in": float(rows.read),
        "rows_scored": float(rows.scored),
        "rows_rejected": float(rows.rejected),
        "rows_merged": float(rows.duplicates_merged),
        "rows_with_unseen_adc": float(manifest.unseen_adc),
        "rows_in_unseen_setting": float(manifest.unseen_setting),
    }
    if manifest.probability:
        found |= {
            "probability_lower_quartile": manifest.probability.lower_quartile,
            "probability_median": manifest.probability.median,
            "probability_upper_quartile": manifest.probability.upper_quartile,
            "outside_training_range": manifest.outside_training_range,
            "score_psi": manifest.score_psi,
            "largest_psi": max((column.psi or 0.0 for column in manifest.shift), default=0.0),
            "columns_moved": float(sum(column.moved for column in manifest.shift)),
            **{f"share_{band.replace(' ', '_')}": number / rows.scored for band, number in manifest.bands.items()},
        }
    return found
