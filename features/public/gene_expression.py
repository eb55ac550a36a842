"""Expression from a gene-level matrix: genes in rows, samples in columns, as z-scores over the patients of a cohort."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.biomarkers import measures
from features.errors import InputError
from features.public.matrix_columns import known_columns
from features.public.matrix_rows import matrix_rows, no_gene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from features.cohort import Fault

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
#: Columns of a matrix that describe the gene.
_OF_THE_GENE = frozenset(
    {"hugosymbol", "entrezgeneid", "entrezid", "cytoband", "description", "genename", "chromosome"}
)
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
#: Cells without a value.
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


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
        By measure, as written; NaN missing, and where the value is infinite, as the logarithm of 0 is.
    """

    name: str
    samples: tuple[str, ...]
    genes: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class ZScores:
    """Standardised expression.

    Attributes
    ----------
    table : pandas.DataFrame of shape (n_patients, n_genes)
        By patient, under the ids of the measures.
    left_out : tuple of str
        Measures without spread, or with too few values.
    """

    table: pd.DataFrame
    left_out: tuple[str, ...]

    def note(self, name: str, reference: str) -> Fault:
        """Tell what was read.

        Parameters
        ----------
        name : str
            The file.
        reference : str
            Whom the z-scores refer to.

        Returns
        -------
        Fault
        """
        left = f"; left out without spread or with fewer than {_FEWEST} values: {', '.join(self.left_out)}"
        return rules.EXPRESSION_READ.fault(
            number=self.table.shape[1],
            file=name,
            patients=len(self.table),
            reference=reference + (left if self.left_out else ""),
        )


def measured_genes() -> dict[str, str]:
    """Give the gene symbols whose expression is a measure of the catalogue.

    Returns
    -------
    dict of str to str
        Measure id by symbol.
    """
    return {m.removesuffix(_SUFFIX).upper(): m for m in measures() if m.endswith(_SUFFIX)}


def read_matrix(path: Path) -> ExpressionMatrix:
    """Read the catalogue's genes of a matrix; of a gene given twice the row with the higher mean counts.

    Parameters
    ----------
    path : pathlib.Path
        CSV or TSV, packed or not; also with semicolons. The first column holds gene symbols, also as SYMBOL|ENTREZ, or
        one that is named so (Hugo_Symbol, gene_name); columns that describe the gene (Entrez id, cytoband) are no
        samples.

    Returns
    -------
    ExpressionMatrix

    Raises
    ------
    InputError
        The file is cut off or ragged, no row is a gene of the catalogue, or a value is no number.
    """
    header, rows, names = matrix_rows(path, measured_genes())
    if not rows:
        raise no_gene(path.name, header, names, measured_genes())
    if any(_DECIMAL_COMMA.fullmatch(c.strip()) for found in rows.values() for cells in found for c in cells):
        raise InputError("its numbers have decimal commas.", where=path.name, mend="Write them with decimal points.")
    kept = [
        p
        for p, name in enumerate(header)
        if _loose(name) not in _OF_THE_GENE and any(_is_number(cells[p]) for found in rows.values() for cells in found)
    ]
    genes = {}
    for measure, found in rows.items():
        values = [_numbers([cells[p] for p in kept], path) for cells in found]
        genes[measure] = max(values, key=lambda v: float(np.nanmean(v)) if np.isfinite(v).any() else -np.inf)
    return ExpressionMatrix(path.name, tuple(header[p] for p in kept), genes)


def z_scores(
    matrix: ExpressionMatrix,
    patient_of: Mapping[int, str],
    scale: Scale = "log2",
    *,
    platform_of: Mapping[int, str] | None = None,
    as_they_are: bool = False,
) -> ZScores:
    """Average the samples of a patient, and standardise each gene over the patients, within each platform.

    Parameters
    ----------
    matrix : ExpressionMatrix
    patient_of : mapping of int to str
        Patient of each column of the matrix that counts: the reference population.
    scale : {"log2", "linear"}
    platform_of : mapping of int to str, optional
        Platform of each column; a patient on two has the mean of both z-scores.
    as_they_are : bool, default False
        The values are z-scores already.

    Returns
    -------
    ZScores

    Raises
    ------
    InputError
        The values are not on the scale.
    """
    columns = np.array(sorted(patient_of), dtype=np.intp)
    chosen = pd.DataFrame({m: found[columns] for m, found in matrix.genes.items()})
    if not as_they_are:
        chosen = _logged(chosen, scale, matrix.name)
    patients = np.array([patient_of[int(j)] for j in columns], dtype=object)
    platforms = np.array([(platform_of or {}).get(int(j), "") for j in columns], dtype=object)
    parts = []
    for platform in dict.fromkeys(platforms):
        own = platforms == platform
        averages = chosen[own].groupby(patients[own], sort=False).mean()
        parts.append(averages if as_they_are else _standardised(averages))
    table = pd.concat(parts).groupby(level=0, sort=False).mean() if len(parts) > 1 else parts[0]
    kept = [c for c in table.columns if table[c].notna().any()]
    return ZScores(table[kept].round(6), tuple(str(c) for c in table.columns if c not in kept))


def _standardised(averages: pd.DataFrame) -> pd.DataFrame:
    enough = (averages.notna().sum() >= _FEWEST) & (averages.std() > 0)
    scores = (averages - averages.mean()) / averages.std()
    return scores.where(np.broadcast_to(enough.to_numpy(), scores.shape), np.nan)


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
    found = known_columns(matrix.samples, patients)
    by_barcode = {patient.strip().upper(): patient for patient in patients}
    kind: dict[str, int] = {}
    for position, name in enumerate(matrix.samples):
        barcode = _BARCODE.match(name.strip().replace(".", "-"))
        if barcode is None or position in found:
            continue
        patient, tissue = by_barcode.get(barcode[1].upper()), int(barcode[2])
        if patient is None or tissue >= _FIRST_NORMAL_TYPE or kind.get(patient, tissue) < tissue:
            continue
        if kind.get(patient, tissue) > tissue:
            found = {p: other for p, other in found.items() if other != patient}
        kind[patient] = tissue
        found[position] = patient
    return found


def _loose(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_number(cell: str) -> bool:
    try:
        return cell.strip().lower() in _MISSING or not np.isnan(float(cell))
    except ValueError:
        return False


def _numbers(cells: list[str], path: Path) -> NDArray[np.float64]:
    try:
        found = np.array([float(c) if c.strip().lower() not in _MISSING else np.nan for c in cells])
    except ValueError as error:
        raise InputError(
            f"a value is no number ({error}).", where=path.name, mend="Leave cells without a value empty, or NA."
        ) from error
    return np.where(np.isinf(found), np.nan, found)
