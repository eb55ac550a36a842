"""Typed records of published trial results `trials.toml`: what the simulator may be held against, and what not."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from features.biomarkers import Citation
from features.catalogue_file import read_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

Verification = Literal[
    "verified",  # the number was seen in a source
    "review_verified",  # a review states it, and it was seen in a source
    "derived",  # computed from verified numbers
    "review_only",  # a review states it; not seen in a source
    "unverified",  # not seen, or contradicted
]
#: Verifications that a result must have to anchor the simulator.
TRUSTED: frozenset[Verification] = frozenset({"verified", "review_verified", "derived"})


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several results that stand in one row, with its 95% interval where one was given."""

    subgroup: str
    value: float
    n: int | None = None
    low: float | None = None
    high: float | None = None


class TrialResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published number: of which patients, on which regimen, and how far it can be trusted."""

    id: str
    trial: str
    population: str
    her2_class: Literal["positive", "low", "low_or_ultralow", "ultralow", "zero", "negative", "not_confirmed", "any"]
    setting: Literal["neoadjuvant", "adjuvant", "metastatic", "mixed", "any", "preclinical"]
    #: ORR, BOR (best objective response), pCR, mPFS, mOS, prevalence... as published
    endpoint: str
    #: "percent", "months", "HR"...
    unit: str
    verification: Verification
    #: may anchor the simulator: a trusted response rate, median PFS or population share that it models
    calibrates: bool
    #: regimen that the value is of; "" for a distribution at baseline
    regimen: str = ""
    #: ADC of the regimen as the catalogue names it; "" where it holds none
    adc: str = ""
    comparator: str = ""
    hr_status: Literal["positive", "negative", ""] = ""
    line: str = ""
    subgroup: str = ""
    #: None where no usable number was published; see `parts` and `comparison`
    value: float | None = None
    #: 95% interval of the value, only where it was published
    low: float | None = None
    high: float | None = None
    #: patients with the event, where it was published as a count
    events: int | None = None
    #: patients that the value is of
    n: int | None = None
    n_text: str = ""
    n_unconfirmed: bool = False
    #: the comparator's result and other figures, as published
    comparison: str = ""
    citations: tuple[Citation, ...] = ()
    url: str = ""
    #: where it was read, when no lasting address is known
    seen_in: str = ""
    note: str = ""
    #: the results, where one row holds several
    parts: tuple[Part, ...] = ()


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    trial: tuple[TrialResult, ...]


@cache
def trials() -> Mapping[str, TrialResult]:
    """Every published result by its id ("TR001"), in catalogue order.

    Returns
    -------
    Mapping of str to TrialResult
    """
    document = read_catalogue("trials.toml", _Document)
    return MappingProxyType({t.id: t for t in document.trial})
