"""Columns of a gene-level matrix found by the samples or patients that they are of, whatever R made of their names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from features.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from features.public.gene_expression import ExpressionMatrix


def places_in_series(matrix: ExpressionMatrix, samples: pd.DataFrame, patient: pd.Series[str]) -> dict[int, int]:
    """Find the columns of a matrix that are samples of a GEO series: by title, accession, or the patient.

    Titles also count without what they all begin with (`ISPY2_`). What names the most columns is followed.

    Parameters
    ----------
    matrix : ExpressionMatrix
    samples : pandas.DataFrame of shape (n_samples, any)
        With `title` and `geo_accession`.
    patient : pandas.Series of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    dict of int to int
        Row of `samples` by position of the column.

    Raises
    ------
    InputError
        No column is a sample.
    """
    best: dict[int, int] = {}
    title = samples.get("title")
    short = None if title is None else _without_prefix([str(t) for t in title])
    for names in (title, short, samples.get("geo_accession"), patient):
        if names is not None:
            rows = {str(name): row for row, name in reversed(list(enumerate(names)))}
            found = {p: rows[name] for p, name in known_columns(matrix.samples, list(rows)).items()}
            best = max(best, found, key=len)
    if not best:
        raise InputError(
            "no column is a sample of the series.", where=matrix.name, mend="Name the gene-level matrix of this series."
        )
    return best


def _without_prefix(titles: list[str]) -> list[str] | None:
    """Titles without what they all begin with, up to its last sign; None where that is nothing."""
    first, last = min(titles), max(titles)
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    shared = re.match(r".*[^A-Za-z0-9]", first[:alike])
    return [title[shared.end() :] for title in titles] if shared else None


def known_columns(columns: Sequence[str], names: Sequence[str]) -> dict[int, str]:
    """Find columns by name: as written, as R writes it, or without signs where that leaves no doubt.

    Parameters
    ----------
    columns : sequence of str
    names : sequence of str
        What columns may be called.

    Returns
    -------
    dict of int to str
        Name by position of the column.
    """
    wanted = {name.strip(): name for name in names}
    by_r, loosely = _unambiguous(names, _r_name), _unambiguous(names, _loose)
    once = Counter(_loose(column) for column in columns)
    found = {}
    for position, column in enumerate(columns):
        name = wanted.get(column.strip()) or by_r.get(column.strip())
        if name is None and once[_loose(column)] == 1:
            name = loosely.get(_loose(column))
        if name is not None:
            found[position] = name
    return found


def _unambiguous(names: Iterable[str], form: object) -> dict[str, str]:
    assert callable(form)
    formed = [(form(name), name) for name in names]
    times = Counter(key for key, _ in formed)
    return {key: name for key, name in formed if times[key] == 1}


def _r_name(name: str) -> str:
    """Name of a column as R's make.names leaves it."""
    dotted = re.sub(r"[^A-Za-z0-9._]", ".", name.strip())
    return dotted if re.match(r"[A-Za-z]|\.(?!\d)", dotted) else f"X{dotted}"


def _loose(name: str) -> str:
    """Name without signs and case, and without the X that R puts before a digit."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^X(?=\d)", "", name.strip()).lower())
