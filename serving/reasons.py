"""SHAP contributions as reasons: which biomarker, its value with unit, and how far it moves the log-odds."""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.number_texts import exact_texts, rounded_texts, signed_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema

    Floats = NDArray[np.float64]

#: Findings of one column that are kept in memory.
_REMEMBERED = 8192
#: How a unit is written behind a number; one that is not here is written out.
_UNIT_SIGNS = {
    "percent": "%",
    "z-score": " SD",
    **dict.fromkeys(("copies", "lines", "ratio", "fraction", "score", "H-score", "count", "pH", "as in the file"), ""),
    "drugs per antibody": "",
}


def reason_columns(
    schema: FeatureSchema, encoded: Floats, contributions: Floats, order: NDArray[np.integer[Any]], top_reasons: int
) -> dict[str, Any]:
    """Write the largest contributions of each patient as reasons.

    Parameters
    ----------
    schema : FeatureSchema
    encoded : numpy.ndarray of shape (n_patients, n_columns)
    contributions : numpy.ndarray of shape (n_patients, n_columns or more)
        SHAP contributions to the log-odds.
    order : numpy.ndarray of int, shape (n_patients, n_reasons)
        Columns of the largest contributions, the largest first, as `largest` gives them.
    top_reasons : int
        Reasons per patient; where there are fewer columns than that, the others are null.

    Returns
    -------
    dict of str to pyarrow.Array of n_patients
        `reason_i`, `reason_i_feature`, `reason_i_value` and `reason_i_contribution`, by falling absolute contribution;
        null where fewer columns than that contribute.
    """
    data: dict[str, Any] = {}
    for rank in range(top_reasons):
        data |= _reasons_of_rank(schema, encoded, contributions, order, rank)
    return data


def largest(contributions: Floats, count: int) -> NDArray[np.intp]:
    """Columns of the largest absolute contributions, the largest first; of equal ones the earlier column first.

    Parameters
    ----------
    contributions : numpy.ndarray of shape (n_patients, n_columns)
    count : int

    Returns
    -------
    numpy.ndarray of int, shape (n_patients, count)
        Fewer columns where the model has fewer.
    """
    return np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]


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
    return f"{finding_text(column, value)} ({contribution:+.2f})"


def finding_text(column: FeatureColumn, value: float) -> str:
    """Write a reason without its contribution: what was measured, and what was found.

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
    label = _shortened(column.label)
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


@cache
def _shortened(label: str) -> str:
    # What stands in brackets behind a label explains its levels, which the value itself shows.
    return re.sub(r"\s*\([^()]*\)$", "", label).replace(": ", " ")


def _rounded(value: float, sign: str) -> str:
    """Three significant digits, whole numbers whole, never an exponent for a size met in patients."""
    if abs(value) >= 1000 or value == int(value):
        return f"{value:{sign}.0f}"
    return f"{value:{sign}.3g}"


def _reasons_of_rank(
    schema: FeatureSchema, encoded: Floats, contributions: Floats, order: NDArray[np.integer[Any]], rank: int
) -> dict[str, Any]:
    rows = len(encoded)
    stem = f"reason_{rank + 1}"
    texts = pa.nulls(rows, pa.string())
    if rank >= order.shape[1] or not rows:
        return {
            stem: texts,
            f"{stem}_feature": texts,
            f"{stem}_value": texts,
            f"{stem}_contribution": pa.nulls(rows, pa.float64()),
        }
    chosen = order[:, rank]
    amounts = contributions[np.arange(rows), chosen]
    # A column that moves nothing is no reason.
    none = amounts == 0.0
    findings, values = _findings(schema, encoded, chosen, none)
    signed, written = signed_texts(amounts)
    suffixes = pa.array([f" ({text})" for text in written], type=pa.string()).take(pa.array(signed))
    names = pa.array(schema.names, type=pa.string())
    return {
        stem: pc.binary_join_element_wise(findings, suffixes, ""),
        f"{stem}_feature": names.take(pa.array(chosen, mask=none)),
        f"{stem}_value": values,
        f"{stem}_contribution": pa.array(amounts, mask=none),
    }


def _findings(
    schema: FeatureSchema, encoded: Floats, chosen: NDArray[np.integer[Any]], none: NDArray[np.bool_]
) -> tuple[Any, Any]:
    """Find the finding and the value of one chosen column for each row."""
    findings: list[str] = []
    values: list[Any] = []
    at_finding, at_value = np.zeros(len(chosen), dtype=np.int64), np.zeros(len(chosen), dtype=np.int64)
    by_column = np.argsort(chosen, kind="stable")
    bounds = np.searchsorted(chosen[by_column], np.arange(len(schema.columns) + 1))
    value_count = 0
    for j, column in enumerate(schema.columns):
        rows = by_column[bounds[j] : bounds[j + 1]]
        rows = rows[~none[rows]]
        if not len(rows):
            continue
        here, texts, exact = _column_texts(column, encoded[rows, j])
        at_finding[rows] = here + len(findings)
        findings += texts
        at_value[rows] = (np.arange(len(rows)) if column.kind == "numeric" else here) + value_count
        values.append(exact)
        value_count += len(exact)
    every = pa.concat_arrays(values) if values else pa.array([""], type=pa.string())
    found = pa.array(findings or [""], type=pa.string())
    return found.take(pa.array(at_finding, mask=none)), every.take(pa.array(at_value, mask=none))


def _column_texts(column: FeatureColumn, values: Floats) -> tuple[NDArray[np.int64], list[str], Any]:
    """Which finding each value is, the findings, and the exact values: one each for numbers, else one per finding."""
    if column.kind != "numeric":
        states = [*range(max(len(column.levels), 2)), np.nan]
        here = np.where(np.isnan(values), len(states) - 1, values).astype(np.int64)
        known = [float(s) for s in states]
        exact = pa.array([value_text(column, v) if _is_state(column, v) else "" for v in known], type=pa.string())
        return here, [finding_text(column, v) if _is_state(column, v) else "" for v in known], exact
    missing = np.isnan(values)
    codes, texts = rounded_texts(values[~missing], _writer(column))
    here = np.full(len(values), len(texts))
    here[~missing] = codes
    exact = exact_texts(values)
    if missing.any():
        exact = pc.if_else(pa.array(missing), "", exact)
    return here, [*texts, finding_text(column, np.nan)], exact


@cache
def _writer(column: FeatureColumn) -> Callable[[float], str]:
    """Writer of a column's findings that remembers the last ones: batches of one file repeat each other."""
    return lru_cache(_REMEMBERED)(lambda value: finding_text(column, value))


def _is_state(column: FeatureColumn, value: float) -> bool:
    return math.isnan(value) or not column.levels or value < len(column.levels)
