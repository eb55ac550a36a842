"""What a user wants scored, and how: the task as given, and the plan that follows from it, the model and the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving import manifest as records
from serving.adc_ranking import ranked_adcs
from serving.score_batches import ScoringPlan
from serving.score_writer import ScoreFormat
from serving.scores import data_origin, score_columns
from serving.scoring_engine import SampleCheck, fastest

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort_stream import CohortStream
    from serving.pseudonyms import Pseudonyms
    from serving.scoring_engine import ComingKernel
    from training.model_bundle import ModelBundle


@dataclass(frozen=True)
class ScoringTask:
    """A file, a model and what is wanted of them.

    Attributes
    ----------
    file : Path
        CSV, TSV, Excel or Parquet.
    bundle_folder : Path
        The model.
    output : Path
        `.csv` or `.parquet`, or a name without an ending for a folder of Parquet files; replaced if it is there.
    top_reasons : int
        Reasons per patient; 0 for none.
    mapping, sheet, encoding : str or None
        How to read the file.
    contributions : bool
        Write every contribution, not only the largest.
    rank_adcs : str
        ADCs, with commas between them, under which each patient is scored as well; "" for none.
    resume : bool
        Go on with a run of the same task that was cut short, and leave the work behind where this one is.
    threads : int or None
        By default as many as there are processors; changes no byte of the scores.
    batch_rows, block_bytes, part_bytes : int or None
        How much is read and scored at once, and how much of the input becomes one part of a folder; changes no score.
    pseudonyms : Pseudonyms or None
        What ids become in every output; None leaves them as they are.
    engine : {"threads", "dask"}
        Where a folder of scores is computed.
    scheduler : str or None
        Address of a Dask scheduler; by default one is started on this machine.
    """

    file: Path
    bundle_folder: Path
    output: Path
    top_reasons: int = 3
    mapping: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    contributions: bool = False
    rank_adcs: str = ""
    resume: bool = False
    threads: int | None = None
    batch_rows: int | None = None
    block_bytes: int | None = None
    part_bytes: int | None = None
    pseudonyms: Pseudonyms | None = None
    engine: str = "threads"
    scheduler: str | None = None

    @property
    def explained(self) -> bool:
        """Whether contributions are wanted."""
        return self.top_reasons > 0 or self.contributions


def scoring_plan(
    task: ScoringTask, suffix: str, bundle: ModelBundle, stream: CohortStream, coming: ComingKernel | None = None
) -> tuple[ScoringPlan, str]:
    """How every batch of a file is scored.

    Parameters
    ----------
    task : ScoringTask
    suffix : {".csv", ".parquet"}
    bundle : ModelBundle
    stream : CohortStream
    coming : ComingKernel, optional
        What was being made ready while the file was opened.

    Returns
    -------
    plan : ScoringPlan
    engine : str
        What computes the trees, chosen once for the whole file.
    """
    origin = data_origin(bundle, stream.source.kind)
    every = bundle.record.schema.names if task.contributions else ()
    ranked = ranked_adcs(task.rank_adcs, bundle.record) if task.rank_adcs else ()
    columns = score_columns(task.top_reasons, with_origin=bool(origin), contributions=every, rank_adcs=ranked)
    form = ScoreFormat(suffix, columns, _facts(bundle, origin))
    engine, name = fastest(bundle, stream.rows, reasons=task.explained, coming=coming)
    check = SampleCheck(bundle, engine, stream.rows, reasons=task.explained)
    return ScoringPlan(engine, form, task.top_reasons, origin, check, task.contributions, ranked, task.pseudonyms), name


def _facts(bundle: ModelBundle, origin: str) -> dict[str, str]:
    """Facts of the whole table, for a Parquet file's own metadata."""
    record = bundle.record
    facts = {
        "research_use": records.RESEARCH_USE,
        "endpoint": record.endpoint,
        "model_name": record.model_name,
        "model_version": record.model_version,
    }
    return facts | ({"data_origin": origin} if origin else {})
