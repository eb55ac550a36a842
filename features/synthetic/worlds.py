"""Worlds: effect sizes are uncertain, so a world is one draw of all of them.

World 0 holds the best estimates. World 1, 2, ... draw every effect and every uncertain constant: the size from a
log-normal around the best estimate, wider the weaker the evidence, and the sign turned round with the probability that
`effects.toml` states. A cell without evidence ('?') and a cell with evidence of no effect stay at zero in every world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from features.synthetic.fitted_parameters import fitted_constants, fitted_effects
from features.synthetic.parameters import constants, effects
from features.synthetic.streams import PhiloxDraws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.synthetic.arrays import FloatArray, Tumours
    from features.synthetic.parameters import Effect, Endpoint, Step

#: Standard deviation of the natural log of an effect's size, by level of evidence. Assumed: a trial's estimate is
#: good to about a quarter, a cell line's to a factor of two.
SIZE_SPREAD: Mapping[str, float] = {
    "clinical_trial": 0.20,
    "clinical_retrospective": 0.45,
    "preclinical": 0.70,
    "conflicting": 0.70,
}
#: Worlds differ by their seed; the stream is kept apart from that of cohorts.
_WORLD_STREAM = 0x57_4F_52_4C_44


@dataclass(frozen=True)
class World:
    """One draw of all effect sizes.

    Attributes
    ----------
    seed : int
        Name of the world; 0 for the best estimates.
    effect_sizes : mapping of (effect id, route) to float
        Effect per unit of the covariate; absent where it is zero.
    constants : mapping of str to float
        Constants of the mechanism.
    """

    seed: int
    effect_sizes: Mapping[tuple[str, str], float]
    constants: Mapping[str, float]

    def modifier(self, step: Step, tumours: Tumours, route: str, endpoint: Endpoint) -> FloatArray | float:
        """Sum of all effects at one step on one route, per patient; 0.0 where none acts.

        Parameters
        ----------
        step : str
            Mechanism step.
        tumours : dict of str to ndarray, shape (n_patients,)
            True biology.
        route : str
            Payload class and linker.
        endpoint : str
            Some effects act on one endpoint only.

        Returns
        -------
        ndarray of shape (n_patients,), or 0.0
            On the scale of the step's effects: natural log of dose, or log-odds.
        """
        total: FloatArray | float = 0.0
        for effect in effects().values():
            size = self.effect_sizes.get((effect.id, route), 0.0)
            if size and effect.step == step and endpoint in effect.endpoints:
                total = total + size * covariate(effect, tumours)
        return total


def covariate(effect: Effect, tumours: Tumours) -> FloatArray:
    """Covariate that an effect multiplies: the measure as it is, its log over a reference, or log(1 + value)."""
    values = tumours[effect.measure]
    if effect.per == "log":
        return np.log(np.maximum(values, 1e-3) / effect.reference)
    if effect.per == "log1p":
        return np.log1p(values)
    return values


@lru_cache(maxsize=256)
def draw_world(seed: int) -> World:
    """Return the world that a seed names.

    Parameters
    ----------
    seed : int
        0 for the best estimates, or the name of a draw.

    Returns
    -------
    World
    """
    sizes = {
        (effect.id, route): effect.best_estimate(route)
        * fitted_effects().get(effect.id, 1.0)
        * _multiplier(seed, effect, route)
        for effect in effects().values()
        for route in effect.cells
        if effect.best_estimate(route)
    }
    drawn = {
        name: _constant(seed, name, fitted_constants().get(name, constant.value), constant.evidence)
        for name, constant in constants().items()
    }
    return World(seed, sizes, drawn)


def _draws(seed: int) -> PhiloxDraws:
    return PhiloxDraws(seed, _WORLD_STREAM, 1)


def _multiplier(seed: int, effect: Effect, route: str) -> float:
    if seed == 0:
        return 1.0
    spread = SIZE_SPREAD[effect.evidence]
    # Half of the spread is shared by the routes of a biomarker: if it matters more, it does so everywhere.
    shared = _draws(seed).normal(f"{effect.id} size")[0]
    own = _draws(seed).normal(f"{effect.id} size on {route}")[0]
    size = float(np.exp(spread * np.sqrt(0.5) * (shared + own)))
    wrong = _draws(seed).uniform(f"{effect.id} sign")[0] < effect.sign_wrong
    return -size if wrong else size


def _constant(seed: int, name: str, value: float, evidence: str | None) -> float:
    if seed == 0 or evidence is None:
        return value
    drawn = float(value * np.exp(SIZE_SPREAD[evidence] * _draws(seed).normal(f"constant {name}")[0]))
    # Shares of a dose stay below 1.
    return min(drawn, 0.9) if name.startswith(("unspecific_", "bystander_")) else drawn
