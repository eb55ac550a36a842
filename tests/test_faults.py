"""What machines do to a run: full disks, stores that are damaged, locked or silent, requests to terminate."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

import adcr
from features.errors import TrackingError
from training.run_store import RunStore, default_store, opened
from training.tracked_run import open_run

resource = pytest.importorskip("resource")

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENTS = "patient_id,adc,her2_ihc,age_years\n" + "".join(f"P{i},T-DM1,{i % 4},{40 + i % 30}\n" for i in range(400))


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond this size, whoever writes it: Python, Arrow or SQLite."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(PATIENTS, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("part", [i / 10 for i in range(10)])
def test_a_disk_that_fills_up_at_any_point_leaves_no_file_and_one_line(
    part: float, suffix: str, file: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def score(name: str) -> int:
        output = str(file.with_name(f"{name}{suffix}"))
        return adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", output, "--quiet"])

    assert score("whole") == 0
    size = file.with_name(f"whole{suffix}").stat().st_size
    with disk_of(int(size * part)):
        code = score("full")
    told = capsys.readouterr().err
    assert (code, told.count("\n")) == (5, 1), told
    left = {path.name for path in file.parent.iterdir()}
    assert left == {"cohort.csv", f"whole{suffix}", "whole.manifest.json"}


class _Fails(click.Command):
    def __init__(self, error: BaseException) -> None:
        super().__init__("fails")
        self.error = error

    def main(self, *_: Any, **__: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 5, "the disk cannot be written (No space left on device)"),
        (OSError(errno.EROFS, "Read-only file system"), 5, "the disk cannot be written (Read-only file system)"),
        (MemoryError(), 6, "there is not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half written was left."),
        (TrackingError("the store is gone."), 4, "the store is gone."),
    ],
)
def test_what_the_machine_did_is_one_line_with_its_own_exit_code(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serving.cli.score", _Fails(error))
    assert adcr.main(["score"]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"adcr score: {line}")
    assert told.count("\n") == 1


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.score", _Fails(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        adcr.main(["score"])


def refused(store: RunStore) -> str:
    with pytest.raises(TrackingError) as caught, opened(store):
        pytest.fail("the store was opened")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_damaged_store_is_told_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    assert "mlflow.db is damaged. Move it away; the next run makes a new one." in refused(default_store(tmp_path))


@pytest.mark.slow
def test_a_locked_store_is_told_and_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = default_store(tmp_path)
    with open_run(store, "adcr", "first", {}):
        pass
    other = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TrackingError, match="another program holds the database"), open_run(store, "adcr", "2nd", {}):
        pytest.fail("the store was opened")
    other.execute("ROLLBACK")
    assert other.execute("SELECT name, status FROM runs").fetchall() == [("first", "FINISHED")]
    other.close()


def test_a_store_whose_disk_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with disk_of(20_000):
        line = refused(default_store(tmp_path))
    assert "the disk is full" in line


def test_a_server_that_is_down_is_told_without_the_password_of_its_address() -> None:
    line = refused(RunStore("http://name:secret@127.0.0.1:9"))
    assert line.startswith("http://127.0.0.1:9: MLflow cannot use the store: the server cannot be reached.")


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("nonsense://x", "nonsense://x: MLflow cannot use the store: its address is of no kind that MLflow knows."),
        ("no such thing", "MLflow cannot use the store"),
        ("mssql+pymssql://name:secret@127.0.0.1/db", "mssql+pymssql://127.0.0.1/db: this database needs the Python"),
    ],
)
def test_an_address_that_no_store_is_at_is_told(address: str, line: str) -> None:
    told = refused(RunStore(address))
    assert line in told
    assert "secret" not in told


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_within_a_minute() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        line = refused(RunStore(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "the server does not answer in time" in line
    assert time.monotonic() - started < 60


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["at once", "while it is tracked"])
def test_a_request_to_terminate_ends_training_in_order(moment: str, tmp_path: Path, project_root: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    environment["PYTHONPATH"] = str(project_root)

    cohort = tmp_path / "cohort.csv"
    assert adcr.main(["cohort", "simulate", "--patients", "200", "--seed", "1", "-o", str(cohort)]) == 0
    command = [sys.executable, "-m", "adcr", "train", "cohort.csv", "--endpoint", "objective_response"]
    training = subprocess.Popen(
        [*command, "--output", "model"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    time.sleep(2.0)
    while moment != "at once" and not (tmp_path / "mlflow.db").exists() and training.poll() is None:
        time.sleep(0.01)
    training.send_signal(signal.SIGTERM)
    told = training.communicate(timeout=60)[1]
    # A shell shows 130 for both: Python ends itself by SIGINT where a library was being imported.
    assert training.returncode in (130, -signal.SIGINT)
    kept = r"nothing half written was left|(1 fit is|\d+ fits are) kept, and the same command goes on from there"
    assert re.fullmatch(rf"adcr train: interrupted; ({kept})\.", told.strip())
    assert not (tmp_path / "model").exists()
    if (tmp_path / "mlflow.db").exists():
        store = sqlite3.connect(tmp_path / "mlflow.db")
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
        running = "SELECT count(*) FROM runs WHERE status = 'RUNNING'"
        assert "runs" not in tables or store.execute(running).fetchone() == (0,)
        store.close()


def test_a_clock_that_goes_back_loses_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    real, store = time.time, default_store(tmp_path)
    with open_run(store, "adcr", "before", {}) as run:
        monkeypatch.setattr(time, "time", lambda: real() - 86_400)
        run.client.log_metric(run.run_id, "auroc", 0.7)
    with open_run(store, "adcr", "after", {}) as run:
        found = run.client.search_runs([run.experiment_id])
    assert sorted((r.info.run_name, r.info.status) for r in found) == [("after", "RUNNING"), ("before", "FINISHED")]


def test_a_store_that_was_killed_while_its_tables_were_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    half = sqlite3.connect(tmp_path / ".mlflow.db.new")
    half.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    half.close()
    with open_run(default_store(tmp_path), "adcr", "first", {}) as run:
        assert run.client.get_run(run.run_id).info.status == "RUNNING"
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


def test_a_store_that_was_interrupted_while_its_tables_were_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    def interrupt(*_: object, **__: object) -> None:
        (tmp_path / ".mlflow.db.new").touch()
        raise KeyboardInterrupt

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(mlflow, "MlflowClient", interrupt)
    with pytest.raises(KeyboardInterrupt), opened(default_store(tmp_path)):
        pytest.fail("the store was opened")
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / ".mlflow.db.new").exists()


def test_a_half_made_store_of_an_older_adcr_is_told_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    half = sqlite3.connect(tmp_path / "mlflow.db")
    half.execute("CREATE TABLE budget_policies (id INTEGER)")
    half.close()
    assert "mlflow.db is half made. Move it away; the next run makes a new one." in refused(default_store(tmp_path))


def test_a_working_folder_that_is_gone_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert adcr.main(["compare"]) == 4
    assert capsys.readouterr().err.startswith("adcr compare: the working folder is gone.")
