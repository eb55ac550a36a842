"""Cohort file and model to score file, rejected rows and manifest: nothing lost, nothing half written."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from features.cohort_opening import open_cohort
from features.errors import InputError
from features.in_order import processors
from features.tables.blocks import NotNumbers
from features.whole_file import StagedFiles, writing
from serving import manifest as records
from serving.adc_ranking import ranked_adcs
from serving.output_files import OutputFiles, check_output
from serving.pseudonyms import read_names
from serving.quarantine import rejected_header
from serving.run_manifest import package_versions, run_manifest
from serving.run_tally import RunTally
from serving.score_batches import score_batches
from serving.score_parts import (
    PART_BYTES,
    PartJob,
    folder_stamp,
    make_parts,
    on_this_machine,
    rejected_place,
    require_replaceable,
)
from serving.score_writer import ScoreFile
from serving.scores import check_reasons
from serving.scoring_engine import ComingKernel
from serving.scoring_plan import ScoringTask, scoring_plan
from serving.unfinished_run import Checkpoint, UnfinishedRun
from training.model_bundle import RECORD_FILE
from training.model_trust import trusted_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.cohort_stream import CohortStream
    from serving.score_batches import ScoringPlan
    from training.model_bundle import ModelBundle

    #: Called with the rows done and the rows to do, after each batch.
    Progress = Callable[[int, int], None]

_SCORES, _REJECTED, _PARTS, _MANIFEST = "scores", "rejected", "parts", "manifest.json"


def score_file(
    task: ScoringTask, *, progress: Progress | None = None, reading: Progress | None = None
) -> records.Manifest:
    """Score a cohort file.

    Beside the scores stand `<out>.rejected.csv`, if rows were rejected, and `<out>.manifest.json`, which is put in
    place last: where there is a manifest, the other files are whole and belong to it.

    Parameters
    ----------
    task : ScoringTask
    progress : callable, optional
        Called with the rows done and the rows to do.
    reading : callable, optional
        Called with the megabytes read and to read while the file is read for the first time.

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
    if files.in_parts:
        require_replaceable(files.scores)
    elif task.engine == "dask":
        raise InputError(
            "many machines write a folder, not one file.", where="--output", mend="Name a folder: -o scores."
        )
    bundle = trusted_bundle(task.bundle_folder)
    if task.rank_adcs:
        ranked_adcs(task.rank_adcs, bundle.record)
    with writing(task.output), UnfinishedRun(files.scores, keep=task.resume) as run:
        write = _write_parts if files.in_parts else _write_scores
        # What is made of a file in parts, or in several runs, must not hang on where something odd comes up.
        skim = not (files.in_parts or task.resume)
        coming = ComingKernel(bundle, task.file, reasons=task.explained)
        stream = _opened(task, bundle, coming, reading, skim=skim)
        try:
            tally = write(run, task, files, bundle, stream, coming, progress)
        except NotNumbers:
            stream = _opened(task, bundle, coming, reading, skim=False)
            tally = write(run, task, files, bundle, stream, coming, progress)
        manifest = _publish(run, files, bundle, stream, tally, task)
        run.done = True
    return manifest


def _opened(
    task: ScoringTask, bundle: ModelBundle, coming: ComingKernel, reading: Progress | None, *, skim: bool
) -> CohortStream:
    sizes = {"batch_rows": task.batch_rows, "block_bytes": task.block_bytes}
    return open_cohort(
        task.file,
        mapping=task.mapping,
        sheet=task.sheet,
        encoding=task.encoding,
        # A model may have learned from columns outside the catalogue.
        extra=[column.name for column in bundle.record.schema.columns if column.source == "extra"],
        threads=task.threads,
        skim=skim,
        progress=_told(coming, reading),
        **{name: size for name, size in sizes.items() if size},
    )


