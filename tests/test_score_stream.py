"""Streamed scoring: neither batches, threads, formats nor an interruption changes a bit, and no row is lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import adcr
from features.cohort_file import read_cohort
from features.cohort_opening import open_cohort
from features.cohort_stream import joined_values, whole_notes
from features.columns.coded_column import CodedColumn
from features.columns.id_hashes import HashStore, hash_ids
from features.errors import InputError, OutputError
from features.faults import CohortRejectedError
from serving import scoring_engine, unfinished_run
from serving.score_stream import score_file
from serving.scoring_plan import ScoringTask
from serving.unfinished_run import UnfinishedRun

if TYPE_CHECKING:
    from features.cohort import Cohort


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def streamed(path: Path, **options: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Patients of a file read in batches, and what else became of its rows."""
    stream = open_cohort(path, **options)
    batches = [batch for block in stream.blocks() for batch in stream.read(block)]
    met: dict[str, list[Any]] = {}
    for batch in batches:
        met = joined_values(met, batch.met)
    frames = []
    for batch in batches:
        columns = {
            name: pd.array(v.objects(), dtype="str") if isinstance(v, CodedColumn) else v
            for name, v in batch.columns.items()
        }
        frames.append(pd.DataFrame({"patient_id": pd.array(batch.patient_id.to_pylist(), dtype="str"), **columns}))
    told = {
        "rows": stream.rows,
        "merged": sum(batch.merged for batch in batches),
        "rejected": [int(row) for batch in batches if batch.rejected is not None for row in batch.rejected.rows],
        "faults": sorted((f.row, f.code, f.column, f.value, f.what) for b in batches for f in b.faults if f.row),
        "notes": {
            (f.code, f.column)
            for f in [*stream.notes, *whole_notes(stream, met), *(f for b in batches for f in b.faults)]
            if f.row is None
        },
        "source": stream.source,
    }
    return pd.concat(frames, ignore_index=True), told


def assert_read_alike(path: Path, **options: Any) -> None:
    """Assert that a file read in batches gives what it gives read whole."""
    whole = read_cohort(path, for_scoring=True)
    patients, told = streamed(path, **options)
    assert told["rows"] == whole.rows_in
    assert told["merged"] == whole.duplicates_merged
    assert told["rejected"] == list(whole.rejected)
    assert told["faults"] == sorted((f.row, f.code, f.column, f.value, f.what) for f in whole.faults if f.row)
    assert told["notes"] == {(f.code, f.column) for f in whole.faults if f.row is None}
    assert told["source"] == whole.source
    shared = [name for name in whole.patients.columns if name in patients.columns]
    assert set(whole.patients.columns) - set(shared) <= set(whole.unused()) | {"partner_drugs"}
    pd.testing.assert_frame_equal(patients[shared], whole.patients[shared], check_exact=True)


@pytest.fixture
def patients(learned_cohort: Cohort) -> pd.DataFrame:
    return learned_cohort.patients.drop(columns="pcr")


@pytest.fixture
def task(patients: pd.DataFrame, tmp_path: Path, bundle_folder: Path) -> ScoringTask:
    patients.to_csv(tmp_path / "site_a.csv", index=False)
    return ScoringTask(tmp_path / "site_a.csv", bundle_folder, tmp_path / "out.parquet")


def varied(task: ScoringTask, name: str, **options: Any) -> pa.Table:
    """Scores of a task with other options."""
    output = task.output.with_name(name)
    score_file(ScoringTask(**{**{f: getattr(task, f) for f in task.__dataclass_fields__}, "output": output, **options}))
    return pq.read_table(output)


# -- read in batches as read whole -------------------------------------------------------------------------------


MESSES: dict[str, dict[str, Any]] = {
    "faults": {"her2_ihc": "4+", "til_percent": "300"},
    "words for missing": {"til_percent": "N/A", "erbb2_copy_number": "unknown", "her2_ihc": "[Not Available]"},
    "a decimal comma beside points": {"setting": "nowhere"},
    "sentinels and infinities": {"erbb2_copy_number": "-9", "til_percent": "inf"},
    "a percent sign": {"til_percent": "20%"},
    "units and full-width digits": {"til_percent": "\uff12\uff10", "erbb2_copy_number": "4.5 copies"},
    "ids": {"patient_id": "=1+1"},
    "partners": {"adc": "T-DM1 + pertuzumab"},
    "no biomarker at all": dict.fromkeys(
        ("her2_ihc", "erbb2_mrna_z", "erbb2_copy_number", "cdk12_amplified", "p95her2_ratio", "til_percent"), ""
    ),
    "dates": {"patient_id": "2024-01-31"},
}


