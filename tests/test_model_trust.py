"""Models from elsewhere: tried in a guarded process, remembered once sound, refused in one line otherwise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

import adcr
from features.errors import ModelError
from training import model_trust
from training.golden_rows import golden_matrix
from training.model_bundle import (
    MODEL_FILE,
    RECORD_FILE,
    BundleRecord,
    ModelBundle,
    _version_of,
    read_bundle,
    sha256_of,
)
from training.model_trust import require_catalogue, trial, trusted_bundle
from training.record_check import record_fault

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which no model has been met."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def resealed(bundle_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a changed model whose every hash fits again, as a stranger could."""

    def write(change: Callable[[str], str] = lambda text: text, **fields: object) -> Path:
        bundle = read_bundle(bundle_folder)
        text = change(bundle.model_text).encode()
        record = msgspec.structs.replace(bundle.record, files={MODEL_FILE: sha256_of(text)}, **fields)
        record = msgspec.structs.replace(record, model_version=_version_of(record))
        folder = tmp_path / "stranger"
        folder.mkdir()
        (folder / MODEL_FILE).write_bytes(text)
        (folder / RECORD_FILE).write_bytes(msgspec.json.encode(record))
        return folder

    return write


def first(key: str, value: str) -> Callable[[str], str]:
    """Replaces the first number of the first line of this key, and makes the sizes of the trees fit."""
    return lambda text: sized(re.sub(rf"^({key}=)\S+", rf"\g<1>{value}", text, count=1, flags=re.MULTILINE))


def sized(text: str) -> str:
    trees = re.split(r"^(?=Tree=)", text.partition("end of trees")[0], flags=re.MULTILINE)[1:]
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", text, count=1, flags=re.MULTILINE)


def test_a_sound_model_is_tried_once_and_then_remembered(
    bundle_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trusted_bundle(bundle_folder).record == read_bundle(bundle_folder).record
    assert len(list((cache / "adcr" / "trusted-models").iterdir())) == 1
    monkeypatch.setattr(model_trust, "trial", lambda _: pytest.fail("it was tried again"))
    trusted_bundle(bundle_folder)


def test_a_model_is_tried_where_no_cache_can_be_written(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert trusted_bundle(bundle_folder)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (first("left_child", "0"), "node 0 is reached twice"),
        (first("right_child", "900"), "entry 0 is outside"),
        (first("split_feature", "4000"), "split_feature: entry 0 is outside"),
        (first("num_leaves", "2000000000"), "entries instead of"),
        (first("leaf_value", "nan"), "a value is not finite"),
        (first("leaf_value", "0.5"), "does not give its golden rows the scores"),
        (lambda text: text.replace("tree_sizes=", "tree_sizes=7"), "it does not begin and end where tree_sizes says"),
        (first("feature_names", "other"), "the columns of model.txt are not those of bundle.json"),
        (lambda text: text[: len(text) // 2], "it does not begin and end where tree_sizes says"),
        (lambda text: text + "\npandas_categorical:[[1]]\n", "a line after the trees is none that LightGBM writes"),
        (lambda _: "", "there is neither a tree"),
    ],
)
def test_a_strangers_model_that_is_not_sound_is_refused_before_lightgbm_parses_it_here(
    resealed: Callable[..., Path], change: Callable[[str], str], what: str
) -> None:
    with pytest.raises(ModelError, match="the model is not sound") as caught:
        trusted_bundle(resealed(change))
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"response_rate": 1.5}, "the response rate is none"),
        ({"training_ranges": {}}, "the training ranges are not those of its columns"),
        ({"model_name": "\x1b[2Jharmless"}, "a name is too long or holds control characters"),
        ({"held_out_log_odds": (float("1e308") * 10,)}, "is damaged"),
    ],
)
def test_a_record_whose_numbers_cannot_be_is_refused(
    resealed: Callable[..., Path], fields: dict[str, object], what: str
) -> None:
    with pytest.raises(ModelError, match=what):
        trusted_bundle(resealed(**fields))


def test_a_table_that_is_cut_is_refused(bundle_folder: Path) -> None:
    record = read_bundle(bundle_folder).record
    table = msgspec.structs.replace(record.venn_abers, low=record.venn_abers.low[:-1])
    assert "different lengths" in record_fault(msgspec.structs.replace(record, venn_abers=table))


