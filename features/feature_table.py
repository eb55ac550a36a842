"""Cohort and ADC profile to model columns: every one a double, with unit, levels and monotone sign.

A schema is built once from the training patients (`build_schema`) and stored in the model bundle; `encode` then turns
any patients into exactly those columns (`features.feature_encoding`). The ADC enters as its parts (payload class,
linker, drug-to-antibody ratio, bystander effect), never as its name, so that one model covers several ADCs and can be
asked about another.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.adcs import adcs
from features.biomarkers import biomarker_of, measures, monotone_sign
from features.cohort import NO_ADC, OUTCOME_COLUMNS, SETTINGS
from features.errors import InputError
from features.faults import listed, shown
from features.feature_encoding import PAYLOAD_PREFIX, encode, encode_columns
from features.feature_schema import FeatureColumn, FeatureSchema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.biomarkers import Route
    from features.cohort import Cohort

__all__ = [
    "PAYLOAD_PREFIX",
    "FeatureColumn",
    "FeatureSchema",
    "build_schema",
    "encode",
    "encode_columns",
    "left_out_columns",
]

#: The model reads a categorical column as one bit per level in 32 bits, of which missing takes one.
MOST_LEVELS = 31
#: Why a measure of one value is not learned from.
SAME_VALUE = "the same value in every patient"
#: Payload classes whose id is no words.
PAYLOAD_NAMES = {"topoisomerase1": "topoisomerase I", "alkylator": "alkylating", "immune_agonist": "immune agonist"}


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
