"""Held-out predictions of each candidate model over the same outer folds."""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from features.errors import InputError
from training.bootstrap import Evaluation, evaluate
from training.fit_pool import fit_pool
from training.metrics import METRICS, brier_losses, log_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.baselines import Candidate
    from training.bootstrap import HeldOut
    from training.explaining.examination import Examination
    from training.explaining.refits import Refits
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
        Called with 1 after each fit.
    refits : Refits, optional
        Keeps what each fold's model makes of its columns; for a `Boosted` candidate.

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

    def fit_and_predict(repeat: int, fold: int) -> tuple[int, Integers, Floats, Examination | None]:
        rows = np.flatnonzero(held_out.folds[repeat] == fold)
        rest = np.flatnonzero(held_out.folds[repeat] != fold)
        fitted, held = candidate().fit(table.take(rest)), table.take(rows)
        return repeat, rows, fitted.log_odds(held), examine(fitted, held) if examine else None

    jobs = [(r, int(k)) for r, row in enumerate(held_out.folds) for k in np.unique(row)]
    try:
        with fit_pool() as pool:
            futures = {pool.submit(fit_and_predict, *job): number for number, job in enumerate(jobs)}
            found: dict[int, Examination] = {}
            for future in as_completed(futures):
                repeat, rows, predicted, examined = future.result()
                log_odds[repeat, rows] = predicted
                if examined:
                    found[futures[future]] = examined
                if progress:
                    progress(1)
        # In the order of the folds, whichever was done first: sums of numbers depend on it.
        for number in sorted(found):
            if refits:
                refits.keep(found[number])
    except InputError as error:
        reasons = dict.fromkeys(METRICS, error.what)
        return CandidateResult(named.id, named.label, named.baseline, None, Evaluation(reasons=reasons), error.what)
    evaluation = evaluate(held_out, log_odds)
    seconds = perf_counter() - started
    return CandidateResult(named.id, named.label, named.baseline, log_odds, evaluation, seconds=seconds)


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
