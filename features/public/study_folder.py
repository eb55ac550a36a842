"""Files of a cBioPortal study folder: which there are, and how to read each whatever its age."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features import fault_rules as rules
from features.errors import InputError
from features.limits import Limits
from features.public.portal_answers import Profile
from features.public.portal_profiles import kind_of, preference
from features.tables.packed_file import open_bytes
from features.tables.table_file import LFS_MARK, read_table
from features.tables.text_table import refuse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from features.cohort import Fault
    from features.tables.text_table import TextTable

#: Files that each kind of data is in where no meta file says otherwise; the first that is there counts.
_USUAL_FILES = {
    "patients": ("data_clinical_patient.txt", "data_bcr_clinical_data_patient.txt"),
    "samples": ("data_clinical_sample.txt", "data_bcr_clinical_data_sample.txt"),
    "copy_number": ("data_cna.txt", "data_CNA.txt"),
    # Older studies call it so; the last is a table of the portal's programming interface.
    "mutations": ("data_mutations.txt", "data_mutations_extended.txt", "data_mutations_mskcc.txt", "*_mutations.tsv"),
    "panels": ("data_gene_panel_matrix.txt", "data_gene_matrix.txt"),
    "expression": (
        "data_mrna_seq_v2_rsem.txt",
        "data_mrna_seq_tpm.txt",
        "data_mrna_illumina_microarray.txt",
        "data_mrna_affymetrix_microarray.txt",
        "data_mrna_agilent_microarray.txt",
        "data_RNA_Seq_v2_expression_median.txt",
        "data_expression_median.txt",
        "data_expression.txt",
    ),
}
#: Kinds by the type and data type of a meta file.
_KINDS = {
    ("CLINICAL", "PATIENT_ATTRIBUTES"): "patients",
    ("CLINICAL", "SAMPLE_ATTRIBUTES"): "samples",
    ("COPY_NUMBER_ALTERATION", "DISCRETE"): "copy_number",
    ("COPY_NUMBER_ALTERATION", "DISCRETE_LONG"): "copy_number",
    ("MUTATION_EXTENDED", "MAF"): "mutations",
    ("GENE_PANEL_MATRIX", "GENE_PANEL_MATRIX"): "panels",
}


@dataclass(frozen=True)
class StudyFolder:
    """A study: its id and the files that it has.

    Attributes
    ----------
    study : str
        `cancer_study_identifier` of meta_study.txt, else the one of its other meta files, else the folder's name.
    files : dict of str to pathlib.Path
        By kind: "patients", "samples", "copy_number", "mutations", "panels", "expression", "expression_z".
    """

    folder: Path
    study: str
    files: dict[str, Path]

    def digest(self) -> str:
        """SHA-256 over the files that were found, in a fixed order."""
        total = hashlib.sha256()
        for kind in sorted(self.files):
            with self.files[kind].open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
        return total.hexdigest()


def open_study(folder: Path) -> StudyFolder:
    """Find the files of a study folder; the file names that its meta files give go before the usual ones.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    StudyFolder

    Raises
    ------
    InputError
        If this is no study folder, or a meta file names a file that is not there.
    """
    found: dict[str, Path] = {}
    named: dict[str, str] = {}
    expression: list[tuple[Profile, Path]] = []
    for meta in sorted(folder.glob("meta_*.txt")):
        fields = _fields(meta)
        if fields.get("cancer_study_identifier"):
            named[meta.name] = fields["cancer_study_identifier"]
        kind = _KINDS.get((fields.get("genetic_alteration_type", ""), fields.get("datatype", "")))
        if kind is not None and "data_filename" in fields:
            found.setdefault(kind, _named(folder, meta, fields["data_filename"]))
        profile = Profile(
            fields.get("stable_id") or meta.stem,
            fields.get("genetic_alteration_type", ""),
            fields.get("datatype", ""),
        )
        if kind_of(profile) == "expression" and "data_filename" in fields:
            expression.append((profile, _named(folder, meta, fields["data_filename"])))
    for profile, path in sorted(expression, key=lambda pair: preference(pair[0])):
        found.setdefault("expression_z" if profile.datatype == "Z-SCORE" else "expression", path)
    for kind, names in _USUAL_FILES.items():
        there = [path for name in names for path in sorted(folder.glob(name)) if path.is_file()]
        if kind not in found and there:
            found[kind] = there[0]
    if "samples" not in found:
        raise InputError(
            "this folder is no cBioPortal study.",
            where=folder.name,
            mend="It needs meta_study.txt and data_clinical_sample.txt; or name a file.",
        )
    others = set(named.values())
    study = named.get("meta_study.txt") or (others.pop() if len(others) == 1 else folder.name)
    return StudyFolder(folder, study, found)


def _named(folder: Path, meta: Path, name: str) -> Path:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise InputError(
            f"it names the data file '{name}', which is not in the folder.",
            where=f"{folder.name}/{meta.name}",
            mend="Download the whole study, or correct data_filename.",
        )
    return path


def _fields(meta: Path) -> dict[str, str]:
    """Lines `key: value` of a meta file."""
    try:
        text = meta.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise refuse(meta.name, rules.UNREADABLE, reason=error.strerror or type(error).__name__) from error
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_clinical(path: Path) -> TextTable:
    """Read a clinical file: four header lines begin with '#', the fifth holds the attribute ids."""
    return read_table(path, leading_comments="#")


def unknown_ids(study: StudyFolder, path: Path, ids: Collection[str]) -> list[Fault]:
    """Tell how many patients or samples of a file the study's list of samples does not have.

    Parameters
    ----------
    study : StudyFolder
    path : pathlib.Path
        The file.
    ids : collection of str
        Those that the list does not have.

    Returns
    -------
    list of Fault
        One, or none.
    """
    if not ids:
        return []
    return [rules.UNKNOWN_IDS.fault(number=len(ids), file=path.name, other=study.files["samples"].name)]


def data_lines(path: Path) -> Iterator[list[str]]:
    r"""Cells of each line of a data file, without leading '#' lines; the header comes first.

    Only leading lines are comments: a later '#' may be part of a value. Lines end in \n, \r\n or a bare \r. Cells stand
    between tabs; where the header has none, between commas.

    Parameters
    ----------
    path : pathlib.Path

    Yields
    ------
    list of str

    Raises
    ------
    CohortRejectedError
        If the file is a Git LFS pointer, or no text.
    """
    limits = Limits.from_environment()
    with open_bytes(path, limits) as stream:
        if stream.read(len(LFS_MARK)) == LFS_MARK:
            raise refuse(path.name, rules.LFS_POINTER)
    data = commas = False
    for line in _lines(path, limits):
        if data or not line.startswith("#"):
            commas = commas if data else "\t" not in line
            data = True
            if line:
                yield next(csv.reader([line])) if commas else line.split("\t")


def _lines(path: Path, limits: Limits) -> Iterator[str]:
    import io

    with open_bytes(path, limits) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace") as text:
        for line in text:
            yield line.rstrip("\n")
