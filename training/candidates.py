"""The models judged beside the baselines: the literature alone, the cohort's trees alone, and both together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np

from training.baselines import BASELINES
from training.boosting import AdcResponseClassifier
from training.tuning import TuningPlan, tune

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from training.baselines import Candidate
    from training.cohort_prior import CohortPrior
    from training.training_table import TrainingTable


class LiteratureAlone:
    """The prior as it is: it learns nothing from the cohort, so nothing of it is fitted in a fold.

    Parameters
    ----------
    prior : CohortPrior
    """

    id: str = "prior_alone"
    label: str = "literature alone"
    baseline: bool = False

    def __init__(self, prior: CohortPrior) -> None:
        import lightgbm

        self._booster = lightgbm.Booster(model_str=prior.trees.text)

    def fit(self, table: TrainingTable) -> Self:
        """Do nothing.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        LiteratureAlone
        """
        return self

    def log_odds(self, table: TrainingTable) -> NDArray[np.float64]:
        """Mean log-odds of response over the simulated worlds.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        matrix = np.ascontiguousarray(table.features.to_numpy())
        return np.asarray(self._booster.predict(matrix, raw_score=True, num_threads=1))


class Tuning(msgspec.Struct, frozen=True):
    """Search of tree settings in every training part; `journal` is where broken-off searches go on from."""

    plan: TuningPlan
    journal: Path | None = None


def usual_tuning() -> Tuning:
    """Search as `adcr train --tune` does it, with its journals in the user's cache folder.

    Returns
    -------
    Tuning
    """
    from platformdirs import user_cache_path

    return Tuning(TuningPlan(), user_cache_path("adcr") / "tuning")


class Boosted:
    """The classifier as a candidate: with a prior, or the cohort's trees alone.

    Parameters
    ----------
    seed : int
    prior : CohortPrior, optional
    tuning : Tuning, optional
        Search the settings of the trees inside each training part.
    """

    id: str
    label: str
    baseline: bool = False

    def __init__(self, seed: int = 0, prior: CohortPrior | None = None, tuning: Tuning | None = None) -> None:
        self.seed, self.prior, self.tuning = seed, prior, tuning
        self.id = "lightgbm" if prior is None else "primed"
        self.label = "LightGBM" if prior is None else "literature + LightGBM"
        self.classifier = AdcResponseClassifier()

    def fit(self, table: TrainingTable) -> Self:
        """Fit the classifier to the patients of a table.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        Boosted
        """
        classifier = AdcResponseClassifier(table.schema, self.prior, seed=self.seed)
        if self.tuning is not None:
            matrix = np.ascontiguousarray(table.features.to_numpy())
            folds = classifier.inner_folds_of(table.outcome, table.groups)
            columns = table.schema.columns
            start, plan, journal = classifier.tree_settings(), self.tuning.plan, self.tuning.journal
            found = tune(matrix, table.outcome, folds, columns, start, plan, journal=journal)
            classifier.set_params(**found.settings)
        self.classifier = classifier.fit(table.features, table.outcome, groups=table.groups)
        return self

    def log_odds(self, table: TrainingTable) -> NDArray[np.float64]:
        """Calibrated log-odds of response.

        Parameters
        ----------
        table : TrainingTable

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return np.asarray(self.classifier.decision_function(table.features))


def candidate_makers(
    seed: int, prior: CohortPrior | None, tuning: Tuning | None = None
) -> tuple[Callable[[], Candidate], ...]:
    """Makers of all candidates, the model of the bundle last.

    Parameters
    ----------
    seed : int
    prior : CohortPrior or None
        None leaves the literature out.
    tuning : Tuning, optional

    Returns
    -------
    tuple of callable
    """
    cohort_alone = partial(Boosted, seed, None, tuning)
    if prior is None:
        return (*BASELINES, cohort_alone)
    return (*BASELINES, partial(LiteratureAlone, prior), cohort_alone, partial(Boosted, seed, prior, tuning))
