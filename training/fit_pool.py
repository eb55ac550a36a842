"""Where fits run: side by side in threads of this machine, or on the workers of a Dask cluster.

What they give is kept until their training ends, where the training says so.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from training.kept_fits import Arrays, KeptFits

Engine = Literal["threads", "dask"]
#: Fits side by side: each uses one thread, and more than two seldom have a processor of their own.
FITS_TOGETHER = 2

_client: ContextVar[Any] = ContextVar("client of the Dask cluster", default=None)
_kept: ContextVar[KeptFits | None] = ContextVar("what this training's fits gave", default=None)


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
def fits_kept(kept: KeptFits) -> Iterator[None]:
    """Take fits within the block over from a training that was broken off; keep them until the block has ended well.

    Parameters
    ----------
    kept : KeptFits

    Yields
    ------
    None

    Raises
    ------
    KeyboardInterrupt
        As it came, telling what is kept.
    """
    token = _kept.set(kept)
    try:
        yield
    except KeyboardInterrupt as error:
        if fits := kept.count():
            told = "1 fit is" if fits == 1 else f"{fits} fits are"
            raise KeyboardInterrupt(f"{told} kept, and the same command goes on from there") from error
        raise
    finally:
        _kept.reset(token)
    kept.forget()


def run_fits(
    fit: Callable[..., Arrays],
    jobs: Sequence[tuple[int, ...]],
    *,
    of: str,
    progress: Callable[[int], None] | None = None,
) -> list[Arrays]:
    """Run fits side by side, but for those that are kept.

    Parameters
    ----------
    fit : callable
        Gives named arrays for a job; the same ones wherever and whenever it runs.
    jobs : sequence of tuple of int
    of : str
        What is fitted, and to what end: with the job it names the fit within its training.
    progress : callable, optional
        Called with the number of fits done since the last call; first with those that are kept.

    Returns
    -------
    list of dict of str to numpy.ndarray
        In the order of the jobs, whichever was done first: sums of numbers depend on it.

    Raises
    ------
    Exception
        What `fit` raises; fits that have not begun are cancelled.
    """
    kept = _kept.get()
    names = [" ".join([of, *map(str, job)]) for job in jobs]
    before = {} if kept is None else {number: kept.find(name) for number, name in enumerate(names)}
    found = {number: known for number, known in before.items() if known is not None}
    if progress and found:
        progress(len(found))
    with _fit_pool() as pool:
        futures = {pool.submit(fit, *job): number for number, job in enumerate(jobs) if number not in found}
        for future in as_completed(futures):
            number = futures[future]
            found[number] = future.result()
            if kept is not None:
                kept.keep(names[number], found[number])
            if progress:
                progress(1)
    return [found[number] for number in range(len(jobs))]


@contextmanager
def _fit_pool() -> Iterator[Executor]:
    """Executor of the fits of one candidate; what has not begun when the block is left is cancelled."""
    client = _client.get()
    pool = ThreadPoolExecutor(min(FITS_TOGETHER, os.cpu_count() or 1)) if client is None else client.get_executor()
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True) if client is None else pool.shutdown(wait=False)
