"""Several cohorts as one: same columns, same meaning of each value, same reference of each z-score, no patient twice.

What cannot be brought to one meaning is a clash, named with its mend; nothing is settled in silence.

References
----------
Expression is standardised within cohort and platform; the population that a z-score refers to changes its meaning: 0 is
an average tumour of all, or an average HER2-positive tumour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.cohort_writer import writable
from features.column_names import normalise_name
from features.columns.cohort_columns import ORIGIN_COLUMN
from features.errors import InputError
from features.faults import CohortRejectedError, listed
from features.her2_status import her2_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.cohort import Cohort, Fault

#: Population that z-scores of a merged cohort refer to: each cohort's own, or its HER2-positive patients.
ReferenceChoice = Literal["own", "her2-positive"]
STANDARDISED_ANEW = "HER2-positive patients of the cohort"
_Z = "_z"
#: From this share of HER2-positive patients on a cohort counts as HER2-positive only, up to this as not selected.
_ONLY_POSITIVE, _UNSELECTED = 0.95, 0.70
#: A z-score over fewer patients says nothing.
_FEWEST = 10
#: Rows that a clash names before it only counts them.
_NAMED = 5


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
        "all patients", "HER2-positive patients only", "mostly HER2-positive patients" or "unknown"; where it was
        standardised anew, "HER2-positive patients of the cohort".
    """

    column: str
    cohort: str
    patients: int
    mean: float
    spread: float
    her2_positive_share: float | None
    population: str


@dataclass(frozen=True, slots=True)
class StatedStatus:
    """HER2 status as a cohort states it, beside what IHC and ISH give by ASCO/CAP.

    Attributes
    ----------
    cohort : str
    both : int
        Patients with a stated status and one that can be computed.
    agree : int
    stated_positive, computed_positive : int
        Of those that disagree, positive as stated, and as computed.
    """

    cohort: str
    both: int
    agree: int
    stated_positive: int
    computed_positive: int


@dataclass(frozen=True)
class Harmonised:
    """Merged cohorts.

    Attributes
    ----------
    patients : pandas.DataFrame
        Rows of every cohort, in order, as a cohort file holds them.
    names : tuple of str
        Name of each cohort.
    cohorts : tuple of Cohort
    references : tuple of Reference
        Of each z-score in each cohort, as merged.
    statuses : tuple of StatedStatus
    notes : tuple of str
        What was changed or left out.
    """

    patients: pd.DataFrame
    names: tuple[str, ...]
    cohorts: tuple[Cohort, ...]
    references: tuple[Reference, ...]
    statuses: tuple[StatedStatus, ...]
    notes: tuple[str, ...]


def merge_cohorts(
    cohorts: Sequence[Cohort],
    *,
    names: Sequence[str] | None = None,
    reference: ReferenceChoice = "own",
    prefix_ids: bool = False,
) -> Harmonised:
    """Put cohorts together.

    Parameters
    ----------
    cohorts : sequence of Cohort
        At least two, as read.
    names : sequence of str, optional
        What to call each; the file's name without suffix by default. Fills the column `cohort` where it is empty.
    reference : {"own", "her2-positive"}, default "own"
        Population that z-scores refer to: as each cohort has them, or the HER2-positive patients of each cohort, over
        whom they are then standardised anew. A z-score is linear in the measured value, so this loses nothing.
    prefix_ids : bool, default False
        Put the cohort's name before each patient id.

    Returns
    -------
    Harmonised

    Raises
    ------
    CohortRejectedError
        The cohorts clash: tells every clash at once.
    InputError
        Fewer than two cohorts, or two of one name.
    """
    called = tuple(names) if names else tuple(_stem(c.source.name) for c in cohorts)
    if len(cohorts) < 2 or len(called) != len(cohorts) or len(set(called)) < len(called):
        raise InputError(
            "a merge needs at least two cohorts, each with a name of its own.",
            where="adcr cohort merge",
            mend="Name them with --name, one per file.",
        )
    notes: list[str] = []
    parts = [_part(c, name, prefix_ids=prefix_ids) for c, name in zip(cohorts, called, strict=True)]
    if reference == "her2-positive":
        parts = [_restandardised(part, name, notes) for part, name in zip(parts, called, strict=True)]
    references = tuple(r for part, name in zip(parts, called, strict=True) for r in references_of(part, name))
    clashes = _patients_twice(parts, cohorts, called)
    if reference == "own":
        clashes += _unlike_references(references)
    else:
        references = tuple(replace(r, population=STANDARDISED_ANEW) for r in references)
    if clashes:
        raise CohortRejectedError(" + ".join(called), clashes)
    parts = _apart(parts, cohorts, called, notes)
    return Harmonised(
        patients=_stacked(parts),
        names=called,
        cohorts=tuple(cohorts),
        references=references,
        statuses=tuple(s for c, name in zip(cohorts, called, strict=True) if (s := stated_status(c, name)) is not None),
        notes=tuple(notes),
    )


