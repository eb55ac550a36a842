"""Where runs are kept: `mlflow.db` beside `mlartifacts/` in the working folder, or MLFLOW_TRACKING_URI."""

from __future__ import annotations

import logging
import os
import re
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import TrackingError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE, ARTIFACTS, LOCK = "mlflow.db", "mlartifacts", "mlflow.db.lock"
#: A database whose tables are still being made.
_UNFINISHED = ".mlflow.db.new"
#: Seconds to wait for another process that initialises the same store (it takes two).
_LOCK_TIMEOUT = 120
#: MLflow retries an unreachable server for minutes by default; a user at a prompt wants to know sooner.
_RETRIES = "2"
#: Seconds that a server has to answer for the first time.
_FIRST_SECONDS = "10"


@dataclass(frozen=True)
class RunStore:
    """An MLflow store: its tracking URI, and the folder of its files where it is one of ours.

    Attributes
    ----------
    uri : str
    folder : Path or None
        Holds `mlflow.db` and `mlartifacts/`; None for a store named by MLFLOW_TRACKING_URI.
    """

    uri: str
    folder: Path | None = None

    def artifact_location(self, experiment: str) -> str | None:
        """Give the place of an experiment's files, or None where the store decides.

        Parameters
        ----------
        experiment : str

        Returns
        -------
        str or None
        """
        if self.folder is None:
            return None
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in experiment)
        return (self.folder / ARTIFACTS / name).as_uri()


def default_store(folder: Path | None = None) -> RunStore:
    """Find the store of a working folder.

    Parameters
    ----------
    folder : Path, optional
        The current folder by default.

    Returns
    -------
    RunStore
        MLFLOW_TRACKING_URI where that is set.

    Raises
    ------
    TrackingError
        The working folder has been removed.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if named:
        return RunStore(named)
    try:
        place = (folder or Path.cwd()).resolve()
    except FileNotFoundError as error:
        raise TrackingError("the working folder is gone.", mend="Go to another folder, or make it anew.") from error
    return RunStore(f"sqlite:///{(place / DATABASE).as_posix()}", place)


def store_exists(store: RunStore) -> bool:
    """Whether a store holds anything; a store elsewhere is taken to.

    Parameters
    ----------
    store : RunStore

    Returns
    -------
    bool
    """
    return store.folder is None or (store.folder / DATABASE).is_file()


@contextmanager
def opened(store: RunStore) -> Iterator[None]:
    """Point MLflow at a store, initialised, for the time of the block.

    An empty SQLite store that several processes open at once is damaged; a file lock lets one initialise it.

    Parameters
    ----------
    store : RunStore

    Raises
    ------
    TrackingError
        The store cannot be reached or written.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _RETRIES)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    before = os.environ.get("MLFLOW_TRACKING_URI")
    with _quiet_mlflow():
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        mlflow.set_tracking_uri(store.uri)
        try:
            _initialise(store)
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise _unusable(store, error) from error
        except ModuleNotFoundError as error:
            # Only the driver of a database is loaded as late as this, by the name that the user gave.
            if store.folder is not None or (error.name or "").partition(".")[0] in _OURS:
                raise
            raise TrackingError(
                f"this database needs the Python package '{error.name}', which is not installed.",
                where=_shown(store.uri),
                mend="Install it, or unset MLFLOW_TRACKING_URI.",
            ) from error
        finally:
            mlflow.set_tracking_uri(None)
            if before is not None:
                os.environ["MLFLOW_TRACKING_URI"] = before


#: Rooms whose missing modules are faults of ours.
_OURS = frozenset({"features", "training", "serving", "adcr"})

#: What MLflow and SQLite say, and what it means to the user: what is wrong, and how to mend it.
_KNOWN = (
    ("database is locked", "another program holds the database", "Wait until it is done, or end it."),
    ("not a database", "mlflow.db is damaged", "Move it away; the next run makes a new one."),
    ("OperationalError) table", "mlflow.db is half made", "Move it away; the next run makes a new one."),
    ("malformed", "mlflow.db is damaged", "Move it away; the next run makes a new one."),
    ("disk I/O error", "the disk is full or cannot be written", "Make room, and start again."),
    ("disk is full", "the disk is full", "Make room, and start again."),
    ("readonly database", "mlflow.db cannot be written", "Give yourself the right to write it."),
    ("unable to open database", "mlflow.db cannot be opened", "Check that this folder can be written."),
    ("unsupported URI", "its address is of no kind that MLflow knows", "Check MLFLOW_TRACKING_URI, or unset it."),
    ("timed out", "the server does not answer in time", "Try again later, or unset MLFLOW_TRACKING_URI."),
    ("Max retries exceeded", "the server cannot be reached", "Start it, or unset MLFLOW_TRACKING_URI."),
)


def _unusable(store: RunStore, error: Exception) -> TrackingError:
    told = str(error)
    for sign, what, mend in _KNOWN:
        if sign in told:
            return TrackingError(f"MLflow cannot use the store: {what}.", where=_shown(store.uri), mend=mend)
    if isinstance(error, OSError) and error.strerror:
        told = error.strerror
    reason = (told.splitlines() or [type(error).__name__])[0][:200]
    return TrackingError(
        f"MLflow cannot use the store ({reason}).",
        where=_shown(store.uri),
        mend="Check MLFLOW_TRACKING_URI, or that this folder can be written.",
    )


def _shown(uri: str) -> str:
    """Address without the name and password that it may hold."""
    return re.sub(r"(?<=://)[^/@]*@", "", uri)


@contextmanager
def _quiet_mlflow() -> Iterator[None]:
    """Keep back what MLflow tells of itself: log lines, also of errors that we tell, and warnings of its own code."""
    from sqlalchemy.exc import SADeprecationWarning

    with warnings.catch_warnings():
        # Its tables are declared in a way that SQLAlchemy will drop one day.
        warnings.simplefilter("ignore", SADeprecationWarning)
        # MLflow sets filters and levels of its own when it is imported; ours come after.
        import_module("mlflow")
        warnings.simplefilter("ignore", SADeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield


@contextmanager
def _impatient() -> Iterator[None]:
    """Give a server little time to answer the first question; later ones, such as a large file, may take longer."""
    limits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": _FIRST_SECONDS, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _initialise(store: RunStore) -> None:
    from filelock import FileLock
    from mlflow import MlflowClient

    if store.folder is None:
        with _impatient():
            MlflowClient().search_experiments(max_results=1)
        return
    with FileLock(store.folder / LOCK, timeout=_LOCK_TIMEOUT):
        if not (store.folder / DATABASE).exists():
            _make_database(store.folder)
        MlflowClient().search_experiments(max_results=1)


def _make_database(folder: Path) -> None:
    """Make an empty store under another name and put it in place whole.

    MLflow makes its tables one by one; a database that a killed process left halfway can never be used again.
    """
    from mlflow import MlflowClient

    new = folder / _UNFINISHED
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    try:
        client = MlflowClient(tracking_uri=f"sqlite:///{new.as_posix()}")
        client.search_experiments(max_results=1)
        # Where a file that is open cannot be renamed, the connections must be closed first.
        engine = getattr(client._tracking_client.store, "engine", None)
        if engine is not None:
            engine.dispose()
        new.replace(folder / DATABASE)
    except BaseException:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
