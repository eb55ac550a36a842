"""Expression from a gene-level matrix: genes in rows, samples in columns, as z-scores over the patients of a cohort."""

from __future__ import annotations

import csv
import io
import re
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.biomarkers import measures
from features.errors import InputError
from features.limits import Limits
from features.tables.packed_file import open_bytes

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX = "_mrna_z"
#: No log2 value of an expression is larger; counts and plain CPM are.
_LARGEST_LOG2 = 50.0
#: A z-score over fewer says nothing.
_FEWEST = 10


def measured_genes() -> dict[str, str]:
    """Give the gene symbols whose expression is a measure of the catalogue.

    Returns
    -------
    dict of str to str
        Measure id by symbol.
    """
    return {m.removesuffix(_SUFFIX).upper(): m for m in measures() if m.endswith(_SUFFIX)}


def read_expression(path: Path, samples: pd.DataFrame, patient: pd.Series[str]) -> pd.DataFrame:
    """Read the catalogue's genes, average a patient's samples, and standardise over the patients.

    Parameters
    ----------
    path : pathlib.Path
        CSV or TSV, packed or not; log2 values; the first column holds gene symbols.
    samples : pandas.DataFrame of shape (n_samples, any)
        With `title` and `geo_accession`, by which the columns of the file are known.
    patient : pandas.Series of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    pandas.DataFrame of shape (n_patients, n_genes)
        z-scores by patient, under the ids of the measures; the reference population is these patients.

    Raises
    ------
    InputError
        No column is a sample, no row a gene of the catalogue, or the values are not on a log scale.
    """
    header, rows = _genes(path)
    known = _known_by(samples)
    places = [(j, known[key]) for j, name in enumerate(header) if (key := _key(name)) in known]
    if not places:
        raise InputError(
            "no column is a sample of the series.", where=path.name, mend="Name the gene-level matrix of this series."
        )
    if not rows:
        raise InputError("no row is a gene of the catalogue.", where=path.name, mend="Rows must be HGNC symbols.")
    of_patient = patient.iloc[[row for _, row in places]].to_numpy()
    values = {m: _numbers([cells[j] for j, _ in places], path) for m, cells in rows.items()}
    table = pd.DataFrame(values).groupby(of_patient, sort=False).mean()
    if np.nanmax(table.to_numpy()) > _LARGEST_LOG2:
        raise InputError(
            "the values are not on a log2 scale.", where=path.name, mend="Name the normalised matrix (log2 CPM or TPM)."
        )
    enough = table.columns[(table.notna().sum() >= _FEWEST) & (table.std() > 0)]
    return ((table[enough] - table[enough].mean()) / table[enough].std()).round(6)


def _genes(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Header without its first cell, and the cells of each gene wanted; of a gene given twice the first counts."""
    wanted = measured_genes()
    delimiter = "," if ".csv" in path.suffixes else "\t"
    rows: dict[str, list[str]] = {}
    try:
        with closing(open_bytes(path, Limits.from_environment())) as stream:
            lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), delimiter=delimiter)
            first = next(lines, [])
            for cells in lines:
                measure = wanted.get(cells[0].strip().upper()) if cells else None
                if measure and measure not in rows:
                    rows[measure] = cells[1:]
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read ({error}).", where=path.name, mend="Download it again.") from error
    width = {len(cells) for cells in rows.values()}
    # R leaves the name of the first column out.
    header = first if width == {len(first)} else first[1:]
    if rows and width != {len(header)}:
        raise InputError("its rows differ in length.", where=path.name, mend="Download it again.")
    return header, rows


def _known_by(samples: pd.DataFrame) -> dict[str, int]:
    found: dict[str, int] = {}
    for column in ("title", "geo_accession"):
        if column in samples:
            for row, name in enumerate(samples[column]):
                found.setdefault(_key(name), row)
    return found


def _key(name: str) -> str:
    """Name of a sample as R and others leave it: an X before a digit, dots for signs."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^X(?=\d)", "", name.strip()).lower())


def _numbers(cells: list[str], path: Path) -> np.ndarray:
    try:
        return np.array([float(c) if c.strip() not in ("", "NA", "NaN") else np.nan for c in cells])
    except ValueError as error:
        raise InputError(f"a value is no number ({error}).", where=path.name, mend="Download it again.") from error
