"""Which genes a sequencing panel covers: a gene that is not on a sample's panel is missing there, not wild type."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names that say "every gene" in a gene-panel matrix.
WHOLE_GENOME = frozenset({"WES", "WXS", "WGS", "WHOLE EXOME", "WHOLE GENOME"})


class _Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    citation: str
    added: tuple[str, ...]
    extends: str = ""
    dropped: tuple[str, ...] = ()


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    panel: tuple[_Panel, ...]


@cache
def shipped_panels() -> Mapping[str, frozenset[str]]:
    """Genes of each panel that adcr knows, by the panel's id in capitals."""
    content = files("features").joinpath("public", "gene_panels.toml").read_bytes()
    genes: dict[str, frozenset[str]] = {}
    for panel in msgspec.toml.decode(content, type=_Document).panel:
        genes[panel.id.upper()] = (genes.get(panel.extends.upper(), frozenset()) - set(panel.dropped)) | set(
            panel.added
        )
    return genes


def parse_panel(text: str) -> tuple[str, frozenset[str]]:
    """Read a cBioPortal gene-panel file.

    Parameters
    ----------
    text : str
        Lines "stable_id: ..." and "gene_list: ..." with tabs between the genes.

    Returns
    -------
    tuple of (str, frozenset of str)
        The panel's id in capitals, and its genes.
    """
    fields = dict(line.partition(":")[::2] for line in text.splitlines() if ":" in line)
    return fields.get("stable_id", "").strip().upper(), frozenset(fields.get("gene_list", "").split())
