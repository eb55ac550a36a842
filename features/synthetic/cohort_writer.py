"""Writes simulated cohorts part by part: memory stays flat in the number of patients, the seed settles the bytes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from features.errors import InputError, OutputError
from features.synthetic.enrolment import plan_enrolment
from features.synthetic.simulator import Simulator, blocks_of
from features.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

_SUFFIXES = (".csv", ".tsv", ".parquet")
#: Decimals of probabilities in a truth file.
_TRUTH_DECIMALS = 9


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...


def write_cohort(
    path: str | Path,
    *,
    patients: int,
    seed: int,
    truth: str | Path | None = None,
    world: int = 0,
    adcs: Sequence[str] | None = None,
    setting: str | None = None,
    trial: str | None = None,
    missing: float | None = None,
    sites: int = 1,
    shift: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[Path, ...]:
    """Simulate a cohort and write it, and on request the truth behind it.

    Parameters
    ----------
    path : str or Path
        Cohort file; the suffix names the format: .csv, .tsv or .parquet.
    patients, seed, world, adcs, setting, trial, missing, sites, shift
        As for `simulate_cohort`.
    truth : str or Path, optional
        Second file: each patient's true probabilities and best ADC.
    threads : int, default 1
        Threads that draw blocks while this one writes; the bytes do not depend on it.
    progress : callable, optional
        Called with the number of patients written after each part.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        An argument is out of range or names nothing that is modelled.
    OutputError
        A file cannot be written; no part of it is left.
    """
    plan = plan_enrolment(
        patients,
        seed,
        world=world,
        adcs=adcs,
        setting=setting,
        trial=trial,
        missing=missing,
        sites=sites,
        shift=shift,
    )
    targets = [Path(path), *([Path(truth)] if truth is not None else [])]
    for target in targets:
        _check_target(target)
    if len(targets) > 1 and targets[0].resolve() == targets[1].resolve():
        raise InputError("the cohort and its truth cannot share a file.", where="--truth", mend="Name another file.")
    note = {"data_origin": "simulated", "world": str(world), "seed": str(seed)}
    with ExitStack() as stack:
        writers = [stack.enter_context(_part_writer(target, note)) for target in targets]
        written = 0
        for tables in _simulated(Simulator(plan), patients, threads, with_truth=truth is not None):
            for write, table in zip(writers, tables, strict=True):
                write(table)
            written += tables[0].num_rows
            if progress is not None:
                progress(written)
    return tuple(targets)


def _simulated(
    simulator: Simulator, patients: int, threads: int, *, with_truth: bool
) -> Iterator[tuple[pa.Table, ...]]:
    """Blocks in order, drawn ahead by `threads` threads, never more than a few in memory."""
    waiting: deque[Future[tuple[pa.Table, ...]]] = deque()

    def draw(number: int, count: int) -> tuple[pa.Table, ...]:
        block = simulator.block(number, count)
        frames = [simulator.patients(block)]
        if with_truth:
            frames.append(simulator.truth(block).round(_TRUTH_DECIMALS))
        return tuple(_to_arrow(frame) for frame in frames)

    with ThreadPoolExecutor(threads) as pool:
        for number, count in blocks_of(patients):
            waiting.append(pool.submit(draw, number, count))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    # One schema for every part, also where a part holds no value of a column.
    fields = [
        (name, pa.string() if str(dtype) in ("str", "object") else pa.float64()) for name, dtype in frame.dtypes.items()
    ]
    table = pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)
    return table.replace_schema_metadata(None)


def _check_target(path: Path) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"'{path.suffix}' is not a format that a cohort is simulated in."
            if path.suffix
            else "the name does not say which format to write.",
            where=str(path),
            mend=f"End it in {', '.join(_SUFFIXES)}.",
        )
    if path.is_dir():
        raise OutputError("this is a folder.", where=str(path), mend="Name a file in it.")
    if not path.parent.is_dir():
        raise OutputError(
            "its folder does not exist.", where=str(path), mend="Create the folder, or name another file."
        )


@contextmanager
def _part_writer(path: Path, note: dict[str, str]) -> Iterator[Callable[[pa.Table], None]]:
    """Write parts to a file that is there once all are written."""
    with whole_file(path) as part, ExitStack() as stack:
        yield _opened(part, path.suffix.lower(), note, stack)
        # The writer must be closed before the file is renamed.
        stack.close()


def _opened(part: Path, suffix: str, note: dict[str, str], stack: ExitStack) -> Callable[[pa.Table], None]:
    writer: _Writer | None = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            schema = table.schema.with_metadata(note)
            opened = (
                pyarrow.parquet.ParquetWriter(part, schema, compression="zstd")
                if suffix == ".parquet"
                else pyarrow.csv.CSVWriter(part, schema, write_options=_csv_options(suffix))
            )
            writer = stack.enter_context(opened)
        writer.write_table(table.replace_schema_metadata(note))

    return write


def _csv_options(suffix: str) -> pyarrow.csv.WriteOptions:
    delimiter = "\t" if suffix == ".tsv" else ","
    return pyarrow.csv.WriteOptions(delimiter=delimiter, quoting_style="none")
