"""Cohort and ADC profile to model columns: every one a double, with unit, levels and monotone sign.

A schema is built once from the training patients (`build_schema`) and stored in the model bundle; `encode` then turns
any patients into exactly those columns. The ADC enters as its parts (payload class, linker, drug-to-antibody ratio,
bystander effect), never as its name, so that one model covers several ADCs and can be asked about another.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.adcs import adcs
from features.biomarkers import biomarker_of, measures, monotone_sign
from features.cohort import NO_ADC, OUTCOME_COLUMNS, SETTINGS
from features.columns.coded_column import CodedColumn
from features.errors import InputError
from features.faults import listed, shown
from features.feature_schema import FeatureColumn, FeatureSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from features.adcs import Adc
    from features.biomarkers import Route
    from features.cohort import Cohort

__all__ = ["FeatureColumn", "FeatureSchema", "build_schema", "encode", "encode_columns", "left_out_columns"]

#: The model reads a categorical column as one bit per level in 32 bits, of which missing takes one.
MOST_LEVELS = 31
PAYLOAD_PREFIX = "adc_payload_"
#: Why a measure of one value is not learned from.
SAME_VALUE = "the same value in every patient"
#: Payload classes whose id is no words.
PAYLOAD_NAMES = {"topoisomerase1": "topoisomerase I", "alkylator": "alkylating", "immune_agonist": "immune agonist"}


# -- schema ------------------------------------------------------------------------------------------------------


def build_schema(cohort: Cohort, *, extra_features: Sequence[str] = ()) -> FeatureSchema:
    """Columns that a model of this cohort uses.

    Every baseline measure of the catalogue that varies in the cohort, the parts of its ADCs that tell them apart, the
    treatment setting where there are several, and the named extra columns. A column that has one value
    in every patient who has a value tells patients apart in nothing and is left out (`left_out_columns` says so).

    Parameters
    ----------
    cohort : Cohort
        The patients that a model will learn from.
    extra_features : sequence of str, optional
        Columns of the file outside the catalogue: numeric where every value is a number, else categorical. No
        monotone sign is known for them.

    Returns
    -------
    FeatureSchema

    Raises
    ------
    InputError
        An extra column is absent, is an identifier or outcome, has no values, or has too many levels.
    """
    treated = cohort.patients[cohort.patients["adc"] != NO_ADC]
    candidates = [
        *_biomarker_columns(cohort),
        *_profile_columns(treated["adc"]),
        *_context_columns(treated),
        *(_extra_column(cohort, name) for name in extra_features),
    ]
    unique: dict[str, FeatureColumn] = {}
    for column in candidates:
        unique.setdefault(column.name, column)
    encoded = encode(treated, FeatureSchema(tuple(unique.values())))
    varies = encoded.min() < encoded.max()
    kept = [c for c in unique.values() if varies[c.name]]
    return FeatureSchema(_without_twins(kept, encoded))


def _without_twins(columns: list[FeatureColumn], encoded: pd.DataFrame) -> tuple[FeatureColumn, ...]:
    """Drop parts of the ADC that divide the patients exactly as an earlier part does.

    In a cohort of two ADCs every part that differs says the same; several columns for one fact would share its
    contribution between them.
    """
    kept, divisions = [], set()
    for column in columns:
        if column.source == "adc_profile":
            division = pd.factorize(encoded[column.name])[0].tobytes()
            if division in divisions:
                continue
            divisions.add(division)
        kept.append(column)
    return tuple(kept)


def left_out_columns(cohort: Cohort, schema: FeatureSchema) -> dict[str, str]:
    """Measures of the cohort that the schema does not hold, each with the reason.

    Parameters
    ----------
    cohort : Cohort
        The cohort that the schema was built from.
    schema : FeatureSchema

    Returns
    -------
    dict of str to str
        Reason by measure id, in catalogue order.
    """
    reasons = {}
    for name in cohort.measured():
        biomarker = biomarker_of()[name]
        if name in schema.names:
            continue
        if not biomarker.baseline:
            reasons[name] = "acquired under therapy, so no baseline biomarker"
        elif not biomarker.usable:
            reasons[name] = "marked in the catalogue as not safe to use"
        else:
            reasons[name] = SAME_VALUE
    return reasons


def _biomarker_columns(cohort: Cohort) -> list[FeatureColumn]:
    routes = _routes(cohort.patients["adc"])
    columns = []
    for name in cohort.measured():
        biomarker, measure = biomarker_of()[name], measures()[name]
        if not (biomarker.baseline and biomarker.usable):
            continue
        sign = 0 if measure.kind == "categorical" or routes is None else monotone_sign(name, routes)
        columns.append(
            FeatureColumn(
                name=name,
                label=measure.label,
                kind=measure.kind,
                unit=measure.unit,
                source="biomarker",
                levels=measure.levels,
                monotone=1 if sign > 0 else -1 if sign < 0 else 0,
                core=measure.core,
                mechanism_step=biomarker.mechanism_step,
            )
        )
    return columns


def _routes(adc_ids: pd.Series) -> tuple[Route, ...] | None:
    """Routes of the ADCs; None where one has no known route, since then no direction is known for all."""
    routes = set()
    for adc_id in _distinct(adc_ids):
        profile = adcs().get(adc_id)
        if profile is None or profile.route is None:
            return None
        routes.add(profile.route)
    return tuple(sorted(routes)) or None


def _distinct(adc_ids: pd.Series) -> list[str]:
    return sorted(str(a) for a in adc_ids.dropna().unique() if a != NO_ADC)


def _profile_columns(adc_ids: pd.Series) -> list[FeatureColumn]:
    known = [adcs()[a] for a in _distinct(adc_ids) if a in adcs()]
    payloads = [
        FeatureColumn(
            name=f"{PAYLOAD_PREFIX}{payload}",
            label=f"ADC with {PAYLOAD_NAMES.get(payload, payload)} payload",
            kind="binary",
            unit="yes/no",
            source="adc_profile",
            mechanism_step="payload_target",
        )
        for payload in sorted({adc.payload_class for adc in known})
    ]
    return [
        *payloads,
        FeatureColumn(
            "adc_linker_cleavable",
            "Cleavable linker",
            "binary",
            "yes/no",
            "adc_profile",
            mechanism_step="payload_release",
        ),
        FeatureColumn(
            "adc_dar",
            "Drug-to-antibody ratio",
            "numeric",
            "drugs per antibody",
            "adc_profile",
            mechanism_step="payload_release",
        ),
        FeatureColumn(
            "adc_bystander", "Bystander effect", "binary", "yes/no", "adc_profile", mechanism_step="payload_release"
        ),
    ]


def _context_columns(patients: pd.DataFrame) -> list[FeatureColumn]:
    if "setting" not in patients:
        return []
    present = set(patients["setting"].dropna())
    levels = tuple(s for s in SETTINGS if s in present)
    return [FeatureColumn("setting", "Treatment setting", "categorical", "level", "context", levels=levels)]


def _extra_column(cohort: Cohort, name: str) -> FeatureColumn:
    where = f"{cohort.source.name}, column '{name}'"
    if name not in cohort.patients:
        raise InputError(
            "--extra-features names a column that the cohort does not hold.",
            where=where,
            mend=_nearest_columns(name, cohort.unused()),
        )
    if name in {"patient_id", "adc", *OUTCOME_COLUMNS}:
        raise InputError(
            "An identifier or outcome cannot be a feature.", where=where, mend="Leave it out of --extra-features."
        )
    values = cohort.patients[name].dropna()
    if len(values.unique()) < 2:
        raise InputError(
            "The column does not differ between the patients to learn from.",
            where=where,
            mend="Leave it out of --extra-features.",
        )
    if _all_numbers(values):
        return FeatureColumn(name, name, "numeric", "as in the file", "extra")
    levels = tuple(sorted({str(v) for v in values}))
    if len(levels) > MOST_LEVELS:
        raise InputError(
            f"The column has {len(levels)} different texts; a category may have {MOST_LEVELS}.",
            where=where,
            mend="Group its values, write it as a number, or leave it out of --extra-features.",
        )
    return FeatureColumn(name, name, "categorical", "level", "extra", levels=levels)


def _nearest_columns(name: str, unused: tuple[str, ...]) -> str:
    close = get_close_matches(name, unused, n=1)
    if close:
        return f"Did you mean '{shown(close[0])}'?"
    return f"Use {listed(unused, conjunction='or')}." if unused else "The file has no unused columns."


def _all_numbers(values: pd.Series) -> bool:
    return bool(np.isfinite(pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)).all())


# -- encoding ----------------------------------------------------------------------------------------------------


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
