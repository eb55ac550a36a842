"""`adcr score`: nothing lost, nothing half written, one clear line where something is wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import adcr
from serving import score_stream, scoring_engine
from serving.manifest import RESEARCH_USE
from serving.model_location import bundle_within
from serving.output_files import OutputFiles, default_output
from serving.quarantine import FAULT_COLUMNS
from serving.score_batches import score_batches
from serving.scores import score_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.cohort import Cohort
    from serving.score_batches import ScoredBlock


@pytest.fixture
def table(learned_cohort: Cohort) -> pd.DataFrame:
    return learned_cohort.patients.drop(columns="pcr").head(50)


@pytest.fixture
def file(table: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "site_a.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def run(bundle_folder: Path) -> Any:
    """Run `adcr score` with the small model."""

    def score(file: Path, *options: str) -> int:
        return adcr.main(["score", str(file), "--model", str(bundle_folder), *options])

    return score


@pytest.fixture
def faulty(table: pd.DataFrame, tmp_path: Path) -> Path:
    """Fifty rows and three repeats; three rows are invalid, one of them twice over."""
    rows = pd.concat([table, table.iloc[[0, 1, 0]]], ignore_index=True).astype({"til_percent": object})
    rows.loc[7, "her2_ihc"] = "4+"
    rows.loc[9, ["her2_ihc", "til_percent"]] = ["V", "300"]
    rows.loc[11, "patient_id"] = "=1+1"
    rows["comment"] = "kept as it is"
    rows.loc[9, "comment"] = '=HYPERLINK("http://evil.test")'
    path = tmp_path / "faulty.csv"
    rows.to_csv(path, index=False)
    return path


def manifest_of(folder: Path, stem: str = "out") -> dict[str, Any]:
    return json.loads((folder / f"{stem}.manifest.json").read_text(encoding="utf-8"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    return told.err


def test_the_kernel_gives_the_bytes_that_lightgbm_gives_and_the_summary_tells_which_computed(
    run: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "-o", str(tmp_path / "few.csv")) == 0
    assert "computed by LightGBM" in capsys.readouterr().out
    monkeypatch.setattr(scoring_engine, "_ROWS_EXPLAINED", 10)
    assert run(file, "-o", str(tmp_path / "many.csv")) == 0
    assert "computed by tree kernel" in capsys.readouterr().out
    assert digest(tmp_path / "few.csv") == digest(tmp_path / "many.csv")
    assert manifest_of(tmp_path, "many")["engine"] == "tree kernel"


def test_a_kernel_that_parts_from_lightgbm_stops_the_run_and_leaves_nothing(
    run: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scoring_engine, "_ROWS_EXPLAINED", 10)
    exact = scoring_engine.KernelBundle.predict_log_odds
    monkeypatch.setattr(
        scoring_engine.KernelBundle, "predict_log_odds", lambda self, matrix: exact(self, matrix) + 1e-15
    )
    assert run(file, "-o", str(tmp_path / "out.csv")) == 2
    assert "different numbers" in one_line(capsys)
    assert written(tmp_path) == {"site_a.csv"}


# -- outputs -----------------------------------------------------------------------------------------------------


def test_each_row_is_scored_in_the_order_of_the_file(run: Any, file: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    assert run(file, "-o", str(tmp_path / "out.parquet")) == 0
    scores = pd.read_parquet(tmp_path / "out.parquet")
    assert tuple(scores.columns) == score_columns(3)
    assert scores["patient_id"].tolist() == table["patient_id"].tolist()
    assert written(tmp_path) == {"site_a.csv", "out.parquet", "out.manifest.json"}


def test_csv_and_parquet_hold_the_same_bits(run: Any, file: Path, tmp_path: Path) -> None:
    assert run(file, "-o", str(tmp_path / "out.parquet"), "--quiet") == 0
    assert run(file, "-o", str(tmp_path / "out.csv"), "--quiet") == 0
    typed = pd.read_parquet(tmp_path / "out.parquet")
    text = pd.read_csv(tmp_path / "out.csv", keep_default_na=False, dtype=str)
    for name in typed.columns:
        if typed[name].dtype == np.float64:
            again = text[name].map(lambda cell: float(cell) if cell else np.nan)
            np.testing.assert_array_equal(again.to_numpy(), typed[name].to_numpy())
        else:
            assert text[name].tolist() == typed[name].fillna("").tolist()


def test_parquet_is_typed_and_tells_what_it_is_not_for(run: Any, file: Path, tmp_path: Path) -> None:
    assert run(file, "-o", str(tmp_path / "out.parquet")) == 0
    schema = pq.read_schema(tmp_path / "out.parquet")
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds["response_probability"] == kinds["reason_1_contribution"] == "double"
    assert kinds["reason_1"] == kinds["outside_training_range"] == "string"
    assert schema.metadata[b"adcr.research_use"].decode() == RESEARCH_USE


@pytest.mark.parametrize("kind", ["tsv", "xlsx", "parquet"])
def test_the_kind_of_file_changes_no_score(run: Any, table: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    # A workbook holds 15 digits of a number.
    rounded, file, other = table.round(6), tmp_path / "rounded.csv", tmp_path / f"other.{kind}"
    rounded.to_csv(file, index=False)
    if kind == "tsv":
        rounded.to_csv(other, index=False, sep="\t")
    elif kind == "xlsx":
        rounded.to_excel(other, index=False)
    else:
        rounded.to_parquet(other)
    assert run(file, "-o", str(tmp_path / "a.csv")) == 0
    assert run(other, "-o", str(tmp_path / "b.csv")) == 0
    assert digest(tmp_path / "a.csv") == digest(tmp_path / "b.csv")


def test_the_order_of_the_columns_changes_no_byte(run: Any, file: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    table[table.columns[::-1]].to_csv(tmp_path / "reversed.csv", index=False)
    assert run(file, "-o", str(tmp_path / "a.csv")) == 0
    assert run(tmp_path / "reversed.csv", "-o", str(tmp_path / "b.csv")) == 0
    assert digest(tmp_path / "a.csv") == digest(tmp_path / "b.csv")


def test_a_second_run_replaces_the_first_and_is_byte_identical(run: Any, faulty: Path, tmp_path: Path) -> None:
    names = ("out.csv", "out.rejected.csv", "out.manifest.json")
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    first = [digest(tmp_path / name) for name in names]
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    assert [digest(tmp_path / name) for name in names] == first


def test_reasons_may_be_chosen_and_left_out(run: Any, file: Path, tmp_path: Path) -> None:
    assert run(file, "-o", str(tmp_path / "one.csv"), "--top-reasons", "1") == 0
    assert run(file, "-o", str(tmp_path / "none.csv"), "--no-reasons") == 0
    assert tuple(pd.read_csv(tmp_path / "one.csv").columns) == score_columns(1)
    assert tuple(pd.read_csv(tmp_path / "none.csv").columns) == score_columns(0)


def test_without_an_output_the_scores_go_to_the_working_folder(
    run: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run(file) == 0
    assert written(elsewhere) == {"site_a.scores.csv", "site_a.scores.manifest.json"}


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a/site_a.csv", "site_a.scores.csv"),
        ("site_a.v2.csv.gz", "site_a.v2.scores.csv"),
        ("site_a.xlsx", "site_a.scores.csv"),
        ("site_a.PARQUET", "site_a.scores.parquet"),
        ("study", "study.scores.csv"),
    ],
)
def test_the_default_output_bears_the_name_of_the_file(name: str, output: str) -> None:
    assert default_output(Path(name)) == Path(output)


def test_simulated_patients_are_marked_in_scores_manifest_and_summary(
    run: Any, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.assign(data_origin="simulated").to_csv(tmp_path / "simulated.csv", index=False)
    assert run(tmp_path / "simulated.csv", "-o", str(tmp_path / "out.parquet")) == 0
    assert (pd.read_parquet(tmp_path / "out.parquet")["data_origin"] == "simulated patients").all()
    assert manifest_of(tmp_path)["data_origin"] == "simulated patients"
    assert "SIMULATED: simulated patients" in capsys.readouterr().out
    assert pq.read_schema(tmp_path / "out.parquet").metadata[b"adcr.data_origin"] == b"simulated patients"


# -- nothing lost ------------------------------------------------------------------------------------------------


def test_rows_in_are_rows_scored_rejected_and_merged(run: Any, faulty: Path, tmp_path: Path) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    assert manifest_of(tmp_path)["rows"] == {"in": 53, "scored": 47, "rejected": 3, "duplicates_merged": 3}
    scores = pd.read_csv(tmp_path / "out.csv")
    assert len(scores) == 47
    assert not set(scores["patient_id"]) & {"P007", "P009", "P011"}


def test_a_rejected_row_is_kept_whole_with_row_column_value_code_and_mend(
    run: Any, faulty: Path, tmp_path: Path
) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    rejected = pd.read_csv(tmp_path / "out.rejected.csv", dtype=str, keep_default_na=False)
    original = pd.read_csv(faulty, dtype=str, keep_default_na=False)
    assert list(rejected.columns) == [*FAULT_COLUMNS, *original.columns]
    assert rejected["fault_row"].tolist() == ["9", "11", "13"]
    first, second, third = rejected.to_dict(orient="records")
    assert (first["fault_column"], first["fault_value"], first["her2_ihc"]) == ("her2_ihc", "4+", "4+")
    assert first["fault_code"].startswith("COH")
    assert "3+" in first["fault_mend"]
    assert second["fault_column"] == "her2_ihc | til_percent"
    assert second["fault_value"] == "V | 300"
    assert third["fault_column"] == "patient_id"
    same = [name for name in original.columns if name not in ("patient_id", "comment")]
    assert rejected[same].equals(original.loc[[7, 9, 11], same].reset_index(drop=True))


def test_no_cell_of_the_rejected_file_is_a_live_formula(run: Any, faulty: Path, tmp_path: Path) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    rejected = pd.read_csv(tmp_path / "out.rejected.csv", dtype=str, keep_default_na=False)
    assert rejected["patient_id"][2] == "'=1+1"
    assert rejected["comment"][1] == '\'=HYPERLINK("http://evil.test")'
    assert not rejected.map(lambda cell: cell.startswith(("=", "+", "@"))).any(axis=None)


def test_a_mended_rejected_file_can_be_scored_as_it_is(run: Any, faulty: Path, tmp_path: Path) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    mended = pd.read_csv(tmp_path / "out.rejected.csv", dtype=str, keep_default_na=False)
    mended["her2_ihc"], mended["til_percent"], mended["patient_id"] = "3+", "30", ["A", "B", "C"]
    mended.to_csv(tmp_path / "mended.csv", index=False)
    assert run(tmp_path / "mended.csv", "-o", str(tmp_path / "again.csv")) == 0
    assert manifest_of(tmp_path, "again")["rows"] == {"in": 3, "scored": 3, "rejected": 0, "duplicates_merged": 0}


def test_a_rejected_file_rejected_again_bears_its_faults_once(run: Any, faulty: Path, tmp_path: Path) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    assert run(tmp_path / "out.rejected.csv", "-o", str(tmp_path / "again.csv")) == 0
    columns = pd.read_csv(tmp_path / "again.rejected.csv").columns
    assert list(columns[:6]) == list(FAULT_COLUMNS)
    assert columns.is_unique
    assert not [name for name in columns[6:] if name.startswith("fault_")]


def test_a_tracked_run_tells_mlflow_counts_and_shift_and_no_patient(
    run: Any, faulty: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(faulty, "-o", "out.csv", "--track", "--experiment", "watched") == 0
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("watched")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    manifest = manifest_of(tmp_path)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["rows_in"] == manifest["rows"]["in"] == 53
    assert found.data.metrics["rows_rejected"] == 3
    assert found.data.metrics["score_psi"] == manifest["score_psi"]
    assert found.data.params["cohort_sha256"] == digest(faulty)
    (artifact,) = (tmp_path / "mlartifacts").rglob("manifest.json")
    assert json.loads(artifact.read_text("utf-8")) == manifest
    everything = str(found.data) + artifact.read_text("utf-8")
    assert not [name for name in table["patient_id"] if name in everything]


def test_scores_outlive_a_store_that_cannot_take_the_run(
    run: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert run(file, "-o", str(tmp_path / "out.csv"), "--track", "--quiet") == 4
    assert "127.0.0.1:9" in one_line(capsys)
    assert {"out.csv", "out.manifest.json"} <= written(tmp_path)


def test_the_rejected_file_of_an_earlier_run_does_not_outlive_it(
    run: Any, faulty: Path, file: Path, tmp_path: Path
) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    assert run(file, "-o", str(tmp_path / "out.csv")) == 0
    assert not (tmp_path / "out.rejected.csv").exists()
    assert manifest_of(tmp_path)["rejected"] is None


def test_a_file_whose_every_row_is_invalid_gives_an_empty_score_file_and_ends_with_2(
    run: Any, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.assign(her2_ihc="4+").to_csv(tmp_path / "bad.csv", index=False)
    for suffix in ("csv", "parquet"):
        assert run(tmp_path / "bad.csv", "-o", str(tmp_path / f"out.{suffix}")) == 2
        out, err = capsys.readouterr()
        assert "0 scored + 50 rejected" in out
        assert err == (
            "adcr score: bad.csv: none of its rows could be scored. out.rejected.csv tells what to mend in each.\n"
        )
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == ",".join(score_columns(3)) + "\n"
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 0


def test_the_manifest_hashes_input_outputs_and_model(
    run: Any, faulty: Path, tmp_path: Path, bundle_folder: Path
) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.parquet")) == 0
    manifest = manifest_of(tmp_path)
    assert manifest["input"] == {"file": "faulty.csv", "sha256": digest(faulty), "kind": "measured"}
    for part, name in (("scores", "out.parquet"), ("rejected", "out.rejected.csv")):
        path = tmp_path / name
        assert manifest[part] == {"file": name, "sha256": digest(path), "bytes": path.stat().st_size}
    assert manifest["model"]["name"] == "test-model"
    assert manifest["model"]["sha256"] == digest(bundle_folder / "bundle.json")
    assert manifest["research_use"] == RESEARCH_USE
    assert manifest["versions"].keys() == {"adcr", "lightgbm", "numpy", "pandas", "pyarrow"}
    assert str(tmp_path) not in json.dumps(manifest)
    assert not [text for text in pd.read_csv(faulty)["patient_id"] if f'"{text}"' in json.dumps(manifest)]


# -- nothing half ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_full_disk_leaves_the_earlier_scores_and_nothing_else(
    run: Any,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
) -> None:
    out = tmp_path / f"out.{suffix}"
    assert run(file, "-o", str(out), "--quiet") == 0
    before = {path.name: digest(path) for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> Iterator[ScoredBlock]:
        yield from ()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(score_stream, "score_batches", full)
    assert run(file, "-o", str(out)) == 5
    assert "the disk is full" in one_line(capsys)
    assert {path.name: digest(path) for path in tmp_path.iterdir()} == before


def test_ctrl_c_leaves_nothing(
    run: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Iterator[ScoredBlock]:
        yield next(score_batches(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(score_stream, "score_batches", interrupted)
    assert run(file, "-o", str(tmp_path / "out.csv")) == 130
    assert capsys.readouterr().err.strip() == "adcr score: interrupted; nothing half written was left."
    assert written(tmp_path) == {"site_a.csv"}


def test_a_manifest_never_stands_beside_scores_that_are_not_its_own(
    run: Any, file: Path, faulty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(file, "-o", str(tmp_path / "out.csv")) == 0
    publish = score_stream.StagedFiles.publish

    def dies_after_the_scores(self: Any, target: Path) -> None:
        if target.name != "out.csv":
            raise KeyboardInterrupt
        publish(self, target)

    monkeypatch.setattr(score_stream.StagedFiles, "publish", dies_after_the_scores)
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 130
    assert written(tmp_path) == {"site_a.csv", "faulty.csv", "out.csv"}


def test_an_output_may_be_a_link_which_stays_one(run: Any, file: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "out.csv").symlink_to(tmp_path / "far" / "scores.csv")
    assert run(file, "-o", str(tmp_path / "out.csv")) == 0
    assert (tmp_path / "out.csv").is_symlink()
    assert len(pd.read_csv(tmp_path / "far" / "scores.csv")) == 50


# -- one clear line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["site_a.csv", "./site_a.csv", "linked.csv", "site_b.csv"])
def test_an_input_is_never_overwritten(
    run: Any, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    os.link(file, tmp_path / "linked.csv")
    # Scores to site_b.csv would put its rejected rows where this input is.
    source = file.rename(tmp_path / "site_b.rejected.csv") if output == "site_b.csv" else file
    before = digest(source)
    assert run(source, "-o", str(tmp_path / output)) == 2
    assert "an output would overwrite an input" in one_line(capsys)
    assert digest(source) == before


@pytest.mark.parametrize(
    ("output", "code", "told"),
    [
        ("out.xlsx", 2, "End it in .csv or .parquet"),
        ("out.xls", 2, "End it in .csv or .parquet"),
        ("no/such/out.csv", 5, "its folder does not exist. Create the folder, or name another file."),
        ("folder.csv", 5, "no ordinary file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    run: Any, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, code: int, told: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert run(file, "-o", str(tmp_path / output)) == code
    assert told in one_line(capsys)
    assert written(tmp_path) == {"site_a.csv", "folder.csv"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "empty"),
        ("patient_id,adc,her2_ihc\n", "no patient"),
        ("patient_id,her2_ihc\nA,3+\n", "the required column 'adc' is missing"),
        ("patient_id,adc,shoe_size\nA,T-DM1,43\n", "no column is a biomarker"),
    ],
)
def test_a_file_that_cannot_be_scored_at_all_is_told_in_one_line(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    (tmp_path / "bad.csv").write_text(content, encoding="utf-8")
    assert run(tmp_path / "bad.csv", "-o", str(tmp_path / "out.csv")) == 2
    line = one_line(capsys)
    assert told in line
    assert "bad.csv" in line
    assert written(tmp_path) == {"bad.csv"}


def test_a_file_that_is_not_there_is_told_in_one_line(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "nowhere.csv", "-o", str(tmp_path / "out.csv")) == 2
    assert "nowhere.csv" in one_line(capsys)
    assert written(tmp_path) == set()


def test_more_reasons_than_make_sense_are_refused(run: Any, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--top-reasons", "21") == 2
    assert "21 reasons cannot be given" in one_line(capsys)


# -- models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("nowhere", "there is no such model folder"),
        ("site_a.csv", "a model is a folder; this is a file. Name a model's folder, a run id"),
        (".", "The folder holds no bundle.json"),
        ("models:/test-model", "there is no such model folder"),
        ("0" * 32, "there are no tracked runs in this folder"),
        ("models:/test-model@champion", "there are no tracked runs in this folder"),
    ],
)
def test_a_wrong_model_path_is_told_in_one_line_and_leaves_nothing(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert adcr.main(["score", file.name, "--model", model, "-o", "out.csv"]) == 2
    assert told in one_line(capsys)
    assert written(tmp_path) == {"site_a.csv"}


def test_a_damaged_model_is_refused(
    file: Path, bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "bundle.json").write_bytes((bundle_folder / "bundle.json").read_bytes())
    (damaged / "model.txt").write_bytes((bundle_folder / "model.txt").read_bytes()[:-100])
    assert adcr.main(["score", str(file), "--model", str(damaged), "-o", str(tmp_path / "out.csv")]) == 2
    assert "sha256 differs" in one_line(capsys)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("named", ["alias", "version", "run"])
def test_a_tracked_model_scores_as_its_folder_does(
    run: Any, file: Path, tmp_path: Path, tracked: Any, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    model = {"alias": "models:/test-model@champion", "version": tracked.uri, "run": tracked.run_id}[named]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tracked.folder)
    assert run(file, "-o", str(tmp_path / "folder.csv")) == 0
    assert adcr.main(["score", str(file), "--model", model, "-o", str(tmp_path / "tracked.csv")]) == 0
    assert digest(tmp_path / "folder.csv") == digest(tmp_path / "tracked.csv")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("f" * 32, "there is no such run"),
        ("models:/test-model@best", "no version of 'test-model' has the alias 'best'. Versions: models:/test-model/1."),
        ("models:/test-model/7", "'test-model' has no version 7. Versions: models:/test-model/1."),
        ("models:/other@champion", "there is no registered model 'other'. There are: test-model."),
    ],
)
def test_an_unknown_run_model_version_or_alias_is_told_with_what_there_is(
    file: Path,
    tmp_path: Path,
    tracked: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    told: str,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tracked.folder)
    assert adcr.main(["score", str(file), "--model", model, "-o", str(tmp_path / "out.csv")]) == 2
    assert told in one_line(capsys)
    assert written(tmp_path) == {"site_a.csv"}


def test_the_folder_of_an_mlflow_model_leads_to_its_bundle(tracked: Any, bundle_folder: Path) -> None:
    models = [path.parent for path in tracked.folder.rglob("MLmodel")]
    assert (bundle_within(models[0]) / "bundle.json").is_file()
    assert bundle_within(bundle_folder) == bundle_folder


@pytest.mark.shared_data
def test_a_foreign_table_is_scored_through_its_mapping(run: Any, shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "ispy2_wolf2022" / "combined_clin_radiogenomic.csv"
    assert run(file, "--map", "ispy2_wolf2022", "-o", str(tmp_path / "out.csv"), "--quiet") == 0
    manifest = manifest_of(tmp_path)
    assert manifest["rows"] == {"in": 982, "scored": 982, "rejected": 0, "duplicates_merged": 0}
    # All but the 52 patients on T-DM1 and pertuzumab received no ADC.
    assert manifest["unseen_adc"] == 930


# -- the printed summary -----------------------------------------------------------------------------------------


def test_the_summary_tells_counts_probabilities_shift_and_fits_eighty_columns(
    run: Any, faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(faulty, "-o", str(tmp_path / "out.csv")) == 0
    told = capsys.readouterr()
    assert "53 in = 47 scored + 3 rejected + 3 duplicates merged" in told.out
    assert "(quartiles)" in told.out
    assert "outside the training range" in told.out
    assert "out.rejected.csv" in told.out
    assert told.out.endswith(RESEARCH_USE + "\n")
    assert max(map(len, told.out.splitlines())) <= 80
    assert told.err == ""


def test_no_name_in_a_file_steers_the_terminal(
    run: Any, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a\x1b]0;owned\x07.csv"
    table.assign(**{"note\x1b[2J": "x"}).to_csv(file, index=False)
    assert run(file, "-o", str(tmp_path / "out.csv")) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "note\\u001b[2J" in told


def test_a_shifted_column_is_named_in_the_summary(
    run: Any, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.assign(erbb2_mrna_z=9.0, til_percent=np.nan).to_csv(tmp_path / "shifted.csv", index=False)
    assert run(tmp_path / "shifted.csv", "-o", str(tmp_path / "out.csv")) == 0
    told = capsys.readouterr().out
    assert "100.0% of the rows have a value outside the training range" in told
    assert "erbb2_mrna_z: 100% outside, 0% missing" in told
    assert "til_percent: 0% outside, 100% missing" in told


def test_an_adc_that_the_model_never_saw_is_told(
    run: Any, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.assign(adc=["RC48"] * 30 + ["none"] * 20).to_csv(tmp_path / "other.csv", index=False)
    assert run(tmp_path / "other.csv", "-o", str(tmp_path / "out.csv")) == 0
    assert "50 row(s) with an ADC that the model never saw, or none" in capsys.readouterr().out
    assert manifest_of(tmp_path)["unseen_adc"] == 50


def test_json_prints_the_manifest_and_quiet_prints_nothing(
    run: Any, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "-o", str(tmp_path / "out.csv"), "--json") == 0
    assert json.loads(capsys.readouterr().out) == manifest_of(tmp_path)
    assert run(file, "-o", str(tmp_path / "out.csv"), "--quiet") == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")


def test_files_of_one_run_bear_one_name() -> None:
    files = OutputFiles.of(Path("a/scores.v2.parquet"))
    assert files.rejected == Path("a/scores.v2.rejected.csv")
    assert files.manifest == Path("a/scores.v2.manifest.json")


# -- lean --------------------------------------------------------------------------------------------------------


def test_scoring_from_a_folder_loads_neither_mlflow_nor_shap_nor_scikit_learn(
    file: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    arguments = ["score", str(file), "--model", str(bundle_folder), "-o", str(tmp_path / "out.csv"), "--quiet"]
    script = (
        "import sys, adcr\n"
        f"assert adcr.main({arguments!r}) == 0\n"
        "print(sorted({'mlflow', 'shap', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
