"""Citations: every source that the catalogue rests on, read from `sources.toml`."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from features.catalogue_file import read_catalogue
from features.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from features.biomarkers import Citation


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A publication, abstract, guideline or data set."""

    #: short name that citations use: "guidi2023"
    id: str
    kind: Literal["review", "trial", "study", "abstract", "guideline", "data"]
    #: authors, title, journal, year, volume and pages as far as known
    text: str
    doi: str = ""
    pmid: str = ""
    pmcid: str = ""
    #: where there is no DOI, PMC or PubMed number
    url: str = ""
    note: str = ""

    @property
    def link(self) -> str:
        """The most lasting address that is known: DOI, then PMC, PubMed, other; "" where none is."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        if self.pmcid:
            return f"https://pmc.ncbi.nlm.nih.gov/articles/{self.pmcid}"
        if self.pmid:
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"
        return self.url


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: tuple[Source, ...]


@cache
def sources() -> Mapping[str, Source]:
    """Every source by its short name, in catalogue order.

    Returns
    -------
    Mapping of str to Source
    """
    document = read_catalogue("sources.toml", _Document)
    return MappingProxyType({s.id: s for s in document.source})


def spelled_out(citations: Iterable[Citation]) -> tuple[str, ...]:
    """Citations as a reader wants them: short name, the source in full, the place in it, and its address.

    Parameters
    ----------
    citations : iterable of Citation
        Citations of a catalogue record.

    Returns
    -------
    tuple of str
        One text per citation, in order.

    Raises
    ------
    InputError
        A citation names a source that `sources.toml` does not hold.
    """
    return tuple(_spell_out(citation) for citation in citations)


def _spell_out(citation: Citation) -> str:
    source = sources().get(citation.source)
    if source is None:
        raise InputError(
            f"there is no source '{citation.source}'.", where="sources.toml", mend="Add it, or correct the citation."
        )
    place = f", at {citation.locator}" if citation.locator else ""
    link = f" {source.link}" if source.link else ""
    return f"{source.id}: {source.text}{place}.{link}"
