"""The MLflow model: the same scores as `adcr score`, row for row and bit for bit, in Python and over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

import adcr
from serving.row_scores import FAULT_COLUMN, score_rows
from serving.scores import score_columns
from training.model_bundle import ModelBundle, read_bundle
from training.run_store import default_store, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from features.cohort import Cohort

#: Columns of text in a cohort file; all others are numbers.
TEXTS = {"patient_id", "adc", "setting", "her2_ihc"}


@pytest.fixture(scope="module")
def table(learned_cohort: Cohort) -> pd.DataFrame:
    """Patients as a caller holds them: no outcome."""
    return learned_cohort.patients.drop(columns="pcr").head(40)


@pytest.fixture(scope="module")
def loaded(tracked: Any) -> Any:
    with opened(default_store(tracked.folder)):
        return mlflow.pyfunc.load_model(tracked.uri)


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> ModelBundle:
    return read_bundle(bundle_folder)


def scored_by_the_command(table: pd.DataFrame, bundle_folder: Path, place: Path) -> pd.DataFrame:
    table.to_csv(place / "in.csv", index=False)
    out = place / "out.parquet"
    assert adcr.main(["score", str(place / "in.csv"), "--model", str(bundle_folder), "-o", str(out), "--quiet"]) == 0
    return pd.read_parquet(out)


def without_faults(scores: pd.DataFrame) -> pd.DataFrame:
    assert (scores[FAULT_COLUMN] == "").all()
    plain = scores.drop(columns=FAULT_COLUMN)
    return plain.astype({name: "float64" for name in plain if "probability" in name or "_contribution" in name})


def assert_same_bits(left: pd.DataFrame, right: pd.DataFrame) -> None:
    assert list(left.columns) == list(right.columns)
    for name in left.columns:
        a, b = left[name].to_numpy(dtype=object), right[name].to_numpy(dtype=object)
        same = [(x == y) or (pd.isna(x) and pd.isna(y)) for x, y in zip(a, b, strict=True)]
        assert all(same), name


# -- in Python ---------------------------------------------------------------------------------------------------


def test_the_logged_model_scores_as_the_command_does_to_the_last_bit(
    loaded: Any, table: pd.DataFrame, bundle_folder: Path, tmp_path: Path
) -> None:
    assert_same_bits(without_faults(loaded.predict(table)), scored_by_the_command(table, bundle_folder, tmp_path))


def test_columns_that_a_model_column_follows_from_are_taken_too(
    loaded: Any, table: pd.DataFrame, bundle_folder: Path, tmp_path: Path
) -> None:
    # No column of this model is her2_cep17_copies, but it gives the ratio, and a contradiction puts the row aside.
    more = table.assign(her2_cep17_copies=2.0, her2_ish_ratio=np.nan)
    more.loc[0, ["erbb2_copy_number", "her2_ish_ratio"]] = [10.0, 9.0]
    answered = loaded.predict(more)
    assert "her2_ish_ratio" in answered[FAULT_COLUMN][0]
    assert_same_bits(
        without_faults(answered.iloc[1:].reset_index(drop=True)), scored_by_the_command(more, bundle_folder, tmp_path)
    )


def test_the_number_of_reasons_is_a_parameter(loaded: Any, table: pd.DataFrame) -> None:
    assert tuple(loaded.predict(table, params={"top_reasons": 1}).columns) == (*score_columns(1), FAULT_COLUMN)
    assert tuple(loaded.predict(table, params={"top_reasons": 0}).columns) == (*score_columns(0), FAULT_COLUMN)
    with pytest.raises(MlflowException, match="99 reasons cannot be given"):
        loaded.predict(table, params={"top_reasons": 99})


def test_optional_columns_may_be_absent_and_order_does_not_matter(loaded: Any, table: pd.DataFrame) -> None:
    few = table[["til_percent", "adc", "her2_ihc"]]
    scores = loaded.predict(few)
    assert scores["patient_id"].isna().all()
    known = few[["til_percent", "her2_ihc"]].notna().any(axis=1)
    assert (scores["response_probability"].notna() == known).all()
    assert (scores[FAULT_COLUMN][~known].str.contains("every biomarker is missing")).all()
    pd.testing.assert_frame_equal(loaded.predict(few[["her2_ihc", "adc", "til_percent"]]), scores, check_exact=True)


def test_a_table_that_cannot_be_scored_at_all_is_refused_in_one_line(loaded: Any, table: pd.DataFrame) -> None:
    with pytest.raises(MlflowException, match="no column is a biomarker of the catalogue"):
        loaded.predict(table[["patient_id", "adc"]])


def test_the_model_holds_no_pickle_and_no_patient(tracked: Any, learned_cohort: Cohort) -> None:
    files = [path for path in tracked.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".joblib", ".cloudpickle"}]
    ids = [text.encode() for text in learned_cohort.patients["patient_id"]]
    for path in files:
        content = path.read_bytes()
        assert not [text for text in ids if text in content], path


# -- row for row -------------------------------------------------------------------------------------------------


def test_an_invalid_row_keeps_its_place_with_nulls_and_its_fault(bundle: ModelBundle, table: pd.DataFrame) -> None:
    faulty = table.head(4).reset_index(drop=True)
    faulty.loc[1, "her2_ihc"] = "4+"
    faulty.loc[2, "patient_id"] = None
    scores = score_rows(bundle, faulty)
    assert scores["patient_id"].tolist() == ["P000", "P001", None, "P003"]
    assert scores[FAULT_COLUMN][1].startswith("COH")
    assert "'4+' is not a level" in scores[FAULT_COLUMN][1]
    assert "there is no patient id" in scores[FAULT_COLUMN][2]
    nulls = scores.drop(columns=["patient_id", FAULT_COLUMN]).loc[[1, 2]]
    assert nulls.isna().all(axis=None)
    assert_same_bits(scores.loc[[0, 3]], score_rows(bundle, table.head(4)).loc[[0, 3]])


def test_nulls_are_written_as_json_null(bundle: ModelBundle, table: pd.DataFrame) -> None:
    faulty = table.head(2).reset_index(drop=True)
    faulty.loc[1, "her2_ihc"] = "4+"
    written = json.dumps(score_rows(bundle, faulty).to_dict(orient="records"), allow_nan=False)
    assert json.loads(written)[1]["response_probability"] is None


def test_a_row_that_repeats_another_has_its_scores(bundle: ModelBundle, table: pd.DataFrame) -> None:
    repeated = pd.concat([table.head(3), table.head(2)], ignore_index=True)
    scores = score_rows(bundle, repeated)
    assert (scores[FAULT_COLUMN] == "").all()
    pd.testing.assert_frame_equal(scores.iloc[3:].reset_index(drop=True), scores.iloc[:2], check_exact=True)


def test_differing_rows_of_one_patient_and_adc_are_both_told(bundle: ModelBundle, table: pd.DataFrame) -> None:
    differing = pd.concat([table.head(2), table.head(1).assign(til_percent=1.0), table.head(1)], ignore_index=True)
    faults = score_rows(bundle, differing)[FAULT_COLUMN]
    assert [bool(fault) for fault in faults] == [True, False, True, True]


def test_every_row_may_be_invalid_and_a_table_may_be_empty(bundle: ModelBundle, table: pd.DataFrame) -> None:
    faulty = table.head(3).assign(her2_ihc="4+")
    assert (score_rows(bundle, faulty)[FAULT_COLUMN] != "").all()
    assert list(score_rows(bundle, table.head(0)).columns) == [*score_columns(3), FAULT_COLUMN]


def test_simulated_patients_are_marked(bundle: ModelBundle, table: pd.DataFrame) -> None:
    scores = score_rows(bundle, table.assign(data_origin="simulated"))
    assert (scores["data_origin"] == "simulated patients").all()


def test_many_threads_may_ask_at_once(loaded: Any, table: pd.DataFrame) -> None:
    expected = loaded.predict(table)
    answers: list[pd.DataFrame] = []
    threads = [threading.Thread(target=lambda: answers.append(loaded.predict(table))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answered in answers:
        pd.testing.assert_frame_equal(answered, expected, check_exact=True)


# -- over HTTP ---------------------------------------------------------------------------------------------------


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a caller writes them: gaps are null, and whole numbers stand without a point."""
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    exact = table.to_dict(orient="records")
    return [
        {
            name: None if value is None else own[name] if isinstance(own[name], str) else _shortest(own[name])
            for name, value in row.items()
        }
        for row, own in zip(rows, exact, strict=True)
    ]


