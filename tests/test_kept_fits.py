"""A training that was broken off goes on from the fits that it did, and ends as one that was left alone."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import adcr
from training import kept_fits as kept
from training import training_session
from training.candidates import usual_tuning
from training.fit_pool import fits_kept, run_fits
from training.kept_fits import KeptFits, kept_fits
from training.train import train_prepared
from training.training_plan import Plan, Prepared, prepare_training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from features.cohort import Cohort
    from training.training_result import TrainingResult

PLAN = Plan(folds=2, repeats=1, prior=False, optimism=10, learning_curve=True, leave_out=True)


@pytest.fixture(scope="module")
def prepared(learned_cohort: Cohort) -> Prepared:
    return prepare_training(learned_cohort, "pcr", PLAN)


def broken_off(cohort: Cohort, prepared: Prepared, kept: KeptFits, after: int) -> None:
    done = []

    def stop(fits: int) -> None:
        done.append(fits)
        if sum(done) >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"fits? (is|are) kept"), fits_kept(kept):
        train_prepared(cohort, prepared, name="m", progress=stop)


def content(result: TrainingResult) -> tuple[Any, ...]:
    losses = [None if c.log_odds is None else c.log_odds.tolist() for c in result.candidates]
    return result.record, result.model_text, losses, result.validation, result.explanation, result.curve


def test_a_training_goes_on_from_its_fits_wherever_it_was_broken_off(
    learned_cohort: Cohort, prepared: Prepared, tmp_path: Path
) -> None:
    alone = train_prepared(learned_cohort, prepared, name="m")
    taken_over = 0
    for after in (1, 12, prepared.fits // 2, prepared.fits - 1):
        kept = KeptFits(tmp_path / "training")
        broken_off(learned_cohort, prepared, kept, after)
        assert kept.taken_over >= taken_over
        taken_over = kept.taken_over
    steps: list[int] = []
    last = KeptFits(tmp_path / "training")
    with fits_kept(last):
        result = train_prepared(learned_cohort, prepared, name="m", progress=steps.append)
    assert content(result) == content(alone)
    assert last.taken_over > prepared.fits // 2
    assert sum(steps) == prepared.fits
    assert not last.folder.exists()


def test_what_is_kept_of_a_fit_and_cannot_be_read_is_fitted_again(
    learned_cohort: Cohort, prepared: Prepared, tmp_path: Path
) -> None:
    broken_off(learned_cohort, prepared, KeptFits(tmp_path), prepared.fits - 1)
    files = sorted(tmp_path.glob("*.fit"))
    assert len(files) > 20
    draw = np.random.default_rng(3)
    for number, path in enumerate(files):
        whole = path.read_bytes()
        spoilt = bytearray(whole)
        spoilt[draw.integers(len(whole))] ^= 1 << draw.integers(8)
        path.write_bytes((b"", whole[: len(whole) // 2], bytes(spoilt), bytes(spoilt))[number % 4])
    kept = KeptFits(tmp_path)
    with fits_kept(kept):
        result = train_prepared(learned_cohort, prepared, name="m")
    assert kept.taken_over == 0
    assert content(result) == content(train_prepared(learned_cohort, prepared, name="m"))


def test_a_training_needs_no_cache(learned_cohort: Cohort, prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with fits_kept(KeptFits(tmp_path / "file" / "training")):
        assert train_prepared(learned_cohort, prepared, name="m").model_text


def test_nothing_is_taken_over_from_another_training(
    learned_cohort: Cohort, prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    flipped = prepared.table.outcome.copy()
    flipped[0] = 1 - flipped[0]
    changed = prepared.table.features.copy()
    changed.iloc[3, 0] = changed.iloc[3, 0] + 1e-9
    others = (
        prepare_training(learned_cohort, "pcr", replace(PLAN, seed=1)),
        replace(prepared, plan=replace(PLAN, question="new-adc")),
        replace(prepared, table=replace(prepared.table, outcome=flipped)),
        replace(prepared, table=replace(prepared.table, features=changed)),
        replace(prepared, endpoint="objective_response"),
    )
    folders = {kept_fits(one).folder for one in (prepared, *others)}
    assert len(folders) == 1 + len(others)
    assert kept_fits(prepared).folder == kept_fits(prepare_training(learned_cohort, "pcr", PLAN)).folder


def test_nothing_is_taken_over_from_other_options_literature_code_or_libraries(
    learned_cohort: Cohort, prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    site = learned_cohort.patients["adc"].eq("T-DM1").map({True: "north", False: "south"}).astype("str")
    wider = replace(learned_cohort, patients=learned_cohort.patients.assign(site=site))
    folders = [
        kept_fits(prepare_training(wider, "pcr", PLAN)).folder,
        kept_fits(prepare_training(wider, "pcr", PLAN, extra_features=("site",))).folder,
        kept_fits(replace(prepared, plan=replace(PLAN, group="site"))).folder,
        kept_fits(replace(prepared, plan=replace(PLAN, tuning=usual_tuning()))).folder,
    ]
    literature = prepare_training(learned_cohort, "pcr", replace(PLAN, prior=True))
    assert literature.prior is not None
    folders += [
        kept_fits(literature).folder,
        kept_fits(replace(literature, prior=replace(literature.prior, key="other"))).folder,
    ]
    assert len(set(folders)) == len(folders)
    before = kept_fits(prepared).folder
    for made_by in ("package_versions", "files"):
        with monkeypatch.context() as patch:
            other = {"package_versions": lambda _: {"numpy": "0"}, "files": lambda _: tmp_path}[made_by]
            patch.setattr(kept, made_by, other)
            kept.code_and_libraries.cache_clear()
            assert kept_fits(prepared).folder != before
    kept.code_and_libraries.cache_clear()
    assert kept_fits(prepared).folder == before


def test_a_fit_that_gave_nothing_is_kept_too(tmp_path: Path) -> None:
    done: list[int] = []

    def nothing(job: int) -> dict[str, Any]:
        done.append(job)
        return {}

    held = KeptFits(tmp_path / "training")

    def break_off() -> None:
        with fits_kept(held):
            run_fits(nothing, [(0,)], of="nothing")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with fits_kept(held):
        assert run_fits(nothing, [(0,)], of="nothing") == [{}]
    assert done == [0]
    assert held.taken_over == 1


def test_what_is_kept_names_no_patient_and_is_for_its_owner_alone(learned_cohort: Cohort, tmp_path: Path) -> None:
    ids = [f"KANARI-{number:03d}" for number in range(len(learned_cohort.patients))]
    named = replace(learned_cohort, patients=learned_cohort.patients.assign(patient_id=ids))
    prepared = prepare_training(named, "pcr", PLAN)
    broken_off(named, prepared, KeptFits(tmp_path / "training"), prepared.fits - 1)
    files = list((tmp_path / "training").iterdir())
    assert len(files) > 20
    for path in files:
        with np.load(BytesIO(path.read_bytes()[32:])) as arrays:
            assert all(arrays[name].dtype.kind in "if" for name in arrays.files)
    if os.name == "posix":
        assert (tmp_path / "training").stat().st_mode & 0o077 == 0


def test_a_full_disk_leaves_no_part_of_a_kept_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    held = KeptFits(tmp_path / "training")
    held.keep("one", {"log_odds": np.zeros(2)})
    assert held.find("one") is None
    assert not list((tmp_path / "training").iterdir())


def test_what_nobody_went_on_with_is_taken_away_after_a_week(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    new, old = kept_fits(prepared), KeptFits(tmp_path / "adcr" / "trainings" / "old")
    for held in (new, old):
        held.keep("one", {"log_odds": np.zeros(2)})
    week_ago = time.time() - 8 * 86_400
    os.utime(old.folder, (week_ago, week_ago))
    # As Optuna's own lock of a killed search, whose journal has gone.
    dangling = old.folder.with_name("journal.lock")
    dangling.symlink_to(tmp_path / "gone")
    os.utime(dangling, (week_ago, week_ago), follow_symlinks=False)
    assert kept_fits(prepared).find("one") is not None
    assert not old.folder.exists()
    assert not dangling.is_symlink()


def test_the_command_tells_what_is_kept_and_what_it_took_over(
    learned_cohort: Cohort, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def interrupting(label: str, total: int, *, show: bool) -> Iterator[Callable[[int], None]]:
        done: list[int] = []

        def stop(fits: int) -> None:
            done.append(fits)
            if len(done) == 9:
                raise KeyboardInterrupt

        yield stop

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    learned_cohort.patients.to_csv("c.csv", index=False)
    train = ["train", "c.csv", "--endpoint", "pcr", "--no-prior", "--folds", "2", "--repeats", "1", "--optimism", "0"]
    with monkeypatch.context() as interrupted:
        interrupted.setattr(training_session, "_progress", interrupting)
        assert adcr.main(train) == 130
    told = capsys.readouterr().err.lstrip("\n")
    assert told == "adcr train: interrupted; 9 fits are kept, and the same command goes on from there.\n"
    assert adcr.main(train) == 0
    assert "9 fits were taken over from an earlier start of this training." in capsys.readouterr().out
    assert not list((tmp_path / "cache" / "adcr" / "trainings").iterdir())
    assert adcr.main(train) == 0
    assert "taken over" not in capsys.readouterr().out
