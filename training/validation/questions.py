"""Which question a split answers: new patients, a new cohort, a new site, or a drug never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from features.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.metrics import Integers

Question = Literal["new-patients", "new-cohort", "new-site", "new-adc"]
QUESTIONS: tuple[Question, ...] = get_args(Question)
#: Column whose levels are held out, one at a time.
_COLUMN = {"new-cohort": "cohort", "new-site": "site", "new-adc": "adc"}
SENTENCES = {
    "new-patients": "How good is the model in new patients like these: same hospitals, same drugs, same assays?",
    "new-cohort": "How good is the model in another cohort or trial, from which it saw nobody?",
    "new-site": "How good is the model at another hospital, from which it saw nobody?",
    "new-adc": "How good is the model for an ADC that it never saw, known by payload, linker and ratio only?",
}
#: More levels than this are held out several at a time.
_MOST_FOLDS = 10


def held_out_levels(
    question: Question, patients: pd.DataFrame, patient: Integers, outcome: Integers, *, seed: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Folds that each hold one cohort, site or drug out (or several, where there are more than ten).

    Parameters
    ----------
    question : {"new-cohort", "new-site", "new-adc"}
    patients : pandas.DataFrame of shape (n_patients, any)
    patient : numpy.ndarray of shape (n_patients,)
        Number of the patient; all rows of one are held out with the first.
    outcome : numpy.ndarray of shape (n_patients,)
    seed : int

    Returns
    -------
    folds : numpy.ndarray of shape (1, n_patients)
    names : tuple of str
        What each fold holds out.

    Raises
    ------
    InputError
        The column is absent or has one level.
    """
    column = _COLUMN[question]
    if column not in patients:
        raise InputError(
            f"The cohort has no column '{column}'.",
            where=f"--question {question}",
            mend=f"Add it, or ask another question: {', '.join(QUESTIONS)}.",
        )
    level = patients[column].astype(object).where(patients[column].notna(), "not stated").astype(str)
    code, names = pd.factorize(level, sort=True)
    if len(names) < 2:
        raise InputError(
            f"All patients have the same {column}, '{names[0]}'.",
            where=f"--question {question}",
            mend="Ask --question new-patients, or merge cohorts first.",
        )
    first = pd.Series(code).groupby(patient).transform("first").to_numpy(dtype=np.int64)
    if len(names) <= _MOST_FOLDS:
        kept = np.unique(first)
        return np.searchsorted(kept, first)[None, :].astype(np.int64), tuple(str(names[k]) for k in kept)
    return _packed(first, names, outcome, column, seed)


def _packed(
    code: Integers, names: Any, outcome: Integers, column: str, seed: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    from training.splits import assign_folds

    folds = assign_folds(outcome.astype(np.int64), code, folds=_MOST_FOLDS, repeats=1, seed=seed)
    counts = [len(np.unique(code[folds[0] == k])) for k in range(_MOST_FOLDS)]
    return folds, tuple(f"{count} values of '{column}'" for count in counts)
