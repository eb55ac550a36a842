"""Cohort file and model to score file, rejected rows and manifest: nothing lost, nothing half written."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.cohort_file import read_cohort
from features.whole_file import StagedFiles, writing
from serving import manifest as records
from serving.output_files import OutputFiles, check_output
from serving.quarantine import harmless_table, rejected_table
from serving.score_batches import score_batches
from serving.score_writer import open_scores
from serving.scores import check_reasons, data_origin, score_columns
from serving.scoring_engine import fastest
from serving.shift import ShiftCounts, column_shifts
from training.model_bundle import RECORD_FILE
from training.model_trust import trusted_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.cohort import Cohort
    from serving.pseudonyms import Pseudonyms
    from serving.scores import ScoredBatch
    from training.model_bundle import ModelBundle

    #: Called with the rows done and the rows to do, after each batch.
    Progress = Callable[[int, int], None]

_PACKAGES = ("adcr", "lightgbm", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class ScoringTask:
    """A file, a model and what is wanted of them.

    Attributes
    ----------
    file : Path
        CSV, TSV, Excel or Parquet.
    bundle_folder : Path
        The model.
    output : Path
        `.csv` or `.parquet`; replaced if it is there.
    top_reasons : int
        Reasons per patient; 0 for none.
    mapping, sheet, encoding : str or None
        How to read the file.
    pseudonyms : Pseudonyms or None
        What ids become in every output; None leaves them as they are.
    """

    file: Path
    bundle_folder: Path
    output: Path
    top_reasons: int = 3
    mapping: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    pseudonyms: Pseudonyms | None = None


def score_file(task: ScoringTask, *, progress: Progress | None = None) -> records.Manifest:
    """Score a cohort file.

    Beside the scores stand `<out>.rejected.csv`, if rows were rejected, and `<out>.manifest.json`, which is put in
    place last: where there is a manifest, the other files are whole and belong to it.

    Parameters
    ----------
    task : ScoringTask
    progress : callable, optional
        Called with the rows done and the rows to do.

    Returns
    -------
    Manifest

    Raises
    ------
    InputError
        The file or an option cannot be used as given.
    ModelError
        The model cannot be read.
    OutputError
        An output cannot be written.
    """
    check_reasons(task.top_reasons)
    inputs = (task.file, *([Path(task.mapping)] if task.mapping else []))
    files = check_output(task.output, inputs=inputs)
    bundle = trusted_bundle(task.bundle_folder)
    cohort = read_cohort(task.file, mapping=task.mapping, sheet=task.sheet, encoding=task.encoding, for_scoring=True)
    if task.pseudonyms:
        cohort = task.pseudonyms.of_cohort(cohort)
    with StagedFiles() as staged:
        tally = _write_scores(staged, files, bundle, cohort, task.top_reasons, progress)
        manifest = _write_records(staged, files, bundle, cohort, tally)
        _publish(staged, files, manifest)
    return manifest


@dataclass
class _Tally:
    """What is summed up while batches pass."""

    origin: str
    top_reasons: int
    columns: tuple[str, ...]
    rows: int = 0
    probability: list[NDArray[np.float64]] = field(default_factory=list)
    bands: Counter[str] = field(default_factory=Counter)
    shift: ShiftCounts | None = None
    engine: str = ""

    def add(self, batch: ScoredBatch) -> None:
        self.rows += len(batch.table)
        self.probability.append(batch.table["response_probability"].to_numpy())
        self.bands.update(batch.table["risk_band"])
        self.shift = batch.shift if self.shift is None else self.shift + batch.shift


def _write_scores(
    staged: StagedFiles,
    files: OutputFiles,
    bundle: ModelBundle,
    cohort: Cohort,
    top_reasons: int,
    progress: Progress | None,
) -> _Tally:
    origin = data_origin(bundle, cohort.source.kind)
    columns = score_columns(top_reasons, with_origin=bool(origin))
    tally = _Tally(origin, top_reasons, columns)
    with writing(files.scores):
        suffix = files.scores.suffix.lower()
        writer = open_scores(staged.stage(files.scores), suffix, columns, _facts(bundle, origin))
        try:
            engine, tally.engine = fastest(bundle, cohort.patients, reasons=top_reasons > 0)
            for batch in score_batches(engine, cohort.patients, top_reasons=top_reasons, origin=origin):
                writer.write(batch.table)
                tally.add(batch)
                if progress:
                    progress(tally.rows, len(cohort.patients))
        finally:
            writer.close()
    return tally


def _write_records(
    staged: StagedFiles, files: OutputFiles, bundle: ModelBundle, cohort: Cohort, tally: _Tally
) -> records.Manifest:
    """Write rejected rows and manifest, once the counts add up."""
    rows = records.RowCounts(cohort.rows_in, tally.rows, len(cohort.rejected), cohort.duplicates_merged)
    if not rows.add_up:
        raise AssertionError(f"rows were lost or scored twice: {rows}")
    rejected = None
    if cohort.rejected:
        with writing(files.rejected):
            place = staged.stage(files.rejected)
            table = harmless_table(rejected_table(cohort))
            table.to_csv(place, index=False, encoding="utf-8", lineterminator="\n")
            rejected = records.stamp(place, files.rejected.name)
    scores = records.stamp(staged.staged(files.scores), files.scores.name)
    manifest = _manifest(bundle, cohort, tally, rows, scores, rejected)
    with writing(files.manifest):
        staged.stage(files.manifest).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _manifest(
    bundle: ModelBundle,
    cohort: Cohort,
    tally: _Tally,
    rows: records.RowCounts,
    scores: records.FileStamp,
    rejected: records.FileStamp | None,
) -> records.Manifest:
    record = bundle.record
    shift = tally.shift
    return records.Manifest(
        schema_version=records.SCHEMA_VERSION,
        research_use=records.RESEARCH_USE,
        input=records.InputStamp(cohort.source.name, cohort.source.sha256, cohort.source.kind),
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
        data_origin=tally.origin,
        scores=scores,
        rejected=rejected,
        columns=tally.columns,
        top_reasons=tally.top_reasons,
        engine=tally.engine,
        probability=records.spread(np.concatenate(tally.probability)),
        bands=dict(sorted(tally.bands.items())),
        outside_training_range=round(shift.rows_outside / shift.rows, 6) if shift and shift.rows else 0.0,
        unseen_adc=shift.rows_unseen_adc if shift else 0,
        shift=column_shifts(record, shift) if shift else (),
        faults=dict(sorted(Counter(fault.code for fault in cohort.faults).items())),
        # A model may have learned from columns outside the catalogue.
        unused_columns=tuple(name for name in cohort.unused() if name not in record.schema.names),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    """Versions of what decides the bits of a score; a checkout that is not installed has none of its own."""
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _publish(staged: StagedFiles, files: OutputFiles, manifest: records.Manifest) -> None:
    # An older manifest would describe files that are now being replaced.
    for stale in (files.manifest, *([] if manifest.rejected else [files.rejected])):
        with writing(stale):
            stale.unlink(missing_ok=True)
    staged.publish(files.scores)
    if manifest.rejected:
        staged.publish(files.rejected)
    staged.publish(files.manifest)


def _facts(bundle: ModelBundle, origin: str) -> dict[str, str]:
    """Facts of the whole table, for a Parquet file's own metadata."""
    record = bundle.record
    facts = {
        "research_use": records.RESEARCH_USE,
        "endpoint": record.endpoint,
        "model_name": record.model_name,
        "model_version": record.model_version,
    }
    return facts | ({"data_origin": origin} if origin else {})
