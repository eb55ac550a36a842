"""Expression from a gene-level matrix: genes in rows, samples in columns, as z-scores over the patients of a cohort."""

from __future__ import annotations

import csv
import io
import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from features.biomarkers import measures
from features.errors import InputError
from features.limits import Limits
from features.tables.packed_file import open_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Scale that the values of a matrix are on; linear ones are taken to log2(1 + x).
Scale = Literal["log2", "linear"]
SCALES: tuple[Scale, ...] = ("log2", "linear")
_SUFFIX = "_mrna_z"
#: No log2 value of an expression is larger; counts and plain TPM or RSEM are.
LARGEST_LOG2 = 50.0
#: A z-score over fewer says nothing.
_FEWEST = 10
#: TCGA barcode of an aliquot: the patient, then the sample's type (01 primary tumour, 06 metastasis, 11 normal tissue).
_BARCODE = re.compile(r"^(TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})-(\d{2})", re.IGNORECASE)
_FIRST_NORMAL_TYPE = 10
#: Cells without a value.
_MISSING = ("", "NA", "NaN", "null")


@dataclass(frozen=True)
class ExpressionMatrix:
    """The catalogue's genes of a gene-level matrix.

    Attributes
    ----------
    name : str
        Name of the file, for messages.
    samples : tuple of str
        Names of the columns.
    genes : dict of str to numpy.ndarray of shape (n_samples,)
        By measure, as written; NaN missing.
    """

    name: str
    samples: tuple[str, ...]
    genes: dict[str, NDArray[np.float64]]


def measured_genes() -> dict[str, str]:
    """Give the gene symbols whose expression is a measure of the catalogue.

    Returns
    -------
    dict of str to str
        Measure id by symbol.
    """
    return {m.removesuffix(_SUFFIX).upper(): m for m in measures() if m.endswith(_SUFFIX)}


def read_matrix(path: Path) -> ExpressionMatrix:
    """Read the catalogue's genes of a matrix; of a gene given twice the first row counts.

    Parameters
    ----------
    path : pathlib.Path
        CSV or TSV, packed or not. The first column holds gene symbols, also as SYMBOL|ENTREZ; other columns that are no
        samples (Entrez ids, cytobands) do no harm.

    Returns
    -------
    ExpressionMatrix

    Raises
    ------
    InputError
        The file is cut off or ragged, no row is a gene of the catalogue, or a value is no number.
    """
    header, rows = _genes(path)
    if not rows:
        raise InputError("no row is a gene of the catalogue.", where=path.name, mend="Rows must be HGNC symbols.")
    # A column without a single number describes the genes: Entrez ids may stay, no patient is called so.
    kept = [p for p in range(len(header)) if any(_is_number(cells[p]) for cells in rows.values())]
    values = {measure: _numbers([cells[p] for p in kept], path) for measure, cells in rows.items()}
    return ExpressionMatrix(path.name, tuple(header[p] for p in kept), values)


def z_scores(
    matrix: ExpressionMatrix, patient_of: Mapping[int, str], scale: Scale = "log2", *, as_they_are: bool = False
) -> pd.DataFrame:
    """Average the samples of a patient, and standardise each gene over the patients.

    Parameters
    ----------
    matrix : ExpressionMatrix
    patient_of : mapping of int to str
        Patient of each column of the matrix that counts: the reference population.
    scale : {"log2", "linear"}
    as_they_are : bool, default False
        The values are z-scores already.

    Returns
    -------
    pandas.DataFrame of shape (n_patients, n_genes)
        Under the ids of the measures; without genes that have no spread or fewer than 10 values.

    Raises
    ------
    InputError
        The values are not on the scale.
    """
    columns = np.array(sorted(patient_of))
    of_patient = [patient_of[int(j)] for j in columns]
    chosen = pd.DataFrame({m: v[columns] for m, v in matrix.genes.items()})
    if not as_they_are:
        chosen = _logged(chosen, scale, matrix.name)
    table = chosen.groupby(np.array(of_patient, dtype=object), sort=False).mean()
    enough = table.columns[(table.notna().sum() >= (1 if as_they_are else _FEWEST)) & (table.std() > 0)]
    kept = table[enough]
    return kept.round(6) if as_they_are else ((kept - kept.mean()) / kept.std()).round(6)