def _told(coming: ComingKernel, reading: Progress | None) -> Progress:
    def tell(done: int, total: int) -> None:
        coming.start()
        if reading:
            reading(done // 1_000_000, total // 1_000_000)

    return tell


def _write_scores(
    run: UnfinishedRun,
    task: ScoringTask,
    files: OutputFiles,
    bundle: ModelBundle,
    stream: CohortStream,
    coming: ComingKernel,
    progress: Progress | None,
) -> tuple[RunTally, ScoringPlan, str]:
    """Score every block that an earlier run has not, and make a checkpoint every few seconds."""
    plan, engine = scoring_plan(task, files.scores.suffix.lower(), bundle, stream, coming)
    fingerprint = _fingerprint(task, bundle, stream, plan)
    found = run.start(fingerprint, resume=task.resume)
    tally = msgspec.msgpack.decode(found.tally, type=RunTally) if found else RunTally()
    done = found.blocks if found else 0
    scores = ScoreFile(
        run.file(_SCORES), plan.form, list(found.footers) if found else [], list(found.positions) if found else []
    )
    threads = processors() if task.threads is None else task.threads
    for block in score_batches(stream, plan, threads=threads, skip=done):
        for batch in block.scores:
            scores.append(batch)
        for lines in block.rejected:
            _append_rejected(run, task, stream, lines)
        tally.add(block.tally)
        done += 1
        if run.due:
            state = msgspec.msgpack.encode(tally)
            run.save(Checkpoint(fingerprint, done, run.sizes(), scores.positions, scores.footers, state))
        if progress:
            progress(tally.rows_in, stream.rows)
    scores.finish()
    run.close()
    return tally, plan, engine


def _write_parts(
    run: UnfinishedRun,
    task: ScoringTask,
    files: OutputFiles,
    bundle: ModelBundle,
    stream: CohortStream,
    coming: ComingKernel,
    progress: Progress | None,
) -> tuple[RunTally, ScoringPlan, str]:
    """Score every part that an earlier run has not, on this machine or on many."""
    plan, engine = scoring_plan(task, ".parquet", bundle, stream, coming)
    fingerprint = _fingerprint(task, bundle, stream, plan)
    found = run.start(fingerprint, resume=task.resume)
    parts = run.path(_PARTS)
    parts.mkdir(exist_ok=True)
    if found is None:
        run.save(Checkpoint(fingerprint, 0, {}, [], [], b""))
    tables = enumerate(stream.table.partitions(task.part_bytes or PART_BYTES))
    jobs = [PartJob(number, table, stream, task, bundle, str(parts)) for number, table in tables]
    threads = processors() if task.threads is None else task.threads
    tally = RunTally()
    with _workers(task, threads) as make:
        for part in make_parts(jobs, make):
            tally.add(part)
            if progress:
                progress(tally.rows_in, stream.rows)
    for job in jobs:
        lines = rejected_place(job.place).read_bytes()
        if lines:
            _append_rejected(run, task, stream, lines)
    # Sums, rejected rows, and what a worker that was killed left behind.
    for path in parts.iterdir():
        if path.suffix != ".parquet":
            path.unlink()
    run.close()
    return tally, plan, engine


@contextlib.contextmanager
def _workers(task: ScoringTask, threads: int) -> Iterator[Callable[[list[PartJob]], Iterator[bytes]]]:
    if task.engine == "dask":
        from serving.distributed import on_dask

        with on_dask(task.scheduler) as make:
            yield make
    else:
        yield on_this_machine(threads)


def _append_rejected(run: UnfinishedRun, task: ScoringTask, stream: CohortStream, lines: Any) -> None:
    rejected = run.file(_REJECTED)
    if not rejected.tell():
        rejected.write(rejected_header(read_names(stream) if task.pseudonyms else stream.names))
    rejected.write(lines)


def _fingerprint(task: ScoringTask, bundle: ModelBundle, stream: CohortStream, plan: ScoringPlan) -> str:
    """Hash of everything that decides a byte of the output."""
    parts = (
        stream.source.sha256,
        records.stamp(bundle.folder / RECORD_FILE, RECORD_FILE).sha256,
        Path(task.mapping).read_text("utf-8") if task.mapping and Path(task.mapping).is_file() else task.mapping,
        (task.sheet, task.encoding, task.top_reasons, task.batch_rows, task.block_bytes, task.part_bytes),
        (plan.form.suffix, plan.form.columns, dict(plan.form.metadata)),
        package_versions(),
        task.pseudonyms.of("fingerprint") if task.pseudonyms else "",
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _publish(
    run: UnfinishedRun,
    files: OutputFiles,
    bundle: ModelBundle,
    stream: CohortStream,
    found: tuple[RunTally, ScoringPlan, str],
    task: ScoringTask,
) -> records.Manifest:
    """Put scores, rejected rows and last the manifest in their places, once the counts add up."""
    tally, plan, engine = found
    rows = records.RowCounts(stream.rows, tally.scored, tally.rejected, tally.merged)
    if not rows.add_up or tally.rows_in != stream.rows:
        raise AssertionError(f"rows were lost or scored twice: {rows}, {tally.rows_in} read")
    if files.in_parts:
        scores = folder_stamp(run.path(_PARTS), files.scores.name)
    else:
        scores = records.stamp(run.path(_SCORES), files.scores.name)
    rejected = records.stamp(run.path(_REJECTED), files.rejected.name) if tally.rejected else None
    manifest = run_manifest(bundle, stream, tally, plan, engine, task, rows, scores, rejected)
    with StagedFiles() as staged:
        with writing(files.manifest):
            # Among the run's own files: a kill leaves nothing beside them that the next run would not find.
            run.path(_MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        staged.adopt(files.manifest, run.path(_MANIFEST))
        # An older manifest would describe files that are now being replaced.
        for stale in (files.manifest, *([] if rejected else [files.rejected])):
            with writing(stale):
                stale.unlink(missing_ok=True)
        if files.in_parts:
            run.publish_folder(_PARTS, files.scores)
        else:
            staged.adopt(files.scores, run.path(_SCORES))
            staged.publish(files.scores)
        if rejected:
            staged.adopt(files.rejected, run.path(_REJECTED))
            staged.publish(files.rejected)
        staged.publish(files.manifest)
    return manifest
