"""Ids stay where they belong: in score files, and nowhere else; with --pseudonymise, not even there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import adcr
from features.cell_safety import harmless, harmless_column
from features.cohort import Cohort
from serving.pseudonyms import KEY_FILE_VARIABLE, KEY_VARIABLE, Pseudonyms

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "correct horse battery staple"
#: Fifty ids, and as many names in a column that adcr does not read, as no other text is.
CANARIES = [f"KANARI-{i:03d}-{i * 7919 % 1000:03d}" for i in range(50)]
NAMES = [f"Zilpzalp{i:02d}" for i in range(50)]


@pytest.fixture
def file(learned_cohort: Cohort, tmp_path: Path) -> Path:
    """A cohort of canaries; some rows have faults of every kind that speaks of ids."""
    patients = learned_cohort.patients.iloc[: len(CANARIES)].drop(columns="pcr")
    patients = patients.assign(patient_id=CANARIES, surname=NAMES).astype({"her2_ihc": object})
    patients.iloc[3, patients.columns.get_loc("her2_ihc")] = "4+"
    patients.iloc[4, patients.columns.get_loc("adc")] = "no such drug"
    again = patients.iloc[[5, 6]].assign(til_percent=[1.0, 2.0])
    path = tmp_path / "site.csv"
    pd.concat([patients, patients.iloc[[7]], again]).to_csv(path, index=False)
    return path


def found_in(text: str) -> set[str]:
    return {canary for canary in (*CANARIES, *NAMES) if canary in text}


def every_file(folder: Path, *, but: frozenset[str] = frozenset()) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in but:
            yield path


def leaks(folder: Path, *, but: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    """Canaries in the names and bytes of files, whether as UTF-8 or UTF-16."""
    leaked: dict[str, set[str]] = {}
    for path in every_file(folder, but=but):
        content = path.read_bytes()
        text = f"{path.name} {content.decode('utf-8', 'ignore')} {content.decode('utf-16-le', 'ignore')}"
        if found := found_in(text):
            leaked[path.name] = found
    return leaked


@pytest.mark.parametrize("command", ["check", "check --all", "check --json", "score", "score --json"])
def test_nothing_that_is_printed_names_an_id(
    command: str, file: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = command.split()
    arguments = ["score", str(file), "--model", str(bundle_folder), "-o", str(file.with_name("out.csv"))]
    adcr.main([*(["cohort", "check", str(file)] if name == "check" else arguments), *options])
    told = capsys.readouterr()
    assert told.out
    assert found_in(told.out + told.err) == set()


@pytest.mark.parametrize("patient", [CANARIES[3], CANARIES[5], "KANARI-999-999"])
def test_explaining_a_patient_who_cannot_be_names_no_id(
    patient: str, file: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--patient", patient, "-o", str(file.with_name("why.html"))]
    assert adcr.main(["explain", str(bundle_folder), str(file), *options]) == 2
    told = capsys.readouterr()
    assert "KANARI" not in told.out + told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_killed_run_leaves_no_id_where_pseudonyms_were_asked_for(
    suffix: str, file: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving import unfinished_run

    save = unfinished_run.UnfinishedRun.save

    def killed(run: Any, checkpoint: Any) -> None:
        save(run, checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setattr(unfinished_run, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_run.UnfinishedRun, "save", killed)
    output = str(file.with_name(f"out{suffix}"))
    command = ["score", str(file), "--model", str(bundle_folder), "-o", output, "--pseudonymise", "--resume"]
    assert adcr.main(command) == 130
    left = [path for path in every_file(file.parent, but=frozenset({"site.csv"})) if path.stat().st_size]
    assert left
    assert leaks(file.parent, but=frozenset({"site.csv"})) == {}


def test_scores_name_ids_and_manifests_do_not(file: Path, bundle_folder: Path) -> None:
    assert adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", str(file.with_name("out.csv"))]) == 0
    assert set(leaks(file.parent, but=frozenset({"site.csv"}))) == {"out.csv", "out.rejected.csv"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_pseudonymised_outputs_hold_no_id_and_no_unread_column(
    suffix: str, file: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    output = file.with_name(f"out{suffix}")
    command = ["score", str(file), "--model", str(bundle_folder), "-o", str(output), "--pseudonymise"]
    assert adcr.main(command) == 0
    assert leaks(file.parent, but=frozenset({"site.csv"})) == {}
    scores = pd.read_csv(output) if suffix == ".csv" else pd.read_parquet(output)
    assert scores["patient_id"].str.fullmatch(r"PS-[A-Z2-7]{16}").all()
    assert scores["patient_id"].is_unique
    rejected = pd.read_csv(file.with_name("out.rejected.csv"))
    assert rejected["patient_id"].str.startswith("PS-").all()
    assert KEY not in output.with_suffix(".manifest.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("whose", ["cohort", "id", "pseudonym"])
def test_pseudonymised_pages_hold_no_id(
    whose: str,
    file: Path,
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    pseudonym = Pseudonyms(KEY.encode()).of(CANARIES[20])
    chosen = {"cohort": [], "id": ["--patient", CANARIES[20]], "pseudonym": ["--patient", pseudonym]}[whose]
    page = file.with_name("why.html")
    command = ["explain", str(bundle_folder), str(file), "-o", str(page), "--pseudonymise", "--json", *chosen]
    assert adcr.main(command) == 0
    assert leaks(file.parent, but=frozenset({"site.csv"})) == {}
    assert found_in(capsys.readouterr().out) == set()
    assert pseudonym in page.read_text(encoding="utf-8")


def test_a_pseudonym_depends_on_id_and_key_and_stays_itself() -> None:
    one, other = Pseudonyms(b"k" * 16), Pseudonyms(b"l" * 16)
    assert one.of("P1") == one.of(" P1 ") == "PS-K3XW4FOYOZNGWFZ2"
    assert one.of("P1") != one.of("P2")
    assert one.of("P1") != other.of("P1")
    assert one.of(one.of("P1")) == one.of("P1")
    assert one.of("E\u0301") == one.of("\u00c9")
    assert one.of("") == ""
    assert "kkkk" not in repr(one)


def test_scores_of_one_patient_join_by_pseudonym_and_are_those_without_it(
    file: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    command = ["score", str(file), "--model", str(bundle_folder), "--quiet", "-o"]
    assert adcr.main([*command, str(file.with_name("plain.csv"))]) == 0
    assert adcr.main([*command, str(file.with_name("hidden.csv")), "--pseudonymise"]) == 0
    plain, hidden = (pd.read_csv(file.with_name(f"{name}.csv")) for name in ("plain", "hidden"))
    assert hidden["patient_id"].tolist() == [Pseudonyms(KEY.encode()).of(i) for i in plain["patient_id"]]
    pd.testing.assert_frame_equal(plain.drop(columns="patient_id"), hidden.drop(columns="patient_id"))


@pytest.mark.parametrize(
    ("key", "key_file", "line"),
    [
        ("", "", "there is no key to make pseudonyms with. Set ADCR_PSEUDONYM_KEY"),
        ("short", "", "the key is shorter than 16 characters."),
        (KEY, "key.txt", "there are two keys."),
        ("", "gone.txt", "this is no key file."),
    ],
)
def test_without_a_good_key_nothing_is_written(
    key: str,
    key_file: str,
    line: str,
    file: Path,
    bundle_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(file.with_name(key_file)) if key_file else "")
    assert adcr.main(["score", str(file), "--model", str(bundle_folder), "--pseudonymise"]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
    assert "short" not in told.replace("shorter", "")


def test_the_key_may_be_in_a_file(file: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.with_name("key.txt").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(file.with_name("key.txt")))
    output = file.with_name("out.csv")
    command = ["score", str(file), "--model", str(bundle_folder), "-o", str(output), "--pseudonymise", "--quiet"]
    assert adcr.main(command) == 0
    assert pd.read_csv(output)["patient_id"][0] == Pseudonyms(KEY.encode()).of(CANARIES[0])


@pytest.mark.slow
def test_no_canary_is_in_anything_that_training_comparing_and_validating_write(
    learned_cohort: Cohort, tmp_path: Path, project_root: Path
) -> None:
    canaries = [f"KANARI-{i:03d}-X" for i in range(len(learned_cohort.patients))]
    cohort = tmp_path / "input" / "cohort.csv"
    cohort.parent.mkdir()
    learned_cohort.patients.assign(patient_id=canaries, surname="Zilpzalp").to_csv(cohort, index=False)
    work = tmp_path / "work"
    work.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "ADCR_"))}
    environment |= {"PYTHONPATH": str(project_root), "XDG_CACHE_HOME": str(work / "cache")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    quick = ["--folds", "2", "--repeats", "1", "--optimism", "0", "--no-prior"]
    told = ""
    for arguments in (
        ["train", str(cohort), "--endpoint", "pcr", "--output", "model", "--report", "report", *quick],
        ["compare", "--html", "compare.html"],
        ["validate", "model", str(cohort), "--report", "validation"],
        ["cohort", "check", str(cohort), "--all"],
    ):
        command = [sys.executable, "-m", "adcr", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 2), done.stderr
        told += done.stdout + done.stderr
    assert "KANARI" not in told
    assert "Zilpzalp" not in told
    leaked = [p.name for p in every_file(work) if {b"KANARI", b"Zilpzalp"} & _words(p.read_bytes())]
    assert leaked == []


def _words(content: bytes) -> set[bytes]:
    return {word for word in (b"KANARI", b"Zilpzalp") if word in content}


def test_no_command_opens_a_connection_of_its_own_accord(
    file: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Any, address: Any) -> None:
        pytest.fail(f"a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", str(file.with_name("out.csv"))]) == 0
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("\n=1", "'\n=1"),
        ("\x00=1+1", "'=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\x1b[2Jgone", "[2Jgone"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("\x9b31m", "31m"),
        ("-1.5", "-1.5"),
        ("plain", "plain"),
    ],
)
def test_a_cell_runs_in_no_spreadsheet_and_steers_no_terminal(cell: str, safe: str) -> None:
    assert harmless(cell) == safe
    assert harmless_column(pd.Series([cell, None], dtype="str")).to_pylist() == [safe, None]


def test_an_id_names_no_file(file: Path, bundle_folder: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8").replace(CANARIES[0], "../../etc/passwd").replace(CANARIES[1], "CON")
    file.write_text(text, encoding="utf-8")
    assert adcr.main(["score", str(file), "--model", str(bundle_folder), "-o", str(tmp_path / "out.csv")]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"site.csv", "out.csv", "out.rejected.csv", "out.manifest.json"}
    assert json.loads((tmp_path / "out.manifest.json").read_text(encoding="utf-8"))["rows"]["rejected"] > 0