@pytest.mark.parametrize("mess", MESSES)
@pytest.mark.parametrize("block_bytes", [900, 1 << 20])
def test_a_file_read_in_blocks_is_read_as_it_is_read_whole(
    patients: pd.DataFrame, tmp_path: Path, mess: str, block_bytes: int
) -> None:
    rows = patients.astype("str").fillna("").astype(object)
    for number, (column, value) in enumerate(MESSES[mess].items()):
        same_row = mess == "no biomarker at all"
        rows.loc[150 if same_row else 150 + number, column] = value
    rows.to_csv(tmp_path / "a.csv", index=False)
    assert_read_alike(tmp_path / "a.csv", block_bytes=block_bytes, batch_rows=17)


def test_decimal_commas_are_read_where_the_whole_column_agrees_and_refused_where_it_does_not(
    patients: pd.DataFrame, tmp_path: Path
) -> None:
    rows = patients.astype("str").fillna("").astype(object)
    comma = rows.assign(erbb2_copy_number=rows["erbb2_copy_number"].str.replace(".", ","))
    comma.to_csv(tmp_path / "a.csv", index=False, sep=";")
    assert_read_alike(tmp_path / "a.csv", block_bytes=900)
    rows.loc[250, "erbb2_copy_number"] = "3,5"
    rows.to_csv(tmp_path / "b.csv", index=False, sep=";")
    with pytest.raises(CohortRejectedError) as streaming:
        open_cohort(tmp_path / "b.csv", block_bytes=900)
    with pytest.raises(CohortRejectedError) as whole:
        read_cohort(tmp_path / "b.csv", for_scoring=True)
    assert str(streaming.value) == str(whole.value)


def test_repeats_far_apart_are_merged_or_put_aside_as_in_a_file_read_whole(
    patients: pd.DataFrame, tmp_path: Path
) -> None:
    rows = pd.concat([patients, patients.iloc[[3, 200, 3]], patients.iloc[[5, 9]].assign(til_percent=1.0)])
    rows.to_csv(tmp_path / "a.csv", index=False)
    assert_read_alike(tmp_path / "a.csv", block_bytes=900)
    assert streamed(tmp_path / "a.csv", block_bytes=900)[1]["merged"] == 3


