"""A cBioPortal study by the portal's programming interface, kept as a study folder like any other.

Only what the catalogue measures is asked for: clinical attributes page by page, and copy number, mutations and
expression of the catalogue's genes. The folder is then read by the same reader as a downloaded study.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from features.errors import InputError
from features.public.alterations import altered_genes
from features.public.cache_place import alone, caching
from features.public.gene_expression import measured_genes
from features.public.gene_panels import WHOLE_GENOME
from features.public.patience import FIRST_WAIT, RefusedError
from features.public.portal_answers import (
    ClinicalValue,
    CopyNumberCall,
    Gene,
    GenePanel,
    MolecularValue,
    Mutation,
    PanelOfSample,
    Portal,
    Profile,
    SampleList,
    Study,
)
from features.public.portal_profiles import one_of_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: Rows of one page of clinical data.
PAGE_ROWS = 10_000
#: Most pages of one list; no study has so many clinical values.
_MOST_PAGES = 1_000
#: Panel of samples in which every gene was looked at: exactly the genes that were asked for and that the portal knows.
#: Of a gene that it does not know, silence says nothing; read as a whole exome it would say wild type.
ASKED_PANEL = "ADCR_ASKED"
_CLINICAL_FILES: dict[Literal["PATIENT", "SAMPLE"], str] = {
    "PATIENT": "data_clinical_patient.txt",
    "SAMPLE": "data_clinical_sample.txt",
}
#: Files by one of which a folder is known to hold a study.
_STUDY_FILES = ("meta_study.txt", "data_clinical_sample.txt")


def fetch_study(
    study: str,
    folder: Path,
    address: str,
    *,
    offline: bool = False,
    progress: Callable[[int, int], None] | None = None,
    first_wait: float = FIRST_WAIT,
) -> Path:
    """Ask for a study, unless its folder is there already.

    Parameters
    ----------
    study : str
        Its id.
    folder : pathlib.Path
        Where it belongs; it is put there once it is whole.
    address : str
        Of the programming interface, such as ".../api".
    offline : bool
        Use what is there, and never the network.
    progress : callable, optional
        Called with the bytes received; the total is not known (0).
    first_wait : float
        Seconds before a second attempt.

    Returns
    -------
    pathlib.Path
        `folder`, or the one study folder in it, where one was put there by hand.

    Raises
    ------
    InputError
        There is no such study, or no answer: one line, nothing half left behind.
    OutputError
        The cache cannot be written.
    """
    with caching(folder):
        there = _study_in(folder)
    if there:
        return there
    if offline:
        raise InputError(
            "it is not in the cache, and --offline forbids the network.",
            where=study,
            mend=f"Put a study into {folder}.",
        )
    with alone(folder), caching(folder):
        there = _study_in(folder)
        if there:
            # The process that was waited for has fetched it.
            return there
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _StudyWriter(Portal(address, progress, first_wait), study, part).write()
            if folder.is_dir():
                folder.rmdir()
            part.replace(folder)
        except RefusedError as error:
            raise InputError(
                f"{error}.", where=f"{address} ({study})", mend=f"Or put the study's folder by hand at {folder}."
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _study_in(folder: Path) -> Path | None:
    """Find the study that a folder is or holds; none where it is empty or not there."""
    if not folder.exists():
        return None
    inside = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    if not inside:
        return None
    found = [p for p in (folder, *inside) if any((p / name).is_file() for name in _STUDY_FILES)]
    if found and (found[0] == folder or len(found) == 1):
        return found[0]
    raise InputError(
        f"it holds {len(found) or 'no'} {'studies' if found else 'study'}.",
        where=str(folder),
        mend="Put one study's files into it (meta_study.txt and the others), or remove it to fetch the study.",
    )


class _StudyWriter:
    """Asks a portal for a study and writes its folder.

    Parameters
    ----------
    portal : Portal
    study : str
    folder : pathlib.Path
    """

    def __init__(self, portal: Portal, study: str, folder: Path) -> None:
        self._portal, self._study, self._folder = portal, study, folder
        self._everyone = {"sampleListId": f"{study}_all"}
        #: Symbol by Entrez id of the catalogue's genes, as far as the portal knows them.
        self._genes: dict[int, str] = {}

    def write(self) -> None:
        """Write the study folder."""
        study, folder = self._study, self._folder
        about = self._portal.ask(f"studies/{study}", Study)
        profiles = self._portal.ask(f"studies/{study}/molecular-profiles", list[Profile])
        for level, name in _CLINICAL_FILES.items():
            _write_clinical(folder / name, level, self._clinical(level))
        sequenced = self._sequenced()
        symbols = sorted({*altered_genes(), *measured_genes()})
        known = self._portal.ask("genes/fetch", list[Gene], symbols, geneIdType="HUGO_GENE_SYMBOL")
        self._genes = {gene.entrez_gene_id: gene.hugo_gene_symbol for gene in known if gene.entrez_gene_id}
        panels: dict[str, dict[str, str]] = {}
        for kind, profile in one_of_each(profiles).items():
            if kind == "expression":
                self._expression(profile)
            elif kind == "cna":
                panels[kind] = self._panels(profile, self._copy_number(profile))
            else:
                altered = self._mutations(profile)
                panels[kind] = self._panels(profile, sequenced or altered)
        self._write_panels(panels)
        facts = {"cancer_study_identifier": study, "name": about.name, "citation": about.citation, "pmid": about.pmid}
        _write(folder / "meta_study.txt", [f"{key}: {_plain(fact)}" for key, fact in facts.items() if fact])

    def _clinical(self, kind: str) -> list[ClinicalValue]:
        """Clinical values of every patient or sample, page after page."""
        found: list[ClinicalValue] = []
        for page in range(_MOST_PAGES):
            rows = self._portal.ask(
                f"studies/{self._study}/clinical-data",
                list[ClinicalValue],
                clinicalDataType=kind,
                projection="SUMMARY",
                pageSize=PAGE_ROWS,
                pageNumber=page,
            )
            found += rows
            if len(rows) < PAGE_ROWS:
                break
        return found

    def _sequenced(self) -> set[str]:
        """Give the samples that were sequenced, with a mutation or without; none where the study lists none."""
        name = f"{self._study}_sequenced"
        lists = self._portal.ask(f"studies/{self._study}/sample-lists", list[SampleList])
        if name not in {entry.sample_list_id for entry in lists}:
            return set()
        ids = self._portal.ask(f"sample-lists/{name}/sample-ids", list[str])
        _write(self._folder / "case_lists" / "cases_sequenced.txt", [f"case_list_ids: {chr(9).join(sorted(ids))}"])
        return set(ids)

    def _copy_number(self, profile: str) -> set[str]:
        """Write discrete copy-number calls in the long form; give the samples that have any."""
        path = f"molecular-profiles/{profile}/discrete-copy-number/fetch"
        rows = self._portal.ask(path, list[CopyNumberCall], self._wanted(), discreteCopyNumberEventType="ALL")
        lines = [
            (self._genes.get(row.entrez_gene_id, ""), row.entrez_gene_id, row.sample_id, f"{row.alteration:g}")
            for row in rows
        ]
        header = ("Hugo_Symbol", "Entrez_Gene_Id", "Sample_Id", "Value")
        _write_rows(self._folder / "data_cna.txt", header, lines)
        return {row.sample_id for row in rows}

    def _mutations(self, profile: str) -> set[str]:
        """Write mutations as a MAF file; give the samples that have any."""
        path = f"molecular-profiles/{profile}/mutations/fetch"
        rows = self._portal.ask(path, list[Mutation], self._wanted(), projection="SUMMARY")
        lines = [
            (self._genes.get(row.entrez_gene_id, ""), row.mutation_type or "", row.sample_id, row.protein_change or "")
            for row in rows
        ]
        header = ("Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode", "HGVSp_Short")
        _write_rows(self._folder / "data_mutations.txt", header, lines)
        return {row.sample_id for row in rows}

    def _expression(self, profile: str) -> None:
        """Write expression as a wide matrix, with the meta file that tells values from z-scores."""
        of_expression = set(measured_genes())
        ids = sorted(i for i, symbol in self._genes.items() if symbol in of_expression)
        body = {**self._everyone, "entrezGeneIds": ids}
        rows = self._portal.ask(f"molecular-profiles/{profile}/molecular-data/fetch", list[MolecularValue], body)
        values = {(row.entrez_gene_id, row.sample_id): row.value for row in rows if row.value is not None}
        samples = sorted({sample for _, sample in values})
        lines = [(self._genes[i], i, *(values.get((i, s), "NA") for s in samples)) for i in ids]
        _write_rows(self._folder / "data_mrna.txt", ("Hugo_Symbol", "Entrez_Gene_Id", *samples), lines)
        kind = "Z-SCORE" if "zscores" in profile.lower() else "CONTINUOUS"
        facts = {"genetic_alteration_type": "MRNA_EXPRESSION", "datatype": kind, "stable_id": profile}
        facts["data_filename"] = "data_mrna.txt"
        _write(self._folder / "meta_mrna.txt", [f"{key}: {_plain(fact)}" for key, fact in facts.items()])

    def _wanted(self) -> dict[str, Any]:
        return {**self._everyone, "entrezGeneIds": sorted(self._genes)}

    def _panels(self, profile: str, profiled: Iterable[str]) -> dict[str, str]:
        """Gene panel of each sample; where the study tells of none, `profiled` samples count as wholly looked at."""
        path = f"molecular-profiles/{profile}/gene-panel-data/fetch"
        rows = self._portal.ask(path, list[PanelOfSample], self._everyone)
        if not rows:
            return dict.fromkeys(profiled, ASKED_PANEL)
        whole = {"", *WHOLE_GENOME}
        panel_of = {row.sample_id: row.gene_panel_id or "" for row in rows if row.profiled}
        return {sample: ASKED_PANEL if panel.upper() in whole else panel for sample, panel in panel_of.items()}

    def _write_panels(self, panels: dict[str, dict[str, str]]) -> None:
        if not panels:
            return
        samples = sorted({sample for found in panels.values() for sample in found})
        lines = [(sample, *(found.get(sample, "NA") for found in panels.values())) for sample in samples]
        _write_rows(self._folder / "data_gene_panel_matrix.txt", ("SAMPLE_ID", *panels), lines)
        _write_panel(self._folder, ASKED_PANEL, self._genes.values())
        for panel in sorted({name for found in panels.values() for name in found.values()} - {ASKED_PANEL}):
            about = self._portal.ask(f"gene-panels/{panel}", GenePanel)
            _write_panel(self._folder, panel, [gene.hugo_gene_symbol for gene in about.genes])


def _write_clinical(path: Path, kind: str, rows: Sequence[ClinicalValue]) -> None:
    """Long rows of one value each as a table: one row per patient or sample, one column per attribute."""
    table: dict[tuple[str, ...], dict[str, object]] = {}
    for row in rows:
        key = (row.patient_id, row.sample_id or "") if kind == "SAMPLE" else (row.patient_id,)
        table.setdefault(key, {})[row.clinical_attribute_id] = "" if row.value is None else row.value
    ids = ("PATIENT_ID", "SAMPLE_ID")[: 2 if kind == "SAMPLE" else 1]
    attributes = sorted({name for values in table.values() for name in values} - set(ids))
    lines = [(*key, *(values.get(name, "") for name in attributes)) for key, values in sorted(table.items())]
    header = (*ids, *attributes)
    marks = ["#" + "\t".join(header)] * 2 + ["#" + "\t".join(["STRING"] * len(header))] + ["#1"]
    _write_rows(path, header, lines, above=marks)


def _write_panel(folder: Path, panel: str, symbols: Iterable[str]) -> None:
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in panel)
    genes = "\t".join(sorted(symbols))
    _write(folder / f"data_gene_panel_{name}.txt", [f"stable_id: {_plain(panel)}", f"gene_list: {genes}"])


def _plain(value: object) -> str:
    """Text of one cell: no tab and no line end."""
    return " ".join(str(value).split())


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], above: Sequence[str] = ()) -> None:
    _write(path, [*above, "\t".join(header), *("\t".join(map(_plain, row)) for row in rows)])


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
