"""Whom a simulated cohort enrols: the arms it is drawn from, and the checks of what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features.adcs import resolve_adc
from features.errors import InputError
from features.synthetic.parameters import (
    FIRST_POSITIVE_CLASS,
    HER2_CLASSES,
    Arm,
    Population,
    arms,
    fold,
    lookup_failure,
    modelled_adcs,
    populations,
    trial_names,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.synthetic.arrays import FloatArray

#: Most patients of one cohort, and most sites.
MOST_PATIENTS, MOST_SITES = 100_000_000, 1_000
#: Largest share of values that may be missing, and the share where none is given.
MOST_MISSING, USUAL_MISSING = 0.9, 0.15
_LARGEST_SEED = 2**63 - 1
#: A shifted hospital sees fewer 3+ tumours, more lines of therapy and fewer HR-positive patients.
_SHIFT_OF_3, _SHIFT_OF_LINES = 0.6, 1.0


@dataclass(frozen=True)
class Enrolment:
    """The arms of a cohort with their shares, and the conditions it is measured under.

    Attributes
    ----------
    arms : tuple of Arm
        Treatment groups.
    populations : tuple of Population
        Population of each arm.
    shares : ndarray, shape (n_arms,)
        Expected share of the patients; sums to 1.
    trial : bool
        Drawn as a published trial: HER2 read centrally.
    """

    arms: tuple[Arm, ...]
    populations: tuple[Population, ...]
    shares: FloatArray
    trial: bool
    seed: int
    world: int
    missing: float
    sites: int
    shift: bool


def plan_enrolment(
    patients: int,
    seed: int,
    *,
    world: int = 0,
    adcs: Sequence[str] | None = None,
    setting: str | None = None,
    trial: str | None = None,
    missing: float | None = None,
    sites: int = 1,
    shift: bool = False,
) -> Enrolment:
    """Check what was asked for and choose the arms.

    Parameters
    ----------
    patients, seed, world, adcs, setting, trial, missing, sites, shift
        As for `simulate_cohort`.

    Returns
    -------
    Enrolment

    Raises
    ------
    InputError
        A number out of range, an unknown ADC, setting or trial, or a combination that no arm has.
    """
    _within("--patients", patients, 1, MOST_PATIENTS)
    _within("--seed", seed, 0, _LARGEST_SEED)
    _within("--world", world, 0, _LARGEST_SEED)
    _within("--sites", sites, 1, MOST_SITES)
    missing = USUAL_MISSING if missing is None else missing
    if not 0.0 <= missing <= MOST_MISSING:
        raise InputError(
            f"{missing:g} is not a share of missing values.", where="--missing", mend=f"Use 0 to {MOST_MISSING:g}."
        )
    if adcs is not None:
        adcs = _modelled(adcs)
    chosen = _trial_arms(trial) if trial is not None else _clinic_arms(adcs)
    chosen = _restrict(chosen, adcs, setting, trial)
    weights = np.array([a.weight for a in chosen]) if trial is not None or adcs is None else _equal_by_adc(chosen)
    members = tuple(populations()[a.population] for a in chosen)
    plan = Enrolment(chosen, members, weights / weights.sum(), trial is not None, seed, world, missing, sites, shift)
    return replace(plan, populations=tuple(_shifted(p) for p in members)) if shift else plan


def _within(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{value} is out of range.", where=option, mend=f"Use a whole number from {low} to {high}.")


def _modelled(names: Sequence[str]) -> tuple[str, ...]:
    """Short names of the ADCs named, in the catalogue's or any other of their names."""
    if not names:
        raise InputError("no ADC is named.", where="--adcs", mend=f"Use some of: {', '.join(modelled_adcs())}.")
    found = []
    for name in names:
        resolved = resolve_adc(name.strip())
        if resolved is None or resolved[0] not in modelled_adcs() or resolved[1]:
            raise lookup_failure("ADC", name, modelled_adcs())
        found.append(resolved[0])
    return tuple(dict.fromkeys(found))


def _trial_arms(trial: str) -> tuple[Arm, ...]:
    names = {fold(name): name for name in trial_names()}
    # "DB-03" is how clinicians write DESTINY-Breast03.
    names |= {fold(name.replace("DESTINY-Breast", "DB")): name for name in trial_names()}
    name = names.get(fold(trial))
    if name is None:
        raise lookup_failure("trial", trial, trial_names())
    return tuple(a for a in arms().values() if a.population == name)


def _clinic_arms(adcs: Sequence[str] | None) -> tuple[Arm, ...]:
    clinic = tuple(a for a in arms().values() if a.population.startswith("clinic"))
    return clinic if adcs is not None else tuple(a for a in clinic if a.weight > 0)


def _restrict(
    chosen: tuple[Arm, ...], adcs: Sequence[str] | None, setting: str | None, trial: str | None
) -> tuple[Arm, ...]:
    of_whom = trial or "a simulated clinic"
    if setting is not None and setting not in ("neoadjuvant", "metastatic"):
        raise InputError(
            f"'{setting}' is not a setting that is simulated.", where="--setting", mend="Use neoadjuvant or metastatic."
        )
    for adc in adcs or ():
        if not any(a.adc == adc and _has_setting(a, setting) for a in chosen):
            known = dict.fromkeys(a.adc for a in chosen if _has_setting(a, setting))
            where = f"{of_whom}, {setting}" if setting else of_whom
            raise InputError(
                f"{where} has no patients on {adc}.", where="--adcs", mend=f"It has {', '.join(known) or 'none'}."
            )
    kept = tuple(a for a in chosen if _has_setting(a, setting) and (adcs is None or a.adc in adcs))
    if not kept:
        raise InputError(f"{of_whom} has no {setting} patients.", where="--setting", mend="Leave the option out.")
    return kept


def _has_setting(arm: Arm, setting: str | None) -> bool:
    return setting is None or populations()[arm.population].setting == setting


def _equal_by_adc(chosen: tuple[Arm, ...]) -> FloatArray:
    """Weights that give each ADC the same share; within an ADC as usual, evenly where it has no usual share."""
    weights = np.array([a.weight for a in chosen])
    by_adc = np.array([a.adc for a in chosen])
    for adc in dict.fromkeys(by_adc):
        own = by_adc == adc
        weights[own] = weights[own] / weights[own].sum() if weights[own].sum() > 0 else 1.0 / own.sum()
    return weights


def _shifted(population: Population) -> Population:
    classes = {
        name: share * (_SHIFT_OF_3 if HER2_CLASSES.index(name) > FIRST_POSITIVE_CLASS else 1.0)
        for name, share in population.classes.items()
    }
    fewest, mean = population.prior_lines
    lines = (fewest, mean + _SHIFT_OF_LINES) if population.setting == "metastatic" else (fewest, mean)
    return msgspec.structs.replace(population, classes=classes, prior_lines=lines)