def test_a_changed_record_is_refused_by_its_own_hash(bundle_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in bundle_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    rate = f'"response_rate": {read_bundle(folder).record.response_rate}'
    text = (folder / RECORD_FILE).read_text()
    assert rate in text
    (folder / RECORD_FILE).write_text(text.replace(rate, '"response_rate": 0.123'))
    with pytest.raises(ModelError, match="its hash differs"):
        read_bundle(folder)


def test_a_model_that_reads_for_ever_is_ended(bundle_folder: Path) -> None:
    assert trial(read_bundle(bundle_folder), seconds=0.01) == "reading it took longer than 0.01 seconds"


def test_a_model_that_ends_the_guarded_process_is_refused(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_trust, "TRIAL_MODULE", "antigravity_that_is_not_there")
    assert trial(read_bundle(bundle_folder)) == "model.txt ended the process that read it (code 1)"


def test_the_guarded_process_looks_at_no_module_of_the_working_folder(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("msgspec.py", "resource.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('a hostile module ran')")
    monkeypatch.chdir(tmp_path)
    assert trial(read_bundle(bundle_folder)) == ""


def test_a_refused_model_is_one_line_and_leaves_nothing(
    resealed: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.csv"
    file.write_text("patient_id,adc,her2_ihc\nP1,T-DM1,3+\n", encoding="utf-8")
    folder = resealed(first("leaf_value", "0.5"))
    before = sorted(path.name for path in tmp_path.iterdir())
    assert adcr.main(["score", str(file), "--model", str(folder), "-o", str(tmp_path / "out.csv")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == before


def test_a_pickled_model_is_refused_and_never_read(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pickled"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {python_function: {python_model: python_model.pkl}}\n")
    # Whoever unpickles it makes a file.
    (folder / "python_model.pkl").write_bytes(f"cbuiltins\nopen\n(V{tmp_path}/ran\nVw\ntR.".encode())
    file = tmp_path / "site.csv"
    file.write_text("patient_id,adc,her2_ihc\nP1,T-DM1,3+\n", encoding="utf-8")
    assert adcr.main(["score", str(file), "--model", str(folder), "-o", str(tmp_path / "out.csv")]) == 2
    assert "The folder holds no bundle.json." in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_a_model_of_another_catalogue_is_refused_by_the_name_of_its_column(bundle_folder: Path) -> None:
    bundle = read_bundle(bundle_folder)
    columns = bundle.record.schema.columns
    at = next(i for i, column in enumerate(columns) if column.source == "biomarker")

    def with_column(**fields: object) -> ModelBundle:
        changed = (*columns[:at], msgspec.structs.replace(columns[at], **fields), *columns[at + 1 :])
        schema = msgspec.structs.replace(bundle.record.schema, columns=changed)
        record: BundleRecord = msgspec.structs.replace(bundle.record, schema=schema, catalogue_sha256="0" * 64)
        return ModelBundle(record, bundle.model_text, bundle.folder)

    require_catalogue(with_column())
    with pytest.raises(ModelError, match=r"'her2_gone' is of another catalogue \(000000000000\).*has no such column"):
        require_catalogue(with_column(name="her2_gone"))
    with pytest.raises(ModelError, match="with another unit or other levels"):
        require_catalogue(with_column(unit="furlong"))


def test_golden_rows_are_nobodys_values_and_equal_models_have_equal_ones(
    bundle_folder: Path, learned_cohort: object
) -> None:
    bundle = read_bundle(bundle_folder)
    golden = bundle.record.golden
    matrix = golden_matrix(golden)
    assert matrix.shape == (32, len(bundle.record.schema.columns))
    assert bundle.predict_log_odds(matrix).tolist() == list(golden.log_odds)


def test_a_short_fuzz_run_has_no_finding(project_root: Path, bundle_folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--cohorts", "150", "--mappings", "100", "--catalogues", "20"]
    command += ["--bundles", "80", "--model", str(bundle_folder)]
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" 0 findings") == 6


@pytest.mark.slow
def test_fuzzing_makes_a_model_of_its_own_where_none_is_named(project_root: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--bundles", "8", "--seed", "7000"]
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("trained a model to mutate")