def _stem(name: str) -> str:
    for suffix in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq", ".xlsx"):
        name = name.removesuffix(suffix)
    return name


def _part(cohort: Cohort, name: str, *, prefix_ids: bool) -> pd.DataFrame:
    patients = writable(cohort)
    given = patients.get("cohort")
    filled = pd.Series([name] * len(patients), dtype="str")
    label = filled if given is None else given.fillna(name)
    if prefix_ids:
        patients["patient_id"] = pd.Series([f"{name}:{i}" for i in patients["patient_id"]], dtype="str")
    patients["cohort"] = label
    return patients


# -- reference populations ----------------------------------------------------------------------------------------


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


def references_of(patients: pd.DataFrame, cohort: str) -> list[Reference]:
    """Tell what each z-score of a cohort refers to, as far as the patients themselves show it.

    Parameters
    ----------
    patients : pandas.DataFrame
        Canonical columns.
    cohort : str
        Its name.

    Returns
    -------
    list of Reference
        One per z-score with any value.
    """
    positive = her2_positive(patients)
    found = []
    for column in (str(c) for c in patients.columns if str(c).endswith(_Z)):
        values = pd.to_numeric(patients[column], errors="coerce")
        with_value = values.notna()
        if not with_value.any():
            continue
        known = positive[with_value].dropna()
        share = float(known.mean()) if len(known) >= max(_FEWEST, 0.5 * int(with_value.sum())) else None
        spread = float(values.std()) if with_value.sum() > 1 else 0.0
        found.append(
            Reference(column, cohort, int(with_value.sum()), float(values.mean()), spread, share, _population(share))
        )
    return found


def _population(share: float | None) -> str:
    if share is None:
        return "unknown"
    if share >= _ONLY_POSITIVE:
        return "HER2-positive patients only"
    return "all patients" if share <= _UNSELECTED else "mostly HER2-positive patients"


