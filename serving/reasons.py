"""SHAP contributions as reasons: which biomarker, its value with unit, and how far it moves the log-odds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.number_texts import exact_texts, rounded_text, rounded_texts, signed_texts

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
    rows, ranks = len(encoded), min(order.shape[1], top_reasons)
    # All ranks at once, one behind the other: few steps on many cells.
    chosen = np.ascontiguousarray(order[:, :ranks].T).ravel()
    of_row = np.tile(np.arange(rows), ranks)
    amounts = contributions[of_row, chosen]
    # A column that moves nothing is no reason.
    none = amounts == 0.0
    texts, values = _findings(schema, encoded[of_row, chosen], chosen, amounts)
    names = pa.array(schema.names, type=pa.string()).take(pa.array(chosen, mask=none))
    mask = pa.array(none)
    columns = {
        "": pc.if_else(mask, None, texts),
        "_feature": names,
        "_value": pc.if_else(mask, None, values),
        "_contribution": pa.array(amounts, mask=none),
    }
    return {
        f"reason_{rank + 1}{part}": cells.slice(rank * rows, rows) if rank < ranks else pa.nulls(rows, cells.type)
        for rank in range(top_reasons)
        for part, cells in columns.items()
    }


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
    plus = "+" if column.unit == "z-score" and not np.signbit(value) else ""
    return f"{plus}{rounded_text(value)}{_unit(column)}"


@cache
def _shortened(label: str) -> str:
    # What stands in brackets behind a label explains its levels, which the value itself shows.
    return re.sub(r"\s*\([^()]*\)$", "", label).replace(": ", " ")


def _unit(column: FeatureColumn) -> str:
    return _UNIT_SIGNS.get(column.unit, f" {column.unit}")


def _findings(
    schema: FeatureSchema, values: Floats, chosen: NDArray[np.integer[Any]], amounts: Floats
) -> tuple[Any, Any]:
    """Find the reason and the exact value of one column for each of many cells, as text."""
    words = _words(schema)
    missing = np.isnan(values)
    number = words.numeric[chosen] & ~missing
    state = np.where(missing, words.states[chosen] - 1, values)
    # Before a number stand label and sign, and behind it its unit; a state is one text.
    sign = words.plus[chosen] & ~np.signbit(values)
    place = words.first[chosen] + np.where(number, sign, state).astype(np.int64)
    place[number] += words.states[chosen[number]]
    of_number = np.where(number, np.cumsum(number), 0)
    rounded = pa.concat_arrays([pa.array([""], type=pa.string()), rounded_texts(values[number])])
    signed, written = signed_texts(amounts)
    texts = pc.binary_join_element_wise(
        words.before.take(pa.array(place)),
        rounded.take(pa.array(of_number)),
        words.behind.take(pa.array(np.where(number, chosen, len(schema.columns)))),
        pa.array([f" ({text})" for text in written], type=pa.string()).take(pa.array(signed)),
        "",
    )
    exact = pa.concat_arrays([words.exact, exact_texts(values[number])])
    return texts, exact.take(pa.array(np.where(number, of_number + (len(words.exact) - 1), place)))


@dataclass(frozen=True, eq=False)
class _Words:
    """What is written of a schema's columns, whatever the patients.

    Attributes
    ----------
    numeric, plus : numpy.ndarray of bool, shape (n_columns,)
        Columns of numbers, and those whose numbers bear a sign.
    first, states : numpy.ndarray of int, shape (n_columns,)
        Where a column's texts begin in `before`, and how many states it has, missing being the last one; behind them
        stand what is written before a number without and with a sign.
    before, behind : pyarrow.StringArray
        Texts of states and before numbers; units by column, and "" at the end.
    exact : pyarrow.StringArray
        Beside `before`: the states as the cohort file would hold them.
    """

    numeric: NDArray[np.bool_]
    plus: NDArray[np.bool_]
    first: NDArray[np.int64]
    states: NDArray[np.int64]
    before: Any
    behind: Any
    exact: Any


@lru_cache(maxsize=8)
def _words(schema: FeatureSchema) -> _Words:
    before: list[str] = []
    exact: list[str] = []
    first, states = [], []
    for column in schema.columns:
        number = column.kind == "numeric"
        known = [] if number else [float(level) for level in range(len(column.levels) or 2)]
        values = [*known, math.nan]
        first.append(len(before))
        states.append(len(values))
        before += [finding_text(column, value) for value in values]
        exact += [value_text(column, value) for value in values]
        if number:
            label = _shortened(column.label)
            before += [f"{label} ", f"{label} +"]
            exact += ["", ""]
    kinds = [column.kind == "numeric" for column in schema.columns]
    units = [_unit(column) if number else "" for column, number in zip(schema.columns, kinds, strict=True)]
    return _Words(
        np.array(kinds, dtype=bool),
        np.array([column.unit == "z-score" for column in schema.columns], dtype=bool),
        np.array(first, dtype=np.int64),
        np.array(states, dtype=np.int64),
        pa.array(before, type=pa.string()),
        pa.array([*units, ""], type=pa.string()),
        pa.array(exact, type=pa.string()),
    )
