"""Typed records of the simulator's parameters, each with its source, and how they are looked up.

`marginals.toml` holds the joint distribution of the biomarkers, `mechanism.toml` the constants of the ADC's way through
the cell, `effects.toml` the biomarker effects by route, `populations.toml` whom each trial enrolled, and
`calibration.toml` what was fitted to published results.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from features.biomarkers import Route
from features.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: True HER2 class of a tumour, lowest first.
HER2_CLASSES = ("0", "ultralow", "1+", "2+/ISH-", "2+/ISH+", "3+")
#: Index of the first class of HER2_CLASSES that is HER2-positive by ASCO/CAP.
FIRST_POSITIVE_CLASS = HER2_CLASSES.index("2+/ISH+")

#: Column of the effect matrix for arms without an ADC.
COMPARATOR_ROUTE = "comparator"

Endpoint = Literal["objective_response", "pcr"]
Evidence = Literal["clinical_trial", "clinical_retrospective", "preclinical", "conflicting"]
Step = Literal[
    "accessible_antigen",
    "internalised",
    "lysosomal_processing",
    "lysosomal_escape",
    "efflux",
    "payload_effect",
    "survival_signalling",
    "immune_contribution",
    "treatment_history",
]


class Marginal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number of the joint distribution of biomarkers."""

    id: str
    value: float
    source: str
    #: a choice of this project where no source gives a number
    assumed: bool = False


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One constant of the mechanism; worlds draw it where `evidence` is given."""

    id: str
    value: float
    unit: str
    source: str
    evidence: Evidence | None = None


class ModelledAdc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ADC that the simulator models: its payload class with linker, and its antigen."""

    id: str
    route: Route
    target: Literal["HER2", "HER3"]


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one biomarker does at one mechanism step, by route; a cell of "?" has no evidence and no effect."""

    id: str
    measure: str
    step: Step
    scale: Literal["log_dose", "log_odds"]
    per: Literal["sd", "yes", "log", "log1p"]
    evidence: Evidence
    sign_wrong: float
    cells: dict[str, float | Literal["?"]]
    source: str
    reference: float = 1.0
    endpoints: tuple[Endpoint, ...] = ("objective_response", "pcr")

    def best_estimate(self, route: str) -> float:
        """Effect per unit of the covariate on a route; 0 where the cell is '?' or not listed."""
        cell = self.cells.get(route, "?")
        return 0.0 if isinstance(cell, str) else float(cell)


class Population(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a trial enrolled: HER2 classes, setting and history."""

    id: str
    cohort: str
    setting: Literal["neoadjuvant", "metastatic"]
    classes: dict[str, float]
    source: str
    #: fewest and mean lines for metastatic disease before this treatment
    prior_lines: tuple[int, float] = (0, 0.0)
    prior_pertuzumab: float = 0.0
    brain_metastases: float = 0.0
    hr_positive: float | None = None
    assumed: tuple[str, ...] = ()

    @property
    def endpoint(self) -> Endpoint:
        """The response endpoint of the setting."""
        return "pcr" if self.setting == "neoadjuvant" else "objective_response"


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One treatment group of a population; `weight` is its share of the trial's patients."""

    id: str
    population: str
    #: ADC and partner drugs with plus signs between, the ADC first: "T-DM1+pertuzumab"
    regimen: str
    weight: float

    @property
    def adc(self) -> str:
        """Canonical short name of the ADC."""
        return self.regimen.partition("+")[0]

    @property
    def partner_drugs(self) -> str:
        """Drugs given with the ADC, as a cohort file names them, or an empty string."""
        return self.regimen.partition("+")[2].replace("+", "; ")


class _Marginals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    marginal: tuple[Marginal, ...]


class _Mechanism(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    adc: tuple[ModelledAdc, ...]
    constant: tuple[Constant, ...]


class _Effects(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    effect: tuple[Effect, ...]


class _Populations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    population: tuple[Population, ...]
    arm: tuple[Arm, ...]


Document = TypeVar("Document")


def read_document(name: str, kind: type[Document]) -> Document:
    """Read one of the package's TOML files into its record type."""
    return msgspec.toml.decode(files("features.synthetic").joinpath(name).read_bytes(), type=kind)


@cache
def marginals() -> Mapping[str, Marginal]:
    """Every number of the joint distribution by id."""
    return {m.id: m for m in read_document("marginals.toml", _Marginals).marginal}


def marginal(name: str) -> float:
    """Value of one number of the joint distribution."""
    return marginals()[name].value


@cache
def _mechanism() -> _Mechanism:
    return read_document("mechanism.toml", _Mechanism)


@cache
def constants() -> Mapping[str, Constant]:
    """Every constant of the mechanism by id."""
    return {c.id: c for c in _mechanism().constant}


@cache
def modelled_adcs() -> Mapping[str, ModelledAdc]:
    """Every ADC that the simulator models by its short name."""
    return {a.id: a for a in _mechanism().adc}


@cache
def effects() -> Mapping[str, Effect]:
    """Every biomarker effect by id."""
    return {e.id: e for e in read_document("effects.toml", _Effects).effect}


@cache
def _population_document() -> _Populations:
    return read_document("populations.toml", _Populations)


@cache
def populations() -> Mapping[str, Population]:
    """Every population by id."""
    return {p.id: p for p in _population_document().population}


@cache
def arms() -> Mapping[str, Arm]:
    """Every arm by id."""
    return {a.id: a for a in _population_document().arm}


def trial_names() -> tuple[str, ...]:
    """Trials whose population and arms can be drawn, in file order."""
    return tuple(p for p in populations() if not p.startswith("clinic"))


def lookup_failure(what: str, asked: str, known: Iterable[str]) -> InputError:
    """Error for a name that is not known, with close matches or the full list.

    Parameters
    ----------
    what : str
        What was looked up: "trial".
    asked : str
        The name as given.
    known : iterable of str
        The names there are.

    Returns
    -------
    InputError
    """
    names = list(known)
    folded = {fold(name): name for name in names}
    close = [folded[key] for key in get_close_matches(fold(asked), folded, n=3, cutoff=0.5)]
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Use one of: {', '.join(names)}."
    return InputError(f"the simulator has no {what} '{asked}'.", mend=hint)


def fold(name: str) -> str:
    """Letters and digits of a name without case, by which names are compared."""
    return "".join(c for c in name.casefold() if c.isalnum())
