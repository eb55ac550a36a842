"""Typed records of the ADC catalogue `adcs.toml`, the source of truth for ADCs."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import msgspec

from features.biomarkers import Citation, Route

if TYPE_CHECKING:
    from collections.abc import Mapping


class Adc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An antibody-drug conjugate: its parts, and how they are known."""

    #: canonical short name used in cohort files: "T-DM1"
    id: str
    name: str
    aliases: tuple[str, ...]
    target: str
    antibody: str
    payload: str
    payload_class: Literal[
        "maytansinoid",
        "auristatin",
        "topoisomerase1",
        "alkylator",
        "immune_agonist",
        "dna_damage",
        "protein_toxin",
        "microtubule_dual",
        "degrader",
        "other",
    ]
    linker: str
    #: None where no source tells
    cleavable: bool | None
    #: drug-to-antibody ratio; None where no source tells
    dar: float | None
    dar_text: str
    bystander: bool | None
    status: str
    her2_targeted: bool
    #: what the values above rest on: "review", "search", "inferred", "unverified", by field
    verification: str
    citations: tuple[Citation, ...]
    trial_ids: tuple[str, ...] = ()
    #: fields whose value is inferred or unverified
    unverified_fields: tuple[str, ...] = ()
    note: str = ""

    @property
    def route(self) -> Route | None:
        """Payload class with linker, the key of the catalogue's directions; None where none applies."""
        if self.cleavable is None:
            return None
        key = f"{self.payload_class}_{'cleavable' if self.cleavable else 'noncleavable'}"
        return _ROUTES.get(key)


_ROUTES: dict[str, Route] = {
    "maytansinoid_noncleavable": "maytansinoid_noncleavable",
    "auristatin_noncleavable": "auristatin_noncleavable",
    "auristatin_cleavable": "auristatin_cleavable",
    "topoisomerase1_cleavable": "topoisomerase1_cleavable",
    "alkylator_cleavable": "alkylator_cleavable",
}


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    adc: tuple[Adc, ...]


@cache
def adcs() -> Mapping[str, Adc]:
    """Every ADC of the catalogue by its short name, in catalogue order.

    Returns
    -------
    Mapping of str to Adc
    """
    text = files("features").joinpath("adcs.toml").read_bytes()
    return {a.id: a for a in msgspec.toml.decode(text, type=_Document).adc}
