"""Repeated, stratified cross-validation that never splits a patient, or a group such as a site."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.errors import InputError

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Integers = NDArray[np.integer[Any]]


def patient_groups(patients: pd.DataFrame, group: str | None = None) -> NDArray[np.int64]:
    """Rows that must stay together in a split: those of one patient, and those of one group.

    Parameters
    ----------
    patients : pandas.DataFrame of shape (n_rows, any)
        With `patient_id`.
    group : str, optional
        Column whose values stay together too (`site`, `cohort`); a row without a value goes with its patient only.

    Returns
    -------
    numpy.ndarray of shape (n_rows,)
        Number of the group of each row. A patient seen at two sites joins both into one group.

    Raises
    ------
    InputError
        The column is absent or has one value.
    """
    of_patient, _ = pd.factorize(patients["patient_id"])
    if group is None or group == "patient_id":
        return of_patient.astype(np.int64)
    if group not in patients:
        raise InputError(
            f"The cohort has no column '{group}'.", where="--group", mend="Name a column such as site or cohort."
        )
    of_group, values = pd.factorize(patients[group])
    if len(values) < 2:
        raise InputError(
            f"Column '{group}' does not differ between the patients.",
            where="--group",
            mend="Name a column with several values, or leave --group out.",
        )
    return _joined(of_patient, of_group)


def _joined(of_patient: Integers, of_group: Integers) -> NDArray[np.int64]:
    """Join whatever a patient or a group ties together: the connected parts of their graph."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    patients = int(of_patient.max()) + 1
    grouped = of_group >= 0
    nodes = patients + int(of_group.max()) + 1
    ties = (np.ones(grouped.sum()), (of_patient[grouped], patients + of_group[grouped]))
    _, part = connected_components(coo_array(ties, shape=(nodes, nodes)), directed=False)
    return np.asarray(part[of_patient], dtype=np.int64)


def stratum(outcome: Integers, adc: NDArray[Any], folds: int) -> NDArray[np.int64]:
    """Give what a split is balanced by: the outcome, and the ADC too where each combination fills every fold.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    adc : numpy.ndarray of shape (n_patients,)
        ADC of each patient.
    folds : int

    Returns
    -------
    numpy.ndarray of shape (n_patients,)
        Number of the stratum.
    """
    drug, _ = pd.factorize(adc)
    both = drug.astype(np.int64) * 2 + outcome
    _, counts = np.unique(both, return_counts=True)
    return both if counts.min() >= folds else outcome.astype(np.int64)


def assign_folds(strata: Integers, groups: Integers, *, folds: int, repeats: int, seed: int) -> NDArray[np.int64]:
    """Fold that holds each patient out, once per repeat.

    Parameters
    ----------
    strata : numpy.ndarray of shape (n_patients,)
        Balanced over folds as far as groups allow.
    groups : numpy.ndarray of shape (n_patients,)
        Never split.
    folds : int
    repeats : int
    seed : int
        The same seed gives the same folds.

    Returns
    -------
    numpy.ndarray of shape (repeats, n_patients)
        Folds are numbered from 0.

    Raises
    ------
    InputError
        There are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = len(np.unique(groups))
    if count < folds:
        raise InputError(
            f"{count} groups cannot fill {folds} folds.",
            where="--folds",
            mend=f"Use --folds {count} or another --group.",
        )
    alone = count == len(groups)
    splitter = StratifiedKFold if alone else StratifiedGroupKFold
    assigned = np.empty((repeats, len(strata)), dtype=np.int64)
    nothing = np.zeros(len(strata))
    for repeat in range(repeats):
        split = splitter(n_splits=folds, shuffle=True, random_state=seed * 1000 + repeat)
        with warnings.catch_warnings():
            # A stratum smaller than the number of folds cannot be in each; that is known and accepted here.
            warnings.filterwarnings("ignore", message="The least populated class")
            for fold, (_, held_out) in enumerate(split.split(nothing, strata, None if alone else groups)):
                assigned[repeat, held_out] = fold
    return assigned


def require_both_outcomes(outcome: Integers, folds: Integers) -> None:
    """Refuse folds that leave one class to learn from.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    folds : numpy.ndarray of shape (n_repeats, n_patients)

    Raises
    ------
    InputError
        Some training part holds responders only, or none.
    """
    for row in folds:
        for fold in np.unique(row):
            if len(np.unique(outcome[row != fold])) < 2:
                raise InputError(
                    "Without one of its folds the cohort holds a single outcome, so nothing can be learned.",
                    where="--group",
                    mend="Choose a group whose values each hold responders and non-responders.",
                )
