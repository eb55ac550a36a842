"""The manifest of a scoring run, from what was summed up while its batches passed."""

from __future__ import annotations

import contextlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from features.cohort_stream import whole_notes
from serving import manifest as records
from serving.population_shift import calibration_risk, score_shift
from serving.shift import column_shifts
from training.model_bundle import RECORD_FILE

if TYPE_CHECKING:
    from features.cohort_stream import CohortStream
    from serving.run_tally import RunTally
    from serving.score_batches import ScoringPlan
    from serving.scoring_plan import ScoringTask
    from training.model_bundle import ModelBundle

_PACKAGES = ("adcr", "lightgbm", "numpy", "pandas", "pyarrow")


def run_manifest(
    bundle: ModelBundle,
    stream: CohortStream,
    tally: RunTally,
    plan: ScoringPlan,
    engine: str,
    task: ScoringTask,
    rows: records.RowCounts,
    scores: records.FileStamp,
    rejected: records.FileStamp | None,
) -> records.Manifest:
    """Put a run's manifest together.

    Parameters
    ----------
    bundle : ModelBundle
    stream : CohortStream
    tally : RunTally
        Of the whole run.
    plan : ScoringPlan
    engine : str
        What computed the trees.
    task : ScoringTask
    rows : RowCounts
    scores : FileStamp
    rejected : FileStamp or None

    Returns
    -------
    Manifest
    """
    record = bundle.record
    tally.add_faults([*stream.notes, *whole_notes(stream, tally.met)])
    moved = score_shift(record, tally.by_step())
    unused = [match.name for match in stream.matches(tally.derived) if match.column_id is None]
    return records.Manifest(
        schema_version=records.SCHEMA_VERSION,
        research_use=records.RESEARCH_USE,
        input=records.InputStamp(stream.source.name, stream.source.sha256, stream.source.kind),
        model=records.ModelStamp(
            name=record.model_name,
            version=record.model_version,
            endpoint=record.endpoint,
            sha256=records.stamp(bundle.folder / RECORD_FILE, RECORD_FILE).sha256,
            cohort_name=record.cohort.name,
            cohort_sha256=record.cohort.sha256,
            cohort_kind=record.cohort.kind,
        ),
        rows=rows,
        data_origin=plan.origin,
        scores=scores,
        rejected=rejected,
        columns=plan.form.columns,
        top_reasons=task.top_reasons,
        engine=engine,
        probability=records.spread(tally),
        bands=dict(sorted(tally.bands.items())),
        outside_training_range=round(tally.rows_outside / tally.scored, 6) if tally.scored else 0.0,
        unseen_adc=tally.rows_unseen_adc,
        unseen_setting=tally.rows_unseen_setting,
        shift=column_shifts(record, tally),
        score_psi=round(moved.psi, 4),
        score_p_value=float(f"{moved.p_value:.2g}"),
        calibration_risk=calibration_risk(moved),
        faults=tally.fault_counts(),
        unused_columns=tuple(name for name in unused if name not in record.schema.names),
        versions=package_versions(),
    )


def package_versions() -> dict[str, str]:
    """Versions of what decides the bits of a score; a checkout that is not installed has none of its own."""
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
