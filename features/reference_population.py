"""What a z-score refers to: the population whose mean is 0, which changes what the number means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.biomarkers import measures
from features.faults import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.cohort import Fault

#: Population that z-scores of a merged cohort refer to: each cohort's own, or its HER2-positive patients.
ReferenceChoice = Literal["own", "her2-positive"]
ALL, POSITIVE, MOSTLY_POSITIVE = "all patients", "HER2-positive patients", "mostly HER2-positive patients"
OTHERS, UNKNOWN = "other patients than those of the file", "unknown"
_Z = "_z"
#: From this share of HER2-positive patients on a cohort counts as HER2-positive only, up to this as not selected.
_ONLY_POSITIVE, _UNSELECTED = 0.95, 0.70
#: Mean from which on values cannot be standardised over the patients that have them.
_FAR = 0.5
#: A z-score over fewer patients says nothing.
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """What 0 and 1 of a z-score mean in a cohort.

    Attributes
    ----------
    column, cohort : str
    patients : int
        With a value.
    mean, spread : float
        Of the values as they stand: 0 and 1 where the reference is these patients.
    her2_positive_share : float or None
        Of those with known HER2 status; None where it is known of too few.
    population : str
        "all patients", "HER2-positive patients", "mostly HER2-positive patients", "other patients than those of the
        file" or "unknown".
    """

    column: str
    cohort: str
    patients: int
    mean: float
    spread: float
    her2_positive_share: float | None
    population: str


def z_columns(patients: pd.DataFrame) -> list[str]:
    """Give the z-scores of the catalogue that a cohort holds.

    Parameters
    ----------
    patients : pandas.DataFrame

    Returns
    -------
    list of str
    """
    return [str(c) for c in patients.columns if str(c).endswith(_Z) and c in measures()]


def her2_positive(patients: pd.DataFrame) -> pd.Series[Any]:
    """Tell who is HER2-positive.

    Parameters
    ----------
    patients : pandas.DataFrame
        Canonical columns.

    Returns
    -------
    pandas.Series of float
        1.0, 0.0 or NaN, by status, else by class, else by IHC 3+ against 0 to 1+.
    """
    known = pd.Series(np.nan, index=patients.index)
    if "her2_ihc" in patients:
        by_ihc = {"3+": 1.0, "0": 0.0, "ultralow": 0.0, "1+": 0.0}
        known = patients["her2_ihc"].map(by_ihc).astype("float64")
    if "her2_class" in patients:
        stated = patients["her2_class"]
        known = (stated == "positive").astype("float64").where(stated.notna(), known)
    if "her2_status" in patients:
        known = patients["her2_status"].astype("float64").fillna(known)
    return known


def references_of(patients: pd.DataFrame, cohort: str, stated: Mapping[str, str] | None = None) -> list[Reference]:
    """Tell what each z-score of a cohort refers to: as its record states, else as the patients themselves show it.

    Parameters
    ----------
    patients : pandas.DataFrame
        Canonical columns.
    cohort : str
        Its name.
    stated : mapping of str to str, optional
        Population by column, as the record of an import or a merge has it.

    Returns
    -------
    list of Reference
        One per z-score with any value.
    """
    positive = her2_positive(patients)
    found = []
    for column in z_columns(patients):
        values = pd.to_numeric(patients[column], errors="coerce")
        with_value = values.notna()
        if not with_value.any():
            continue
        known = positive[with_value].dropna()
        share = float(known.mean()) if len(known) >= max(FEWEST, 0.5 * int(with_value.sum())) else None
        spread = float(values.std()) if with_value.sum() > 1 else 0.0
        mean = float(values.mean())
        population = (stated or {}).get(column) or _population(share, mean)
        found.append(Reference(column, cohort, int(with_value.sum()), mean, spread, share, population))
    return found


def _population(share: float | None, mean: float) -> str:
    if abs(mean) > _FAR:
        return OTHERS
    if share is None:
        return UNKNOWN
    if share >= _ONLY_POSITIVE:
        return POSITIVE
    return ALL if share <= _UNSELECTED else MOSTLY_POSITIVE


def restandardised(patients: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
    """Standardise every z-score anew over the HER2-positive patients of each cohort.

    Parameters
    ----------
    patients : pandas.DataFrame
        With the column `cohort`.
    name : str
        What to call the file in notes.
    notes : list of str
        What was changed or left out is added.

    Returns
    -------
    pandas.DataFrame
    """
    positive = her2_positive(patients) == 1.0
    changed = patients.copy()
    for column in z_columns(patients):
        for label, own in patients.groupby("cohort", sort=False).groups.items():
            told = name if label == name else f"{name} ({label})"
            values = pd.to_numeric(patients.loc[own, column], errors="coerce")
            of_reference = values[positive[own] & values.notna()]
            if len(of_reference) < FEWEST or not of_reference.std() > 0:
                if values.notna().any():
                    why = f"fewer than {FEWEST} HER2-positive patients have a value to standardise over"
                    notes.append(f"{told}: {column} left out, because {why}.")
                changed.loc[own, column] = np.nan
                continue
            changed.loc[own, column] = ((values - of_reference.mean()) / of_reference.std()).round(6)
            notes.append(f"{told}: {column} standardised over its {len(of_reference)} HER2-positive patients.")
    return changed


def unlike_references(references: Sequence[Reference]) -> list[Fault]:
    """Find z-scores that mean different things in different cohorts.

    Parameters
    ----------
    references : sequence of Reference

    Returns
    -------
    list of Fault
        One per column.
    """
    found = []
    for column in dict.fromkeys(r.column for r in references):
        by_population: dict[str, list[str]] = {}
        for r in references:
            if r.column == column and r.population != UNKNOWN:
                by_population.setdefault(r.population, []).append(r.cohort)
        if len(by_population) > 1 or (OTHERS in by_population and len(by_population[OTHERS]) > 1):
            told = "; ".join(f"{population} in {listed(names)}" for population, names in by_population.items())
            found.append(rules.REFERENCES_DIFFER.fault(column=column, told=told))
    return found


def unknown_references(references: Sequence[Reference]) -> list[str]:
    """Say which z-scores nobody can compare, for want of HER2 status.

    Parameters
    ----------
    references : sequence of Reference

    Returns
    -------
    list of str
    """
    several = {c for c in (r.column for r in references) if sum(r.column == c for r in references) > 1}
    return [
        f"{r.cohort}: whom {r.column} refers to is not known (HER2 status of too few); compare it with care."
        for r in references
        if r.population == UNKNOWN and r.column in several
    ]
