"""The classifier of ADC response for small cohorts: literature, additive effects and cohort trees in one model text.

    log-odds = (1 - c) * (literature and cohort together, `training.primed`) + c * (trees of the cohort alone)

Rounds, the share `c` and the calibration are chosen by held-out predictions on the training patients alone, so that an
outer cross-validation judges the whole procedure. Without a prior only the cohort's trees remain.

The settings of the cohort's trees are those of the lowest log loss against the true probabilities of simulated cohorts
of 50 to 600 patients. What mattered: few leaves, drawing columns and patients for each tree, and `unproven_gain` (0.648
instead of 0.661 with 200 patients). What did not, within noise: a learning rate of 0.03 to 0.1, a ridge of 5 to 20, 3
to 10 bags, and repeats of the inner cross-validation.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import lightgbm
import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from features.feature_schema import FeatureSchema
from training.calibration import recalibrate
from training.cohort_trees import TreeSettings, grow_trees
from training.literature_use import LiteratureUse, steps_kept
from training.one_thread import linear_algebra_on_one_thread
from training.primed import Primed
from training.primed_trees import PrimedTrees, matched_intercept, primed_trees
from training.small_boosters import free_columns
from training.splits import assign_folds
from training.stacking import mixing_weight
from training.tree_text import combine

if TYPE_CHECKING:
    import pandas as pd

    from training.cohort_prior import CohortPrior
    from training.metrics import Floats, Integers


#: The literature's part is already drawn towards the mean by its own uncertainty: with fewer patients of the rarer
#: outcome than this, a slope far from 1 is more often noise than a need (0.623 instead of 0.634 with 100 patients).
FEWEST_FOR_MODERATED_SLOPE = 60


#: Missing values are information; everything is a double.
_ACCEPTED: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan", "order": "C"}


class AdcResponseClassifier(ClassifierMixin, BaseEstimator):
    """Response to an ADC from what the literature expects and what the cohort shows.

    Parameters
    ----------
    schema : FeatureSchema, optional
        Kinds and monotone signs of the columns; without it every column is numeric and free.
    prior : CohortPrior, optional
        What the literature says about this schema's columns (`training.prior.literature_prior().of_cohort`); without
        it the cohort's trees alone are the model.
    leaves : int
        Leaves per tree.
    learning_rate : float
    most_rounds : int
        Upper bound of the number of rounds; the inner cross-validation chooses.
    patience : int
        Rounds without improvement of the inner log loss after which no more are tried.
    inner_folds, inner_repeats : int
        Inner cross-validation, grouped and stratified.
    bags : int
        Boosters of different seeds that are averaged.
    column_share, patient_share : float
        Share of the columns drawn per tree, and of the patients.
    l2 : float
        Ridge penalty on the leaf values.
    unproven_gain : float
        Share of its gain that a biomarker is credited with whose direction the catalogue does not know and which is
        not of the core five: it must explain more before it is believed. Parts of the ADC, the setting and columns
        that the user adds count in full. It concerns the cohort's own trees only.
    seed : int
        Equal seeds give equal models.

    Attributes
    ----------
    model_text_ : str
        One LightGBM model whose raw score is the calibrated log-odds.
    rounds_ : int
        Rounds chosen.
    calibration_ : Calibration
        What was applied to the leaves.
    schema_ : FeatureSchema
        With the monotone signs that the model keeps: those of `schema` but for the contradicted ones.
    literature_ : LiteratureUse or None
        None without a prior.
    """

    def __init__(
        self,
        schema: FeatureSchema | None = None,
        prior: CohortPrior | None = None,
        *,
        leaves: int = 4,
        learning_rate: float = 0.1,
        most_rounds: int = 200,
        patience: int = 30,
        inner_folds: int = 5,
        inner_repeats: int = 1,
        bags: int = 5,
        column_share: float = 0.3,
        patient_share: float = 0.5,
        l2: float = 5.0,
        unproven_gain: float = 0.25,
        seed: int = 0,
    ) -> None:
        self.schema = schema
        self.prior = prior
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.most_rounds = most_rounds
        self.patience = patience
        self.inner_folds = inner_folds
        self.inner_repeats = inner_repeats
        self.bags = bags
        self.column_share = column_share
        self.patient_share = patient_share
        self.l2 = l2
        self.unproven_gain = unproven_gain
        self.seed = seed

    def fit(self, X: pd.DataFrame | Floats, y: Integers, groups: Integers | None = None) -> Self:
        """Choose rounds, shares and calibration by held-out predictions, then fit on all patients.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray of shape (n_patients, n_columns)
            Encoded; NaN is missing.
        y : numpy.ndarray of shape (n_patients,)
            1 responded, 0 did not.
        groups : numpy.ndarray of shape (n_patients,), optional
            Rows that the inner folds keep together.

        Returns
        -------
        AdcResponseClassifier

        Raises
        ------
        ValueError
            There are not both outcomes, or the prior is of other columns.
        """
        matrix, labels = validate_data(self, _plain(X), y, **_ACCEPTED)
        check_classification_targets(labels)
        kind = type_of_target(labels)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_, position = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("the outcome must hold both 0 and 1; it holds one class")
        outcome = np.asarray(position, dtype=np.int64)
        schema = self.schema or FeatureSchema(free_columns(matrix.shape[1]))
        if self.prior is not None and self.prior.schema.names != schema.names:
            raise ValueError("the prior was made for other columns than the schema's")
        folds = self.inner_folds_of(outcome, np.arange(len(outcome)) if groups is None else np.asarray(groups))
        with linear_algebra_on_one_thread():
            if self.prior is None:
                self._fit_cohort_alone(matrix, outcome, folds, schema)
            else:
                self._fit_with_literature(self.prior, matrix, outcome, folds)
        self._booster: Any = lightgbm.Booster(model_str=self.model_text_)
        return self

    def _fit_cohort_alone(self, matrix: Floats, outcome: Integers, folds: Integers, schema: FeatureSchema) -> None:
        grown = grow_trees(matrix, outcome, folds, schema.columns, self.tree_settings())
        self.schema_, self.rounds_ = schema, grown.rounds
        self.literature_: LiteratureUse | None = None
        self.calibration_ = recalibrate(outcome, grown.held_out)
        share = self.calibration_.slope / self.bags
        self.model_text_ = combine(grown.texts, [share] * self.bags, intercept=self.calibration_.intercept)

    def _fit_with_literature(self, prior: CohortPrior, matrix: Floats, outcome: Integers, folds: Integers) -> None:
        expected = prior.trees.parts(matrix)
        primed = Primed(prior, expected, matrix, outcome)
        written = primed_trees(primed, matrix)
        grown = grow_trees(matrix, outcome, folds, written.schema.columns, self.tree_settings())
        share = mixing_weight(outcome, primed.held_out, grown.held_out)
        held_out = (1 - share) * primed.held_out + share * grown.held_out
        self.calibration_ = recalibrate(outcome, held_out, fewest_for_slope=FEWEST_FOR_MODERATED_SLOPE)
        self.schema_, self.rounds_ = written.schema, grown.rounds
        self.literature_ = LiteratureUse(
            primed.literature_share, steps_kept(prior.trees.steps, expected, written.weights), share, written.released
        )
        self.model_text_ = self._joined(prior, primed, written, expected, outcome, grown.texts, share)

    def _joined(
        self,
        prior: CohortPrior,
        primed: Primed,
        written: PrimedTrees,
        expected: Floats,
        outcome: Integers,
        cohort_texts: tuple[str, ...],
        share: float,
    ) -> str:
        """Join the scaled parts into one model text with the calibration inside."""
        slope = self.calibration_.slope
        inner = primed.slope * (expected @ written.weights + written.additive)
        intercept = self.calibration_.intercept + slope * (1 - share) * matched_intercept(inner, outcome)
        scale = slope * (1 - share) * primed.slope
        kept = [(prior.trees.weighted(written.weights), scale)] if written.weights.any() else []
        kept += [(written.text, scale)]
        kept = kept if scale > 0 else []
        if share > 0:
            kept += [(text, slope * share / self.bags) for text in cohort_texts]
        # With a slope of 0 nothing is left but the response rate; a model still needs a tree.
        kept = kept or [(written.text, 0.0)]
        return combine([t for t, _ in kept], [w for _, w in kept], intercept=intercept)

    def decision_function(self, X: pd.DataFrame | Floats) -> Floats:
        """Calibrated log-odds of response.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        check_is_fitted(self, "model_text_")
        matrix = validate_data(self, _plain(X), reset=False, **_ACCEPTED)
        return np.asarray(self._booster.predict(matrix, raw_score=True, num_threads=1))

    def contributions(self, X: pd.DataFrame | Floats) -> Floats:
        """SHAP contributions to the log-odds; the last column is the model's average log-odds.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, n_columns + 1)
            Each row adds up to `decision_function`.
        """
        check_is_fitted(self, "model_text_")
        matrix = validate_data(self, _plain(X), reset=False, **_ACCEPTED)
        return np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=1))

    def predict_proba(self, X: pd.DataFrame | Floats) -> Floats:
        """Probabilities of no response and of response.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, 2)
        """
        probability = expit(self.decision_function(X))
        return np.column_stack([1 - probability, probability])

    def predict(self, X: pd.DataFrame | Floats) -> Integers:
        """Outcome that is the more probable one.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        responds = (self.decision_function(X) > 0).astype(np.int64)
        return np.asarray(self.classes_[responds])

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that values may be missing and that there are two classes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def inner_folds_of(self, outcome: Integers, groups: Integers) -> Integers:
        """Inner folds of some training patients.

        Parameters
        ----------
        outcome : numpy.ndarray of shape (n_patients,)
        groups : numpy.ndarray of shape (n_patients,)
            Rows that a fold keeps together.

        Returns
        -------
        numpy.ndarray of shape (inner_repeats, n_patients)
        """
        if len(np.unique(groups)) < 2:
            # One site: its patients are all there is to choose the rounds by.
            groups = np.arange(len(groups))
        folds = min(self.inner_folds, len(np.unique(groups)))
        return assign_folds(outcome, groups, folds=folds, repeats=self.inner_repeats, seed=self.seed)

    def tree_settings(self) -> TreeSettings:
        """Pick the settings of the cohort's trees from the parameters.

        Returns
        -------
        TreeSettings
        """
        return TreeSettings(**{field.name: getattr(self, field.name) for field in fields(TreeSettings)})


def _plain(X: pd.DataFrame | Floats) -> Any:
    """Give a table without its names: columns are checked against the schema where a cohort is encoded."""
    return X.to_numpy() if hasattr(X, "to_numpy") else X
