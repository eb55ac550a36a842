"""Holds the simulator against the published results: value by value, fitted or held out, in many worlds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from features.synthetic.anchors import Anchor, Published, anchors, arm_tumours, median_pfs, members, published
from features.synthetic.calibration import regimen_offsets
from features.synthetic.fit import RESIDUAL_SPREAD, arm_index
from features.synthetic.fitted_parameters import arm_calibration, regimen_calibrations
from features.synthetic.parameters import arms, populations
from features.synthetic.streams import PhiloxDraws
from features.synthetic.worlds import draw_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.synthetic.arrays import FloatArray

#: Seed of the simulated trials whose spread is the simulated interval.
_TRIAL_SEED = 1_729


@dataclass(frozen=True, slots=True)
class AnchorCheck:
    """One published result and what the simulator says to it.

    Attributes
    ----------
    anchor : Anchor
    published : Published
    simulated : float
        Value over the arm's reference population in the world of best estimates.
    low, high : float
        95% of simulated trials of the published size, each from a world of its own; for a held-out arm also with the
        spread between trials of one regimen.
    worlds_inside : float
        Share of worlds whose value lies within the published interval.
    """

    anchor: Anchor
    published: Published
    simulated: float
    low: float
    high: float
    worlds_inside: float

    @property
    def inside(self) -> bool:
        """Whether the simulated value lies within the published 95% interval."""
        return self.published.low <= self.simulated <= self.published.high


def check_anchors(worlds: int = 40, progress: Callable[[int, int], None] | None = None) -> tuple[AnchorCheck, ...]:
    """Compare every anchor with the simulator.

    Parameters
    ----------
    worlds : int, default 40
        Worlds drawn for the simulated interval.
    progress : callable, optional
        Called with the worlds done and the number of worlds.

    Returns
    -------
    tuple of AnchorCheck
        In file order.
    """
    best = np.array([_value(anchor, _probability(anchor, 0), anchor_scale(anchor)) for anchor in anchors()])
    found, drawn = np.empty((worlds, len(best))), np.empty((worlds, len(best)))
    for world in range(1, worlds + 1):
        for i, anchor in enumerate(anchors()):
            probability = _probability(anchor, world)
            found[world - 1, i] = _value(anchor, probability, anchor_scale(anchor))
            drawn[world - 1, i] = _simulated_trial(anchor, probability, world, i)
        if progress is not None:
            progress(world, worlds)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    checks = []
    for i, anchor in enumerate(anchors()):
        target = published(anchor)
        within = (found[:, i] >= target.low) & (found[:, i] <= target.high)
        checks.append(AnchorCheck(anchor, target, float(best[i]), float(low[i]), float(high[i]), float(within.mean())))
    return tuple(checks)


def simulated_value(anchor: Anchor, world: int = 0) -> float:
    """Response rate (fraction) or median progression-free time (months) of an anchor's patients in a world."""
    return _value(anchor, _probability(anchor, world), anchor_scale(anchor))


def anchor_scale(anchor: Anchor) -> float:
    """Scale of progression-free time of an anchor's arm, in months."""
    arm = arms()[anchor.arm]
    months = regimen_calibrations()[arm.regimen, populations()[arm.population].endpoint].pfs_scale_months
    return months * float(np.exp(arm_calibration(arm.id).pfs_log_ratio))


def _probability(anchor: Anchor, world: int) -> FloatArray:
    arm = arms()[anchor.arm]
    offset = regimen_offsets(world)[arm.regimen, populations()[arm.population].endpoint]
    index = arm_index(arm.id, draw_world(world))
    probability: FloatArray = expit(index + offset + arm_calibration(arm.id).residual)
    return probability


def _value(anchor: Anchor, probability: FloatArray, scale: float) -> float:
    inside = members(anchor.subgroup, arm_tumours(anchor.arm))
    if anchor.quantity == "response":
        return float(probability[inside].mean())
    return median_pfs(probability, inside, np.full(len(probability), scale))


def _simulated_trial(anchor: Anchor, probability: FloatArray, world: int, number: int) -> float:
    """Draw the result of one trial of the published size."""
    generator = PhiloxDraws(_TRIAL_SEED, world, 1).generator(f"trial {number}")
    if anchor.role == "held_out":
        odds = np.log(probability / (1.0 - probability)) + RESIDUAL_SPREAD * generator.standard_normal()
        probability = expit(odds)
    inside = np.flatnonzero(members(anchor.subgroup, arm_tumours(anchor.arm)))
    n = published(anchor).n
    patients = generator.choice(inside, size=n)
    if anchor.quantity == "response":
        return float(np.mean(generator.random(n) < probability[patients]))
    chosen = np.zeros(len(probability), dtype=np.bool_)
    chosen[patients] = True
    return median_pfs(probability, chosen, np.full(len(probability), anchor_scale(anchor)))
