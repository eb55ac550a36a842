"""Scoring on many machines: the parts of a score folder as tasks of a Dask cluster.

Every worker runs `make_part`, as one machine does, and writes its part to a disk that all share. A worker that dies is
no error of the data: its parts are given to another one once. What comes back are sums, which the caller joins into
one manifest.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from features.errors import InputError, OutputError
from features.in_order import processors
from serving.score_parts import PartJob, make_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Times that a part is tried again after the worker that made it died.
_RETRIES = 1
_PATIENCE_SECONDS = 30


@contextlib.contextmanager
def on_dask(scheduler: str | None) -> Iterator[Callable[[list[PartJob]], Iterator[bytes]]]:
    """Connect to a scheduler, or start one with workers on this machine.

    Parameters
    ----------
    scheduler : str or None
        Address such as "tcp://10.0.0.1:8786".

    Yields
    ------
    callable
        Makes parts and yields their sums as they are done.

    Raises
    ------
    InputError
        Dask is not installed, or nothing answers at the address.
    """
    distributed, settings = _libraries()
    with settings.set({"distributed.scheduler.allowed-failures": _RETRIES}), contextlib.ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            # A dashboard would open a port that nobody asked for.
            cluster = distributed.LocalCluster(
                n_workers=processors(), threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
            )
            address = stack.enter_context(cluster)
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_PATIENCE_SECONDS))
        except (OSError, ValueError) as error:
            raise InputError(
                "no Dask scheduler answers there.", where=str(scheduler), mend="Start one with `dask scheduler`."
            ) from error
        yield lambda jobs: _made(distributed, client, jobs)


def _libraries() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise InputError(
            "Dask is not installed.", where="--engine dask", mend="Install it with: pip install 'adcr[dask]'."
        ) from error
    return distributed, dask.config


def _made(distributed: Any, client: Any, jobs: list[PartJob]) -> Iterator[bytes]:
    """Yield the sums of the parts as they are done, each part once."""
    if not jobs:
        return
    # What every part shares travels to each worker once.
    shared = client.scatter(jobs[0], broadcast=True, hash=False)
    futures = [client.submit(_make, shared, job.number, job.table, pure=False) for job in jobs]
    try:
        for done in distributed.as_completed(futures):
            yield done.result()
            done.release()
    except distributed.scheduler.KilledWorker as error:
        raise OutputError(
            f"a part was given to {_RETRIES + 1} workers and each died.",
            where=str(client.scheduler.address),
            mend="Give the workers more memory, or start anew with --resume.",
        ) from error
    finally:
        client.cancel(futures)


def _make(shared: PartJob, number: int, table: Any) -> bytes:
    return make_part(replace(shared, number=number, table=table))
