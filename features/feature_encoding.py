"""Patients as a model's columns: the ADC by its parts, levels by their position, everything a double."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.adcs import adcs
from features.columns.coded_column import CodedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from features.adcs import Adc
    from features.feature_schema import FeatureColumn, FeatureSchema

#: Columns that tell whether the ADC carries a payload of the class that their name ends in.
PAYLOAD_PREFIX = "adc_payload_"


def encode(patients: pd.DataFrame, schema: FeatureSchema) -> pd.DataFrame:
    """Patients as the model's columns.

    Parameters
    ----------
    patients : pandas.DataFrame of shape (n_patients, any)
        Canonical columns of a validated cohort in any order; a column of the schema that is absent is missing for
        every patient. `adc` is needed where the schema holds parts of the ADC.
    schema : FeatureSchema

    Returns
    -------
    pandas.DataFrame of shape (n_patients, n_columns)
        float64, columns in schema order, index of `patients`. Missing values, unseen levels, texts where a number
        belongs and the parts of an ADC that the catalogue does not know are NaN.
    """
    table = np.full((len(patients), len(schema.columns)), np.nan)
    for position, column in enumerate(schema.columns):
        if column.source == "adc_profile":
            if "adc" in patients:
                table[:, position] = _by_value(patients["adc"], _profile_reader(column.name))
        elif column.name in patients:
            table[:, position] = _encode_column(patients[column.name], column)
    return pd.DataFrame(table, index=patients.index, columns=list(schema.names))


def encode_columns(columns: Mapping[str, Any], rows: int, schema: FeatureSchema) -> NDArray[np.float64]:
    """Patients of a batch as the model's columns, to the bit as `encode` gives them.

    Parameters
    ----------
    columns : mapping of str to numpy.ndarray or CodedColumn
        By cohort column: numbers as float64, all else coded.
    rows : int
        Number of patients.
    schema : FeatureSchema

    Returns
    -------
    numpy.ndarray of shape (rows, n_columns)
        Column-major.
    """
    matrix = np.full((rows, len(schema.columns)), np.nan, order="F")
    for position, column in enumerate(schema.columns):
        given = columns.get("adc" if column.source == "adc_profile" else column.name)
        if given is None:
            continue
        if column.source == "adc_profile":
            matrix[:, position] = given.lookup(_profile_reader(column.name))
        elif isinstance(given, CodedColumn):
            matrix[:, position] = given.lookup(_level_reader(column))
        else:
            matrix[:, position] = given if column.kind not in ("ordinal", "categorical") else np.nan
    return matrix


def _level_reader(column: FeatureColumn) -> Callable[[str], float]:
    if column.kind in ("ordinal", "categorical"):
        position = {level: float(i) for i, level in enumerate(column.levels)}
        return lambda text: position.get(text, np.nan)
    return _finite_number


def _finite_number(text: str) -> float:
    number = float(pd.to_numeric(pd.Series([text], dtype="str"), errors="coerce").iloc[0])
    return number if np.isfinite(number) else np.nan


def _encode_column(values: pd.Series, column: FeatureColumn) -> NDArray[np.float64]:
    if column.kind in ("ordinal", "categorical"):
        position = {level: float(i) for i, level in enumerate(column.levels)}
        return _by_value(values, lambda value: position.get(value, np.nan))
    if not pd.api.types.is_numeric_dtype(values):
        values = pd.to_numeric(values, errors="coerce")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _by_value(values: pd.Series, read: Callable[[str], float]) -> NDArray[np.float64]:
    """`read` of each distinct text, spread over the rows: one call per level, not per patient."""
    codes, distinct = pd.factorize(values)
    # factorize marks missing with -1, which indexes the NaN at the end
    lookup = np.array([*(read(str(value)) for value in distinct), np.nan])
    return lookup[codes]


def _profile_reader(name: str) -> Callable[[str], float]:
    def read(adc_id: str) -> float:
        adc = adcs().get(adc_id)
        return np.nan if adc is None else _profile_value(adc, name)

    return read


def _profile_value(adc: Adc, name: str) -> float:
    if name.startswith(PAYLOAD_PREFIX):
        return float(adc.payload_class == name.removeprefix(PAYLOAD_PREFIX))
    value = {"adc_linker_cleavable": adc.cleavable, "adc_dar": adc.dar, "adc_bystander": adc.bystander}[name]
    return np.nan if value is None else float(value)
