"""Naive baselines that every model is compared with: the drug alone, the IHC class alone, both, and a plain line.

A model of many biomarkers is worth something only where it beats what everyone knows already.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from scipy.special import logit

from features.errors import InputError
from training.one_thread import linear_algebra_on_one_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from training.training_table import TrainingTable

#: Columns that hold the HER2 class, in the order of preference; the first that varies in the cohort is used.
HER2_CLASS_COLUMNS = ("her2_ihc", "her2_class", "her2_status")
#: A group's rate counts as if this many more patients had been seen at the rate of all (or of the drug). Empty and
#: pure groups so have a finite log loss; a group of twenty is moved by a tenth of its distance.
PSEUDO_PATIENTS = 2.0
#: Inverse strength of the ridge penalty on standardised columns: scikit-learn's default, never tuned.
RIDGE_C = 1.0


class Candidate(Protocol):
    """A model that is judged on held-out patients."""

    id: str
    label: str
    baseline: bool

    def fit(self, table: TrainingTable) -> Self:
        """Learn from the patients of a table."""
        ...

    def log_odds(self, table: TrainingTable) -> NDArray[np.float64]:
        """Predict the log-odds of response, shape (n_patients,)."""
        ...


class MeanResponse:
    """Share of responders among patients alike in drug, HER2 class, or both.

    Groups are shrunk towards the share of all patients by `PSEUDO_PATIENTS`; groups of drug x class towards the share
    of their drug. Patients without a HER2 class form a class of their own; a group not met in training gets the rate
    it would be shrunk towards.

    Parameters
    ----------
    by : tuple of {"adc", "her2"}
        What makes patients alike.
    """

    baseline = True

    def __init__(self, by: tuple[str, ...]) -> None:
        names = {"adc": "ADC", "her2": "HER2 IHC"}
        self.by = by
        self.id = "mean_by_" + "_".join(by)
        self.label = "mean by " + " x ".join(names[b] for b in by)
        self._overall = 0.5
        self._rates: dict[tuple[str, ...], float] = {}

    def fit(self, table: TrainingTable) -> Self:
        """Learn the rate of each group.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        MeanResponse
        """
        self._rates = {}
        # Half a patient of each outcome, so that the overall rate has finite log-odds in any fold.
        self._overall = (table.events + 0.5) / (table.patients + 1.0)
        keys = self._keys(table)
        for depth in range(1, len(self.by) + 1):
            members: dict[tuple[str, ...], list[int]] = {}
            for row, key in enumerate(keys):
                members.setdefault(key[:depth], []).append(row)
            for key, rows in members.items():
                outcome = table.outcome[rows]
                towards = self._rate(key[:-1])
                self._rates[key] = (outcome.sum() + PSEUDO_PATIENTS * towards) / (len(rows) + PSEUDO_PATIENTS)
        return self

    def log_odds(self, table: TrainingTable) -> NDArray[np.float64]:
        """Log-odds of the rate of each patient's group.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return np.asarray(logit([self._rate(key) for key in self._keys(table)]))

    def _rate(self, key: tuple[str, ...]) -> float:
        while key and key not in self._rates:
            key = key[:-1]
        return self._rates.get(key, self._overall)

    def _keys(self, table: TrainingTable) -> list[tuple[str, ...]]:
        columns: dict[str, NDArray[Any]] = {"adc": table.adc, "her2": _her2_class(table)}
        return [tuple(map(str, key)) for key in zip(*(columns[b] for b in self.by), strict=True)]


def _her2_class(table: TrainingTable) -> NDArray[Any]:
    column = next((c for c in HER2_CLASS_COLUMNS if c in table.features), None)
    return np.full(table.patients, np.nan) if column is None else table.features[column].to_numpy()


class CoreLogistic:
    """Logistic regression on the core five biomarkers and, in a cohort of several ADCs, their payload and linker.

    Missing values become the median of the training patients with an indicator beside them; columns are
    standardised; a fixed ridge penalty keeps separated columns finite. Nothing is tuned.
    """

    id = "logistic_core"
    label = "logistic, core five"
    baseline = True

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._pipeline: Any = None

    def fit(self, table: TrainingTable) -> Self:
        """Fit the regression.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        CoreLogistic

        Raises
        ------
        InputError
            The cohort holds none of the core biomarkers.
        """
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits

        self._columns = core_columns(table)
        self._pipeline = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(C=RIDGE_C, max_iter=1000),
        )
        # On a busy machine two threads wait for each other at every step of so small a fit: forty times slower.
        with linear_algebra_on_one_thread(), threadpool_limits(1, user_api="openmp"):
            self._pipeline.fit(table.features[self._columns].to_numpy(), table.outcome)
        return self

    def log_odds(self, table: TrainingTable) -> NDArray[np.float64]:
        """Log-odds of the regression.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return np.asarray(self._pipeline.decision_function(table.features[self._columns].to_numpy()))


def core_columns(table: TrainingTable) -> list[str]:
    """Columns of the plain logistic regression.

    Parameters
    ----------
    table : TrainingTable

    Returns
    -------
    list of str
        Core biomarkers, then the parts of the ADC that differ.

    Raises
    ------
    InputError
        The cohort holds none of the core biomarkers.
    """
    core = [c.name for c in table.schema.columns if c.core]
    if not core:
        raise InputError("none of the core five biomarkers differs between the patients")
    return core + [c.name for c in table.schema.columns if c.source == "adc_profile"]


#: The mandatory baselines; each call gives a new, unfitted one.
BASELINES: tuple[Callable[[], Candidate], ...] = (
    partial(MeanResponse, ("adc",)),
    partial(MeanResponse, ("her2",)),
    partial(MeanResponse, ("adc", "her2")),
    CoreLogistic,
)
