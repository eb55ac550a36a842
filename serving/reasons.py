"""SHAP contributions as reasons: which biomarker, its value with unit, and how far it moves the log-odds."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema

    Floats = NDArray[np.float64]

#: How a unit is written behind a number; one that is not here is written out.
_UNIT_SIGNS = {
    "percent": "%",
    "z-score": " SD",
    **dict.fromkeys(("copies", "lines", "ratio", "fraction", "score", "H-score", "count", "pH", "as in the file"), ""),
    "drugs per antibody": "",
}


def reason_columns(
    schema: FeatureSchema, encoded: Floats, contributions: Floats, top_reasons: int
) -> dict[str, object]:
    """Write the largest contributions of each patient as reasons.

    Parameters
    ----------
    schema : FeatureSchema
    encoded : numpy.ndarray of shape (n_patients, n_columns)
    contributions : numpy.ndarray of shape (n_patients, n_columns)
        SHAP contributions to the log-odds, without the base value.
    top_reasons : int
        Reasons per patient.

    Returns
    -------
    dict of str to numpy.ndarray of shape (n_patients,)
        `reason_i`, `reason_i_feature`, `reason_i_value` and `reason_i_contribution`, by falling absolute contribution;
        null where fewer columns than that contribute.
    """
    # Stable: of equal contributions the earlier column comes first, on every machine.
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")
    data: dict[str, object] = {}
    for rank in range(top_reasons):
        data |= _reasons_of_rank(schema, encoded, contributions, order, rank)
    return data


def value_text(column: FeatureColumn, value: float) -> str:
    """Value of a model column as the cohort file would hold it, for machines.

    Parameters
    ----------
    column : FeatureColumn
    value : float
        Encoded; NaN is missing.

    Returns
    -------
    str
        The level, "yes" or "no", or the shortest text that gives the number back exactly; "" where missing.
    """
    if math.isnan(value):
        return ""
    if column.levels:
        return column.levels[int(value)]
    if column.kind == "binary":
        return "yes" if value else "no"
    return repr(value).removesuffix(".0")


def reason_text(column: FeatureColumn, value: float, contribution: float) -> str:
    """One reason as a reader meets it.

    Parameters
    ----------
    column : FeatureColumn
    value : float
        Encoded; NaN is missing.
    contribution : float
        To the log-odds of response: above 0 speaks for a response.

    Returns
    -------
    str
        "HER2 IHC score 3+ (+0.82)", "ERBB2 expression -1.3 SD (-0.21)", "p95HER2 positive: not measured (+0.04)".
    """
    return f"{value_in_words(column, value)} ({contribution:+.2f})"


def value_in_words(column: FeatureColumn, value: float) -> str:
    """Column and value as a reader meets them.

    Parameters
    ----------
    column : FeatureColumn
    value : float
        Encoded; NaN is missing.

    Returns
    -------
    str
        "HER2 IHC score 3+", "ERBB2 expression -1.3 SD", "p95HER2 positive: not measured".
    """
    # What stands in brackets behind a label explains its levels, which the value itself shows.
    label = re.sub(r"\s*\([^()]*\)$", "", column.label).replace(": ", " ")
    if math.isnan(value):
        return f"{label}{': not known' if column.source == 'adc_profile' else ': not measured'}"
    return f"{label}{': ' if column.kind == 'binary' else ' '}{value_words(column, value)}"


def value_words(column: FeatureColumn, value: float) -> str:
    """Value of a model column as a reader meets it, with its unit.

    Parameters
    ----------
    column : FeatureColumn
    value : float
        Encoded and not missing.

    Returns
    -------
    str
        "3+", "yes", "-1.3 SD", "12%".
    """
    if column.kind != "numeric":
        return value_text(column, value)
    return (
        f"{_rounded(value, '+' if column.unit == 'z-score' else '')}{_UNIT_SIGNS.get(column.unit, f' {column.unit}')}"
    )


def _rounded(value: float, sign: str) -> str:
    """Three significant digits, whole numbers whole, never an exponent for a size met in patients."""
    if abs(value) >= 1000 or value == int(value):
        return f"{value:{sign}.0f}"
    return f"{value:{sign}.3g}"


def _reasons_of_rank(
    schema: FeatureSchema, encoded: Floats, contributions: Floats, order: NDArray[np.intp], rank: int
) -> dict[str, object]:
    rows = np.arange(len(encoded))
    names: NDArray[np.object_] = np.full(len(rows), None, dtype=object)
    texts, values = names.copy(), names.copy()
    amounts = np.full(len(rows), np.nan)
    if rank < order.shape[1]:
        chosen = order[:, rank]
        amounts = contributions[rows, chosen]
        # A column that moves nothing is no reason.
        amounts[amounts == 0.0] = np.nan
        for row in np.flatnonzero(~np.isnan(amounts)):
            column, value = schema.columns[chosen[row]], float(encoded[row, chosen[row]])
            names[row] = column.name
            values[row] = value_text(column, value)
            texts[row] = reason_text(column, value, float(amounts[row]))
    stem = f"reason_{rank + 1}"
    return {stem: texts, f"{stem}_feature": names, f"{stem}_value": values, f"{stem}_contribution": amounts}
