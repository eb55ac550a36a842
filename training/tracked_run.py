"""One run per `adcr train` or `adcr score --track`: opened before the work, closed whatever happens, swept up after."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.run_store import RunStore, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Tags that tell which process a run belongs to.
PROCESS_TAG, HOST_TAG = "adcr.process", "adcr.host"
ENDED_TAG = "adcr.ended"
KIND_TAG = "adcr.kind"
_COMMANDS = {"training": "adcr train", "scoring": "adcr score"}
_PAGE = 1000
#: Without it the MLflow UI opens the experiment as one of language models, with traces instead of training runs.
_UI_TAG, _UI_KIND = "mlflow.experimentKind", "custom_model_development"


@dataclass(frozen=True)
class TrackedRun:
    """An open parent run.

    Attributes
    ----------
    client : mlflow.MlflowClient
    """

    client: Any
    store: RunStore
    experiment: str
    experiment_id: str
    run_id: str


@contextmanager
def open_run(
    store: RunStore, experiment: str, name: str, tags: Mapping[str, str], *, kind: str = "training"
) -> Iterator[TrackedRun]:
    """Open a run; it ends FINISHED, FAILED (an error) or KILLED (an interruption).

    Runs of this machine whose process has died are ended first, so that none stays RUNNING for ever.

    Parameters
    ----------
    store : RunStore
    experiment : str
        Created where it does not exist.
    name : str
        Of the run.
    tags : mapping of str to str
    kind : {"training", "scoring"}

    Yields
    ------
    TrackedRun

    Raises
    ------
    TrackingError
        The store cannot be reached or written.
    """
    with opened(store):
        from mlflow import MlflowClient

        client = MlflowClient()
        experiment_id = _experiment_id(client, store, experiment)
        sweep_dead_runs(client, experiment_id)
        run = client.create_run(
            experiment_id,
            run_name=name,
            tags={
                **tags,
                **process_tags(_COMMANDS[kind]),
                KIND_TAG: kind,
            },
        )
        status = "FAILED"
        try:
            yield TrackedRun(client, store, experiment, experiment_id, run.info.run_id)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            try:
                if status != "FINISHED":
                    _end_models(client, experiment_id, run.info.run_id)
            finally:
                _end(client, run.info.run_id, status)


def _end(client: Any, run_id: str, status: str) -> None:
    """End a run, also where it is the one that MLflow's plain functions write to."""
    import mlflow

    active = mlflow.active_run()
    if active is not None and active.info.run_id == run_id:
        mlflow.end_run(status)
    else:
        client.set_terminated(run_id, status)


def process_tags(command: str = "adcr train") -> dict[str, str]:
    """Tags of every run from its first moment on, by which it is known when its process has died.

    Parameters
    ----------
    command : str
        What opened it.

    Returns
    -------
    dict of str to str
    """
    return {
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
        PROCESS_TAG: process_stamp(os.getpid()),
        HOST_TAG: socket.gethostname(),
    }


def _experiment_id(client: Any, store: RunStore, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            location = store.artifact_location(name)
            return str(client.create_experiment(name, artifact_location=location, tags={_UI_TAG: _UI_KIND}))
        except MlflowException:
            # Another process created it between the two calls.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if _UI_TAG not in found.tags:
        client.set_experiment_tag(found.experiment_id, _UI_TAG, _UI_KIND)
    return str(found.experiment_id)


def sweep_dead_runs(client: Any, experiment_id: str) -> list[str]:
    """End the runs that say RUNNING, and the models that say PENDING, though their process, on this machine, is gone.

    Parameters
    ----------
    client : mlflow.MlflowClient
    experiment_id : str

    Returns
    -------
    list of str
        Ids of the runs that were ended, children among them.
    """
    ended = []
    for run in client.search_runs([experiment_id], filter_string="attributes.status = 'RUNNING'", max_results=_PAGE):
        if _is_dead(client, run.data.tags):
            # First, so that a run that was ended has no model that still says PENDING, should this be killed too.
            _end_models(client, experiment_id, run.info.run_id)
            client.set_tag(run.info.run_id, ENDED_TAG, "its process ended without closing it")
            client.set_terminated(run.info.run_id, "FAILED")
            ended.append(run.info.run_id)
    return ended


def _end_models(client: Any, experiment_id: str, run_id: str) -> None:
    from mlflow.entities import LoggedModelStatus

    for model in client.search_logged_models([experiment_id], filter_string=f"source_run_id = '{run_id}'"):
        if model.status == LoggedModelStatus.PENDING:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)


def _is_dead(client: Any, tags: Mapping[str, str]) -> bool:
    """Whether the process of a run has died; one without a process (of an older adcr) ends with its parent."""
    stamp, parent = tags.get(PROCESS_TAG, ""), tags.get("mlflow.parentRunId", "")
    if stamp:
        return tags.get(HOST_TAG) == socket.gethostname() and not process_lives(stamp)
    ours = tags.get("mlflow.source.name") == "adcr train"
    return bool(ours and parent and client.get_run(parent).info.status != "RUNNING")


def process_stamp(pid: int) -> str:
    """Name a process for good: its number, which is used again, and when it started.

    Parameters
    ----------
    pid : int

    Returns
    -------
    str
        `<pid>` where the system does not tell the start.
    """
    try:
        # The name in parentheses may hold spaces; the start time is the 20th field after it.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return f"{pid}@{fields[19]}"
    except (OSError, IndexError):
        return str(pid)


def process_lives(stamp: str) -> bool:
    """Whether the process of a stamp is still there; in doubt it is.

    Parameters
    ----------
    stamp : str
        As `process_stamp` gives it.

    Returns
    -------
    bool
    """
    number = stamp.partition("@")[0]
    if os.name != "posix" or not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return "@" not in stamp or process_stamp(int(number)) == stamp
    return "@" not in stamp or process_stamp(int(number)) == stamp


def now_milliseconds() -> int:
    """Time as MLflow stamps metrics.

    Returns
    -------
    int
        Milliseconds since 1970.
    """
    return int(time.time() * 1000)
