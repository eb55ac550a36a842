"""A cBioPortal study by the portal's programming interface, kept as a study folder like any other.

Only what the catalogue measures is asked for: clinical attributes page by page, and copy number, mutations and
expression of the catalogue's genes. The folder is then read by the same reader as a downloaded study.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import InputError
from features.public.alterations import altered_genes
from features.public.gene_expression import measured_genes
from features.public.patience import FIRST_WAIT, TIMEOUTS, RefusedError, check_status, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = dict[str, Any]

#: Rows of one page of clinical data.
PAGE_ROWS = 10_000
#: Most pages of one list; no study has so many clinical values.
_MOST_PAGES = 1_000
#: Largest answer that is believed, in bytes.
_MOST_BYTES = 512 * 1024**2
_CLINICAL_FILES = {"PATIENT": "data_clinical_patient.txt", "SAMPLE": "data_clinical_sample.txt"}


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
        `folder`.

    Raises
    ------
    InputError
        There is no such study, or no answer: one line, nothing half left behind.
    """
    if (folder / "meta_study.txt").is_file():
        return folder
    if offline:
        raise InputError(
            "it is not in the cache, and --offline forbids the network.",
            where=study,
            mend=f"Put a study into {folder}.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _Portal(address, progress, first_wait).write(study, part)
        part.replace(folder)
    except RefusedError as error:
        raise InputError(
            f"{error}.", where=f"{address} ({study})", mend=f"Or put the study's folder by hand at {folder}."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


class _Portal:
    """Questions to one portal.

    Parameters
    ----------
    address : str
    progress : callable, optional
    first_wait : float
    """

    def __init__(self, address: str, progress: Callable[[int, int], None] | None, first_wait: float) -> None:
        self._address, self._progress, self._first_wait = address, progress, first_wait
        self._received = 0

    def write(self, study: str, folder: Path) -> None:
        """Write a study folder."""
        about = self._ask(f"studies/{study}")
        profiles = self._ask(f"studies/{study}/molecular-profiles")
        lists = {entry["sampleListId"] for entry in self._ask(f"studies/{study}/sample-lists")}
        for kind, name in _CLINICAL_FILES.items():
            _write_clinical(folder / name, kind, self._clinical(study, kind))
        if f"{study}_sequenced" in lists:
            ids = self._ask(f"sample-lists/{study}_sequenced/sample-ids")
            _write(folder / "case_lists" / "cases_sequenced.txt", [f"case_list_ids: {chr(9).join(sorted(ids))}"])
        genes = self._genes()
        everyone = {"sampleListId": f"{study}_all"}
        wanted = {**everyone, "entrezGeneIds": sorted(genes)}
        panels: dict[str, dict[str, str]] = {}
        for kind, profile in _one_of_each(profiles).items():
            _FETCHERS[kind](self, folder, profile, wanted, genes)
            if kind in ("mutations", "cna"):
                panels[kind] = self._panels(profile, everyone)
        self._write_panels(folder, panels)
        facts = {"cancer_study_identifier": study, **{k: about.get(k) for k in ("name", "citation", "pmid")}}
        _write(folder / "meta_study.txt", [f"{key}: {_plain(fact)}" for key, fact in facts.items() if fact])

    def _ask(self, path: str, body: Any = None, **parameters: Any) -> Any:
        import requests

        def once() -> Any:
            headers = {"Accept": "application/json"}
            method = "GET" if body is None else "POST"
            with requests.request(
                method,
                f"{self._address}/{path}",
                params=parameters,
                json=body,
                headers=headers,
                timeout=TIMEOUTS,
                stream=True,
            ) as answer:
                check_status(answer)
                return self._decoded(answer)

        return patiently(once, self._first_wait)

    def _decoded(self, answer: Any) -> Any:
        import json

        content = bytearray()
        for piece in answer.iter_content(64 * 1024):
            content += piece
            self._received += len(piece)
            if len(content) > _MOST_BYTES:
                raise RefusedError(f"the answer has more than {_MOST_BYTES:,} bytes")
            if self._progress:
                self._progress(self._received, 0)
        try:
            return json.loads(content)
        except ValueError as error:
            raise RefusedError("the server sent something else than JSON, such as a web page") from error

    def _clinical(self, study: str, kind: str) -> list[Row]:
        """Clinical values of every patient or sample, page after page."""
        found: list[Row] = []
        for page in range(_MOST_PAGES):
            rows = self._ask(
                f"studies/{study}/clinical-data",
                clinicalDataType=kind,
                projection="SUMMARY",
                pageSize=PAGE_ROWS,
                pageNumber=page,
            )
            found += rows
            if len(rows) < PAGE_ROWS:
                break
        return found

    def _genes(self) -> dict[int, str]:
        """Symbol by Entrez id of the catalogue's genes, as the portal knows them."""
        symbols = sorted({*altered_genes(), *measured_genes()})
        rows = self._ask("genes/fetch", symbols, geneIdType="HUGO_GENE_SYMBOL")
        return {row["entrezGeneId"]: row["hugoGeneSymbol"] for row in rows}

    def copy_number(self, folder: Path, profile: str, wanted: Row, genes: dict[int, str]) -> None:
        """Discrete copy-number calls, in the long form."""
        rows = self._ask(
            f"molecular-profiles/{profile}/discrete-copy-number/fetch", wanted, discreteCopyNumberEventType="ALL"
        )
        lines = [
            (genes.get(row["entrezGeneId"], ""), row["entrezGeneId"], row["sampleId"], row["alteration"])
            for row in rows
        ]
        _write_rows(folder / "data_cna.txt", ("Hugo_Symbol", "Entrez_Gene_Id", "Sample_Id", "Value"), lines)

    def mutations(self, folder: Path, profile: str, wanted: Row, genes: dict[int, str]) -> None:
        """Mutations as a MAF file."""
        rows = self._ask(f"molecular-profiles/{profile}/mutations/fetch", wanted, projection="SUMMARY")
        lines = [
            (
                genes.get(row["entrezGeneId"], ""),
                row.get("mutationType", ""),
                row["sampleId"],
                row.get("proteinChange", ""),
            )
            for row in rows
        ]
        header = ("Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode", "HGVSp_Short")
        _write_rows(folder / "data_mutations.txt", header, lines)

    def expression(self, folder: Path, profile: str, wanted: Row, genes: dict[int, str]) -> None:
        """Expression as a wide matrix, with the meta file that tells values from z-scores."""
        of_expression = set(measured_genes())
        ids = [i for i in wanted["entrezGeneIds"] if genes[i] in of_expression]
        rows = self._ask(f"molecular-profiles/{profile}/molecular-data/fetch", {**wanted, "entrezGeneIds": ids})
        values = {(row["entrezGeneId"], row["sampleId"]): row["value"] for row in rows}
        samples = sorted({sample for _, sample in values})
        lines = [(genes[i], i, *(values.get((i, s), "NA") for s in samples)) for i in ids]
        _write_rows(folder / "data_mrna.txt", ("Hugo_Symbol", "Entrez_Gene_Id", *samples), lines)
        kind = "Z-SCORE" if "zscores" in profile.lower() else "CONTINUOUS"
        facts = {"genetic_alteration_type": "MRNA_EXPRESSION", "datatype": kind, "stable_id": profile}
        facts["data_filename"] = "data_mrna.txt"
        _write(folder / "meta_mrna.txt", [f"{key}: {_plain(fact)}" for key, fact in facts.items()])

    def _panels(self, profile: str, everyone: Row) -> dict[str, str]:
        """Gene panel of each sample that was profiled; "WES" where every gene was looked at."""
        rows = self._ask(f"molecular-profiles/{profile}/gene-panel-data/fetch", everyone)
        return {row["sampleId"]: row.get("genePanelId") or "WES" for row in rows if row.get("profiled", True)}

    def _write_panels(self, folder: Path, panels: dict[str, dict[str, str]]) -> None:
        samples = sorted({sample for found in panels.values() for sample in found})
        if not samples:
            return
        kinds = list(panels)
        lines = [(sample, *(panels[kind].get(sample, "NA") for kind in kinds)) for sample in samples]
        _write_rows(folder / "data_gene_panel_matrix.txt", ("SAMPLE_ID", *kinds), lines)
        for panel in sorted({name for found in panels.values() for name in found.values()} - {"WES"}):
            about = self._ask(f"gene-panels/{panel}")
            symbols = "\t".join(sorted(gene["hugoGeneSymbol"] for gene in about.get("genes", [])))
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in panel)
            _write(folder / f"data_gene_panel_{name}.txt", [f"stable_id: {_plain(panel)}", f"gene_list: {symbols}"])


_FETCHERS: dict[str, Callable[[_Portal, Path, str, Row, dict[int, str]], None]] = {
    "cna": _Portal.copy_number,
    "mutations": _Portal.mutations,
    "expression": _Portal.expression,
}


def _kind(profile: Row) -> str | None:
    """Tell what a profile holds, if the catalogue measures it."""
    kind, datatype = profile.get("molecularAlterationType"), profile.get("datatype")
    if kind == "COPY_NUMBER_ALTERATION" and datatype == "DISCRETE":
        return "cna"
    if kind == "MUTATION_EXTENDED":
        return "mutations"
    if kind == "MRNA_EXPRESSION" and datatype in ("CONTINUOUS", "Z-SCORE"):
        return "expression"
    return None


def _one_of_each(profiles: Sequence[Row]) -> dict[str, str]:
    """One profile of each kind; expression values go before z-scores, whose reference differs."""
    found: dict[str, str] = {}
    for profile in sorted(profiles, key=lambda p: (p.get("datatype") == "Z-SCORE", p["molecularProfileId"])):
        kind = _kind(profile)
        if kind is not None:
            found.setdefault(kind, profile["molecularProfileId"])
    return found


def _write_clinical(path: Path, kind: str, rows: Sequence[Row]) -> None:
    """Long rows of one value each as a table: one row per patient or sample, one column per attribute."""
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = (row["patientId"], row["sampleId"]) if kind == "SAMPLE" else (row["patientId"],)
        table.setdefault(key, {})[row["clinicalAttributeId"]] = row["value"]
    ids = ("PATIENT_ID", "SAMPLE_ID")[: 2 if kind == "SAMPLE" else 1]
    attributes = sorted({name for values in table.values() for name in values} - set(ids))
    lines = [(*key, *(values.get(name, "") for name in attributes)) for key, values in sorted(table.items())]
    header = (*ids, *attributes)
    marks = ["#" + "\t".join(header)] * 2 + ["#" + "\t".join(["STRING"] * len(header))] + ["#1"]
    _write_rows(path, header, lines, above=marks)


def _plain(value: object) -> str:
    """Text of one cell: no tab and no line end."""
    return " ".join(str(value).split())


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], above: Sequence[str] = ()) -> None:
    _write(path, [*above, "\t".join(header), *("\t".join(map(_plain, row)) for row in rows)])


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
