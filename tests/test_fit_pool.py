"""Fits on a Dask cluster: the same model as in threads, and an end in one line where there is no cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import adcr
from features import cluster
from training.fit_pool import fits_on, run_fits
from training.train import train

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort


def test_folds_and_resamples_on_a_cluster_give_the_model_and_metrics_of_threads(learned_cohort: Cohort) -> None:
    pytest.importorskip("distributed")
    plan = {"folds": 2, "repeats": 1, "resamples": 10, "prior": False}
    here = train(learned_cohort, "pcr", **plan)
    with fits_on("dask"):
        there = train(learned_cohort, "pcr", **plan)
    assert there.model_text == here.model_text
    assert there.validation.optimism == here.validation.optimism
    assert there.explanation == here.explanation
    assert here.explanation.refits == 12
    for a, b in zip(here.candidates, there.candidates, strict=True):
        assert a.evaluation.estimate("log_loss") == b.evaluation.estimate("log_loss")


def test_fits_come_in_the_order_of_the_jobs() -> None:
    given = run_fits(lambda a, b: {"power": np.array(a**b)}, [(2, 3), (3, 2), (1, 1)], of="powers")
    assert [int(fit["power"]) for fit in given] == [8, 9, 1]


def test_a_scheduler_that_does_not_answer_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], learned_cohort: Cohort
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    learned_cohort.patients.to_csv("c.csv", index=False)
    argv = ["train", "c.csv", "--endpoint", "pcr", "--scheduler", "tcp://127.0.0.1:9", "--no-prior", "--optimism", "0"]
    assert adcr.main(argv) == 2
    told = capsys.readouterr().err
    assert "no Dask scheduler answers there" in told
    assert told.count("\n") == 1
