"""Where fits run: side by side in threads of this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

Engine = Literal["threads", "dask"]
#: Fits side by side: each uses one thread, and more than two seldom have a processor of their own.
FITS_TOGETHER = 2

_client: ContextVar[Any] = ContextVar("client of the Dask cluster", default=None)


@contextmanager
def fits_on(engine: Engine = "threads", scheduler: str | None = None) -> Iterator[None]:
    """Let every fit within the block run on an engine.

    Folds, resamples and the searches of settings inside them are the unit: each is one task, with the same seed and so
    the same result wherever it runs.

    Parameters
    ----------
    engine : {"threads", "dask"}
    scheduler : str, optional
        Address of a Dask scheduler; without it a cluster of this machine.

    Yields
    ------
    None

    Raises
    ------
    InputError
        Dask is not installed, or the scheduler does not answer.
    """
    if engine == "threads":
        yield
        return
    from features.cluster import cluster_client

    with cluster_client(scheduler) as client:
        token = _client.set(client)
        try:
            yield
        finally:
            _client.reset(token)


@contextmanager
def fit_pool() -> Iterator[Executor]:
    """Executor of the fits of one candidate; what has not begun when the block is left is cancelled.

    Yields
    ------
    concurrent.futures.Executor
    """
    client = _client.get()
    pool = ThreadPoolExecutor(min(FITS_TOGETHER, os.cpu_count() or 1)) if client is None else client.get_executor()
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True) if client is None else pool.shutdown(wait=False)
