"""The model as a folder without pickle: what is written comes back, and nothing damaged is ever parsed."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from features.catalogue_version import catalogue_sha256
from features.errors import ModelError, OutputError
from features.feature_table import FeatureColumn, FeatureSchema
from training.boosting import AdcResponseClassifier
from training.bootstrap import Estimate
from training.bundle_record import training_ranges
from training.calibration import venn_abers_table
from training.explaining.stability import RefitFindings, Stability
from training.model_bundle import (
    MODEL_FILE,
    RECORD_FILE,
    SCHEMA_VERSION,
    BundleRecord,
    Calibration,
    CohortStamp,
    ModelBundle,
    read_bundle,
    seal,
    sha256_of,
    write_bundle,
)
from training.record_check import record_fault

SCHEMA = FeatureSchema(
    (
        FeatureColumn("her2_ish_ratio", "HER2/CEP17 ratio", "numeric", "ratio", "biomarker", monotone=1, core=True),
        FeatureColumn("her2_ihc", "HER2 IHC", "ordinal", "level", "biomarker", levels=("0", "1+", "2+", "3+")),
    )
)


def features(patients: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"her2_ish_ratio": random.normal(3, 2, patients), "her2_ihc": random.integers(0, 4, patients).astype(float)}
    )
    return table.mask(random.random(table.shape) < 0.1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = features(120, 0)
    outcome = (np.random.default_rng(1).random(120) < expit(table["her2_ish_ratio"].fillna(3) - 3)).astype(int)
    classifier = AdcResponseClassifier(SCHEMA, bags=2, most_rounds=40).fit(table, outcome)
    held_out = classifier.decision_function(table)
    record = BundleRecord(
        schema_version=SCHEMA_VERSION,
        model_name="adcr-pcr",
        model_version="",
        endpoint="pcr",
        cohort=CohortStamp("site_a.csv", "a" * 64, "measured", 120, int(outcome.sum()), {"T-DM1": 120}),
        schema=SCHEMA,
        calibration=Calibration("none"),
        venn_abers=venn_abers_table(outcome, held_out),
        training_ranges=training_ranges(table, SCHEMA),
        response_rate=float(outcome.mean()),
        metrics={"auroc": Estimate(0.7, 0.6, 0.8), "calibration_slope": Estimate(None, reason="too few")},
        held_out_log_odds=tuple(map(float, held_out)),
        catalogue_sha256=catalogue_sha256(),
        packages={},
        seed=0,
        files={},
    )
    folder = tmp_path_factory.mktemp("models") / "model"
    return write_bundle(folder, seal(record, classifier.model_text_), classifier.model_text_)


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in written.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_the_folder_holds_two_text_files_and_each_hash(written: Path) -> None:
    assert {f.name for f in written.iterdir()} == {MODEL_FILE, RECORD_FILE}
    record = read_bundle(written).record
    assert record.files == {MODEL_FILE: sha256_of((written / MODEL_FILE).read_bytes())}
    assert len(record.model_version) == 12


def test_what_is_written_comes_back_and_is_the_same_when_written_again(written: Path, tmp_path: Path) -> None:
    bundle = read_bundle(written)
    again = write_bundle(tmp_path / "again", bundle.record, bundle.model_text)
    assert read_bundle(again).record == bundle.record
    assert (again / RECORD_FILE).read_bytes() == (written / RECORD_FILE).read_bytes()


def test_reading_a_bundle_loads_no_lightgbm(written: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from training.model_bundle import read_bundle;"
        f"read_bundle(Path({str(written)!r}));"
        "assert not {'lightgbm', 'sklearn', 'mlflow', 'shap'} & set(sys.modules), 'a heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_probability_lies_within_its_interval_and_all_rise_with_the_log_odds(written: Path) -> None:
    bundle = read_bundle(written)
    log_odds = np.sort(np.r_[np.linspace(-8, 8, 400), bundle.record.venn_abers.scores])
    probability = bundle.probability(log_odds)
    low, high = bundle.interval(log_odds)
    assert (low <= probability).all()
    assert (probability <= high).all()
    assert all((np.diff(part) >= -1e-12).all() for part in (low, probability, high))
    assert low.min() >= 0
    assert high.max() <= 1


def test_contributions_add_up_to_the_log_odds(written: Path) -> None:
    bundle, matrix = read_bundle(written), features(50, 3).to_numpy()
    np.testing.assert_allclose(bundle.contributions(matrix).sum(axis=1), bundle.predict_log_odds(matrix), atol=1e-10)


def test_training_ranges_tell_percentiles_missing_share_and_level_counts() -> None:
    table = pd.DataFrame({"her2_ish_ratio": [*range(1, 101)], "her2_ihc": [0.0, 3.0, 3.0, np.nan] * 25})
    ranges = training_ranges(table, SCHEMA)
    ratio, ihc = ranges["her2_ish_ratio"], ranges["her2_ihc"]
    assert (ratio.minimum, ratio.p01, ratio.p99, ratio.maximum) == pytest.approx((1, 1.99, 99.01, 100))
    assert ihc.missing_rate == 0.25
    assert ihc.level_counts == {"0": 25, "1+": 0, "2+": 0, "3+": 50}


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-200], lambda b: b.replace(b"leaf_value=", b"leaf_value=9", 1), lambda b: b""]
)
def test_a_damaged_model_text_is_refused_before_it_is_parsed(copy: Path, damage) -> None:
    file = copy / MODEL_FILE
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ModelError, match="sha256 differs"):
        read_bundle(copy)


def test_a_damaged_record_is_refused_in_one_line(copy: Path) -> None:
    (copy / RECORD_FILE).write_bytes((copy / RECORD_FILE).read_bytes()[:400])
    with pytest.raises(ModelError, match="damaged") as caught:
        read_bundle(copy)
    assert "\n" not in str(caught.value)


def test_a_record_with_a_field_that_is_unknown_or_of_another_kind_is_refused(copy: Path) -> None:
    record = msgspec.json.decode((copy / RECORD_FILE).read_bytes())
    for wrong in ({**record, "response_rate": "high"}, {**record, "script": "import os"}):
        (copy / RECORD_FILE).write_bytes(msgspec.json.encode(wrong))
        with pytest.raises(ModelError, match="damaged"):
            read_bundle(copy)


def test_a_bundle_of_another_format_is_refused_with_the_mend(copy: Path) -> None:
    record = msgspec.json.decode((copy / RECORD_FILE).read_bytes())
    (copy / RECORD_FILE).write_bytes(msgspec.json.encode({**record, "schema_version": 99, "new": 1}))
    with pytest.raises(ModelError, match=r"format 99.*Train it again"):
        read_bundle(copy)


def test_a_model_of_the_format_before_refits_were_kept_is_still_read(written: Path, tmp_path: Path) -> None:
    bundle = read_bundle(written)
    older = seal(msgspec.structs.replace(bundle.record, schema_version=2), bundle.model_text)
    assert b"refits" not in msgspec.json.encode(older)
    again = read_bundle(write_bundle(tmp_path / "older", older, bundle.model_text))
    assert again.record.refits is msgspec.UNSET
    assert again.record.model_version == older.model_version


def test_what_refits_said_is_kept_and_is_checked(written: Path, tmp_path: Path) -> None:
    bundle = read_bundle(written)
    sure = Estimate(0.123456, 0.1, 0.2)
    found = RefitFindings(20, (Stability("her2_ihc", "HER2 IHC score", sure, sure, sure),), ()).rounded()
    kept = seal(msgspec.structs.replace(bundle.record, refits=found), bundle.model_text)
    again = read_bundle(write_bundle(tmp_path / "judged", kept, bundle.model_text)).record
    assert again.refits == found
    assert found.columns[0].size.value == 0.1235
    assert record_fault(again) == ""
    for wrong, told in (
        (msgspec.structs.replace(found.columns[0], name="other"), "not of its columns"),
        (msgspec.structs.replace(found.columns[0], label="a\nb"), "control characters"),
        (msgspec.structs.replace(found.columns[0], size=Estimate(None)), "lacks a number"),
    ):
        damaged = msgspec.structs.replace(again, refits=RefitFindings(20, (wrong,), ()))
        assert told in record_fault(damaged)


def test_a_huge_file_is_refused_before_it_is_read(copy: Path) -> None:
    with (copy / MODEL_FILE).open("ab") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(ModelError, match="no model is that large"):
        read_bundle(copy)


@pytest.mark.parametrize("missing", [MODEL_FILE, RECORD_FILE])
def test_a_missing_file_is_named(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(ModelError, match=f"holds no {missing}"):
        read_bundle(copy)


def test_writing_replaces_an_older_bundle_but_nothing_else(written: Path, copy: Path, tmp_path: Path) -> None:
    bundle: ModelBundle = read_bundle(written)
    newer = seal(msgspec.structs.replace(bundle.record, seed=7), bundle.model_text)
    write_bundle(copy, newer, bundle.model_text)
    assert read_bundle(copy).record.seed == 7
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "keep.txt").write_text("mine")
    with pytest.raises(OutputError, match="something other than a model"):
        write_bundle(tmp_path / "notes", newer, bundle.model_text)
    assert (tmp_path / "notes" / "keep.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "notes"]


def test_a_failed_write_leaves_nothing_behind(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle(written)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_bundle(tmp_path / "model", bundle.record, bundle.model_text)
    assert list(tmp_path.iterdir()) == []


def test_the_version_changes_with_anything_that_decides_a_score(written: Path) -> None:
    bundle = read_bundle(written)
    same = seal(bundle.record, bundle.model_text)
    assert same.model_version == bundle.record.model_version
    other = seal(bundle.record, bundle.model_text + "\n")
    assert other.model_version != same.model_version


def test_an_older_model_stays_where_the_new_one_cannot_go(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(bundle_folder)
    place = tmp_path / "model"
    write_bundle(place, bundle.record, bundle.model_text)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Input/output error"):
        write_bundle(place, bundle.record, bundle.model_text)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
