"""Fits the calibration to the published response rates and progression-free times: `benchmarks/simulator.py --refit`.

Fitted together, by penalised maximum likelihood over the fitted anchors: one offset per regimen and endpoint, a few
constants and effect factors that the anchors inform (the prior is the starting value, with the width given here), and
one residual per trial arm, shrunk towards zero, for what differs between trials beyond the modelled biology. Held-out
anchors take no part and have no residual. Progression-free time is scaled afterwards, arm by arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit, logit

from features.synthetic.anchors import ARM_PATIENTS, Anchor, anchors, arm_tumours, median_pfs, members, published
from features.synthetic.fitted_parameters import (
    ArmCalibration,
    FittedConstant,
    FittedEffect,
    FittedParameters,
    RegimenCalibration,
)
from features.synthetic.mechanism import response_index
from features.synthetic.outcomes import PFS_START_MONTHS
from features.synthetic.parameters import Endpoint, arms, constants, effects, populations
from features.synthetic.worlds import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.synthetic.arrays import BoolArray, FloatArray

#: Constants that are fitted, and the width of their prior on the scale they are fitted on (ln, or logit of a share).
FREE_CONSTANTS: Mapping[str, float] = {
    "slope_objective_response": 0.3,
    "slope_pcr": 0.3,
    "unspecific_T-DXd": 0.5,
    "unspecific_RC48": 0.5,
}
#: Effects whose size is fitted, and the prior width of the ln of the factor.
FREE_EFFECTS: Mapping[str, float] = {
    "earlier_lines": 0.3,
    "prior_pertuzumab": 0.5,
    "hormone_receptor_pcr": 0.5,
}
#: Prior spread of what remains between trials of one regimen, log-odds. Between-trial differences in response to one
#: drug in one setting (T-DM1: 25.9 to 43.6% after trastuzumab) are about this large.
RESIDUAL_SPREAD = 0.30


@dataclass(frozen=True)
class _Layout:
    """Which entry of the parameter vector is what."""

    constants: tuple[str, ...]
    effects: tuple[str, ...]
    regimens: tuple[tuple[str, Endpoint], ...]
    arms: tuple[str, ...]

    def split(self, vector: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        structural = len(self.constants) + len(self.effects)
        return (
            vector[:structural],
            vector[structural : structural + len(self.regimens)],
            vector[structural + len(self.regimens) :],
        )


def fit_calibration() -> FittedParameters:
    """Fit everything that calibration.toml holds.

    Returns
    -------
    FittedParameters
        Deterministic: reference populations and optimiser have no randomness.
    """
    fitted = [a for a in anchors() if a.role == "fitted" and a.quantity == "response"]
    layout = _layout(fitted)
    start = np.zeros(len(layout.constants) + len(layout.effects) + len(layout.regimens) + len(layout.arms))
    solution = least_squares(_Objective(layout, fitted), start, method="trf", x_scale="jac", xtol=1e-9)
    structural, offsets, residuals = layout.split(solution.x)
    world = fitted_world(layout.constants, layout.effects, structural)
    found_offsets = dict(zip(layout.regimens, offsets, strict=True))
    found_residuals = dict(zip(layout.arms, residuals, strict=True))
    scales, ratios = _fit_pfs(world, found_offsets, found_residuals)
    touched = sorted({*found_residuals, *ratios}, key=list(arms()).index)
    return FittedParameters(
        regimen=tuple(
            RegimenCalibration(r, e, round(float(o), 4), round(scales.get(r, 0.0), 3) if e != "pcr" else 0.0)
            for (r, e), o in found_offsets.items()
        ),
        constant=tuple(FittedConstant(c, round(world.constants[c], 4)) for c in layout.constants),
        effect=tuple(
            FittedEffect(e, round(float(np.exp(x)), 4))
            for e, x in zip(layout.effects, structural[len(layout.constants) :], strict=True)
        ),
        arm=tuple(
            ArmCalibration(a, round(float(found_residuals.get(a, 0.0)), 4), round(ratios.get(a, 0.0), 4))
            for a in touched
        ),
    )


def _layout(fitted: list[Anchor]) -> _Layout:
    by_regimen: dict[tuple[str, Endpoint], set[str]] = {}
    for anchor in fitted:
        arm = arms()[anchor.arm]
        by_regimen.setdefault((arm.regimen, populations()[arm.population].endpoint), set()).add(arm.id)
    several = tuple(a for a in arms() if any(a in group and len(group) > 1 for group in by_regimen.values()))
    return _Layout(tuple(FREE_CONSTANTS), tuple(FREE_EFFECTS), tuple(by_regimen), several)


def fitted_world(free_constants: tuple[str, ...], free_effects: tuple[str, ...], structural: FloatArray) -> World:
    """Best-estimate world with the free constants and effects moved from their starting values.

    Parameters
    ----------
    free_constants, free_effects : tuple of str
        Ids, in the order of `structural`.
    structural : ndarray, shape (n_constants + n_effects,)
        Moves: logit for shares, ln for the rest.

    Returns
    -------
    World
    """
    values = {name: constant.value for name, constant in constants().items()}
    for name, move in zip(free_constants, structural, strict=False):
        value = values[name]
        is_share = name.startswith("unspecific_")
        values[name] = float(expit(logit(value) + move)) if is_share else float(value * np.exp(move))
    factors = dict(zip(free_effects, np.exp(structural[len(free_constants) :]), strict=True))
    sizes = {
        (e.id, route): e.best_estimate(route) * float(factors.get(e.id, 1.0))
        for e in effects().values()
        for route in e.cells
        if e.best_estimate(route)
    }
    return World(0, sizes, values)


class _Objective:
    """Deviance residuals of the anchors and standardised departures from the priors."""

    def __init__(self, layout: _Layout, fitted: list[Anchor]) -> None:
        self._layout = layout
        self._fitted = fitted
        self._widths = np.array([*FREE_CONSTANTS.values(), *FREE_EFFECTS.values()])
        self._cached: tuple[bytes, dict[str, FloatArray]] = (b"", {})

    def __call__(self, vector: FloatArray) -> FloatArray:
        structural, offsets, residuals = self._layout.split(vector)
        offset = dict(zip(self._layout.regimens, offsets, strict=True))
        residual = dict(zip(self._layout.arms, residuals, strict=True))
        index = self._indices(structural)
        misfit = []
        for anchor in self._fitted:
            arm = arms()[anchor.arm]
            key = (arm.regimen, populations()[arm.population].endpoint)
            probability = expit(index[arm.id] + offset[key] + residual.get(arm.id, 0.0))
            inside = members(anchor.subgroup, arm_tumours(arm.id))
            misfit.append(_deviance_residual(anchor, float(probability[inside].mean())))
        return np.concatenate([misfit, structural / self._widths, residuals / RESIDUAL_SPREAD])

    def _indices(self, structural: FloatArray) -> dict[str, FloatArray]:
        if self._cached[0] != structural.tobytes():
            world = fitted_world(self._layout.constants, self._layout.effects, structural)
            wanted = dict.fromkeys(a.arm for a in self._fitted)
            self._cached = (structural.tobytes(), {a: arm_index(a, world) for a in wanted})
        return self._cached[1]


def arm_index(arm: str, world: World) -> FloatArray:
    """Response index of an arm's reference population on the arm's own regimen, without offset."""
    endpoint = populations()[arms()[arm].population].endpoint
    return response_index(arm_tumours(arm), arms()[arm].adc, world, endpoint)


def _deviance_residual(anchor: Anchor, simulated: float) -> float:
    target = published(anchor)
    events, others = target.value * target.n, (1.0 - target.value) * target.n
    expected = min(max(simulated, 1e-9), 1.0 - 1e-9)
    deviance = 0.0
    if events > 0:
        deviance += events * np.log(target.value / expected)
    if others > 0:
        deviance += others * np.log((1.0 - target.value) / (1.0 - expected))
    return float(np.sign(expected - target.value) * np.sqrt(2.0 * max(deviance, 0.0)))


def _fit_pfs(
    world: World, offsets: Mapping[tuple[str, Endpoint], float], residuals: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Scale of progression-free time per regimen, and per arm the ln of its ratio to the regimen's."""
    logs: dict[str, dict[str, float]] = {}
    for anchor in (a for a in anchors() if a.role == "fitted" and a.quantity == "median_pfs"):
        arm = arms()[anchor.arm]
        index = arm_index(arm.id, world) + offsets[arm.regimen, "objective_response"] + residuals.get(arm.id, 0.0)
        inside = members(anchor.subgroup, arm_tumours(arm.id))
        logs.setdefault(arm.regimen, {})[arm.id] = _solve_scale(expit(index), inside, published(anchor).value)
    scales = {regimen: float(np.exp(np.mean(list(found.values())))) for regimen, found in logs.items()}
    for regimen, endpoint in offsets:
        if endpoint != "pcr":
            scales.setdefault(regimen, PFS_START_MONTHS)
    ratios = {
        arm: value - float(np.log(scales[regimen]))
        for regimen, found in logs.items()
        for arm, value in found.items()
        if len(found) > 1
    }
    return scales, ratios


