"""Trees learned from the cohort alone: small, monotone, randomised, bagged, as many as held-out patients bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from training.small_boosters import binning, data_set, train_booster, unproven

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.feature_schema import FeatureColumn
    from training.metrics import Floats, Integers


@dataclass(frozen=True)
class TreeSettings:
    """How trees of the cohort are grown; see `AdcResponseClassifier` for each."""

    leaves: int
    learning_rate: float
    most_rounds: int
    patience: int
    bags: int
    column_share: float
    patient_share: float
    l2: float
    unproven_gain: float
    seed: int


@dataclass(frozen=True)
class CohortTrees:
    """Bagged boosters of one cohort.

    Attributes
    ----------
    texts : tuple of str
        One LightGBM text per bag; the model is their mean.
    rounds : int
        Rounds of each.
    held_out : numpy.ndarray of shape (n_patients,)
        Log-odds by boosters that did not see the patient.
    """

    texts: tuple[str, ...]
    rounds: int
    held_out: Floats


def grow_trees(
    matrix: Floats, outcome: Integers, folds: Integers, columns: tuple[FeatureColumn, ...], settings: TreeSettings
) -> CohortTrees:
    """Choose the rounds by inner cross-validation, and grow the trees on all patients.

    Parameters
    ----------
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    folds : numpy.ndarray of shape (n_repeats, n_patients)
        Inner fold of each patient, per repeat.
    columns : tuple of FeatureColumn
    settings : TreeSettings

    Returns
    -------
    CohortTrees
    """
    choice = InnerFolds(matrix, outcome, folds, columns).choose_rounds(settings)
    data = data_set(matrix, outcome, columns)
    texts = [
        train_booster(data, boosting_settings(outcome, columns, settings, bag), choice.rounds).model_to_string()
        for bag in range(settings.bags)
    ]
    return CohortTrees(tuple(texts), choice.rounds, choice.held_out)


@dataclass(frozen=True)
class RoundsChoice:
    """Number of rounds of the lowest held-out log loss, that loss, and the held-out log-odds at that number."""

    rounds: int
    log_loss: float
    held_out: Floats


class InnerFolds:
    """Folds of the training patients, binned once and used for any number of settings.

    Each fold is binned by its own patients: a part of the whole set's bins would tell edges of the patients held out.

    Parameters
    ----------
    matrix, outcome, folds, columns
        As for `grow_trees`.
    """

    def __init__(self, matrix: Floats, outcome: Integers, folds: Integers, columns: tuple[FeatureColumn, ...]) -> None:
        self.matrix, self.outcome, self.folds, self.columns = matrix, outcome, folds, columns
        self._held_out = [(repeat, row == fold) for repeat, row in enumerate(folds) for fold in np.unique(row)]
        self._data = []
        for _, rows in self._held_out:
            training = data_set(matrix[~rows], outcome[~rows], columns)
            self._data.append((training, data_set(matrix[rows], outcome[rows], columns, like=training)))

    def choose_rounds(
        self, settings: TreeSettings, keep_on: Callable[[int, float], bool] | None = None
    ) -> RoundsChoice:
        """Advance all folds round by round; one number of rounds serves all, as it must serve the final fit.

        Parameters
        ----------
        settings : TreeSettings
        keep_on : callable, optional
            Called with the round and the lowest loss so far; False ends the search there.

        Returns
        -------
        RoundsChoice
        """
        boosters = []
        for (repeat, rows), (training, validation) in zip(self._held_out, self._data, strict=True):
            parameters = boosting_settings(self.outcome[~rows], self.columns, settings, repeat)
            boosters.append(lightgbm.Booster(parameters, training).add_valid(validation, "held out"))
        shares = np.array([rows.mean() for _, rows in self._held_out]) / len(self.folds)
        best_loss, best_round = np.inf, 1
        for current in range(1, settings.most_rounds + 1):
            for booster in boosters:
                booster.update()
            loss = float(np.array([booster.eval_valid()[0][2] for booster in boosters]) @ shares)
            if loss < best_loss:
                best_loss, best_round = loss, current
            elif current - best_round >= settings.patience:
                break
            if keep_on and not keep_on(current, best_loss):
                break
        log_odds = np.zeros(self.folds.shape)
        for booster, (repeat, rows) in zip(boosters, self._held_out, strict=True):
            log_odds[repeat, rows] = booster.predict(
                self.matrix[rows], raw_score=True, num_iteration=best_round, num_threads=1
            )
        return RoundsChoice(best_round, best_loss, log_odds.mean(axis=0))


def boosting_settings(
    outcome: Integers, columns: tuple[FeatureColumn, ...], settings: TreeSettings, bag: int
) -> dict[str, Any]:
    """LightGBM parameters of one bag.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    columns : tuple of FeatureColumn
    settings : TreeSettings
    bag : int

    Returns
    -------
    dict
    """
    parameters = {
        **binning(len(outcome)),
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "max_depth": 6,
        "lambda_l2": settings.l2,
        "feature_fraction": settings.column_share,
        "bagging_fraction": settings.patient_share,
        "bagging_freq": 1,
        "feature_contri": [settings.unproven_gain if unproven(c) else 1.0 for c in columns],
        "seed": settings.seed * 1000 + bag,
    }
    signs = [c.monotone for c in columns]
    if any(signs):
        # The other methods have open reports of violated constraints.
        parameters |= {"monotone_constraints": signs, "monotone_constraints_method": "basic"}
    return parameters