def _shortest(number: float) -> float | int:
    return int(number) if number == int(number) else number


def ask(url: str, body: object, kind: str = "application/json") -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=content, headers={"Content-Type": kind})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            return response.status, json.loads(response.read(), parse_constant=pytest.fail)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def server(tracked: Any) -> Iterator[str]:
    """URL of a real `mlflow models serve` process."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", tracked.uri, "--env-manager", "local", *address]
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tracked.folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The server starts `uvicorn` by its name.
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),  # noqa: PTH120
    }
    with (
        (tracked.folder / "serve.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=tracked.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/ping", process)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(process.pid, 15)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "mlflow models serve ended early"
        try:
            with opener.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("mlflow models serve does not answer")


def test_a_served_model_scores_as_the_command_does_to_the_last_bit(
    server: str, table: pd.DataFrame, bundle_folder: Path, tmp_path: Path
) -> None:
    status, answer = ask(server, {"dataframe_records": records(table)})
    assert status == 200
    served = without_faults(pd.DataFrame(answer["predictions"]))
    assert_same_bits(served, scored_by_the_command(table, bundle_folder, tmp_path))


def test_a_served_model_takes_nulls_whole_numbers_and_missing_columns(server: str) -> None:
    rows = [
        {"patient_id": 17, "adc": "T-DM1", "her2_ihc": 3, "til_percent": 30, "erbb2_copy_number": None},
        {"patient_id": "B", "adc": "Kadcyla", "her2_ihc": "2+", "til_percent": None, "cdk12_amplified": 1},
        {"patient_id": "C", "adc": "T-DXd", "her2_ihc": "4+", "til_percent": 10},
        {"patient_id": "D", "adc": "T-DXd", "her2_ihc": ["3+"], "til_percent": 10},
    ]
    status, answer = ask(server, {"dataframe_records": rows, "params": {"top_reasons": 1}})
    assert status == 200
    first, second, third, fourth = answer["predictions"]
    assert (first["patient_id"], first["fault"], second["adc"], second["fault"]) == ("17", "", "T-DM1", "")
    assert 0 < first["response_probability"] < 1
    assert third["response_probability"] is None
    assert "'4+' is not a level" in third["fault"]
    assert "is not a level" in fourth["fault"]
    assert "reason_2" not in first


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        {"dataframe_records": []},
        {"dataframe_records": "x"},
        {"dataframe_records": [{"adc": "T-DM1"}]},
        {"dataframe_records": [{"her2_ihc": "3+"}]},
        {"dataframe_records": [{"adc": "T-DM1", "her2_ihc": "3+", "til_percent": "many"}]},
        {"dataframe_records": [{"adc": "T-DM1", "her2_ihc": "3+"}], "params": {"top_reasons": 10**6}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_gets_a_client_error_and_the_server_lives(server: str, body: object) -> None:
    status, _ = ask(server, body)
    assert 400 <= status < 500 or (status == 200 and body == {"dataframe_records": []})
    assert ask(server, {"dataframe_records": [{"adc": "T-DM1", "her2_ihc": "3+"}]})[0] == 200


#: Rows, columns and parameters that no honest caller writes.
_ROW = {"adc": "T-DM1", "her2_ihc": "3+", "til_percent": 10}
HOSTILE = [
    {"dataframe_split": {"columns": ["adc", "adc"], "data": [["T-DM1", "T-DXd"]]}},
    {"dataframe_split": {"columns": ["adc"], "data": [["T-DM1", "more"]]}},
    {"dataframe_split": {"columns": [], "data": [[]]}},
    {"dataframe_split": {"columns": "adc", "data": 1}},
    {"dataframe_split": {}},
    {"dataframe_split": None},
    {"inputs": {"adc": ["T-DM1"], "her2_ihc": ["3+", "2+"]}},
    {"inputs": []},
    {"inputs": None},
    {"instances": [[1, 2], [3]]},
    {"instances": [_ROW], "params": []},
    {"dataframe_records": [_ROW], "params": {"top_reasons": "three"}},
    {"dataframe_records": [_ROW], "params": {"top_reasons": -1}},
    {"dataframe_records": [_ROW], "params": {"top_reasons": 1e300}},
    {"dataframe_records": [_ROW], "params": {"top_reasons": None}},
    {"dataframe_records": [_ROW], "params": {"unknown": 1}},
    {"dataframe_records": [None]},
    {"dataframe_records": [[1]]},
    {"dataframe_records": [{}]},
    {"dataframe_records": {"adc": "T-DM1"}},
    {"dataframe_records": [{**_ROW, "patient_id": {"$ne": None}}]},
    {"dataframe_records": [{**_ROW, "patient_id": "x" * 1_000_000}]},
    {"dataframe_records": [{**_ROW, "adc": ["T-DM1"] * 1000}]},
    {"dataframe_records": [{**_ROW, "adc": None}]},
    {"dataframe_records": [{**_ROW, "til_percent": 10**400}]},
    {"dataframe_records": [{**_ROW, "til_percent": {"a": 1}}]},
    {"dataframe_records": [{**_ROW, "til_percent": True}]},
    {"dataframe_records": [{**_ROW, "\u0000": "\ud800", "__proto__": {}, "": 1}]},
    {"dataframe_records": [{**_ROW, "pcr": "x", "her2_ihc": "=cmd|' /C calc'!A0"}]},
    {"dataframe_records": [{**_ROW, f"column {i}": i} for i in range(300)]},
    {"dataframe_records": [_ROW], "dataframe_split": {"columns": ["adc"], "data": [["T-DM1"]]}},
    b'{"dataframe_records": [{"adc": "T-DM1", "til_percent": NaN}]}',
    b'{"dataframe_records": [{"adc": "T-DM1", "til_percent": 1e999}]}',
    b'{"dataframe_records": [{"adc": "T-DM1", "adc": "T-DXd"}]}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"null",
    b"1",
    b'"text"',
    b"\x00" * 100,
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: str(body)[:60])
def test_a_hostile_request_never_brings_about_a_server_error(server: str, body: object) -> None:
    status, answer = ask(server, body)
    assert status == 200 or 400 <= status < 500, answer
    assert "Traceback" not in str(answer)


@pytest.mark.parametrize(
    "kind", ["text/csv", "application/x-parquet", "application/x-www-form-urlencoded", "x", "text/html"]
)
@pytest.mark.parametrize("body", [b"", b"adc\n\xff", b"PAR1" * 50, b'adc,her2_ihc\n"T-DM1', b"{}"])
def test_a_hostile_body_of_another_kind_never_brings_about_a_server_error(server: str, kind: str, body: bytes) -> None:
    status, answer = ask(server, body, kind)
    assert status == 200 or 400 <= status < 500, answer
