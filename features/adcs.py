"""Typed records of the ADC catalogue `adcs.toml`, the source of truth for ADCs."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from features.biomarkers import Citation, Route
from features.catalogue_file import read_catalogue
from features.cohort import NO_ADC
from features.column_names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Mapping


class Adc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An antibody-drug conjugate: its parts, and how they are known."""

    #: canonical short name used in cohort files: "T-DM1"
    id: str
    name: str
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
    dar_text: str
    status: str
    her2_targeted: bool
    #: what the values rest on, in words; the fields that are inferred or unverified stand in `unverified_fields`
    verification: str
    citations: tuple[Citation, ...]
    #: brands, codes and other spellings met in files
    aliases: tuple[str, ...] = ()
    #: None where no source tells, or where the conjugate has one linker of each kind
    cleavable: bool | None = None
    #: drug-to-antibody ratio; None where no source tells
    dar: float | None = None
    #: whether the payload kills neighbouring cells without the target; None where no source tells
    bystander: bool | None = None
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
    document = read_catalogue("adcs.toml", _Document)
    return MappingProxyType({a.id: a for a in document.adc})


@cache
def adc_names() -> Mapping[str, str]:
    """Every known name of an ADC (id, generic name, brand, code), normalised, with the ADC's id.

    Returns
    -------
    Mapping of str to str
        `features.column_names.normalise_name` of a name to the id; every name belongs to one ADC.
    """
    return MappingProxyType(
        {normalise_name(name): adc.id for adc in adcs().values() for name in (adc.id, adc.name, *adc.aliases)}
    )


#: Dose ("5.4 mg/kg", "3.6/2.4") and schedule ("q3w", "x 4", "every 3 weeks"), which are no part of a drug's name.
_DOSE = re.compile(
    r"(?<![\w-])\d+(?:\.\d+)?(?:\s*/\s*\d+(?:\.\d+)?)*\s*(?:mg|\u00b5g|ug)(?:\s*/\s*(?:kg|m2|m\u00b2))?\b"
    r"|(?<![\w-])\d+\.\d+(?:\s*/\s*\d+(?:\.\d+)?)*(?![\w.-])"
    r"|\bq\s?\d+\s?[wd]k?s?\b|\bevery\s+\d+\s+(?:weeks?|days?)\b|\bweekly\b|(?<!\w)x\s?\d+\b|\b(?:i\.?v\.?|s\.?c\.?)(?!\w)",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"[+/,;&()\[\]]|\s(?:and|with|then|followed by|plus)\s", re.IGNORECASE)
#: Abbreviations of the partners that ADC arms are written with ("T-DM1+P" is T-DM1 with pertuzumab).
_PARTNERS = MappingProxyType({"p": "pertuzumab", "h": "trastuzumab", "ptz": "pertuzumab"})
#: Payload stems of ADC names: a drug that carries one and is not in the catalogue is an unknown ADC, no comparator.
_ADC_STEM = re.compile(
    r"(?:tansine|deruxtecan|govitecan|tirumotecan|rezetecan|dotin|duocarmazine|tesirine|ozogamicin|pasudotox|imbotolimod|dxd|dm1|mmae|mmaf)$"
)


def resolve_adc(text: str, *, comparator: bool = False) -> tuple[str, str] | None:
    """Find the ADC in the name of a drug, regimen or trial arm.

    Parameters
    ----------
    text : str
        A generic name, brand, code or arm: "Kadcyla", "DS-8201a", "TDM1/P", "Enhertu 5.4 mg/kg".
    comparator : bool
        Read a regimen that holds no ADC as a comparator arm instead of refusing it. A regimen that looks like a
        misspelt or unlisted ADC is still refused.

    Returns
    -------
    tuple of (str, str), or None
        The ADC's id and its partner drugs, joined by "; " ("" for none): `("T-DM1", "pertuzumab")`. For a
        comparator `("none", text)`. None where the text is unknown or names two ADCs.

    Examples
    --------
    >>> resolve_adc("Trastuzumab emtansine + Pertuzumab")
    ('T-DM1', 'pertuzumab')
    >>> resolve_adc("Paclitaxel + Trastuzumab", comparator=True)
    ('none', 'Paclitaxel + Trastuzumab')
    """
    names = adc_names()
    whole = normalise_name(text)
    if whole in names:
        return names[whole], ""
    if whole == NO_ADC:
        return NO_ADC, ""
    parts = [part.strip(" .:-") for part in _SEPARATOR.split(_DOSE.sub(" ", text))]
    parts = [part for part in parts if normalise_name(part)]
    found = {names[normalise_name(part)] for part in parts if normalise_name(part) in names}
    if len(found) == 1:
        partners = [_partner(part) for part in parts if normalise_name(part) not in names]
        return found.pop(), "; ".join(dict.fromkeys(partners))
    if found or not comparator or not parts or any(map(_looks_like_adc, parts)):
        return None
    return NO_ADC, text.strip()


def _partner(text: str) -> str:
    # Regimens are known by capitals (THP, TCHP); drugs by lower-case generic names.
    known = _PARTNERS.get(normalise_name(text))
    if known:
        return known
    return text if text.isupper() and len(text) <= 6 else text.casefold()


def _looks_like_adc(text: str) -> bool:
    name = normalise_name(text)
    return bool(_ADC_STEM.search(name) or get_close_matches(name, adc_names(), n=1, cutoff=0.8))
