"""Discrete copy-number calls of a cBioPortal study, wide or long, by symbol or Entrez id."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from features import fault_rules as rules
from features.public.study_folder import data_lines, unknown_ids
from features.tables.text_table import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from features.cohort import Fault
    from features.public.study_folder import StudyFolder

#: Discrete copy-number calls. The portal reads -1.5, a partial deletion, as -2; so does adcr.
DEEP, PARTIAL, SHALLOW, AMPLIFIED = "-2", "-1.5", "-1", "2"
_CALLS = {float(call): call for call in (DEEP, PARTIAL, SHALLOW, "0", "1", AMPLIFIED)}
#: Entrez ids of the genes that a copy-number file without symbols is searched for.
_ENTREZ = {
    "2064": "ERBB2",
    "51755": "CDK12",
    "5728": "PTEN",
    "898": "CCNE1",
    "595": "CCND1",
    "4233": "MET",
    "4763": "NF1",
    "8289": "ARID1A",
}
#: Columns of a copy-number file that describe the gene.
_OF_THE_GENE = frozenset({"Hugo_Symbol", "Entrez_Gene_Id", "Cytoband"})
#: Share of cells with decimals from which on a file holds ratios, and no calls.
_MOST_STRAY = 0.01
#: What stands for a gene that was not called in a sample.
_NO_CALL = frozenset({"", "na", "n/a", "nan", "null", "not profiled"})


@dataclass
class Calls:
    """Calls of one gene.

    Attributes
    ----------
    copy_number : dict of str to str
        Discrete call by sample, as written.
    variants : dict of str to list of (str, str)
        Variant class and protein change of each mutation by sample.
    """

    copy_number: dict[str, str] = field(default_factory=dict)
    variants: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def altered(self) -> set[str]:
        """Tell the samples with a mutation, or with a copy-number call other than 0."""
        return {*self.variants, *(s for s, call in self.copy_number.items() if call != "0")}


def read_copy_number(
    study: StudyFolder, calls: Mapping[str, Calls], notes: list[Fault], known: frozenset[str]
) -> frozenset[str]:
    """Fill in the copy-number calls of the wanted genes.

    Parameters
    ----------
    study : StudyFolder
    calls : mapping of str to Calls
        By gene; changed in place.
    notes : list of Fault
        Doubts are added.
    known : frozenset of str
        Samples of the study.

    Returns
    -------
    frozenset of str
        Every level that the study uses for any gene.
    """
    path = study.files.get("copy_number")
    if path is None:
        return frozenset()
    lines = data_lines(path)
    header = next(lines, [])
    by_id = "Hugo_Symbol" not in header and "Entrez_Gene_Id" in header
    gene_at = column_position(path, header, "Entrez_Gene_Id" if by_id else "Hugo_Symbol")
    levels: set[str] = set()
    strangers: set[str] = set()
    read, unknown = 0, []

    def put(gene: str, pairs: Iterable[tuple[str, str]]) -> None:
        nonlocal read
        for sample, text in pairs:
            read += 1
            call = _call(text)
            if call is None:
                unknown.append(text)
            elif call:
                calls[gene].copy_number[sample] = call

    if "Sample_Id" in header and "Value" in header:
        sample_at, value_at = header.index("Sample_Id"), header.index("Value")
        for cells in lines:
            if len(cells) > max(gene_at, sample_at, value_at):
                levels.add(_call(cells[value_at]) or "")
                strangers |= {cells[sample_at]} - known
                gene = _ENTREZ.get(cells[gene_at], "") if by_id else cells[gene_at]
                if gene in calls:
                    put(gene, [(cells[sample_at], cells[value_at])])
    else:
        samples = [(i, name) for i, name in enumerate(header) if name not in _OF_THE_GENE]
        strangers = {name for _, name in samples} - known - {""}
        for cells in lines:
            levels.update(_call(text) or "" for text in set(cells[len(header) - len(samples) :]))
            gene = _ENTREZ.get(cells[gene_at], "") if by_id and len(cells) > gene_at else cells[gene_at]
            if gene in calls:
                put(gene, [(name, cells[i]) for i, name in samples if i < len(cells)])
    if unknown:
        if sum(map(_is_broken, unknown)) > _MOST_STRAY * read:
            raise refuse(path.name, rules.NO_DISCRETE_CALLS, value=next(filter(_is_broken, unknown)))
        notes.append(rules.UNKNOWN_CALLS.fault(number=len(unknown), value=unknown[0]))
    notes += unknown_ids(study, path, strangers)
    return frozenset(levels - {""})


@cache
def _call(text: str) -> str | None:
    """Discrete call of a cell, "" where there is none, None where it is something else."""
    stripped = text.strip()
    if stripped.lower() in _NO_CALL:
        return ""
    try:
        return _CALLS.get(float(stripped))
    except ValueError:
        return None


def _is_broken(cell: str) -> bool:
    """Whether a cell holds a number with decimals, as log ratios have and calls have not."""
    try:
        return not float(cell).is_integer()
    except ValueError:
        return False


def column_position(path: Path, header: Sequence[str], name: str) -> int:
    """Find a column that a file must have.

    Parameters
    ----------
    path : pathlib.Path
    header : sequence of str
    name : str

    Returns
    -------
    int

    Raises
    ------
    CohortRejectedError
        It is not there.
    """
    if name not in header:
        raise refuse(path.name, rules.MISSING_COLUMN, needed=name, hint="", meaning=name)
    return header.index(name)


def copy_number_notes(calls: Mapping[str, Calls], levels: frozenset[str]) -> list[Fault]:
    """Tell what the levels of a study leave open.

    Parameters
    ----------
    calls : mapping of str to Calls
        By gene.
    levels : frozenset of str
        Every level that the study uses.

    Returns
    -------
    list of Fault
    """
    notes = []
    partial = sum(call == PARTIAL for gene in calls.values() for call in gene.copy_number.values())
    if partial:
        notes.append(rules.PARTIAL_DELETION.fault(number=partial))
    if levels and SHALLOW not in levels:
        notes.append(rules.NO_SHALLOW_CALLS.fault(column="erbb2_deletion"))
    return notes
