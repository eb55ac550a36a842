"""Several cohorts as one: same columns, same meaning of each value, same reference of each z-score, no patient twice.

What cannot be brought to one meaning is a clash, named with its mend; nothing is settled in silence.

References
----------
Expression is standardised within cohort and platform; the population that a z-score refers to changes its meaning: 0 is
an average tumour of all, or an average HER2-positive tumour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.cohort_writer import writable
from features.column_names import normalise_name
from features.columns.cohort_columns import ORIGIN_COLUMN
from features.errors import InputError
from features.faults import CohortRejectedError, listed
from features.reference_population import (
    POSITIVE,
    references_of,
    restandardised,
    unknown_references,
    unlike_references,
    z_columns,
)
from features.stated_status import stated_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.cohort import Cohort, Fault
    from features.reference_population import Reference, ReferenceChoice
    from features.stated_status import StatedStatus

#: Rows that a clash names before it only counts them.
_NAMED = 5


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
    statuses : dict of str to StatedStatus
        By name of each cohort that states a HER2 status beside its assays.
    notes : tuple of str
        What was changed or left out.
    """

    patients: pd.DataFrame
    names: tuple[str, ...]
    cohorts: tuple[Cohort, ...]
    references: tuple[Reference, ...]
    statuses: dict[str, StatedStatus]
    notes: tuple[str, ...]


def merge_cohorts(
    cohorts: Sequence[Cohort],
    *,
    names: Sequence[str] | None = None,
    stated: Sequence[Mapping[str, str]] | None = None,
    reference: ReferenceChoice = "own",
    prefix_ids: bool = False,
    mixed_origins: bool = False,
) -> Harmonised:
    """Put cohorts together.

    Parameters
    ----------
    cohorts : sequence of Cohort
        At least two, as read.
    names : sequence of str, optional
        What to call each, in the column `cohort` too; by default a file keeps the names it has there, and is called by
        its own name elsewhere.
    stated : sequence of mapping of str to str, optional
        Per cohort: population that z-scores refer to, by column, as its record states it.
    reference : {"own", "her2-positive"}, default "own"
        Population that z-scores refer to: as each cohort has them, or the HER2-positive patients of each cohort, over
        whom they are then standardised anew. A z-score is linear in the measured value, so this loses nothing.
    prefix_ids : bool, default False
        Put the cohort's name before each patient id.
    mixed_origins : bool, default False
        Allow simulated patients beside measured ones.

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
    parts = [
        _part(c, name, relabel=bool(names), prefix_ids=prefix_ids) for c, name in zip(cohorts, called, strict=True)
    ]
    records: Sequence[Mapping[str, str]] = stated or [{}] * len(cohorts)
    clashes = [*_patients_twice(parts, cohorts, called), *_labels_twice(parts, called)]
    if not mixed_origins:
        clashes += _mixed(cohorts, called)
    if reference == "her2-positive":
        parts = [restandardised(part, name, notes) for part, name in zip(parts, called, strict=True)]
        records = [dict.fromkeys(z_columns(part), POSITIVE) for part in parts]
    references = tuple(
        r for part, name, known in zip(parts, called, records, strict=True) for r in references_of(part, name, known)
    )
    clashes += unlike_references(references)
    if clashes:
        raise CohortRejectedError(" + ".join(called), clashes)
    notes += unknown_references(references)
    parts = _apart(parts, cohorts, called, notes)
    return Harmonised(
        patients=_stacked(parts),
        names=called,
        cohorts=tuple(cohorts),
        references=references,
        statuses={name: s for c, name in zip(cohorts, called, strict=True) if (s := stated_status(c)) is not None},
        notes=tuple(notes),
    )


def _stem(name: str) -> str:
    for suffix in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq", ".xlsx"):
        name = name.removesuffix(suffix)
    return name


def _part(cohort: Cohort, name: str, *, relabel: bool, prefix_ids: bool) -> pd.DataFrame:
    patients = writable(cohort)
    given = patients["cohort"].fillna(name) if "cohort" in patients else pd.Series([name] * len(patients), dtype="str")
    if relabel:
        # A file of several cohorts keeps them apart.
        several = len(set(given)) > 1
        given = pd.Series([f"{name}: {label}" if several else name for label in given], dtype="str")
    if prefix_ids:
        patients["patient_id"] = pd.Series([f"{name}:{i}" for i in patients["patient_id"]], dtype="str")
    patients["cohort"] = given
    return patients


def _labels_twice(parts: Sequence[pd.DataFrame], names: Sequence[str]) -> list[Fault]:
    """Find names of cohorts that two files use: what belongs together then cannot be told."""
    found = []
    for i, (first, name) in enumerate(zip(parts, names, strict=True)):
        for second, other in list(zip(parts, names, strict=True))[i + 1 :]:
            shared = sorted(set(first["cohort"]) & set(second["cohort"]))
            if shared:
                found.append(rules.LABEL_TWICE.fault(column="cohort", label=shared[0], first=name, second=other))
    return found


def _mixed(cohorts: Sequence[Cohort], names: Sequence[str]) -> list[Fault]:
    by_kind: dict[str, list[str]] = {}
    for cohort, name in zip(cohorts, names, strict=True):
        by_kind.setdefault(cohort.source.kind, []).append(name)
    if len(by_kind) < 2:
        return []
    told = "; ".join(f"{kind} in {listed(of_kind)}" for kind, of_kind in by_kind.items())
    return [rules.ORIGINS_DIFFER.fault(told=told)]


def _patients_twice(parts: Sequence[pd.DataFrame], cohorts: Sequence[Cohort], names: Sequence[str]) -> list[Fault]:
    found = []
    for i, (first, name) in enumerate(zip(parts, names, strict=True)):
        for j in range(i + 1, len(parts)):
            mine, theirs = (part["patient_id"].str.strip().str.casefold() for part in (first, parts[j]))
            shared = set(mine) & set(theirs)
            if shared:
                here = [cohorts[i].rows[p] for p in np.flatnonzero(mine.isin(shared))]
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
