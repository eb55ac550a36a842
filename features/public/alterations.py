"""Gene alterations of a cBioPortal study as the yes/no measures of the catalogue, one value per sample.

A value is given only where the sample was profiled for the gene: by the gene-panel matrix and the panel's genes, else
by the study's own lists. Everything else is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features import fault_rules as rules
from features.biomarkers import measures
from features.public.copy_number_calls import (
    AMPLIFIED,
    DEEP,
    PARTIAL,
    SHALLOW,
    Calls,
    column_position,
    copy_number_notes,
    read_copy_number,
)
from features.public.gene_coverage import GeneCoverage
from features.public.study_folder import data_lines, unknown_ids
from features.public.variant_classes import TRUNCATING_CLASSES, class_of, is_left_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.cohort import Fault
    from features.public.gene_coverage import Profile
    from features.public.study_folder import StudyFolder

#: Measures of single variants: gene and protein changes.
_VARIANTS: Mapping[str, tuple[str, frozenset[str]]] = {
    "erbb2_l755s_mutated": ("ERBB2", frozenset({"p.L755S", "p.L755P"})),
    "erbb2_activating_mutated": ("ERBB2", frozenset({"p.V777L", "p.S310F", "p.D769H"})),
    "erbb2_d582n_mutated": ("ERBB2", frozenset({"p.D582N"})),
    "tsc2_p1450r_mutated": ("TSC2", frozenset({"p.P1450R"})),
}
#: Losses that a truncating mutation counts as too. PTEN is not among them: the trials' PTEN loss is loss of the
#: protein, which a deep deletion implies and one truncated allele does not.
_LOSS_BY_MUTATION = ("nf1_loss", "arid1a_loss")
_LOSS_BY_DELETION = ("pten_loss", *_LOSS_BY_MUTATION)
#: Genes whose missense variants are mostly of no known significance: only what cuts the protein short counts.
_TRUNCATED_ONLY = frozenset({"brca1_mutated", "brca2_mutated"})
#: Columns of a mutation file: as the MAF format names them, then as the portal's programming interface does.
_MAF_COLUMNS = {
    "gene": ("Hugo_Symbol", "hugoGeneSymbol"),
    "sample": ("Tumor_Sample_Barcode", "sampleId", "patientId"),
    "class": ("Variant_Classification", "mutationType"),
    "change": ("HGVSp_Short", "proteinChange"),
}


@dataclass(frozen=True)
class Alterations:
    """Measures of a study by column and sample, absent where not profiled, and what was noted while reading."""

    columns: dict[str, dict[str, str]]
    notes: tuple[Fault, ...]


def read_alterations(study: StudyFolder, samples: Sequence[str]) -> Alterations:
    """Read copy-number and mutation measures of the catalogue from a study.

    Parameters
    ----------
    study : StudyFolder
    samples : sequence of str
        Every sample of the study.

    Returns
    -------
    Alterations
    """
    notes: list[Fault] = []
    calls = {gene: Calls() for gene in sorted(altered_genes())}
    levels = read_copy_number(study, calls, notes, frozenset(samples))
    sequenced, listed_genes = _read_mutations(study, calls, notes, frozenset(samples))
    altered = {gene: frozenset(found.altered()) for gene, found in calls.items()}
    covered = GeneCoverage(study, samples, altered=altered)
    columns = {}
    for measure, (gene, kind) in _measured_genes().items():
        if kind not in study.files:
            continue
        # A gene that a list of mutations never names may not have been looked at.
        listed = calls[gene].copy_number if kind == "copy_number" else sequenced if gene in listed_genes else ()
        values = _values(measure, kind, calls[gene], covered.samples(measure, gene, kind, listed), levels)
        if values:
            columns[measure] = values
    notes += [*covered.notes(), *copy_number_notes(calls, levels)]
    return Alterations(columns, tuple(notes))


def altered_genes() -> frozenset[str]:
    """Symbols of the genes whose copy number or mutations are a measure of the catalogue."""
    return frozenset(gene for gene, _ in _measured_genes().values())


def _measured_genes() -> dict[str, tuple[str, Profile]]:
    """Gene of each measure that a study may hold, and whether copy number or mutations tell it."""
    found: dict[str, tuple[str, Profile]] = {"erbb2_deletion": ("ERBB2", "copy_number")}
    for measure in measures():
        gene, _, state = measure.rpartition("_")
        if measure in _VARIANTS:
            found[measure] = (_VARIANTS[measure][0], "mutations")
        elif measure in _LOSS_BY_DELETION or (state == "amplified" and not gene.startswith("mir")):
            found[measure] = (gene.upper(), "copy_number")
        elif state == "mutated" and "_" not in gene:
            found[measure] = (gene.upper(), "mutations")
    return found


def _read_mutations(
    study: StudyFolder, calls: Mapping[str, Calls], notes: list[Fault], known: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Fill in the mutations of the wanted genes by the portal's own filter.

    Returns the samples that were sequenced, and the genes that the file names at all.
    """
    path = study.files.get("mutations")
    if path is None:
        return frozenset(), frozenset()
    lines = data_lines(path)
    header = next(lines, [])
    at = {what: next((header.index(n) for n in names if n in header), -1) for what, names in _MAF_COLUMNS.items()}
    for what in ("gene", "sample"):
        column_position(path, header, header[at[what]] if at[what] >= 0 else _MAF_COLUMNS[what][0])
    if "Hugo_Symbol" in header:
        # Without its class a variant of a MAF cannot be told from a silent one.
        column_position(path, header, _MAF_COLUMNS["class"][0])
    samples: set[str] = set()
    genes: set[str] = set()
    left_out = 0
    for row in lines:
        # Programs that trim lines take empty cells off the end.
        cells = row + [""] * (max(at.values()) + 1 - len(row))
        gene, sample, variant, change = (cells[i].strip() if i >= 0 else "" for i in at.values())
        samples.add(sample)
        genes.add(gene)
        # Variants of other genes are counted too, in calls that nobody reads.
        left_out += not read_variant(calls.get(gene, Calls()), gene, sample, variant, change)
    if left_out:
        notes.append(rules.VARIANTS_LEFT_OUT.fault(number=left_out))
    notes += unknown_ids(study, path, samples - known)
    return _case_list(study) | samples, frozenset(genes)


