"""A cohort file with its scores and every column's contribution: what the pages of `adcr explain` are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.errors import InputError
from features.feature_table import encode
from serving.scores import data_origin, score
from serving.scoring_engine import SampleCheck, fastest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.cohort import Cohort
    from features.feature_schema import FeatureSchema
    from training.model_bundle import BundleRecord, ModelBundle

    Floats = NDArray[np.float64]

#: Rows explained at once; bounds the memory.
_ROWS = 8192
#: As many reasons stand in a row of the table as in a score file.
TOP_REASONS = 3


@dataclass(frozen=True)
class ExplainedCohort:
    """Scores of a cohort and what they are made of.

    Attributes
    ----------
    bundle : ModelBundle
    cohort : Cohort
    matrix : numpy.ndarray of shape (n_patients, n_columns)
        Encoded by the model's schema.
    shap : numpy.ndarray of shape (n_patients, n_columns)
        Contributions to the log-odds.
    base : float
        The model's average log-odds; with a row of `shap` it adds up to the patient's log-odds.
    log_odds : numpy.ndarray of shape (n_patients,)
    scores : pandas.DataFrame
        The rows of the score file.
    origin : str
        What is simulated; "" where patients and model are real.
    """

    bundle: ModelBundle
    cohort: Cohort
    matrix: Floats
    shap: Floats
    base: float
    log_odds: Floats
    scores: pd.DataFrame
    origin: str

    @property
    def record(self) -> BundleRecord:
        """The model's record."""
        return self.bundle.record

    @property
    def schema(self) -> FeatureSchema:
        """The model's columns."""
        return self.bundle.record.schema


def explain_patients(bundle: ModelBundle, cohort: Cohort) -> ExplainedCohort:
    """Score the patients of a cohort as `adcr score` does, and keep every contribution.

    Parameters
    ----------
    bundle : ModelBundle
    cohort : Cohort
        Read for scoring.

    Returns
    -------
    ExplainedCohort

    Raises
    ------
    InputError
        No row of the file could be scored.
    """
    if cohort.patients.empty:
        raise InputError(
            "no patient of the file can be scored.",
            where=cohort.source.name,
            mend="'adcr cohort check' tells what to mend.",
        )
    origin = data_origin(bundle, cohort.source.kind)
    engine, _ = fastest(bundle, len(cohort.patients), reasons=True)
    encoded = encode(cohort.patients, bundle.record.schema)
    matrix = np.ascontiguousarray(encoded.to_numpy(dtype=np.float64))
    SampleCheck(bundle, engine, len(matrix), reasons=True)(matrix)
    scores = score(engine, cohort.patients, encoded, top_reasons=TOP_REASONS, origin=origin).table
    parts = [engine.contributions(matrix[start : start + _ROWS]) for start in range(0, len(matrix), _ROWS)]
    shap = np.concatenate(parts)
    return ExplainedCohort(
        bundle=bundle,
        cohort=cohort,
        matrix=matrix,
        shap=shap[:, :-1],
        base=float(shap[0, -1]),
        log_odds=engine.predict_log_odds(matrix),
        scores=scores,
        origin=origin,
    )
