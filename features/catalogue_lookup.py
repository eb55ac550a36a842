"""Finds a record of the catalogue by any of its names."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from features.adcs import Adc, adcs
from features.biomarkers import Biomarker, biomarkers
from features.column_names import normalise_name
from features.errors import InputError
from features.trials import TrialResult, trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Record: TypeAlias = Biomarker | Adc | TrialResult


def kind_of(record: Record) -> Literal["biomarker", "adc", "trial"]:
    """Part of the catalogue that a record belongs to."""
    if isinstance(record, Biomarker):
        return "biomarker"
    return "adc" if isinstance(record, Adc) else "trial"


def find_records(name: str) -> tuple[Record, ...]:
    """Find the records that go by a name, compared without case, spaces and punctuation.

    The most exact kind of name decides: an id (or any name of an ADC) before a trial or gene, these before a synonym.

    Parameters
    ----------
    name : str
        Id of a biomarker, column or trial result, any name of an ADC, trial, gene symbol, or synonym of a column.

    Returns
    -------
    tuple of Record
        At least one, in catalogue order, all of one part.

    Raises
    ------
    InputError
        Nothing has that name; the nearest names are told.
    """
    key = normalise_name(name)
    for names in _name_tables():
        if key in names:
            return names[key]
    known = dict(_spellings())
    close = [known[match] for match in get_close_matches(key, known, n=3, cutoff=0.6)]
    nearest = " or ".join(f"'{c}'" for c in close)
    mend = f"Did you mean {nearest}?" if close else "'adcr catalogue biomarkers' lists them."
    raise InputError(f"the catalogue has nothing under '{name}'.", mend=mend)


def _names(record: Record) -> tuple[tuple[str, ...], ...]:
    """Names of a record by how exact they are: ids, then groups it belongs to, then synonyms."""
    if isinstance(record, Biomarker):
        synonyms = tuple(name for m in record.measures for name in m.synonyms)
        return (record.id, *(m.id for m in record.measures)), (record.symbol,), (record.label, *synonyms)
    if isinstance(record, Adc):
        return (record.id, record.name, *record.aliases), (), ()
    return (record.id,), (record.trial,), ()


def _records() -> Iterator[Record]:
    yield from biomarkers().values()
    yield from adcs().values()
    yield from trials().values()


def _spellings() -> Iterator[tuple[str, str]]:
    for record in _records():
        for names in _names(record):
            yield from ((normalise_name(name), name) for name in names if name)


@cache
def _name_tables() -> tuple[Mapping[str, tuple[Record, ...]], ...]:
    tables: tuple[dict[str, list[Record]], ...] = ({}, {}, {})
    for record in _records():
        for table, names in zip(tables, _names(record), strict=True):
            for key in dict.fromkeys(normalise_name(name) for name in names if name):
                found = table.setdefault(key, [])
                if not found or kind_of(found[0]) == kind_of(record):
                    found.append(record)
    return tuple({key: tuple(found) for key, found in table.items()} for table in tables)
