"""Object stores: what is scored there is what is scored on a disk, and nothing half is left in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec
import pandas as pd
import pytest

import adcr
from features.errors import InputError
from features.object_store import fetch, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from features.cohort import Cohort


@pytest.fixture
def store() -> Iterator[Any]:
    """An object store in memory, with a bucket."""
    found = fsspec.filesystem("memory")
    yield found
    found.rm("/trials", recursive=True) if found.exists("/trials") else None


@pytest.fixture
def table(learned_cohort: Cohort, store: Any) -> pd.DataFrame:
    patients = learned_cohort.patients.drop(columns="pcr").head(40)
    store.pipe_file("/trials/cohort.csv", patients.to_csv(index=False).encode())
    store.pipe_file("/trials/parts/a.csv", patients[:15].to_csv(index=False).encode())
    store.pipe_file("/trials/parts/deep/b.csv", patients[15:].to_csv(index=False).encode())
    return patients


def score(file: str, model: Path, output: str, *options: str) -> int:
    return adcr.main(["score", file, "--model", str(model), "-o", output, "--quiet", *options])


@pytest.mark.usefixtures("table")
def test_scores_of_an_object_store_are_those_of_a_disk(
    table: pd.DataFrame, store: Any, bundle_folder: Path, tmp_path: Path
) -> None:
    table.to_csv(tmp_path / "cohort.csv", index=False)
    assert score(str(tmp_path / "cohort.csv"), bundle_folder, str(tmp_path / "scores.csv")) == 0
    assert score("memory://trials/cohort.csv", bundle_folder, "memory://trials/out/scores.csv") == 0
    assert store.cat_file("/trials/out/scores.csv") == (tmp_path / "scores.csv").read_bytes()
    assert store.cat_file("/trials/out/scores.manifest.json") == (tmp_path / "scores.manifest.json").read_bytes()


@pytest.mark.usefixtures("table")
def test_a_folder_of_an_object_store_is_scored_into_a_folder(store: Any, bundle_folder: Path) -> None:
    assert score("memory://trials/parts", bundle_folder, "memory://trials/scores") == 0
    parts = [pd.read_parquet(store.open(name)) for name in sorted(store.find("/trials/scores"))]
    assert len(pd.concat(parts)) == 40


@pytest.mark.usefixtures("table")
def test_a_folder_of_an_object_store_is_never_replaced(
    store: Any, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score("memory://trials/cohort.csv", bundle_folder, "memory://trials/parts") == 2
    assert "there is something already" in capsys.readouterr().err
    assert len(store.find("/trials/parts")) == 2


@pytest.mark.parametrize(
    ("file", "output", "options", "told"),
    [
        ("memory://trials/nothing.csv", "memory://trials/s.csv", (), "there is no such file"),
        ("https://somewhere/cohort.csv", "s.csv", (), "not read from or written to such an address"),
        ("memory://trials/cohort.csv", "memory://trials/s.csv", ("--resume",), "cannot be resumed"),
        ("memory://trials/cohort.csv", "s.parquet", ("--scheduler", "tcp://127.0.0.1:9"), "ADCR_STAGING"),
    ],
)
@pytest.mark.usefixtures("table")
def test_what_cannot_be_is_told_in_one_line(
    file: str,
    output: str,
    options: tuple[str, ...],
    told: str,
    bundle_folder: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert score(file, bundle_folder, output, *options) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("table")
def test_a_store_that_takes_no_scores_keeps_no_manifest_of_them(
    store: Any, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score("memory://trials/cohort.csv", bundle_folder, "memory://trials/s.csv") == 0

    def full(*_: object, **__: object) -> None:
        raise PermissionError("quota exceeded")

    monkeypatch.setattr(type(store), "put_file", full)
    assert score("memory://trials/cohort.csv", bundle_folder, "memory://trials/s.csv", "--no-reasons") == 5
    assert "cannot be written to: quota exceeded" in capsys.readouterr().err
    assert not store.exists("/trials/s.manifest.json")


def test_a_key_that_leads_out_of_its_folder_is_not_followed(store: Any, tmp_path: Path) -> None:
    store.pipe_file("/trials/evil/../../out.csv", b"patient_id\n")
    listed = "/trials/evil/../../out.csv"
    store_type = type(store)
    original = store_type.find
    try:
        store_type.find = lambda *_, **__: [listed]
        with pytest.raises(InputError, match="leads out of it"):
            fetch("memory://trials/evil", tmp_path)
    finally:
        store_type.find = original
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("name", ["cohort.csv", "/data/cohort.csv", "C:\\data\\cohort.csv", "a:b.csv", "s3:/x"])
def test_a_path_is_no_address(name: str) -> None:
    assert not is_address(name)
