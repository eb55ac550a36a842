"""Simulated cohorts: drawn from a world, a trial or a clinic, with each patient's true probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from features.synthetic.enrolment import plan_enrolment
from features.synthetic.simulator import Simulator, blocks_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class SimulatedCohort:
    """A simulated cohort and the truth behind it.

    Attributes
    ----------
    patients : pandas.DataFrame
        One row per patient in the columns and levels of a cohort file; `data_origin` is "simulated".
    truth : pandas.DataFrame
        One row per patient: `patient_id`, `adc`, `endpoint`, `true_probability` of the treatment received, one column
        `probability_<ADC>` per ADC that the setting has (NaN where it has not), and `best_adc`.
    world : int
        The world of effect sizes that it was drawn from.
    """

    patients: pd.DataFrame
    truth: pd.DataFrame
    world: int


def simulate_cohort(
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
) -> SimulatedCohort:
    """Simulate a cohort of ADC-treated patients.

    Without `trial`, `adcs` or `setting` it is what a breast centre might hold: metastatic HER2-positive patients on
    T-DM1 or T-DXd, HER2-low ones on T-DXd (objective response), and a quarter treated before surgery (pCR).

    Parameters
    ----------
    patients : int
        Number of patients, at least 1.
    seed : int
        Same seed, same cohort.
    world : int, default 0
        World of effect sizes: 0 the best estimates, any other number a draw from their uncertainty.
    adcs : sequence of str, optional
        ADCs to draw, in equal parts.
    setting : {"neoadjuvant", "metastatic"}, optional
        Draw one setting only.
    trial : str, optional
        Draw a published trial's population and arms.
    missing : float, default 0.15
        Mean share of biomarker values that are missing, 0 to 0.9; 0 leaves only what is never measured.
    sites : int, default 1
        Number of hospitals.
    shift : bool, default False
        Shift staining, expression platform and case mix, as another hospital would.

    Returns
    -------
    SimulatedCohort

    Raises
    ------
    InputError
        An argument is out of range or names nothing that is modelled.
    """
    plan = plan_enrolment(
        patients,
        seed,
        world=world,
        adcs=adcs,
        setting=setting,
        trial=trial,
        missing=missing,
        sites=sites,
        shift=shift,
    )
    simulator = Simulator(plan)
    blocks = [simulator.block(number, count) for number, count in blocks_of(patients)]
    return SimulatedCohort(
        pd.concat([simulator.patients(b) for b in blocks], ignore_index=True),
        pd.concat([simulator.truth(b) for b in blocks], ignore_index=True),
        world,
    )