def _restandardised(patients: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
    positive = her2_positive(patients) == 1.0
    changed = patients.copy()
    for column in [str(c) for c in patients.columns if str(c).endswith(_Z)]:
        values = pd.to_numeric(patients[column], errors="coerce")
        of_reference = values[positive & values.notna()]
        if len(of_reference) < _FEWEST or not of_reference.std() > 0:
            changed[column] = np.nan
            notes.append(
                f"{name}: {column} left out, because fewer than {_FEWEST} HER2-positive patients have a value to "
                "standardise over."
            )
            continue
        changed[column] = ((values - of_reference.mean()) / of_reference.std()).round(6)
        notes.append(f"{name}: {column} standardised over its {len(of_reference)} HER2-positive patients.")
    return changed


def _unlike_references(references: Sequence[Reference]) -> list[Fault]:
    found = []
    for column in dict.fromkeys(r.column for r in references):
        by_population: dict[str, list[str]] = {}
        for r in references:
            if r.column == column and r.population != "unknown":
                by_population.setdefault(r.population, []).append(r.cohort)
        if len(by_population) > 1 and "HER2-positive patients only" in by_population:
            told = "; ".join(f"{population} in {listed(names)}" for population, names in by_population.items())
            found.append(rules.REFERENCES_DIFFER.fault(column=column, told=told))
    return found


# -- patients and columns -----------------------------------------------------------------------------------------


def _patients_twice(parts: Sequence[pd.DataFrame], cohorts: Sequence[Cohort], names: Sequence[str]) -> list[Fault]:
    found = []
    for i, (first, name) in enumerate(zip(parts, names, strict=True)):
        for j in range(i + 1, len(parts)):
            shared = set(first["patient_id"]) & set(parts[j]["patient_id"])
            if shared:
                here = [cohorts[i].rows[p] for p in np.flatnonzero(first["patient_id"].isin(shared))]
                rows = ", ".join(map(str, here[:_NAMED])) + (" ..." if len(here) > _NAMED else "")
                found.append(rules.PATIENT_TWICE.fault(number=len(shared), first=name, rows=rows, second=names[j]))
    return found


def _apart(
    parts: Sequence[pd.DataFrame], cohorts: Sequence[Cohort], names: Sequence[str], notes: list[str]
) -> list[pd.DataFrame]:
    """Unused columns that differ only in case or signs would be one column to a reader: these get the cohort's name."""
    spelt: dict[str, set[str]] = {}
    for part in parts:
        for column in map(str, part.columns):
            spelt.setdefault(normalise_name(column), set()).add(column)
    found = []
    for part, cohort, name in zip(parts, cohorts, names, strict=True):
        known = {c.column_id for c in cohort.columns}
        changed = {
            column: f"{name} {column}"
            for column in map(str, part.columns)
            if column not in known and column != ORIGIN_COLUMN and len(spelt[normalise_name(column)]) > 1
        }
        if changed:
            told = listed(sorted(changed), most=_NAMED)
            notes.append(f"{name}: unused columns spelt otherwise elsewhere now bear its name: {told}.")
        found.append(part.rename(columns=changed))
    return found


def _stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    order = _column_order(parts)
    together = pd.concat([part.reindex(columns=order) for part in parts], ignore_index=True)
    for column in order:
        holders = [part[column] for part in parts if column in part]
        if any(isinstance(held.dtype, pd.StringDtype) for held in holders):
            together[column] = together[column].astype("str").where(together[column].notna())
        else:
            together[column] = together[column].astype("float64")
    return together


def _column_order(parts: Sequence[pd.DataFrame]) -> list[str]:
    """Known columns in the order of a cohort file, then the others as they are met."""
    from features.columns.cohort_columns import column_notes

    met = dict.fromkeys(str(c) for part in parts for c in part.columns)
    known = [note.column for note in column_notes() if note.column in met]
    return [*known, *(c for c in met if c not in set(known))]


def stated_status(cohort: Cohort, name: str) -> StatedStatus | None:
    """Compare the HER2 status that a cohort states with what its assays give.

    Parameters
    ----------
    cohort : Cohort
    name : str

    Returns
    -------
    StatedStatus or None
        None where it states none, or has no assay to compute it from.
    """
    stated_as = {c.column_id: c.how for c in cohort.columns}
    patients = cohort.patients
    if stated_as.get("her2_status", "derived") == "derived" or not {"her2_ihc", "her2_ish_ratio"} & set(patients):
        return None
    empty = pd.Series(np.nan, index=patients.index)
    ihc = patients.get("her2_ihc", empty.astype(object))
    computed = her2_status(
        ihc.astype(object).where(ihc.notna(), None).to_numpy(),
        patients.get("her2_ish_ratio", empty).to_numpy(),
        patients.get("erbb2_copy_number", empty).to_numpy(),
        patients.get("her2_ish_positive", empty).to_numpy(),
    )
    stated = patients["her2_status"].to_numpy()
    both = ~np.isnan(computed) & ~np.isnan(stated)
    differ = both & (computed != stated)
    return StatedStatus(
        cohort=name,
        both=int(both.sum()),
        agree=int(both.sum() - differ.sum()),
        stated_positive=int((differ & (stated == 1.0)).sum()),
        computed_positive=int((differ & (computed == 1.0)).sum()),
    )


def origins(harmonised: Harmonised) -> tuple[str, ...]:
    """Give the marks of origin among the merged patients.

    Parameters
    ----------
    harmonised : Harmonised

    Returns
    -------
    tuple of str
    """
    return tuple(sorted(set(harmonised.patients[ORIGIN_COLUMN].dropna())))