def read_variant(calls: Calls, gene: str, sample: str, variant_class: str, change: str) -> bool:
    """Add a variant to the calls of its gene, by the portal's own filter.

    Parameters
    ----------
    calls : Calls
    gene, sample : str
    variant_class : str
        Of the MAF format; where it is not known, the change tells as much of it as it can.
    change : str
        Protein change, with or without "p.".

    Returns
    -------
    bool
        False where it was left out.
    """
    kind = variant_class or class_of(change)
    if is_left_out(gene, kind):
        return False
    written = change if not change or change.startswith("p.") else f"p.{change}"
    calls.variants.setdefault(sample, []).append((kind, written))
    return True


def mutated(calls: Mapping[str, Calls], sequenced: frozenset[str]) -> dict[str, dict[str, str]]:
    """Give the measures of mutations, of genes that a list of mutations names at all.

    Parameters
    ----------
    calls : mapping of str to Calls
        By gene.
    sequenced : frozenset of str
        Samples or patients that were sequenced.

    Returns
    -------
    dict of str to dict of str to str
        By measure and sample.
    """
    found = {}
    with_changes = any(change for gene in calls.values() for listed in gene.variants.values() for _, change in listed)
    for measure, (gene, kind) in _measured_genes().items():
        if kind == "mutations" and gene in calls and (with_changes or measure not in _VARIANTS):
            found[measure] = _values(measure, kind, calls[gene], sequenced, frozenset())
    return found


def _case_list(study: StudyFolder) -> frozenset[str]:
    """Read the samples of `case_lists/cases_sequenced.txt`, which names those without any mutation too."""
    path = study.folder / "case_lists" / "cases_sequenced.txt"
    if not path.is_file():
        return frozenset()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("case_list_ids:"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _values(measure: str, kind: str, calls: Calls, covered: frozenset[str], levels: frozenset[str]) -> dict[str, str]:
    if kind == "mutations":
        return {sample: str(int(_has_variant(measure, calls.variants.get(sample, [])))) for sample in sorted(covered)}
    known = {s: c for s, c in calls.copy_number.items() if s in covered}
    if measure == "erbb2_deletion":
        told = {DEEP: "homozygous", PARTIAL: "homozygous", SHALLOW: "hemizygous", AMPLIFIED: "none"}
        if SHALLOW in levels:
            # Where the study never calls a single-copy loss, 0 does not rule one out.
            told |= {"0": "none", "1": "none"}
        return {sample: told[call] for sample, call in known.items() if call in told}
    if measure in _LOSS_BY_DELETION:
        lost = {sample: call in (DEEP, PARTIAL) for sample, call in known.items()}
        if measure in _LOSS_BY_MUTATION:
            cut = {s for s, v in calls.variants.items() if any(kind in TRUNCATING_CLASSES for kind, _ in v)}
            lost = {sample: is_lost or sample in cut for sample, is_lost in lost.items()}
        return {sample: str(int(is_lost)) for sample, is_lost in lost.items()}
    return {sample: str(int(call == AMPLIFIED)) for sample, call in known.items()}


def _has_variant(measure: str, variants: Iterable[tuple[str, str]]) -> bool:
    if measure in _VARIANTS:
        return any(change in _VARIANTS[measure][1] for _, change in variants)
    if measure in _TRUNCATED_ONLY:
        return any(kind in TRUNCATING_CLASSES or not kind for kind, _ in variants)
    return any(True for _ in variants)
