"""Scoring on many machines: the parts of a score folder as tasks of a Dask cluster.

Every worker runs `make_part`, as one machine does, and writes its part to a disk that all share. A worker that dies is
no error of the data: its parts are given to another one once. What comes back are sums, which the caller joins into
one manifest.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from features.cluster import RETRIES, cluster_client
from features.errors import OutputError
from serving.score_parts import PartJob, make_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    with cluster_client(scheduler) as client:
        yield lambda jobs: _made(client, jobs)


def _made(client: Any, jobs: list[PartJob]) -> Iterator[bytes]:
    """Yield the sums of the parts as they are done, each part once."""
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    if not jobs:
        return
    # What every part shares travels to each worker once.
    shared = client.scatter(jobs[0], broadcast=True, hash=False)
    futures = [client.submit(_make, shared, job.number, job.table, pure=False) for job in jobs]
    try:
        for done in as_completed(futures, loop=client.loop):
            yield done.result()
            done.release()
    except KilledWorker as error:
        raise OutputError(
            f"a part was given to {RETRIES + 1} workers and each died.",
            where=str(client.scheduler.address),
            mend="Give the workers more memory, or start anew with --resume.",
        ) from error
    finally:
        client.cancel(futures)


def _make(shared: PartJob, number: int, table: Any) -> bytes:
    return make_part(replace(shared, number=number, table=table))
