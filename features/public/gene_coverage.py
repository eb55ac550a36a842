"""Which samples of a study were profiled for a gene: by the gene-panel matrix, or by the study's own lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from features import fault_rules as rules
from features.faults import listed
from features.public.gene_panels import WHOLE_GENOME, parse_panel, shipped_panels
from features.public.study_folder import data_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.cohort import Fault
    from features.public.study_folder import StudyFolder

#: How a gene was looked at.
Profile = Literal["copy_number", "mutations"]


class GeneCoverage:
    """Tells which samples were profiled for a gene, and remembers what was missing for want of it on a panel.

    Parameters
    ----------
    study : StudyFolder
        Its own gene-panel files go before the panels that adcr knows.
    samples : sequence of str
        Every sample of the study.
    altered : mapping of str to frozenset of str
        Samples with any alteration by gene: all that tells of a panel whose genes are not known.
    """

    def __init__(self, study: StudyFolder, samples: Sequence[str], *, altered: Mapping[str, frozenset[str]]) -> None:
        self._samples, self._altered = samples, altered
        self._panel_of = _panel_matrix(study)
        self._genes = dict(shipped_panels())
        self._notes: list[Fault] = []
        self._unknown: dict[str, int] = {}
        for path in sorted(study.folder.glob("data_gene_panel_*.txt")):
            if path != study.files.get("panels"):
                name, genes = parse_panel(path.read_text(encoding="utf-8", errors="replace"))
                self._genes[name] = genes

    def samples(self, measure: str, gene: str, kind: Profile, listed_samples: Iterable[str]) -> frozenset[str]:
        """Tell the samples in which a gene was looked at.

        Parameters
        ----------
        measure : str
            Column that is to be filled, for the note.
        gene : str
            Symbol.
        kind : {"copy_number", "mutations"}
        listed_samples : iterable of str
            Samples that count as profiled where the study has no gene-panel matrix.

        Returns
        -------
        frozenset of str
        """
        profile = self._panel_of.get("cna" if kind == "copy_number" else "mutations")
        if profile is None:
            return frozenset(listed_samples)
        covered: set[str] = set()
        uncovered: set[str] = set()
        for sample in self._samples:
            panel = profile.get(sample, "").upper()
            if panel not in ("", "NA"):
                on_panel = panel in WHOLE_GENOME or gene in self._panel_genes(panel, profile)
                (covered if on_panel else uncovered).add(sample)
        if covered and uncovered:
            names = listed(sorted({profile[sample] for sample in uncovered}))
            note = rules.NOT_ON_PANEL.fault(column=measure, number=len(uncovered), gene=gene, panels=names)
            self._notes.append(note)
        return frozenset(covered)

    def notes(self) -> list[Fault]:
        """Tell what was missing for want of a gene on a panel, and which panels are not known."""
        unknown = [rules.UNKNOWN_PANEL.fault(panel=panel, number=n) for panel, n in self._unknown.items()]
        return [*self._notes, *unknown]

    def _panel_genes(self, panel: str, profile: Mapping[str, str]) -> frozenset[str]:
        """Genes of a panel; of one that is not known, those that any of its samples has an alteration in."""
        if panel not in self._genes:
            members = {sample for sample, name in profile.items() if name.upper() == panel}
            self._genes[panel] = frozenset(gene for gene, samples in self._altered.items() if samples & members)
            self._unknown[panel] = len(members)
        return self._genes[panel]


def _panel_matrix(study: StudyFolder) -> dict[str, dict[str, str]]:
    """Panel of each sample by profile ("mutations", "cna")."""
    path = study.files.get("panels")
    if path is None:
        return {}
    lines = data_lines(path)
    header = [name.strip().lower() for name in next(lines, [])]
    found: dict[str, dict[str, str]] = {name: {} for name in header[1:]}
    for cells in lines:
        for name, panel in zip(header[1:], cells[1:], strict=False):
            found[name][cells[0].strip()] = panel.strip()
    return found
