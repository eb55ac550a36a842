"""A score folder, part by part: each part of the input becomes one Parquet file, by the same code on every machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from features.cohort_stream import load_catalogues
from features.errors import OutputError
from features.in_order import in_order, processors
from serving.manifest import FileStamp, stamp
from serving.run_tally import RunTally
from serving.score_batches import own_engines, score_block
from serving.score_writer import ScoreFile
from serving.scoring_plan import scoring_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from features.cohort_stream import CohortStream
    from features.tables.blocks import TableBlocks
    from serving.score_batches import ScoringPlan
    from serving.scoring_plan import ScoringTask
    from training.model_bundle import ModelBundle

#: Bytes of the input that become one part.
PART_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class PartJob:
    """All that a worker needs to make one part; it holds no open file, and is small.

    Attributes
    ----------
    number : int
    table : TableBlocks
        The part of the input.
    stream : CohortStream
        The surveyed input.
    task : ScoringTask
    bundle : ModelBundle
    folder : str
        Where the part goes, on a disk that all workers share.
    """

    number: int
    table: TableBlocks
    stream: CohortStream
    task: ScoringTask
    bundle: ModelBundle
    folder: str

    @property
    def place(self) -> Path:
        """The part's own file."""
        return Path(self.folder) / part_name(self.number)


def part_name(number: int) -> str:
    """Name of a part in the score folder."""
    return f"part-{number:05d}.parquet"


def tally_place(part: Path) -> Path:
    """Where a part's sums are; they are there only once the part is whole."""
    return part.with_suffix(".tally")


def rejected_place(part: Path) -> Path:
    """Where a part's rejected rows are."""
    return part.with_suffix(".rejected")


def make_part(job: PartJob) -> bytes:
    """Score one part.

    May be done twice, by a worker that was thought dead and by another: both write the same bytes under names of their
    own and rename them.

    Parameters
    ----------
    job : PartJob

    Returns
    -------
    bytes
        The part's sums, a RunTally.
    """
    with _borrowed_plan(job) as plan:
        return _make_part(job, plan)


def _make_part(job: PartJob, plan: ScoringPlan) -> bytes:
    stream = replace(job.stream, table=job.table)
    tally = RunTally()
    own = f".{os.getpid()}-{job.number}"
    rejected: list[bytes] = []
    scores_at = job.place.with_suffix(f"{own}.new")
    with scores_at.open("wb") as file:
        scores = ScoreFile(file, plan.form, [], [])
        for block in stream.blocks():
            found = score_block(stream, block, plan)
            for batch in found.scores:
                scores.append(batch)
            rejected += [bytes(lines) for lines in found.rejected]
            tally.add(found.tally)
        scores.finish()
        os.fsync(file.fileno())
    content = msgspec.msgpack.encode(tally)
    scores_at.replace(job.place)
    _write(rejected_place(job.place), b"".join(rejected), own)
    _write(tally_place(job.place), content, own)
    return content


def _write(place: Path, content: bytes, own: str) -> None:
    new = place.with_name(f"{place.name}{own}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(place)


@contextlib.contextmanager
def _borrowed_plan(job: PartJob) -> Iterator[ScoringPlan]:
    """Lend a plan that no other thread of this process uses meanwhile; what it took to load is shared by all parts."""
    plans = _ready_plans(job)
    plan = plans.get()
    try:
        yield plan
    finally:
        plans.put(plan)


def _ready_plans(job: PartJob) -> SimpleQueue[ScoringPlan]:
    key = (job.bundle.record.model_version, repr(job.task), job.stream.source)
    # Neither LightGBM nor the kernel's code bears being loaded by several threads, or while one of them computes.
    with _LOADING:
        if key not in _PLANS:
            load_catalogues()
            _PLANS.clear()
            plan = scoring_plan(job.task, ".parquet", job.bundle, job.stream)[0]
            _PLANS[key] = SimpleQueue()
            for own in own_engines(plan.engine, processors()):
                _PLANS[key].put(replace(plan, engine=own))
        return _PLANS[key]


_LOADING = Lock()
_PLANS: dict[object, SimpleQueue[ScoringPlan]] = {}


def make_parts(jobs: Iterable[PartJob], run: Callable[[list[PartJob]], Iterator[bytes]]) -> Iterator[RunTally]:
    """Make all parts that are not made yet.

    Parameters
    ----------
    jobs : iterable of PartJob
    run : callable
        Makes parts, here or elsewhere, and yields their sums as they are done.

    Yields
    ------
    RunTally
        Of the parts that were there already, then of the others.
    """
    todo = []
    for job in jobs:
        if tally_place(job.place).is_file():
            yield msgspec.msgpack.decode(tally_place(job.place).read_bytes(), type=RunTally)
        else:
            todo.append(job)
    for content in run(todo):
        yield msgspec.msgpack.decode(content, type=RunTally)


def on_this_machine(threads: int) -> Callable[[list[PartJob]], Iterator[bytes]]:
    """Make parts in the threads of this process.

    Parameters
    ----------
    threads : int

    Returns
    -------
    callable
    """

    def run(jobs: list[PartJob]) -> Iterator[bytes]:
        yield from in_order(make_part, jobs, threads=threads)

    return run


def folder_stamp(folder: Path, name: str) -> FileStamp:
    """Hash a score folder: the hash of its parts' hashes, in the order of their names.

    Parameters
    ----------
    folder : Path
    name : str
        Name that it will bear.

    Returns
    -------
    FileStamp
    """
    parts = [stamp(path, path.name) for path in sorted(folder.glob("part-*.parquet"))]
    lines = "".join(f"{part.sha256}  {part.file}\n" for part in parts)
    return FileStamp(name, hashlib.sha256(lines.encode()).hexdigest(), sum(part.bytes for part in parts))


def require_replaceable(folder: Path) -> None:
    """Refuse to replace a folder that holds anything but an older run's parts.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    OutputError
    """
    if folder.is_dir() and any(not path.match("part-*.parquet") for path in folder.iterdir()):
        raise OutputError("the folder holds something other than scores.", where=str(folder), mend="Name another one.")
