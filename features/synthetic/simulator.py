"""Draws the blocks of a simulated cohort: biology, true probabilities, outcomes and measurements, then tables.

Patients are drawn in blocks whose random numbers depend on the seed and the block only, so a cohort is the same on any
number of threads, and the first patients of a larger cohort are those of a smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit

from features.synthetic.assay import DELETION_LEVELS, IHC_LEVELS, MEASURES, SUBTYPES, Laboratory, measure_tumours
from features.synthetic.calibration import regimen_offsets
from features.synthetic.fitted_parameters import arm_calibration, regimen_calibrations
from features.synthetic.mechanism import response_index
from features.synthetic.outcomes import BEST_RESPONSES, Outcomes, draw_outcomes
from features.synthetic.parameters import Arm, Endpoint, Population, modelled_adcs
from features.synthetic.population import draw_tumours
from features.synthetic.population_tables import PopulationTables, population_tables
from features.synthetic.streams import BLOCK_SIZE, PhiloxDraws, StratifiedDraws
from features.synthetic.worlds import draw_world

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.synthetic.arrays import FloatArray, IntArray, Tumours
    from features.synthetic.enrolment import Enrolment

#: Mark of a simulated patient in the cohort file; everything made from such a file repeats it.
SIMULATED = "simulated"
#: Regimen that stands for an ADC when ADCs are compared for one patient, by endpoint.
COMPARED_REGIMENS: dict[Endpoint, tuple[str, ...]] = {
    "objective_response": ("T-DM1", "T-DXd", "SYD985", "RC48", "ARX788", "HER3-DXd"),
    "pcr": ("T-DM1+pertuzumab", "T-DXd"),
}
_LEVELS = {"her2_ihc": IHC_LEVELS, "erbb2_deletion": DELETION_LEVELS, "pam50_subtype": SUBTYPES}
#: Size and seed of the population that the mRNA z-score refers to.
_REFERENCE_PATIENTS, _REFERENCE_SEED = 4096, 77


@dataclass(frozen=True)
class Block:
    """One block of simulated patients before it becomes a table."""

    first: int
    arm_index: IntArray
    site_index: IntArray
    tumours: Tumours
    measured: dict[str, FloatArray]
    #: by regimen and endpoint; the arm's own residual is in
    probabilities: dict[tuple[str, Endpoint], FloatArray]
    true_probability: FloatArray
    outcomes: Outcomes

    def patient_ids(self) -> list[str]:
        """Return identifiers by position in the cohort, from SIM-000001."""
        return [f"SIM-{n:06d}" for n in range(self.first + 1, self.first + 1 + len(self.arm_index))]


def blocks_of(patients: int) -> Iterator[tuple[int, int]]:
    """Yield number and size of every block of a cohort."""
    for block, first in enumerate(range(0, patients, BLOCK_SIZE)):
        yield block, min(BLOCK_SIZE, patients - first)


class Simulator:
    """Draws the blocks of one cohort; holds what they share.

    Parameters
    ----------
    plan : Enrolment
        Arms and conditions.
    """

    def __init__(self, plan: Enrolment) -> None:
        self.plan = plan
        self._world = draw_world(plan.world)
        self._offsets = regimen_offsets(plan.world)
        self._tables: PopulationTables = population_tables(plan.populations)
        self._cumulative = np.cumsum(plan.shares)[:-1]
        self._cohorts = [p.cohort for p in plan.populations]
        self._mrna = self._mrna_reference()
        self._sites = PhiloxDraws(plan.seed, 0, plan.sites)

    def block(self, number: int, count: int) -> Block:
        """Draw one block of patients: biology, true probabilities, outcomes and measurements."""
        draws = PhiloxDraws(self.plan.seed, number, count)
        arm_index = np.searchsorted(self._cumulative, draws.uniform("arm"))
        site_index = np.minimum((draws.uniform("site") * self.plan.sites).astype(np.intp), self.plan.sites - 1)
        tumours = draw_tumours(self._tables, arm_index, draws)
        probabilities = self.probabilities(tumours, arm_index)
        true_probability, scale = np.empty(count), np.zeros(count)
        for i, (arm, population) in enumerate(self._arms()):
            own = arm_index == i
            true_probability[own] = probabilities[arm.regimen, population.endpoint][own]
            months = regimen_calibrations()[arm.regimen, population.endpoint].pfs_scale_months
            scale[own] = months * np.exp(arm_calibration(arm.id).pfs_log_ratio)
        outcomes = draw_outcomes(true_probability, scale, draws)
        measured = measure_tumours(tumours, self._laboratory(arm_index, site_index), draws)
        return Block(
            number * BLOCK_SIZE, arm_index, site_index, tumours, measured, probabilities, true_probability, outcomes
        )

    def probabilities(self, tumours: Tumours, arm_index: IntArray) -> dict[tuple[str, Endpoint], FloatArray]:
        """Return every patient's true probability on every regimen of the plan's endpoints.

        Parameters
        ----------
        tumours : dict of str to ndarray, shape (n_patients,)
            True biology.
        arm_index : ndarray of int, shape (n_patients,)
            Arm of each patient.

        Returns
        -------
        dict of (regimen, endpoint) to ndarray, shape (n_patients,)
            Greater than 0 and less than 1.
        """
        wanted = dict.fromkeys((a.regimen, p.endpoint) for a, p in self._arms())
        for endpoint in dict.fromkeys(e for _, e in wanted):
            wanted.update(dict.fromkeys((r, endpoint) for r in COMPARED_REGIMENS[endpoint]))
        return {key: self.regimen_probability(tumours, arm_index, *key) for key in wanted}

    def regimen_probability(
        self, tumours: Tumours, arm_index: IntArray, regimen: str, endpoint: Endpoint
    ) -> FloatArray:
        """Return every patient's true probability on one regimen.

        What remains of a trial arm after its regimen holds for patients who received it; for a regimen that a patient
        did not receive there is no such remainder.
        """
        index = response_index(tumours, regimen.partition("+")[0], self._world, endpoint)
        residual = np.array([arm_calibration(a.id).residual if a.regimen == regimen else 0.0 for a, _ in self._arms()])
        return _open_interval(index + self._offsets[regimen, endpoint] + residual[arm_index])

    def received_probability(self, tumours: Tumours, arm_index: IntArray) -> FloatArray:
        """Return every patient's true probability on the regimen received."""
        found = self.probabilities(tumours, arm_index)
        received = np.empty(len(arm_index))
        for i, (arm, population) in enumerate(self._arms()):
            own = arm_index == i
            received[own] = found[arm.regimen, population.endpoint][own]
        return received

    def _arms(self) -> Iterator[tuple[Arm, Population]]:
        return zip(self.plan.arms, self.plan.populations, strict=True)

    def patients(self, block: Block) -> pd.DataFrame:
        """Rows of the cohort file of a block."""
        arm, plan = block.arm_index, self.plan
        early = np.array([p.setting == "neoadjuvant" for p in plan.populations])[arm]
        responded = block.outcomes.responded.astype(np.float64)
        columns: dict[str, object] = {
            "patient_id": block.patient_ids(),
            "adc": np.array([a.adc for a in plan.arms])[arm],
            "partner_drugs": _text([a.partner_drugs for a in plan.arms], arm),
            "cohort": np.array(self._cohorts)[arm],
            "site": np.array([f"Site {i + 1}" for i in range(plan.sites)])[block.site_index],
            "setting": np.array([p.setting for p in plan.populations])[arm],
            "data_origin": np.full(len(arm), SIMULATED),
            "pcr": np.where(early, responded, np.nan),
            "objective_response": np.where(early, np.nan, responded),
            "best_response": _text([*BEST_RESPONSES, ""], np.where(early, -1, block.outcomes.best_response)),
            "pfs_months": np.where(early, np.nan, np.round(block.outcomes.pfs_months, 1)),
            "pfs_event": np.where(early, np.nan, block.outcomes.pfs_event),
        }
        for name in MEASURES:
            values = block.measured[name]
            columns[name] = _levels(values, _LEVELS[name]) if name in _LEVELS else values
        return pd.DataFrame(columns)

    def truth(self, block: Block) -> pd.DataFrame:
        """Rows of the truth file of a block."""
        arm = block.arm_index
        endpoints = np.array([p.endpoint for p in self.plan.populations])
        columns: dict[str, object] = {
            "patient_id": block.patient_ids(),
            "adc": np.array([a.adc for a in self.plan.arms])[arm],
            "endpoint": endpoints[arm],
            "true_probability": block.true_probability,
        }
        table = np.full((len(arm), len(modelled_adcs())), np.nan)
        for position, adc in enumerate(modelled_adcs()):
            for endpoint in dict.fromkeys(endpoints):
                regimen = next((r for r in COMPARED_REGIMENS[endpoint] if r.partition("+")[0] == adc), None)
                if regimen is not None:
                    rows = endpoints[arm] == endpoint
                    table[rows, position] = block.probabilities[regimen, endpoint][rows]
            own = np.array([a.adc == adc for a in self.plan.arms])[arm]
            table[own, position] = block.true_probability[own]
            columns[f"probability_{adc}"] = table[:, position]
        best = np.argmax(np.where(np.isnan(table), -1.0, table), axis=1)
        columns["best_adc"] = np.array(list(modelled_adcs()))[best]
        return pd.DataFrame(columns)

    def _mrna_reference(self) -> dict[str, tuple[float, float]]:
        """Mean and spread of ERBB2 mRNA in each cohort, over a fixed reference population of the plan's arms."""
        draws = StratifiedDraws(_REFERENCE_SEED, _REFERENCE_PATIENTS)
        which = np.searchsorted(self._cumulative, draws.uniform("arm"))
        level = draw_tumours(self._tables, which, draws)["log10_mrna"]
        found = {}
        for cohort in dict.fromkeys(self._cohorts):
            own = level[np.array([c == cohort for c in self._cohorts])[which]]
            found[cohort] = (float(own.mean()), float(own.std()))
        return found

    def _laboratory(self, arm_index: IntArray, site_index: IntArray) -> Laboratory:
        plan, sites = self.plan, self._sites
        moved = 1.0 if plan.shift else 0.0
        centre = np.array([self._mrna[c][0] for c in self._cohorts])
        spread = np.array([self._mrna[c][1] for c in self._cohorts])
        return Laboratory(
            missing=plan.missing,
            site_index=site_index,
            staining_shift=moved * 0.15 * np.sign(sites.normal("site staining")),
            platform_shift=moved * 0.5 * sites.normal("site platform"),
            platform_scale=np.exp(moved * 0.2 * sites.normal("site platform scale")),
            missing_shift=(0.0 if plan.sites == 1 else 0.6) * sites.normal("site missing"),
            central_review=plan.trial,
            mrna_centre=centre[arm_index],
            mrna_spread=spread[arm_index],
        )


def _open_interval(log_odds: FloatArray) -> FloatArray:
    # Beyond 30 a double cannot tell the probability from 0 or 1.
    probability: FloatArray = expit(np.clip(log_odds, -30.0, 30.0))
    return probability


def _text(choices: Sequence[str], index: IntArray) -> pd.Series[str]:
    return pd.Series(np.array([c or None for c in choices], dtype=object)[index], dtype="str")


def _levels(values: FloatArray, levels: Sequence[str]) -> pd.Series[str]:
    present = ~np.isnan(values)
    index = np.where(present, values, len(levels)).astype(np.intp)
    return _text([*levels, ""], index)