def _logged(values: pd.DataFrame, scale: Scale, name: str) -> pd.DataFrame:
    if scale == "linear":
        if (values < 0).any(axis=None):
            raise InputError(
                "a value is below 0, so the values are not linear.", where=name, mend="Use --expression-scale log2."
            )
        return pd.DataFrame(np.log2(values + 1.0))
    if values.max().max() > LARGEST_LOG2:
        raise InputError(
            "the values are not on a log2 scale.",
            where=name,
            mend="Name the normalised matrix (log2 CPM or TPM), or use --expression-scale linear for TPM or RSEM.",
        )
    return values


def read_expression(path: Path, samples: pd.DataFrame, patient: pd.Series[str], scale: Scale = "log2") -> pd.DataFrame:
    """Read the catalogue's genes of a GEO series, average a patient's samples, and standardise over the patients.

    Parameters
    ----------
    path : pathlib.Path
        Gene-level matrix, as for `read_matrix`.
    samples : pandas.DataFrame of shape (n_samples, any)
        With `title` and `geo_accession`, by which the columns of the file are known.
    patient : pandas.Series of shape (n_samples,)
        Patient of each sample.
    scale : {"log2", "linear"}

    Returns
    -------
    pandas.DataFrame of shape (n_patients, n_genes)
        z-scores by patient, under the ids of the measures; the reference population is these patients.

    Raises
    ------
    InputError
        No column is a sample, no row a gene of the catalogue, or the values are not on the scale.
    """
    matrix = read_matrix(path)
    known = _known_by(samples)
    by_patient = patient.reset_index(drop=True)
    places = {j: by_patient[known[key]] for j, name in enumerate(matrix.samples) if (key := _key(name)) in known}
    # The gene-level file of a series may name its columns by the patient.
    places = places or samples_of_patients(matrix, list(dict.fromkeys(by_patient)))
    if not places:
        raise InputError(
            "no column is a sample of the series.", where=path.name, mend="Name the gene-level matrix of this series."
        )
    return z_scores(matrix, places, scale)


def samples_of_patients(matrix: ExpressionMatrix, patients: Sequence[str]) -> dict[int, str]:
    """Find the columns of a matrix that are samples of given patients.

    A column is known by the patient's id, whatever R made of its signs, or by a TCGA barcode: of those, primary tumours
    go before other tumours, and normal tissue is left out.

    Parameters
    ----------
    matrix : ExpressionMatrix
    patients : sequence of str

    Returns
    -------
    dict of int to str
        Patient by position of the column; empty where none is known.
    """
    known = {_key(patient): patient for patient in patients}
    found: dict[int, str] = {}
    kind: dict[str, int] = {}
    for position, name in enumerate(matrix.samples):
        barcode = _BARCODE.match(name.strip().replace(".", "-"))
        if barcode is None or _key(name) in known:
            if _key(name) in known:
                found[position] = known[_key(name)]
            continue
        patient, tissue = known.get(_key(barcode[1])), int(barcode[2])
        if patient is None or tissue >= _FIRST_NORMAL_TYPE or kind.get(patient, tissue) < tissue:
            continue
        if kind.get(patient, tissue) > tissue:
            found = {p: other for p, other in found.items() if other != patient}
        kind[patient] = tissue
        found[position] = patient
    return found


def _genes(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Header without its first cell, and the cells of each gene wanted."""
    wanted = measured_genes()
    delimiter = "," if ".csv" in path.suffixes else "\t"
    rows: dict[str, list[str]] = {}
    try:
        with closing(open_bytes(path, Limits.from_environment())) as stream:
            lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), delimiter=delimiter)
            first = next((cells for cells in lines if cells and not cells[0].startswith("#")), [])
            for cells in lines:
                measure = wanted.get(cells[0].partition("|")[0].strip().upper()) if cells else None
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


def _is_number(cell: str) -> bool:
    try:
        return cell.strip() in _MISSING or np.isfinite(float(cell))
    except ValueError:
        return False


def _numbers(cells: list[str], path: Path) -> NDArray[np.float64]:
    try:
        return np.array([float(c) if c.strip() not in _MISSING else np.nan for c in cells])
    except ValueError as error:
        raise InputError(f"a value is no number ({error}).", where=path.name, mend="Download it again.") from error
