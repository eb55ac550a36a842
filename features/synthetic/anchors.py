"""Published results that simulated trials are held against, and what the simulator says to each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from scipy.stats import beta

from features.synthetic.outcomes import BEST_RESPONSES, best_responses, progression_free_time
from features.synthetic.parameters import HER2_CLASSES, arms, populations, read_document
from features.synthetic.population import draw_tumours
from features.synthetic.population_tables import population_tables
from features.synthetic.streams import StratifiedDraws
from features.trials import trials

if TYPE_CHECKING:
    from features.synthetic.arrays import BoolArray, FloatArray, Tumours

#: Patients of each arm's reference population, and the seed of its stratified draws.
ARM_PATIENTS = 2048
_ARM_SEED = 20_211_001
#: Share of patients with an event in a trial's analysis of progression-free survival, where only n is known. Assumed.
_USUAL_EVENTS = 0.6


#: Conditions of a subgroup that are true or false, with their two readings.
_CONDITIONS = (
    ("her2_positive", "HER2-positive", "not HER2-positive"),
    ("hr_status", "HR-positive", "HR-negative"),
    ("her2_heterogeneous", "heterogeneous HER2", "HER2 not heterogeneous"),
    ("pam50_her2_enriched", "HER2-enriched", "not HER2-enriched"),
    ("pik3ca_mutated", "PIK3CA mutated", "PIK3CA wild type"),
    ("brain_metastases", "brain metastases", "no brain metastases"),
)


class Subgroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Conditions on the true biology of a patient; those left out do not restrict."""

    classes: tuple[str, ...] = ()
    her2_positive: Literal[0, 1] | None = None
    hr_status: Literal[0, 1] | None = None
    her2_heterogeneous: Literal[0, 1] | None = None
    pam50_her2_enriched: Literal[0, 1] | None = None
    pik3ca_mutated: Literal[0, 1] | None = None
    brain_metastases: Literal[0, 1] | None = None
    #: half of the others by ERBB2 mRNA
    mrna_half: Literal["low", "high"] | None = None

    def describe(self) -> str:
        """Return the conditions in words; empty for everyone."""
        words = [f"HER2 {' or '.join(self.classes)}"] if self.classes else []
        for name, positive, negative in _CONDITIONS:
            value = getattr(self, name)
            if value is not None:
                words.append(positive if value else negative)
        if self.mrna_half:
            words.append(f"ERBB2 mRNA {'above' if self.mrna_half == 'high' else 'below'} the median")
        return ", ".join(words)


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published result and the simulated patients it speaks of."""

    #: row of trials.toml
    result: str
    arm: str
    role: Literal["fitted", "held_out"]
    subgroup: Subgroup = Subgroup()
    quantity: Literal["response", "median_pfs"] = "response"
    #: patients, where the published row does not give them; `n_source` says how they were found
    n: int | None = None
    n_source: str = ""
    #: published percentage of a comparator arm, which stands in the row's `comparison`
    percent: float | None = None
    #: why the simulator may miss it
    note: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A published value with a 95% interval: a fraction of `n` patients, or a median in months."""

    value: float
    low: float
    high: float
    n: int
    #: "published", "Clopper-Pearson from n/N" or "approximate, from n"
    interval: str


class _Anchors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    anchor: tuple[Anchor, ...]


@cache
def anchors() -> tuple[Anchor, ...]:
    """Every anchor, in file order."""
    return read_document("anchors.toml", _Anchors).anchor


def clopper_pearson(events: int, n: int) -> tuple[float, float]:
    """Exact 95% interval of a proportion.

    Parameters
    ----------
    events, n : int
        Patients with the outcome, and all patients.

    Returns
    -------
    tuple of float
        Lower and upper limit.

    References
    ----------
    .. [1] Clopper, Pearson. Biometrika 1934;26:404.
    """
    low = float(beta.ppf(0.025, events, n - events + 1)) if events > 0 else 0.0
    high = float(beta.ppf(0.975, events + 1, n - events)) if events < n else 1.0
    return low, high


def published(anchor: Anchor) -> Published:
    """Look up the published value of an anchor, with its 95% interval.

    A rate without a published interval gets the exact one from n and N; a median without one gets that of exponential
    times with the usual share of events, which is marked approximate.

    Parameters
    ----------
    anchor : Anchor

    Returns
    -------
    Published
        Rates as fractions, medians in months.
    """
    row = trials()[anchor.result]
    number = anchor.percent if anchor.percent is not None else row.value
    n = anchor.n or row.n
    if number is None or n is None:
        raise ValueError(f"{anchor.result} has no value or number of patients")
    own = anchor.percent is None
    if anchor.quantity == "median_pfs":
        width = float(np.exp(1.96 / np.sqrt(_USUAL_EVENTS * n)))
        low, high = row.low or number / width, row.high or number * width
        kind = "published" if row.low and row.high else "approximate, from n"
        return Published(number, low, high, n, kind)
    if own and row.low is not None and row.high is not None:
        return Published(number / 100.0, row.low / 100.0, row.high / 100.0, n, "published")
    events = row.events if own and row.events is not None else round(number / 100.0 * n)
    return Published(events / n, *clopper_pearson(events, n), n, "Clopper-Pearson from n/N")


@lru_cache(maxsize=64)
def arm_tumours(arm: str, count: int = ARM_PATIENTS) -> Tumours:
    """Draw the fixed, stratified reference population of a trial arm.

    Parameters
    ----------
    arm : str
        Id of the arm.
    count : int
        Number of patients.

    Returns
    -------
    dict of str to ndarray, shape (count,)
        True biology; not to be changed.
    """
    tables = population_tables([populations()[arms()[arm].population]])
    return draw_tumours(tables, np.zeros(count, dtype=np.intp), StratifiedDraws(_ARM_SEED, count))


def members(subgroup: Subgroup, tumours: Tumours) -> BoolArray:
    """Which patients a subgroup holds."""
    inside = np.ones(len(tumours["class_index"]), dtype=np.bool_)
    if subgroup.classes:
        wanted = [float(HER2_CLASSES.index(c)) for c in subgroup.classes]
        inside &= np.isin(tumours["class_index"], wanted)
    for name, _, _ in _CONDITIONS:
        wanted_value = getattr(subgroup, name)
        if wanted_value is not None:
            inside &= tumours[name] == wanted_value
    if subgroup.mrna_half is not None:
        level = tumours["log10_mrna"]
        above = level >= np.median(level[inside])
        inside &= above if subgroup.mrna_half == "high" else ~above
    return inside


def median_pfs(probability: FloatArray, inside: BoolArray, scale: FloatArray) -> float:
    """Median progression-free time in months of the patients inside a subgroup, all followed to progression.

    Parameters
    ----------
    probability : ndarray, shape (n_patients,)
        True probability of response.
    inside : ndarray of bool, shape (n_patients,)
        The subgroup.
    scale : ndarray, shape (n_patients,)
        Scale of progression-free time in months.

    Returns
    -------
    float
    """
    draws = StratifiedDraws(_ARM_SEED, len(probability))
    responded, best = best_responses(probability, draws)
    progressed = best == BEST_RESPONSES.index("PD")
    return float(np.median(progression_free_time(probability, responded, progressed, scale, draws)[inside]))
