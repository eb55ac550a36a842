"""Equal seeds give equal bits: model, record and scores, however many threads there are."""

from __future__ import annotations

import os
from threading import Event, Thread
from typing import TYPE_CHECKING

import msgspec
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import adcr
from training import fit_pool
from training.model_bundle import write_bundle
from training.one_thread import linear_algebra_on_one_thread
from training.train import train

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort
    from training.train import TrainingResult


def trained_with(cohort: Cohort, threads: int, patch: pytest.MonkeyPatch, *, prior: bool) -> TrainingResult:
    """A model fitted with this many fits side by side and threads in every library."""
    patch.setattr(fit_pool, "FITS_TOGETHER", threads)
    patch.setattr(os, "cpu_count", lambda: threads)
    with threadpool_limits(threads):
        return train(cohort, "pcr", folds=5, repeats=1, resamples=2, prior=prior, seed=11)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_a_fit_that_ends_leaves_the_one_beside_it_on_one_thread() -> None:
    """Each restores what it found, and the second found the first one's limit: linear algebra's last bits wavered."""

    inside, ended, seen = Event(), Event(), []

    def longer() -> None:
        with linear_algebra_on_one_thread():
            inside.set()
            ended.wait(10)
            seen.append(blas_threads())

    with threadpool_limits(2, user_api="blas"):
        with linear_algebra_on_one_thread():
            beside = Thread(target=longer)
            beside.start()
            inside.wait(10)
        ended.set()
        beside.join()
    assert seen == [{1}]


def test_linear_algebra_has_its_threads_back_after_a_training() -> None:
    with threadpool_limits(2, user_api="blas"):
        with linear_algebra_on_one_thread(), linear_algebra_on_one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}


@pytest.mark.slow
@pytest.mark.parametrize("prior", [False, True])
def test_a_model_has_the_same_bits_over_repeated_runs_and_one_to_eight_threads(
    prior: bool, learned_cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained_with(learned_cohort, 1, monkeypatch, prior=prior)
    assert first.record.refits is not msgspec.UNSET
    for threads in (1, 2, 3, 5, 8):
        again = trained_with(learned_cohort, threads, monkeypatch, prior=prior)
        assert again.model_text == first.model_text
        assert msgspec.json.encode(again.record) == msgspec.json.encode(first.record)
        assert again.validation == first.validation
        assert again.explanation == first.explanation


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_scores_have_the_same_bytes_over_repeated_runs_and_one_to_eight_threads(
    suffix: str,
    trained: TrainingResult,
    learned_cohort: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = write_bundle(tmp_path / "model", trained.record, trained.model_text)
    file = tmp_path / "cohort.csv"
    learned_cohort.patients.drop(columns="pcr").to_csv(file, index=False)
    written = set()
    for run, threads in enumerate((1, 1, 2, 4, 8)):
        if hasattr(os, "sched_getaffinity"):
            monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=threads: set(range(n)))
        monkeypatch.setattr(os, "cpu_count", lambda n=threads: n)
        output = tmp_path / f"run{run}{suffix}"
        with threadpool_limits(threads):
            assert adcr.main(["score", str(file), "--model", str(model), "-o", str(output), "--quiet"]) == 0
        written.add(output.read_bytes())
    assert len(written) == 1
