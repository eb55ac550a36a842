"""How the models would do with fewer patients: refitted on growing parts of each training fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.fit_pool import run_fits
from training.metrics import log_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.baselines import Candidate
    from training.kept_fits import Arrays
    from training.metrics import Floats, Integers
    from training.training_table import TrainingTable

#: Smallest part that is learned from, and the factor from part to part.
_SMALLEST, _FACTOR = 30, 2


@dataclass(frozen=True)
class CurvePoint:
    """Held-out log loss of one candidate that learned from so many patients.

    Attributes
    ----------
    patients : int
        Mean number of patients learned from.
    log_loss : float
        Over all patients, each held out once; NaN where the candidate could not be fitted.
    """

    candidate: str
    label: str
    patients: int
    log_loss: float


def curve_sizes(most: int) -> list[int]:
    """Sizes of a learning curve: doubled from 30 on, and the whole training part.

    Parameters
    ----------
    most : int
        Patients of a training part.

    Returns
    -------
    list of int
    """
    sizes, size = [], _SMALLEST
    while size < most / 1.2:
        sizes.append(size)
        size *= _FACTOR
    return [*sizes, most]


def learning_curve(
    makers: Sequence[Callable[[], Candidate]],
    table: TrainingTable,
    folds: Integers,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[CurvePoint]:
    """Fit candidates to growing parts of the training folds and judge them on the same held-out patients.

    A smaller part is contained in the larger ones, and keeps the share of responders.

    Parameters
    ----------
    makers : sequence of callable
        Each gives a new, unfitted candidate.
    table : TrainingTable
    folds : numpy.ndarray of shape (n_patients,)
        Fold that holds each patient out.
    seed : int
    progress : callable, optional
        Called with the number of fits done since the last call; `len(makers) * n_folds * len(curve_sizes(...))` in all.

    Returns
    -------
    list of CurvePoint
        By size, then candidate.
    """
    numbers = np.unique(folds)
    sizes = curve_sizes(min(int((folds != fold).sum()) for fold in numbers))

    def judge(maker: int, size: int, fold: int) -> Arrays:
        learned = _part(table.outcome, np.flatnonzero(folds != fold), size, seed)
        return {"losses": _losses(makers[maker], table, learned, np.flatnonzero(folds == fold))}

    points = [(size, maker) for size in sizes for maker in range(len(makers))]
    jobs = [(maker, size, int(fold)) for size, maker in points for fold in numbers]
    fits = run_fits(judge, jobs, of="learning curve", progress=progress)
    losses = np.split(np.concatenate([fit["losses"] for fit in fits]), len(points))
    named = [make() for make in makers]
    return [
        CurvePoint(named[maker].id, named[maker].label, size, float(own.mean()))
        for (size, maker), own in zip(points, losses, strict=True)
    ]


def _part(outcome: Integers, rows: Integers, size: int, seed: int) -> Integers:
    """Draw nested parts: rows of each outcome in a random order, taken in turn by their share."""
    order = np.random.default_rng(seed).permutation(rows)
    rank = np.empty(len(order))
    for value in (0, 1):
        own = outcome[order] == value
        rank[own] = (np.arange(own.sum()) + 0.5) / own.sum()
    return np.sort(order[np.argsort(rank, kind="stable")[:size]])


def _losses(make: Callable[[], Candidate], table: TrainingTable, learned: Integers, held_out: Integers) -> Floats:
    if len(np.unique(table.outcome[learned])) < 2:
        return np.full(len(held_out), np.nan)
    predicted = make().fit(table.take(learned)).log_odds(table.take(held_out))
    losses: Floats = log_losses(table.outcome[held_out], predicted)
    return losses
