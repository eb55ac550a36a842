"""Offsets that make simulated trials respond as the published ones did, in every world.

`calibration.toml` holds, per regimen and endpoint, the log-odds offset fitted to the verified response rates in the
world of best estimates, and per trial arm what remains after it. Another world has other effect sizes and would drift
from the published rates, so its regimen offsets are solved again such that each regimen's reference population responds
as often as in the world of best estimates.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from features.synthetic.fitted_parameters import arm_calibration, regimen_calibrations
from features.synthetic.mechanism import response_index
from features.synthetic.parameters import Arm, Endpoint, arms, populations
from features.synthetic.population import draw_tumours
from features.synthetic.population_tables import population_tables
from features.synthetic.streams import StratifiedDraws
from features.synthetic.worlds import World, draw_world

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.synthetic.arrays import FloatArray, Tumours

#: Patients of a regimen's reference population, and the seed of its stratified draws. Part of the calibration.
REFERENCE_PATIENTS = 768
_REFERENCE_SEED = 20_180_530


@lru_cache(maxsize=256)
def regimen_offsets(world_seed: int) -> Mapping[tuple[str, Endpoint], float]:
    """Log-odds offset of every regimen and endpoint in a world.

    Parameters
    ----------
    world_seed : int
        Name of the world.

    Returns
    -------
    mapping of (regimen, endpoint) to float
    """
    if world_seed == 0:
        return {key: fitted.offset for key, fitted in regimen_calibrations().items()}
    world = draw_world(world_seed)
    return {key: _recentred(key, world) for key in regimen_calibrations()}


def _recentred(key: tuple[str, Endpoint], world: World) -> float:
    index = response_index(_reference(key)[0], key[0].partition("+")[0], world, key[1]) + _reference(key)[1]
    return solve_offset(index, _reference_rate(key))


def solve_offset(index: FloatArray, rate: float) -> float:
    """Offset at which the mean of expit(index + offset) is `rate`, by bisection."""
    low, high = -60.0, 60.0
    for _ in range(48):
        middle = (low + high) / 2.0
        low, high = (middle, high) if float(np.mean(expit(index + middle))) < rate else (low, middle)
    return (low + high) / 2.0


def reference_arms(regimen: str, endpoint: Endpoint) -> tuple[Arm, ...]:
    """Trial arms of a regimen; the clinic's arms where no trial gave it."""
    every = [a for a in arms().values() if a.regimen == regimen]
    every = [a for a in every if populations()[a.population].endpoint == endpoint]
    trials = [a for a in every if not a.population.startswith("clinic")]
    return tuple(trials or every)


@cache
def _reference(key: tuple[str, Endpoint]) -> tuple[Tumours, FloatArray]:
    """Biology of a regimen's reference population, its arms in equal parts, and each patient's arm residual."""
    members = reference_arms(*key)
    which = np.arange(REFERENCE_PATIENTS) % len(members)
    tables = population_tables([populations()[a.population] for a in members])
    tumours = draw_tumours(tables, which, StratifiedDraws(_REFERENCE_SEED, REFERENCE_PATIENTS))
    return tumours, np.array([arm_calibration(a.id).residual for a in members])[which]


@cache
def _reference_rate(key: tuple[str, Endpoint]) -> float:
    tumours, residual = _reference(key)
    index = response_index(tumours, key[0].partition("+")[0], draw_world(0), key[1]) + residual
    return float(np.mean(expit(index + regimen_calibrations()[key].offset)))