def test_blank_rows_short_rows_quotes_and_line_ends_are_read_as_in_a_file_read_whole(
    patients: pd.DataFrame, tmp_path: Path
) -> None:
    plain = patients.to_csv(index=False).splitlines()
    cut = [
        *plain[:100],
        "",
        ",,,,,,,,",
        "P900,T-DM1",
        *plain[100:200],
        plain[200] + ",,",
        plain[201] + ",x",
        *plain[202:],
    ]
    quoted = [*plain[:100], plain[100].replace("T-DM1", '"T-DM1"').replace("T-DXd", '"T-DXd"'), *plain[101:]]
    every = ["\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in plain)]
    commas = [plain[0] + ",remark", *(f'{line},"one, two"' for line in plain[1:])]
    doubled = [plain[0] + ",remark", *(f'{line},"a ""b"" c"' for line in plain[1:])]
    broken = [plain[0] + ",remark", *(f'{line},"one\ntwo"' for line in plain[1:])]
    for name, text in {
        "every cell quoted": every[0],
        "commas": "\n".join(commas),
        "doubled": "\n".join(doubled),
        "broken": "\n".join(broken),
        "cut": "\n".join(cut),
        "crlf": "\r\n".join(plain),
        "cr": "\r".join(plain),
        "quoted": "\n".join(quoted),
        "bom": "\ufeff" + "\n".join(plain),
        "trailing": "\n".join(line + "," for line in plain),
    }.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
        assert_read_alike(tmp_path / f"{name}.csv", block_bytes=900)


def test_parquet_and_gzip_are_read_in_blocks_as_they_are_read_whole(patients: pd.DataFrame, tmp_path: Path) -> None:
    patients.loc[7, "til_percent"] = 300.0
    patients.to_parquet(tmp_path / "a.parquet", row_group_size=40)
    patients.astype({"cdk12_amplified": "Int64"}).to_parquet(tmp_path / "b.parquet")
    patients.to_csv(tmp_path / "a.csv.gz", index=False)
    for name in ("a.parquet", "b.parquet", "a.csv.gz"):
        assert_read_alike(tmp_path / name, batch_rows=17, block_bytes=900)


def test_bytes_that_are_no_text_are_refused_with_their_place(patients: pd.DataFrame, tmp_path: Path) -> None:
    content = patients.assign(remark="x").to_csv(index=False).encode()
    (tmp_path / "a.csv").write_bytes(content[:9000] + b"\xe9" + content[9001:])
    with pytest.raises(InputError, match="byte 0xE9 at position 9000"):
        open_cohort(tmp_path / "a.csv", block_bytes=900)


def test_hashes_of_ids_tell_equal_from_different_ones() -> None:
    texts = ["", "a", "abcdefgh", "abcdefghi", "abcdefgh\0", "P1", "P10", "ä" * 20, "x" * 100, "P1"]
    hashes = hash_ids(pa.array(texts).slice(1))
    assert hashes[4] == hashes[8] != hashes[5]
    assert len(set(hashes.tolist())) == 8
    many = hash_ids(pa.array([f"SIM-{i:09d}" for i in range(300_000)]))
    assert len(np.unique(many)) == 300_000
    with HashStore() as store:
        store.add(many)
        store.add(many[:3])
        assert store.repeated().tolist() == sorted(many[:3].tolist())


# -- the same scores ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["LightGBM", "tree kernel"])
def test_batches_threads_and_column_order_leave_every_bit(
    task: ScoringTask, patients: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr(scoring_engine, "_ROWS_EXPLAINED", 10 if engine == "tree kernel" else 10**9)
    expected = varied(task, "one.parquet", threads=1)
    assert expected.num_rows == 300
    for batch_rows in (1, 17, 299):
        assert varied(task, "batch.parquet", batch_rows=batch_rows).equals(expected)
    for threads in (2, 8):
        assert varied(task, "threads.parquet", threads=threads, block_bytes=2000).equals(expected)
    patients[patients.columns[::-1]].to_csv(tmp_path / "reversed.csv", index=False)
    assert varied(task, "reversed.parquet", file=tmp_path / "reversed.csv", block_bytes=5000).equals(expected)


@pytest.mark.parametrize("odd", ["not done", "<1", "12,5", "many", "30 %"])
def test_what_a_column_of_numbers_holds_at_its_end_counts_as_at_its_beginning(
    task: ScoringTask, patients: pd.DataFrame, tmp_path: Path, odd: str
) -> None:
    cells = [*(f"{15 + row % 60}.5" for row in range(299)), odd]
    table = patients.assign(til_percent=cells)
    table.to_csv(tmp_path / "last.csv", index=False)
    table[::-1].to_csv(tmp_path / "first.csv", index=False)

    def told(name: str) -> Any:
        try:
            found = varied(task, f"{name}.parquet", file=tmp_path / f"{name}.csv", block_bytes=2000)
        except CohortRejectedError as error:
            return [fault.code for fault in error.faults]
        rejected = tmp_path / f"{name}.rejected.csv"
        lines = pd.read_csv(rejected)["patient_id"].tolist() if rejected.exists() else []
        return found.sort_by("patient_id"), lines

    assert told("last") == told("first")


def test_a_folder_is_scored_as_one_file(task: ScoringTask, patients: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    patients.iloc[:100].to_parquet(folder / "part-0.parquet")
    patients.iloc[100:250].to_parquet(folder / "part-1.parquet")
    patients.iloc[250:].assign(her2_ihc=["4+"] + ["3+"] * 49)[patients.columns[::-1]].to_csv(
        folder / "part-2.csv", index=False
    )
    mended = pd.concat([patients.iloc[:250], patients.iloc[251:].assign(her2_ihc="3+")])
    mended.to_csv(tmp_path / "whole.csv", index=False)
    expected = varied(task, "whole.parquet", file=tmp_path / "whole.csv")
    assert varied(task, "parts_out.parquet", file=folder).equals(expected)
    assert pd.read_csv(tmp_path / "parts_out.rejected.csv")["fault_row"].tolist() == ["part-2.csv row 2"]
    (folder / "part-3.csv").write_text("patient_id,adc\nA,T-DM1\n", encoding="utf-8")
    with pytest.raises(CohortRejectedError, match=r"columns are not those of 'part-0\.parquet'"):
        varied(task, "parts_out.parquet", file=folder)


def test_every_contribution_is_written_and_adds_up_to_the_log_odds(task: ScoringTask) -> None:
    table = varied(task, "all.parquet", contributions=True, top_reasons=0).to_pandas()
    every = table.filter(regex="^contribution_")
    assert "contribution_average" in every
    log_odds = np.log(table["response_probability"] / (1 - table["response_probability"]))
    np.testing.assert_allclose(every.sum(axis=1), log_odds, rtol=0, atol=1e-6)
    assert not table.filter(regex="^reason_").shape[1]


# -- nothing half, nothing twice ---------------------------------------------------------------------------------


def test_two_runs_on_one_output_refuse_each_other(task: ScoringTask) -> None:
    with UnfinishedRun(task.output, keep=False), pytest.raises(OutputError, match="another run is writing it"):
        score_file(task)
    assert score_file(task).rows.scored == 300
    assert not list(task.output.parent.glob(".*"))


def test_a_run_that_was_cut_short_goes_on_where_it_stopped(task: ScoringTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import score_stream

    monkeypatch.setattr(unfinished_run, "CHECKPOINT_SECONDS", 0.0)
    expected = varied(task, "straight.parquet", block_bytes=1000)
    straight = digest(task.output.with_name("straight.parquet"))
    exact = score_stream.score_batches
    seen = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        for number, block in enumerate(exact(*arguments, **options)):
            if number == 5:
                raise KeyboardInterrupt
            seen.append(options["skip"] + number)
            yield block

    monkeypatch.setattr(score_stream, "score_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        varied(task, "out.parquet", block_bytes=1000, resume=True)
    assert not task.output.exists()
    with pytest.raises(KeyboardInterrupt):
        varied(task, "out.parquet", block_bytes=1000, resume=True)
    monkeypatch.setattr(score_stream, "score_batches", exact)
    assert varied(task, "out.parquet", block_bytes=1000, resume=True).equals(expected)
    assert digest(task.output) == straight
    assert seen == list(range(10))
    assert not list(task.output.parent.glob(".*"))


def test_what_was_begun_with_other_options_is_begun_anew(task: ScoringTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import score_stream

    monkeypatch.setattr(unfinished_run, "CHECKPOINT_SECONDS", 0.0)
    exact = score_stream.score_batches

    def interrupted(*arguments: Any, **options: Any) -> Any:
        yield next(exact(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(score_stream, "score_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        varied(task, "out.parquet", block_bytes=2000, resume=True)
    monkeypatch.setattr(score_stream, "score_batches", exact)
    other = varied(task, "out.parquet", block_bytes=2000, resume=True, top_reasons=1)
    assert other.equals(varied(task, "straight.parquet", block_bytes=2000, top_reasons=1))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_run_killed_at_random_moments_leaves_nothing_partial_and_ends_byte_identical(
    patients: pd.DataFrame, tmp_path: Path, bundle_folder: Path, suffix: str
) -> None:
    rows = pd.concat([patients.assign(patient_id=patients["patient_id"] + f"-{i}") for i in range(10)])
    rows.iloc[1200, rows.columns.get_loc("her2_ihc")] = "4+"
    rows.to_csv(tmp_path / "many.csv", index=False)
    straight = ScoringTask(tmp_path / "many.csv", bundle_folder, tmp_path / f"straight.{suffix}", block_bytes=4000)
    score_file(straight)
    out = tmp_path / f"out.{suffix}"
    script = (
        "from pathlib import Path; from serving import unfinished_run\n"
        "from serving.score_stream import score_file; from serving.scoring_plan import ScoringTask\n"
        "unfinished_run.CHECKPOINT_SECONDS = 0.0\n"
        f"score_file(ScoringTask(Path({str(tmp_path / 'many.csv')!r}), Path({str(bundle_folder)!r}), "
        f"Path({str(out)!r}), block_bytes=4000, resume=True))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(adcr.__file__).parent), *sys.path])}
    kills = 0
    for seed in range(12):
        run = subprocess.Popen([sys.executable, "-c", script], env=environment)
        while seed < 4 and run.poll() is None:
            if (tmp_path / f".out.{suffix}.unfinished" / "scores").exists():
                time.sleep(random.Random(seed).uniform(0.0, 0.2))
                run.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        code = run.wait(timeout=60)
        if code == 0:
            break
        kills += 1
        assert code == -signal.SIGKILL
        assert not out.exists() or digest(out) == digest(straight.output)
    assert kills >= 1
    assert digest(out) == digest(straight.output)
    assert digest(tmp_path / "out.rejected.csv") == digest(tmp_path / "straight.rejected.csv")
    first, second = (json.loads((tmp_path / f"{n}.manifest.json").read_text("utf-8")) for n in ("straight", "out"))
    for told in (first, second):
        told["scores"].pop("file")
        told["rejected"].pop("file")
    assert first == second
    assert not list(tmp_path.glob(".*"))
