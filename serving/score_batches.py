"""Patients scored batch by batch, in order, on all processors."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from features.feature_table import encode
from serving.scores import ScoredBatch, score

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from training.model_bundle import ModelBundle

#: Rows per batch: small enough to show progress and to keep all processors busy, large enough to cost nothing.
BATCH_ROWS = 1024


def score_batches(
    bundle: ModelBundle, patients: pd.DataFrame, *, top_reasons: int = 3, origin: str = "", batch_rows: int = BATCH_ROWS
) -> Iterator[ScoredBatch]:
    """Score patients batch by batch.

    Parameters
    ----------
    bundle : ModelBundle
    patients : pandas.DataFrame of shape (n_patients, any)
        Validated patients.
    top_reasons : int
        Reasons per patient; 0 for none.
    origin : str
        Text of `data_origin`; "" leaves the column out.
    batch_rows : int
        Rows per batch; changes no score.

    Yields
    ------
    ScoredBatch
        In the order of `patients`; one empty batch where there are none.
    """
    starts = range(0, len(patients), batch_rows) or range(1)
    workers = min(_processors(), len(starts))
    # LightGBM does not promise that one booster explains in several threads at once, so each thread takes a bundle of
    # its own, which parses the model text for itself.
    idle: SimpleQueue[ModelBundle] = SimpleQueue()
    for _ in range(workers):
        idle.put(replace(bundle))

    def work(start: int) -> ScoredBatch:
        own = idle.get()
        try:
            batch = patients.iloc[start : start + batch_rows]
            return score(own, batch, encode(batch, own.record.schema), top_reasons=top_reasons, origin=origin)
        finally:
            idle.put(own)

    pool = ThreadPoolExecutor(workers)
    try:
        waiting: deque[Future[ScoredBatch]] = deque()
        for start in starts:
            waiting.append(pool.submit(work, start))
            # Few batches run ahead of the writer, so that memory does not grow with the rows.
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
