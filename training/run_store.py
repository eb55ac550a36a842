"""Where runs are kept: `mlflow.db` beside `mlartifacts/` in the working folder, or MLFLOW_TRACKING_URI."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import TrackingError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE, ARTIFACTS, LOCK = "mlflow.db", "mlartifacts", "mlflow.db.lock"
#: Seconds to wait for another process that initialises the same store (it takes two).
_LOCK_TIMEOUT = 120
#: MLflow retries an unreachable server for minutes by default; a user at a prompt wants to know sooner.
_RETRIES = "2"


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
    """
    named = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if named:
        return RunStore(named)
    place = (folder or Path.cwd()).resolve()
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
            reason = str(error).splitlines()[0][:200]
            raise TrackingError(
                f"MLflow cannot use the store ({reason}).",
                where=store.uri,
                mend="Check MLFLOW_TRACKING_URI, or that this folder can be written.",
            ) from error
        finally:
            mlflow.set_tracking_uri(None)
            if before is not None:
                os.environ["MLFLOW_TRACKING_URI"] = before


@contextmanager
def _quiet_mlflow() -> Iterator[None]:
    """Keep back what MLflow tells of itself: log lines of migrations, and warnings about its own code."""
    from sqlalchemy.exc import SADeprecationWarning

    with warnings.catch_warnings():
        # Its tables are declared in a way that SQLAlchemy will drop one day.
        warnings.simplefilter("ignore", SADeprecationWarning)
        # MLflow sets filters and levels of its own when it is imported; ours come after.
        import_module("mlflow")
        warnings.simplefilter("ignore", SADeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        yield


def _initialise(store: RunStore) -> None:
    from filelock import FileLock
    from mlflow import MlflowClient

    if store.folder is None:
        MlflowClient().search_experiments(max_results=1)
        return
    with FileLock(store.folder / LOCK, timeout=_LOCK_TIMEOUT):
        MlflowClient().search_experiments(max_results=1)
