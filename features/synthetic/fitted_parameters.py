"""What calibration has fitted, read from `calibration.toml`, which `python -m benchmarks.simulator --refit` writes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from features.synthetic.parameters import Endpoint, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping


class FittedConstant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Best estimate of a constant of the mechanism, replacing its starting value in mechanism.toml."""

    id: str
    value: float


class FittedEffect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factor on every cell of a biomarker effect of effects.toml."""

    id: str
    factor: float


class RegimenCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was fitted for one regimen and endpoint."""

    regimen: str
    endpoint: Endpoint
    #: log-odds added to the response index
    offset: float
    #: scale of progression-free time in months; 0 for pCR
    pfs_scale_months: float = 0.0


class ArmCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What remains of a trial arm after its regimen: differences between trials that no biomarker explains."""

    arm: str
    #: log-odds of response
    residual: float = 0.0
    #: natural log of progression-free time
    pfs_log_ratio: float = 0.0


class FittedParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that was fitted."""

    regimen: tuple[RegimenCalibration, ...]
    constant: tuple[FittedConstant, ...] = ()
    effect: tuple[FittedEffect, ...] = ()
    arm: tuple[ArmCalibration, ...] = ()


@cache
def fitted_parameters() -> FittedParameters:
    """Everything that was fitted, as it stands in calibration.toml."""
    return read_document("calibration.toml", FittedParameters)


@cache
def fitted_constants() -> Mapping[str, float]:
    """Fitted best estimates of constants, by id."""
    return {c.id: c.value for c in fitted_parameters().constant}


@cache
def fitted_effects() -> Mapping[str, float]:
    """Fitted factors of effects, by id."""
    return {e.id: e.factor for e in fitted_parameters().effect}


@cache
def regimen_calibrations() -> Mapping[tuple[str, Endpoint], RegimenCalibration]:
    """Return what was fitted, by regimen and endpoint."""
    return {(r.regimen, r.endpoint): r for r in fitted_parameters().regimen}


@cache
def _arms() -> Mapping[str, ArmCalibration]:
    return {a.arm: a for a in fitted_parameters().arm}


def arm_calibration(arm: str) -> ArmCalibration:
    """Return what remains of an arm; nothing where nothing was fitted (held-out trials and clinics)."""
    return _arms().get(arm, ArmCalibration(arm))
