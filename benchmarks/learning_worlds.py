"""Worlds to learn in, with the truth known: the simulator's, altered ones, and ones of another structure.

`simulator`  drawn like the prior's worlds, from seeds that the prior never uses
`altered`    20 to 60% of the biomarkers turned round or removed
`unknown`    effects where the literature has a question mark
`additive`   a sum of effects on the log-odds scale, none of the simulator's mechanism; sizes far larger
`threshold`  steps at cut-offs that nobody published, and three interactions
`unlisted`   half of the signal in columns that the catalogue does not know
`wrong`      the simulator's response turned upside down, HER2 and all: the literature is entirely wrong

In the three other structures the catalogue's direction is right for 80% of the biomarkers that it directs, wrong for
10%, and 10% have no effect; of those without a direction one in eight has an effect all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.special import expit

from features.adcs import adcs
from features.biomarkers import Direction, biomarker_of, measures
from features.cohort import OUTCOME_COLUMNS, Cohort, CohortSource
from features.feature_table import build_schema, encode
from features.synthetic.calibration import solve_offset
from features.synthetic.enrolment import plan_enrolment
from features.synthetic.mechanism import response_index
from features.synthetic.parameters import effects
from features.synthetic.simulator import Simulator, blocks_of
from features.synthetic.worlds import World, draw_world
from training.prior_worlds import altered_world

if TYPE_CHECKING:
    from features.feature_table import FeatureSchema

SIMULATED = ("simulator", "altered", "unknown")
OTHER = ("additive", "threshold", "unlisted")
FAMILIES = (*SIMULATED, *OTHER, "wrong")
#: Setting, ADCs and endpoint of a world, in turn: mixed and single-drug cohorts, both endpoints.
TREATMENTS = (
    ("metastatic", None, "objective_response"),
    ("metastatic", ("T-DM1",), "objective_response"),
    ("neoadjuvant", None, "pcr"),
    ("metastatic", ("T-DXd",), "objective_response"),
    ("metastatic", ("T-DM1", "T-DXd", "RC48", "ARX788"), "objective_response"),
)
#: Far from the prior's worlds and population.
_FIRST_WORLD, _FIRST_COHORT = 500_000, 900_000
_DROPPED = (*OUTCOME_COLUMNS, "data_origin", "cohort", "site")
TEST_PATIENTS, CEILING_PATIENTS = 4000, 20_000


@dataclass(frozen=True)
class LearningWorld:
    """Patients to learn from and to be judged on, with their true probabilities."""

    family: str
    number: int
    endpoint: str
    patients: pd.DataFrame
    outcome: np.ndarray
    truth: np.ndarray
    extra_features: tuple[str, ...]

    def schema(self, count: int) -> FeatureSchema:
        """Columns of a model of the first patients."""
        first = self.patients.iloc[:count].reset_index(drop=True)
        source = CohortSource(self.family, None, "", kind="simulated")
        return build_schema(Cohort(source, first, tuple(range(count)), count), extra_features=self.extra_features)

    def matrix(self, schema: FeatureSchema, rows: slice) -> np.ndarray:
        """Encode some patients."""
        return np.ascontiguousarray(encode(self.patients.iloc[rows], schema).to_numpy())


def learning_world(family: str, number: int, most_patients: int) -> LearningWorld:
    """Draw a world and its patients: first those to learn from, then the test patients, then those of the ceiling."""
    draws = np.random.default_rng([crc32(family.encode()), number])
    setting, adc_ids, endpoint = TREATMENTS[number % len(TREATMENTS)]
    count = most_patients + TEST_PATIENTS + CEILING_PATIENTS
    world = _world(family, number, draws)
    index, patients, arm, rates = _simulated(count, number, setting, adc_ids, world)
    extra: tuple[str, ...] = ()
    if family == "wrong":
        index = -index
    if family in OTHER:
        index, extra = _other_structure(family, patients, draws)
        arm, rates = np.zeros(count, dtype=int), {0: float(draws.uniform(0.35, 0.6))}
    for position, rate in rates.items():
        own = arm == position
        index[own] += solve_offset(index[own], float(np.clip(rate, 0.15, 0.85)))
    truth = expit(index)
    outcome = (draws.random(count) < truth).astype(np.int64)
    return LearningWorld(family, number, endpoint, patients, outcome, truth, extra)


def _world(family: str, number: int, draws: np.random.Generator) -> World:
    world = draw_world(_FIRST_WORLD + number)
    if family == "altered":
        return altered_world(world, draws, float(draws.uniform(0.2, 0.6)))
    if family == "unknown":
        typical = np.median([abs(size) for size in world.effect_sizes.values()])
        added = {
            (e.id, route): float(draws.normal(0, 2 * typical))
            for e in effects().values()
            for route, cell in e.cells.items()
            if cell == "?"
        }
        return World(world.seed, {**world.effect_sizes, **added}, world.constants)
    return world


def _simulated(
    count: int, number: int, setting: str, adc_ids: tuple[str, ...] | None, world: World
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray, dict[int, float]]:
    """Log-odds up to an offset per arm, patients without outcomes, the arm of each, and each arm's response rate."""
    plan = plan_enrolment(count, _FIRST_COHORT + number, adcs=adc_ids, setting=setting)
    simulator = Simulator(plan)
    index, tables, arm, rate = [], [], [], []
    for block_number, size in blocks_of(count):
        block = simulator.block(block_number, size)
        of_block = np.empty(size)
        for position, treatment in enumerate(plan.arms):
            own = block.arm_index == position
            if own.any():
                tumours = {name: values[own] for name, values in block.tumours.items()}
                of_block[own] = response_index(tumours, treatment.adc, world, plan.populations[position].endpoint)
        index.append(of_block)
        tables.append(simulator.patients(block).drop(columns=list(_DROPPED)))
        arm.append(block.arm_index)
        rate.append(block.true_probability)
    arms, rates = np.concatenate(arm), np.concatenate(rate)
    of_arm = {int(a): float(rates[arms == a].mean()) for a in np.unique(arms)}
    return np.concatenate(index), pd.concat(tables, ignore_index=True), arms, of_arm