def _solve_scale(probability: FloatArray, inside: BoolArray, months: float) -> float:
    """Ln of the scale at which the median progression-free time of the patients inside is `months`, by bisection."""
    low, high = -3.0, 7.0
    for _ in range(40):
        middle = (low + high) / 2.0
        found = median_pfs(probability, inside, np.full(len(probability), np.exp(middle)))
        low, high = (middle, high) if found < months else (low, middle)
    return (low + high) / 2.0


_HEADER = """\
# Fitted by `python -m benchmarks.simulator --refit` to the anchors of anchors.toml with role "fitted" (fit.py):
# penalised maximum likelihood of the published response rates on fixed reference populations of {patients} patients per
# trial arm; then the scale of progression-free time, arm by arm, to the published medians. Do not edit: a test refits
# and compares. Refit after any change of marginals.toml, mechanism.toml, effects.toml, populations.toml, anchors.toml
# or trials.toml.
"""


def calibration_text(fitted: FittedParameters) -> str:
    """Text of calibration.toml."""
    tables = {"constant": fitted.constant, "effect": fitted.effect, "regimen": fitted.regimen, "arm": fitted.arm}
    lines = [_HEADER.format(patients=ARM_PATIENTS)]
    for name, records in tables.items():
        for record in records:
            lines.append(f"[[{name}]]")
            lines += [f"{key} = {_toml(value)}" for key, value in msgspec.structs.asdict(record).items()]
            lines.append("")
    return "\n".join(lines)


def _toml(value: float | str) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(float(value))
