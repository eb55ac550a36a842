"""Blocks of a cohort file to encoded scores, in order, on all processors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from features.feature_table import encode_columns
from features.in_order import in_order
from serving.patients import Patients
from serving.population_shift import MOST_ROWS, histograms
from serving.quarantine import rejected_lines
from serving.run_tally import RunTally, counted
from serving.scores import score_patients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from features.cohort_stream import CohortBatch, CohortStream
    from features.tables.blocks import Block
    from serving.pseudonyms import Pseudonyms
    from serving.score_writer import EncodedScores, ScoreFormat
    from training.model_bundle import ModelBundle


@dataclass(frozen=True)
class ScoringPlan:
    """What is wanted of every batch.

    Attributes
    ----------
    engine : ModelBundle
    form : ScoreFormat
    top_reasons : int
    origin : str
        Text of `data_origin`; "" leaves the column out.
    contributions : bool
        Whether every contribution is written.
    rank_adcs : tuple of str
        ADCs under which each patient is scored as well.
    pseudonyms : Pseudonyms or None
        What ids become.
    check : callable
        Called with each batch's matrix; raises where the engine cannot be trusted.
    """

    engine: ModelBundle
    form: ScoreFormat
    top_reasons: int
    origin: str
    check: Callable[[NDArray[np.float64]], None]
    contributions: bool = False
    rank_adcs: tuple[str, ...] = ()
    pseudonyms: Pseudonyms | None = None


@dataclass(frozen=True)
class ScoredBlock:
    """The scores of a block as the files hold them.

    Attributes
    ----------
    scores : list of EncodedScores
    rejected : list of bytes-like
        Lines of the rejected file.
    tally : RunTally
    """

    scores: list[EncodedScores]
    rejected: list[Any]
    tally: RunTally


def score_batches(stream: CohortStream, plan: ScoringPlan, *, threads: int, skip: int = 0) -> Iterator[ScoredBlock]:
    """Score a cohort file block by block, while the next ones are read.

    Parameters
    ----------
    stream : CohortStream
    plan : ScoringPlan
    threads : int
    skip : int
        Blocks at the beginning that are done already.

    Yields
    ------
    ScoredBlock
        In the order of the file.
    """
    idle: SimpleQueue[ModelBundle] = SimpleQueue()
    for own in own_engines(plan.engine, threads):
        idle.put(own)

    def work(block: Block) -> ScoredBlock:
        own = idle.get()
        try:
            return score_block(stream, block, replace(plan, engine=own))
        finally:
            idle.put(own)

    blocks = (block for number, block in enumerate(stream.blocks()) if number >= skip)
    yield from in_order(work, blocks, threads=threads)


def own_engines(engine: ModelBundle, number: int) -> list[ModelBundle]:
    """Engines for several threads, ready to compute.

    LightGBM does not promise that one booster explains in several threads at once, so each thread has a bundle of its
    own. What they load and parse is loaded here, before any of them computes: neither LightGBM nor the kernel's code
    bears being loaded by several threads.

    Parameters
    ----------
    engine : ModelBundle
    number : int

    Returns
    -------
    list of ModelBundle
    """
    engines = [replace(engine) for _ in range(number)]
    for own in engines:
        own.predict_log_odds(np.full((1, len(own.record.schema.columns)), np.nan))
    return engines


def score_block(stream: CohortStream, block: Block, plan: ScoringPlan) -> ScoredBlock:
    """Validate, encode, predict and explain the rows of one block, and write them as bytes.

    Parameters
    ----------
    stream : CohortStream
    block : Block
    plan : ScoringPlan

    Returns
    -------
    ScoredBlock
    """
    whole = ScoredBlock([], [], RunTally())
    for read in stream.read(block):
        batch = plan.pseudonyms.of_batch(read, stream) if plan.pseudonyms else read
        patients = Patients(batch.patient_id, batch.columns)
        matrix = encode_columns(batch.columns, len(batch), plan.engine.record.schema)
        plan.check(matrix)
        found = score_patients(
            plan.engine,
            patients,
            matrix,
            top_reasons=plan.top_reasons,
            origin=plan.origin,
            contributions=plan.contributions,
            rank_adcs=plan.rank_adcs,
        )
        tally = _tally(batch, found.table, found.shift)
        # Of a long file every so many-th row tells how its values are distributed.
        some = batch.rows % max(1, stream.rows // MOST_ROWS) == 0
        tally.histogram = histograms(plan.engine.record, matrix[some])
        whole.tally.add(tally)
        if len(batch):
            whole.scores.append(plan.form.encode(found.table))
        if batch.rejected is not None:
            whole.rejected.append(rejected_lines(batch.rejected, batch.faults, stream.table.place))
    return whole


def _tally(batch: CohortBatch, table: Any, shift: Any) -> RunTally:
    tally = RunTally(
        rows_in=batch.rows_in,
        scored=len(batch),
        rejected=0 if batch.rejected is None else len(batch.rejected),
        merged=batch.merged,
        bands=_counts(table["risk_band"]),
        rows_outside=shift.rows_outside,
        rows_unseen_adc=shift.rows_unseen_adc,
        rows_unseen_setting=shift.rows_unseen_setting,
        missing=counted(shift.missing),
        outside=counted(shift.outside),
        measured=counted(shift.measured),
        met=batch.met,
        derived=batch.derived,
    )
    tally.add_faults(batch.faults)
    tally.add_probability(table["response_probability"].to_numpy())
    return tally


def _counts(texts: Any) -> dict[str, int]:
    import pyarrow.compute as pc

    return dict(Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(texts).to_pylist()}))