def _other_structure(
    family: str, patients: pd.DataFrame, draws: np.random.Generator
) -> tuple[np.ndarray, tuple[str, ...]]:
    hidden = _complete(patients, draws)
    index = _drug_effect(patients, draws)
    extra: tuple[str, ...] = ()
    if family == "additive":
        index = index + _effects(hidden, patients, draws)
    elif family == "threshold":
        index = index + _thresholds(hidden, patients, draws)
    else:
        index = index + 0.6 * _effects(hidden, patients, draws) + _unlisted(patients, draws)
        extra = tuple(c for c in patients if c.startswith("lab_"))
    return index - index.mean(), extra


def _complete(patients: pd.DataFrame, draws: np.random.Generator) -> pd.DataFrame:
    """Measures as standardised numbers; what the file misses has a value all the same, which nobody sees."""
    columns = {}
    for name in patients.columns.intersection(list(measures())):
        measure, values = measures()[name], patients[name]
        if measure.kind == "categorical":
            continue
        if measure.kind == "ordinal":
            values = values.map({level: float(i) for i, level in enumerate(measure.levels)})
        numbers = values.to_numpy(dtype=float, copy=True)
        known = np.isfinite(numbers)
        if known.sum() < 50 or np.nanstd(numbers) == 0:
            continue
        numbers[~known] = draws.choice(numbers[known], (~known).sum())
        columns[name] = (numbers - numbers.mean()) / numbers.std()
    return pd.DataFrame(columns)


def _drug_effect(patients: pd.DataFrame, draws: np.random.Generator) -> np.ndarray:
    of_drug = {adc: draws.normal(0, 0.3) for adc in sorted(set(patients["adc"]))}
    return patients["adc"].map(of_drug).to_numpy(dtype=float)


def _carriers(hidden: pd.DataFrame, draws: np.random.Generator) -> dict[str, str]:
    """One measure that carries each biomarker's effect."""
    of_biomarker: dict[str, list[str]] = {}
    for name in hidden:
        of_biomarker.setdefault(biomarker_of()[name].id, []).append(name)
    return {b: names[draws.integers(len(names))] for b, names in of_biomarker.items()}


def _sizes(hidden: pd.DataFrame, patients: pd.DataFrame, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Effect per standard deviation of each carrying measure, for each patient's route."""
    routes = np.array([str(adcs()[a].route) for a in patients["adc"]])
    sizes = {}
    for biomarker, name in _carriers(hidden, draws).items():
        right, surprise, size, coin = draws.random(), draws.random(), abs(draws.normal(0, 0.5)), draws.choice([-1, 1])
        toward = measures()[name].toward_state
        of_route = {}
        for route in np.unique(routes):
            claim = biomarker_of()[name].directions.get(route)
            sign = {Direction.INCREASE: 1, Direction.DECREASE: -1}.get(claim.direction, 0) if claim else 0
            if sign:
                of_route[route] = sign * (1 if right < 0.8 else -1 if right < 0.9 else 0) * size * toward
            else:
                of_route[route] = coin * size * toward if surprise < 0.125 else 0.0
        sizes[name] = np.array([of_route[r] for r in routes])
        assert biomarker == biomarker_of()[name].id
    return sizes


def _effects(hidden: pd.DataFrame, patients: pd.DataFrame, draws: np.random.Generator) -> np.ndarray:
    sizes = _sizes(hidden, patients, draws)
    return np.asarray(sum(size * hidden[name].to_numpy() for name, size in sizes.items()))


def _thresholds(hidden: pd.DataFrame, patients: pd.DataFrame, draws: np.random.Generator) -> np.ndarray:
    sizes = _sizes(hidden, patients, draws)
    above = {n: (hidden[n] > hidden[n].quantile(draws.uniform(0.25, 0.75))).to_numpy(dtype=float) for n in sizes}
    total = np.asarray(sum(2.2 * size * (above[name] - above[name].mean()) for name, size in sizes.items()))
    live = [name for name, size in sizes.items() if np.any(size != 0)]
    for _ in range(3):
        one, other = draws.choice(live, 2, replace=False)
        both = above[one] * above[other]
        total = total + draws.normal(0, 1.0) * (both - both.mean())
    return total


def _unlisted(patients: pd.DataFrame, draws: np.random.Generator) -> np.ndarray:
    """Add four columns with strong effects that no catalogue knows; a tenth of their values is missing."""
    values = draws.normal(size=(len(patients), 4))
    values[:, 3] = values[:, 3] > 0.3
    sizes = np.array([0.8, 0.72, 0.64, 0.96]) * draws.choice([-1, 1], 4)
    for j in range(4):
        patients[f"lab_{j + 1}"] = np.where(draws.random(len(patients)) < 0.1, np.nan, values[:, j])
    return (values - values.mean(axis=0)) @ sizes
