"""One `adcr train` from the file to the registered model."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import InputError
from training.fit_pool import Engine, fits_kept, fits_on
from training.training_table import Endpoint
from training.validation.optimism import RESAMPLES
from training.validation.questions import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from training.model_registry import RegisteredModel
    from training.training_result import TrainingResult

DEFAULT_EXPERIMENT = "adcr"


@dataclass(frozen=True)
class TrainingRequest:
    """What the user asked for.

    Attributes
    ----------
    model_script : Path
        Models-from-code script of the logged model.
    output : Path or None
        Folder for a copy of the bundle.
    report : Path or None
        Folder for a copy of the report.
    engine : {"threads", "dask"}
        Where fits run; `scheduler` names a Dask cluster.
    """

    file: Path
    endpoint: Endpoint
    model_script: Path
    group: str | None = None
    name: str | None = None
    extra_features: tuple[str, ...] = ()
    experiment: str = DEFAULT_EXPERIMENT
    seed: int = 0
    folds: int = 5
    repeats: int = 5
    prior: bool = True
    tune: bool = False
    learning_curve: bool = False
    leave_out: bool = False
    question: Question = "new-patients"
    optimism: int | None = None
    ignore: tuple[str, ...] = ()
    mapping: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    output: Path | None = None
    report: Path | None = None
    engine: Engine = "threads"
    scheduler: str | None = None


@dataclass(frozen=True)
class TrainingSession:
    """What came of it.

    Attributes
    ----------
    taken_over : int
        Fits of the same training, broken off before, that were not done again.
    """

    request: TrainingRequest
    result: TrainingResult
    run_id: str
    experiment: str
    registered: RegisteredModel
    taken_over: int = 0


def train_file(request: TrainingRequest, *, show_progress: bool = True) -> TrainingSession:
    """Read a cohort file, train and judge a model, and track all of it.

    Parameters
    ----------
    request : TrainingRequest
    show_progress : bool
        Draw a progress bar where standard error is a terminal.

    Returns
    -------
    TrainingSession

    Raises
    ------
    InputError
        The file or an option cannot be used; no run is opened.
    TrackingError
        The MLflow store cannot be used.
    OutputError
        The copy of the bundle cannot be written.
    """
    from features.cohort_file import read_cohort
    from features.report.files import require_free_report, write_report
    from training.candidates import usual_tuning
    from training.kept_fits import kept_fits
    from training.model_bundle import require_free, write_bundle
    from training.run_store import default_store
    from training.tracked_run import open_run
    from training.train import default_name, train_prepared
    from training.training_plan import Plan, prepare_training

    name = request.name or default_name(request.endpoint)
    _require_name(name)
    if request.output:
        require_free(request.output)
    if request.report:
        require_free_report(request.report)
    cohort = read_cohort(request.file, mapping=request.mapping, sheet=request.sheet, encoding=request.encoding)
    plan = Plan(
        request.folds,
        request.repeats,
        request.seed,
        request.group,
        prior=request.prior,
        tuning=usual_tuning() if request.tune else None,
        learning_curve=request.learning_curve,
        leave_out=request.leave_out,
        question=request.question,
        optimism=_resamples(request),
        ignore=request.ignore,
    )
    prepared = prepare_training(cohort, request.endpoint, plan, extra_features=request.extra_features)

    from training.literature_text import literature_sentence
    from training.model_registry import register
    from training.report.of_training import training_document
    from training.run_metrics import run_tags
    from training.run_record import log_outcome, log_report, log_settings, run_name
    from training.training_text import verdict

    tags, kept = run_tags(cohort, request.endpoint, name), kept_fits(prepared)
    with (
        fits_kept(kept),
        fits_on(request.engine, request.scheduler),
        open_run(default_store(), request.experiment, run_name(cohort, name), tags) as run,
    ):
        with _progress("training", prepared.fits, show=show_progress) as progress:
            result = train_prepared(cohort, prepared, name=name, progress=progress)
        if kept.taken_over:
            # Its seconds are those of this start alone.
            run.client.set_tag(run.run_id, "adcr.fits_taken_over", str(kept.taken_over))
        if request.output:
            write_bundle(request.output, result.record, result.model_text)
        log_settings(run, result)
        registered = register(run, result, cohort, script=request.model_script)
        log_outcome(run, result, cohort, registered, tags)
        document = training_document(result, verdict=verdict(result), literature=literature_sentence(result))
        log_report(run, document)
        if request.report:
            write_report(request.report, document)
    return TrainingSession(request, result, run.run_id, request.experiment, registered, kept.taken_over)


def _resamples(request: TrainingRequest) -> int:
    """Refits of the correction: half as many where each searches its settings anew, unless the user says how many."""
    if request.optimism is not None:
        return request.optimism
    return RESAMPLES // 2 if request.tune else RESAMPLES


def find_model_script() -> Path:
    """Find the script that serves a model bundle, without importing the room it is in.

    Returns
    -------
    Path
    """
    found = find_spec("serving")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "pyfunc_model.py"


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[\w.-]{1,80}", name):
        raise InputError(
            f"'{name}' is no name for a model.",
            where="--name",
            mend="Use letters, digits, '.', '-' and '_', 80 at most.",
        )


@contextmanager
def _progress(label: str, total: int, *, show: bool) -> Iterator[Callable[[int], None] | None]:
    """Draw a bar on standard error where someone is looking, and nothing elsewhere."""
    if not (show and sys.stderr.isatty()):
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("fits"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda fits: bar.advance(task, fits)
