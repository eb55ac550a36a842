"""What the literature leaves open, simulated: one population, and its true probabilities in many worlds.

The same simulated patients are given to every world, so worlds differ by their effects alone and no noise of outcomes
is learned. Half of the worlds are drawn as the simulator draws them; in the other half a random share of the biomarkers
is turned round or removed beyond that, because the literature may be wrong in ways that its authors did not foresee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pandas as pd
from scipy.special import expit

from features.cohort import OUTCOME_COLUMNS
from features.synthetic.enrolment import plan_enrolment
from features.synthetic.mechanism import response_index
from features.synthetic.parameters import arms, modelled_adcs, populations
from features.synthetic.simulator import Simulator, blocks_of
from features.synthetic.worlds import World, draw_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from features.synthetic.enrolment import Enrolment
    from features.synthetic.simulator import Block

    Floats = NDArray[np.float64]

Setting = Literal["neoadjuvant", "metastatic"]
#: Worlds of the prior are named from here on; benchmarks and tests must keep to smaller numbers.
FIRST_WORLD = 7_000_000_000
_POPULATION_SEED = 7_000_000_000
#: Columns of a simulated patient that no model may learn from.
_NOT_FEATURES = (*OUTCOME_COLUMNS, "data_origin", "cohort", "site")


class PriorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is simulated for the prior.

    Attributes
    ----------
    worlds : int
        Worlds of effect sizes.
    patients : int
        Simulated patients of each ADC in each setting that it is modelled in.
    missing : float
        Mean share of missing values.
    altered : float
        Share of the worlds whose effects are turned round or removed beyond what the evidence levels foresee.
    most_wrong : float
        In such a world each biomarker is altered with a probability drawn between 0 and this.
    """

    worlds: int = 160
    patients: int = 4000
    missing: float = 0.15
    altered: float = 0.5
    most_wrong: float = 0.8


@dataclass(frozen=True)
class Evidence:
    """Simulated patients, and how each would respond in every world.

    Attributes
    ----------
    patients : pandas.DataFrame of shape (n_patients, any)
        Canonical columns without outcomes; `endpoint` names the outcome that the probabilities are of.
    log_odds : numpy.ndarray of shape (n_patients, n_worlds)
        float32; of response to the ADC received, in each world.
    """

    patients: pd.DataFrame
    log_odds: NDArray[np.float32]


def simulate_evidence(settings: PriorSettings) -> Evidence:
    """Simulate every ADC in every setting that it is modelled in.

    Parameters
    ----------
    settings : PriorSettings

    Returns
    -------
    Evidence
    """
    worlds = [prior_world(number, settings) for number in range(settings.worlds)]
    tables, log_odds = [], []
    for position, (adc, setting) in enumerate(modelled_treatments()):
        plan = plan_enrolment(
            settings.patients,
            _POPULATION_SEED + position,
            adcs=[adc],
            setting=setting,
            missing=settings.missing,
        )
        simulator = Simulator(plan)
        for number, count in blocks_of(settings.patients):
            block = simulator.block(number, count)
            table = simulator.patients(block).drop(columns=list(_NOT_FEATURES))
            tables.append(table.assign(endpoint="pcr" if setting == "neoadjuvant" else "objective_response"))
            log_odds.append(np.column_stack([_log_odds(plan, block, world) for world in worlds]).astype(np.float32))
    return Evidence(pd.concat(tables, ignore_index=True), np.concatenate(log_odds))


def modelled_treatments() -> Iterator[tuple[str, Setting]]:
    """Every ADC with each setting that a simulated clinic gives it in."""
    clinic = [a for a in arms().values() if a.population.startswith("clinic")]
    held = {(a.adc, populations()[a.population].setting) for a in clinic}
    for adc in modelled_adcs():
        for setting in ("metastatic", "neoadjuvant"):
            if (adc, setting) in held:
                yield adc, setting


def prior_world(number: int, settings: PriorSettings) -> World:
    """One of the prior's worlds.

    Parameters
    ----------
    number : int
        From 0.
    settings : PriorSettings

    Returns
    -------
    World
    """
    world = draw_world(FIRST_WORLD + number)
    draws = np.random.default_rng([FIRST_WORLD, number])
    if draws.random() >= settings.altered:
        return world
    wrong = draws.uniform(0.0, settings.most_wrong)
    return altered_world(world, draws, wrong)


def altered_world(world: World, draws: np.random.Generator, wrong: float) -> World:
    """Turn round or remove the effects of some biomarkers, on all routes alike.

    Parameters
    ----------
    world : World
    draws : numpy.random.Generator
    wrong : float
        Probability that a biomarker is altered; half of the altered ones are turned round, half removed.

    Returns
    -------
    World
    """
    ids = sorted({effect for effect, _ in world.effect_sizes})
    fates = draws.choice([1.0, -1.0, 0.0], size=len(ids), p=[1 - wrong, wrong / 2, wrong / 2])
    fate = dict(zip(ids, fates, strict=True))
    sizes = {key: size * fate[key[0]] for key, size in world.effect_sizes.items()}
    return World(world.seed, sizes, world.constants)


def _log_odds(plan: Enrolment, block: Block, world: World) -> Floats:
    """Log-odds of the patients of a block in a world, each arm responding as often as published."""
    log_odds = np.empty(len(block.arm_index))
    for position, arm in enumerate(plan.arms):
        own = block.arm_index == position
        if own.any():
            tumours = {name: values[own] for name, values in block.tumours.items()}
            index = response_index(tumours, arm.adc, world, plan.populations[position].endpoint)
            log_odds[own] = _centred(np.asarray(index), float(block.true_probability[own].mean()))
    return log_odds


def _centred(index: Floats, rate: float) -> Floats:
    """Shift log-odds so that their mean probability is `rate`: Newton's method, kept from overshooting."""
    offset = -float(np.median(index))
    for _ in range(25):
        p = expit(index + offset)
        step = float((rate - p.mean()) / max(float((p * (1 - p)).mean()), 1e-6))
        offset += float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-9:
            break
    shifted: Floats = np.clip(index + offset, -15.0, 15.0)
    return shifted
