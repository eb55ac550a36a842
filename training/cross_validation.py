"""Held-out predictions of each candidate model over the same outer folds."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from features.errors import InputError
from training.bootstrap import Evaluation, evaluate
from training.fit_pool import run_fits
from training.metrics import METRICS, brier_losses, log_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.baselines import Candidate
    from training.bootstrap import HeldOut
    from training.explaining.refits import Refits
    from training.kept_fits import Arrays
    from training.metrics import Floats, Integers
    from training.training_table import TrainingTable

    Progress = Callable[[int], None]


@dataclass(frozen=True)
class CandidateResult:
    """How one candidate did on held-out patients; `log_odds` None with the reason where it could not be fitted."""

    id: str
    label: str
    baseline: bool
    log_odds: Floats | None
    evaluation: Evaluation
    reason: str = ""
    seconds: float = 0.0


def cross_validate(
    candidate: Callable[[], Candidate],
    table: TrainingTable,
    held_out: HeldOut,
    *,
    progress: Progress | None = None,
    refits: Refits | None = None,
    without: str = "",
) -> CandidateResult:
    """Fit a candidate once per fold and repeat, predict the patients held out, and evaluate.

    Parameters
    ----------
    candidate : callable
        Gives a new, unfitted candidate.
    table : TrainingTable
    held_out : HeldOut
        Folds and outcomes.
    progress : callable, optional
        Called with the number of fits done since the last call.
    refits : Refits, optional
        Keeps what each fold's model makes of its columns; for a `Boosted` candidate.
    without : str
        What the candidate is not given of the cohort, where that is the question.

    Returns
    -------
    CandidateResult
        A candidate that this cohort does not allow (a regression on biomarkers that nobody measured) has its reason
        and no predictions.
    """
    started = perf_counter()
    named = candidate()
    log_odds = np.full(held_out.folds.shape, np.nan)

    examine = refits.examiner.examine if refits else None

    def fit_and_predict(repeat: int, fold: int) -> Arrays:
        rest = np.flatnonzero(held_out.folds[repeat] != fold)
        fitted, held = candidate().fit(table.take(rest)), table.take(_held(held_out, repeat, fold))
        return {"log_odds": fitted.log_odds(held)} | (examine(fitted, held).arrays() if examine else {})

    jobs = [(r, int(k)) for r, row in enumerate(held_out.folds) for k in np.unique(row)]
    try:
        fits = run_fits(fit_and_predict, jobs, of=f"fold of {named.id} {without}", progress=progress)
    except InputError as error:
        reasons = dict.fromkeys(METRICS, error.what)
        return CandidateResult(named.id, named.label, named.baseline, None, Evaluation(reasons=reasons), error.what)
    for job, fit in zip(jobs, fits, strict=True):
        log_odds[job[0], _held(held_out, *job)] = fit["log_odds"]
    if refits:
        refits.keep(fits)
    evaluation = evaluate(held_out, log_odds)
    seconds = perf_counter() - started
    return CandidateResult(named.id, named.label, named.baseline, log_odds, evaluation, seconds=seconds)


def _held(held_out: HeldOut, repeat: int, fold: int) -> Integers:
    """Rows that a fold holds out."""
    return np.flatnonzero(held_out.folds[repeat] == fold)


def fold_losses(result: CandidateResult, held_out: HeldOut) -> dict[str, list[float]]:
    """Log loss and Brier score of each fold, repeat after repeat.

    Parameters
    ----------
    result : CandidateResult
    held_out : HeldOut

    Returns
    -------
    dict of str to list of float
        One value per fold; empty where the candidate could not be fitted.
    """
    if result.log_odds is None:
        return {}
    losses = {
        "fold_log_loss": log_losses(held_out.outcome, result.log_odds),
        "fold_brier": brier_losses(held_out.outcome, result.log_odds),
    }
    return {
        name: [
            float(row[folds == k].mean())
            for row, folds in zip(loss, held_out.folds, strict=True)
            for k in np.unique(folds)
        ]
        for name, loss in losses.items()
    }
