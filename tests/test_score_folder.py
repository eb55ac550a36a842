"""A folder of scores: parts made here or on a Dask cluster, by the same code, each once."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import InputError, OutputError
from serving import score_parts
from serving.score_stream import score_file
from serving.scoring_plan import ScoringTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.cohort import Cohort


@pytest.fixture
def task(learned_cohort: Cohort, tmp_path: Path, bundle_folder: Path) -> ScoringTask:
    """Three thousand rows in some fifteen parts, three of them invalid, one repeated far away."""
    patients = learned_cohort.patients.drop(columns="pcr")
    rows = pd.concat([patients.assign(patient_id=patients["patient_id"] + f"-{i}") for i in range(10)])
    rows = pd.concat([rows, rows.iloc[[17]]], ignore_index=True)
    rows.loc[[5, 1500, 2999], "her2_ihc"] = "4+"
    rows.to_csv(tmp_path / "many.csv", index=False)
    return ScoringTask(
        tmp_path / "many.csv", bundle_folder, tmp_path / "scores", block_bytes=5_000, part_bytes=9_000, top_reasons=1
    )


@pytest.fixture
def expected(task: ScoringTask) -> pa.Table:
    one = replace(task, output=task.output.with_name("one.parquet"))
    score_file(one)
    return pq.read_table(one.output)


def scores(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(part) for part in sorted(folder.iterdir())])


def test_a_folder_of_parts_holds_the_rows_of_one_file_in_order(task: ScoringTask, expected: pa.Table) -> None:
    manifest = score_file(task)
    names = sorted(path.name for path in task.output.iterdir())
    assert len(names) > 10
    assert names == [score_parts.part_name(number) for number in range(len(names))]
    assert scores(task.output).equals(expected)
    assert (manifest.rows.scored, manifest.rows.rejected, manifest.rows.duplicates_merged) == (2997, 3, 1)
    rejected = pd.read_csv(task.output.with_name("scores.rejected.csv"))
    assert rejected["fault_row"].tolist() == [7, 1502, 3001]
    assert not list(task.output.parent.glob(".*"))


def test_a_parquet_folder_is_scored_into_a_parquet_folder(
    task: ScoringTask, expected: pa.Table, learned_cohort: Cohort, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    table = pd.read_csv(task.file, dtype={"her2_ihc": "str"})
    for number in range(3):
        table.iloc[number * 1000 : (number + 1) * 1000 + (number == 2)].to_parquet(
            tmp_path / "in" / f"p{number}.parquet", row_group_size=300
        )
    score_file(replace(task, file=tmp_path / "in", output=tmp_path / "out", part_bytes=5_000))
    assert scores(tmp_path / "out").equals(expected)


def test_parts_that_are_made_are_not_made_again(task: ScoringTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import score_stream

    made = []
    exact = score_parts.make_part

    def counted(job: Any) -> bytes:
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(job.number)
        return exact(job)

    monkeypatch.setattr(score_parts, "make_part", counted)
    monkeypatch.setattr(score_stream, "processors", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        score_file(replace(task, resume=True))
    assert not task.output.exists()
    made.append(-1)
    score_file(replace(task, resume=True))
    assert sorted(number for number in made if number >= 0) == list(range(len(made) - 1))


def test_a_folder_that_holds_something_else_is_not_replaced(task: ScoringTask) -> None:
    task.output.mkdir()
    (task.output / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(OutputError, match="something other than scores"):
        score_file(task)
    (task.output / "letter.txt").unlink()
    score_file(task)
    score_file(task)


def test_a_cluster_writes_no_single_file(task: ScoringTask) -> None:
    with pytest.raises(InputError, match="many machines write a folder"):
        score_file(replace(task, engine="dask", output=task.output.with_name("one.csv")))


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as found:
        yield found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_workers_of_which_one_is_killed_give_every_row_once(
    task: ScoringTask, expected: pa.Table, cluster: Any
) -> None:
    workers = [worker.pid for worker in cluster.workers.values()]
    done = threading.Event()

    def kill() -> None:
        parts = task.output.parent / ".scores.unfinished" / "parts"
        while not done.is_set():
            if parts.exists() and len(list(parts.glob("*.tally"))) >= 2:
                os.kill(workers[0], signal.SIGKILL)
                return
            time.sleep(0.002)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        manifest = score_file(replace(task, engine="dask", scheduler=cluster.scheduler_address))
    finally:
        done.set()
        killer.join()
    assert scores(task.output).equals(expected)
    assert manifest.rows.scored == expected.num_rows
    here = score_file(replace(task, output=task.output.with_name("here")))
    assert here.scores.sha256 == manifest.scores.sha256
