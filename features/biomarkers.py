"""Typed records of the biomarker catalogue `biomarkers.toml`, the source of truth for biomarkers.

A *biomarker* is a biological fact (CDK12 amplification); a *measure* is a column in which a cohort may hold it
(`cdk12_amplified`, `cdk12_copy_number`). Facts and citations stand once, on the biomarker; assay, unit, range and
the names met in real files stand on the measure.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from features.catalogue_file import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The drug classes that directions are known for: payload class and whether the linker is cleavable.
Route = Literal[
    "maytansinoid_noncleavable",  # T-DM1
    "auristatin_noncleavable",  # ARX788
    "auristatin_cleavable",  # RC48
    "topoisomerase1_cleavable",  # T-DXd
    "alkylator_cleavable",  # SYD985
    "trastuzumab",  # the naked antibody: kept for contrast, never copied to an ADC
]


class Direction(StrEnum):
    """What more of the encoded state does to response on an ADC."""

    INCREASE = "increase"
    DECREASE = "decrease"
    NONE = "none"
    UNKNOWN = "unknown"
    CONFLICTING = "conflicting"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Direction of effect on one route, how strong the support is, and where it was read."""

    direction: Direction
    support: Literal["clinical", "preclinical", "inferred", "none"] = "none"
    #: S stated in a review, X external source, I inferred; "" where nothing was found
    basis: str = ""
    note: str = ""


class Citation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source of `sources.toml` and the place in it."""

    source: str
    locator: str = ""


class Prevalence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of patients, its population and source; `fraction` is absent where no number is safe to use."""

    population: str
    text: str
    source: str
    fraction: float | None = None
    low: float | None = None
    high: float | None = None


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cohort column: `<symbol>_<measure>`, its assay, unit and allowed values."""

    id: str
    label: str
    assay: str
    #: unit of a number ("copies", "ratio", "fraction", "z-score", "years", "percent") or "level" / "yes/no"
    unit: str
    kind: Literal["numeric", "ordinal", "binary", "categorical"]
    #: +1: a higher value means more of the biomarker's encoded state; -1: less of it; 0: neither
    toward_state: Literal[-1, 0, 1]
    minimum: float | None = None
    maximum: float | None = None
    #: allowed levels, lowest first (ordinal and categorical only)
    levels: tuple[str, ...] = ()
    #: other spellings of a level, as met in real files: {"3": "3+"}; of a binary measure to "0" or "1"
    level_synonyms: dict[str, str] = {}
    #: names met in real files; matched without case, spaces and punctuation
    synonyms: tuple[str, ...] = ()
    #: one of the user's five core biomarkers (HER2 level, heterogeneity, p95HER2, CDK12, ERBB2 deletion)
    core: bool = False
    note: str = ""


class Biomarker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A biomarker: what it is, what is known of its effect per route, and who says so."""

    id: str
    label: str
    #: HGNC symbol, or "" where the biomarker is no gene (age, prior lines)
    symbol: str
    mechanism_step: Literal[
        "target_binding",
        "internalisation",
        "trafficking",
        "lysosome",
        "payload_release",
        "efflux",
        "payload_target",
        "dna_damage_response",
        "survival_signalling",
        "stemness",
        "metabolism",
        "immune_tme",
        "clinical",
    ]
    state_encoded: str
    evidence_level: Literal["clinical_trial", "clinical_retrospective", "preclinical", "none"]
    measures: tuple[Measure, ...]
    directions: dict[Route, Claim]
    citations: tuple[Citation, ...]
    prevalence: tuple[Prevalence, ...] = ()
    effect: str = ""
    conflicts: str = ""
    note: str = ""
    #: row of the evidence table it was read from; "" for a measure added from a cohort
    evidence_row: str = ""
    #: False for an alteration acquired under therapy, which must not be a baseline feature
    baseline: bool = True
    #: False where the source contradicts itself on the sign (p27, miR-221): never used by a model
    usable: bool = True
    #: symbol without whose measures in the model the directions say nothing (CDK12 is co-amplified with ERBB2)
    conditional_on: str = ""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    biomarker: tuple[Biomarker, ...]


@cache
def biomarkers() -> Mapping[str, Biomarker]:
    """Every biomarker of the catalogue by id, in catalogue order.

    Returns
    -------
    Mapping of str to Biomarker
    """
    document = read_catalogue("biomarkers.toml", _Document)
    return MappingProxyType({b.id: b for b in document.biomarker})


@cache
def measures() -> Mapping[str, Measure]:
    """Every measure of the catalogue by column id, in catalogue order.

    Returns
    -------
    Mapping of str to Measure
    """
    return MappingProxyType({m.id: m for b in biomarkers().values() for m in b.measures})


@cache
def biomarker_of() -> Mapping[str, Biomarker]:
    """Look up the biomarker that each measure belongs to, by measure id.

    Returns
    -------
    Mapping of str to Biomarker
    """
    return MappingProxyType({m.id: b for b in biomarkers().values() for m in b.measures})


def monotone_sign(measure_id: str, routes: Iterable[Route]) -> int:
    """Sign that a model may be held to for a measure, given the routes of the cohort's ADCs.

    Only where the direction is known on every route, agrees over all of them, is not conflicting, and the biomarker
    is a usable baseline feature whose sign does not hang on another biomarker.

    Parameters
    ----------
    measure_id : str
        Column id of the catalogue.
    routes : iterable of Route
        Routes of all ADCs in the cohort.

    Returns
    -------
    int
        +1: response may only rise with the value; -1: only fall; 0: unconstrained.
    """
    biomarker = biomarker_of()[measure_id]
    if not (biomarker.baseline and biomarker.usable) or biomarker.conditional_on:
        return 0
    signs = set()
    for route in routes:
        claim = biomarker.directions.get(route)
        direction = Direction.UNKNOWN if claim is None else claim.direction
        signs.add({Direction.INCREASE: 1, Direction.DECREASE: -1}.get(direction, 0))
    if len(signs) != 1:
        return 0
    toward = next(m.toward_state for m in biomarker.measures if m.id == measure_id)
    return signs.pop() * toward
