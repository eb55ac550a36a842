"""Golden rows: made-up patients and their scores, shipped with a model so that whoever reads it can score them again.

They are drawn between the limits of the training patients, column by column, and are nobody's values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.bundle_schema import GoldenRows
from training.lightgbm_library import lightgbm_alone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema
    from training.bundle_schema import TrainingRange

    Floats = NDArray[np.float64]

#: Rows, the share of their values that is missing, and the digits that are kept of a number.
_ROWS, _MISSING, _DIGITS = 32, 0.15, 4
#: Scores may differ by rounding on another machine; a change of a model is far larger.
TOLERANCE = 1e-9


def golden_rows(schema: FeatureSchema, ranges: Mapping[str, TrainingRange], model_text: str) -> GoldenRows:
    """Draw rows and score them; equal models give equal rows.

    Parameters
    ----------
    schema : FeatureSchema
    ranges : mapping of str to TrainingRange
    model_text : str
        A model that has just been made here, not one that was read.

    Returns
    -------
    GoldenRows
    """
    draw = np.random.default_rng(0)
    columns = [_column(draw, column, ranges.get(column.name)) for column in schema.columns]
    matrix = np.column_stack(columns) if columns else np.empty((_ROWS, 0))
    matrix[draw.random(matrix.shape) < _MISSING] = np.nan
    booster = lightgbm_alone().Booster(model_str=model_text)
    log_odds = booster.predict(matrix, raw_score=True, num_threads=1)
    values = tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in matrix)
    return GoldenRows(values, tuple(map(float, log_odds)))


def golden_matrix(golden: GoldenRows) -> Floats:
    """Rows as the model's input.

    Parameters
    ----------
    golden : GoldenRows

    Returns
    -------
    numpy.ndarray of shape (n_rows, n_columns)
        Missing is NaN.
    """
    return np.array([[np.nan if v is None else v for v in row] for row in golden.values], dtype=np.float64)


def _column(draw: np.random.Generator, column: FeatureColumn, known: TrainingRange | None) -> Floats:
    if column.levels:
        return draw.integers(len(column.levels), size=_ROWS).astype(np.float64)
    if column.kind == "binary":
        return draw.integers(2, size=_ROWS).astype(np.float64)
    low, high = (0.0, 1.0) if known is None else (known.minimum or 0.0, known.maximum or 0.0)
    return np.array([float(f"{v:.{_DIGITS}g}") for v in draw.uniform(min(low, high), max(low, high), _ROWS)])
