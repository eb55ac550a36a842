"""What `adcr train` does with the literature: candidates, the sentence about it, learning curve and command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from training import prior as prior_module
from training import prior_cli
from training.candidates import Boosted, LiteratureAlone, Tuning, candidate_makers
from training.learning_curve import CurvePoint, curve_sizes, learning_curve
from training.literature_text import learning_curve_lines, literature_sentence
from training.literature_use import StepWeight
from training.prior import build_prior, literature_prior
from training.prior_worlds import PriorSettings
from training.train import train
from training.tuning import TuningPlan

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort
    from training.train import TrainingResult


def test_the_model_is_the_primed_one_and_is_compared_with_the_other_two(trained: TrainingResult) -> None:
    assert trained.model.id == "primed"
    assert set(trained.differences_of_models("log_loss")) == {"prior_alone", "lightgbm"}
    assert trained.literature is not None
    assert trained.prior is not None
    assert len(trained.prior.key) == 16


def test_the_bundle_claims_no_sign_that_the_cohort_contradicts(trained: TrainingResult) -> None:
    assert trained.literature is not None
    signs = {c.name: c.monotone for c in trained.record.schema.columns}
    assert all(signs[name] == 0 for name in trained.literature.contradicted)


def test_the_sentence_says_whether_it_helped_what_it_kept_and_what_is_contradicted(trained: TrainingResult) -> None:
    told = literature_sentence(trained)
    assert told.startswith("The literature ")
    assert "of its weight" in told
    assert trained.literature is not None
    steps = (StepWeight("target_binding", 1.0, 0.6), StepWeight("efflux", 0.0, 0.2), StepWeight("clinical", 2.0, 0.2))
    against = replace(trained, literature=trained.literature.__class__(0.9, steps, 0.25, ("her2_ihc",)))
    assert "kept 75% of its weight" in literature_sentence(against)
    assert "It keeps little of it on efflux of the payload (0%)" in literature_sentence(against)
    assert "contradicts the catalogue's direction of her2_ihc" in literature_sentence(against)
    assert literature_sentence(replace(trained, literature=None)) == ""


def test_without_the_prior_the_cohort_alone_is_the_model(learned_cohort: Cohort) -> None:
    result = train(learned_cohort, "pcr", folds=2, repeats=1, prior=False)
    assert result.model.id == "lightgbm"
    assert result.literature is None
    assert result.prior is None


def test_the_literature_alone_learns_nothing(trained: TrainingResult) -> None:
    assert trained.prior is not None
    first, half = LiteratureAlone(trained.prior), trained.table.take(np.arange(100))
    np.testing.assert_array_equal(
        first.fit(half).log_odds(trained.table), first.fit(trained.table).log_odds(trained.table)
    )


def test_a_tuned_candidate_searches_in_its_own_training_part(trained: TrainingResult, tmp_path: Path) -> None:
    tuning = Tuning(TuningPlan(trials=2), tmp_path)
    fitted = Boosted(0, None, tuning).fit(trained.table.take(np.arange(120)))
    assert np.isfinite(fitted.log_odds(trained.table)).all()
    assert len(list(tmp_path.glob("*.journal"))) == 1


def test_a_learning_curve_has_nested_parts_and_every_candidate(trained: TrainingResult) -> None:
    makers = candidate_makers(0, None)[:2]
    steps: list[int] = []
    points = learning_curve(makers, trained.table, trained.held_out.folds[0], progress=steps.append)
    sizes = curve_sizes(150)
    assert sizes == [30, 60, 120, 150]
    assert [p.patients for p in points[::2]] == sizes
    assert sum(steps) == len(points) * 2
    assert all(np.isfinite(p.log_loss) for p in points)
    lines = learning_curve_lines((CurvePoint("a", "model a", 30, 0.61), CurvePoint("a", "model a", 60, float("nan"))))
    assert lines[1].split() == ["model", "a", "0.610", "-"]
    assert learning_curve_lines(()) == []


def test_the_prior_is_built_and_shown_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prior_module, "cache_folder", lambda: tmp_path / "cache")
    small = build_prior(PriorSettings(worlds=4, patients=250), None)
    monkeypatch.setattr(prior_module, "build_prior", lambda *_: small)
    literature_prior.cache_clear()
    built = CliRunner().invoke(prior_cli.prior, ["build"])
    assert "4 worlds, 2,000 simulated patients" in built.output
    shown = CliRunner().invoke(prior_cli.prior, ["show"])
    assert "T-DM1, pcr" in shown.output
    assert json.loads(CliRunner().invoke(prior_cli.prior, ["show", "--json"]).output)["key"] == small.record.key
    literature_prior.cache_clear()
