"""Semi-synthetic cohorts: the biomarkers of real patients, as measured and as missing, with simulated responses.

Methods are tried on real correlations and real gaps, and the truth is known. A real patient's tumour is not known
beyond what was measured, so it is completed (`donors.py`): simulated tumours whose HER2 and hormone receptors would be
reported as the patient's were are donors, weighed by how likely they would give the measured values; everything that
was measured directly then replaces the donor's value. The response follows the completed tumour by the usual mechanism.
Such a cohort says nothing of real responses and is marked so in every file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.adcs import resolve_adc
from features.cohort import OUTCOME_COLUMNS
from features.cohort_writer import check_output, writable, write_cohort_file
from features.columns.cohort_columns import ORIGIN_COLUMN
from features.errors import InputError
from features.synthetic.donors import DonorLikelihood, completed, donor_pool
from features.synthetic.enrolment import plan_enrolment
from features.synthetic.fitted_parameters import regimen_calibrations
from features.synthetic.outcomes import BEST_RESPONSES, draw_outcomes
from features.synthetic.simulator import COMPARED_REGIMENS, Simulator
from features.synthetic.streams import PhiloxDraws
from features.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from features.cohort import Cohort
    from features.synthetic.arrays import BoolArray, FloatArray, Tumours
    from features.synthetic.parameters import Endpoint

#: Mark of such a patient.
SEMI_SYNTHETIC = "semi-synthetic"
#: Tumours per patient behind the attainable probability, beside the one that the patient has.
_DONORS = 64
_ENDPOINTS: dict[str, Endpoint] = {"neoadjuvant": "pcr", "metastatic": "objective_response"}


@dataclass(frozen=True)
class SemiSyntheticCohort:
    """Real biomarkers with simulated responses.

    Attributes
    ----------
    patients : pandas.DataFrame
        As a cohort file holds them; `data_origin` is "semi-synthetic". Real outcomes, treatments and unused columns are
        not in it.
    truth : pandas.DataFrame
        One row per patient: as of a simulated cohort, and `attainable_probability`, the mean over the tumours that the
        patient may have given what was measured: the best that any model of these columns can know.
    """

    patients: pd.DataFrame
    truth: pd.DataFrame


class SemiSynthesis:
    """Completes the tumours of a cohort and simulates their responses.

    Parameters
    ----------
    cohort : Cohort
        Real patients.
    seed, world : int
        As for `simulate_cohort`.
    adcs : sequence of str, optional
        ADCs to allot at random in equal parts. By default each patient keeps the ADC received; where none was, those of
        the setting are allotted.
    setting : {"neoadjuvant", "metastatic"}, optional
        Of every patient, where the cohort does not say.

    Raises
    ------
    InputError
        The setting is not known, an ADC is not modelled in it, or an argument is out of range.
    """

    def __init__(
        self,
        cohort: Cohort,
        seed: int,
        *,
        world: int = 0,
        adcs: Sequence[str] | None = None,
        setting: str | None = None,
    ) -> None:
        count = len(cohort.patients)
        self.cohort = cohort
        self._settings = _settings(cohort, setting)
        self._endpoints = np.array([_ENDPOINTS[s] for s in self._settings])
        self._draws = PhiloxDraws(seed, 0, count)
        self._simulator = Simulator(plan_enrolment(count, seed, world=world))
        self._no_arm = np.zeros(count, dtype=np.intp)
        self.adcs = self._allotted(adcs)
        self._pool, seen = donor_pool(seed)
        chances = np.column_stack([self._draws.uniform(f"donor {k}") for k in range(1 + _DONORS)])
        self._chosen = np.empty(chances.shape, dtype=np.intp)
        label = cohort.patients.get("cohort", pd.Series([""] * count)).fillna("").to_numpy()
        self.her2_known = False
        for name in dict.fromkeys(label):
            own = label == name
            likelihood = DonorLikelihood(cohort.patients[own].reset_index(drop=True), seen, self._pool["class_index"])
            self._chosen[own] = likelihood.donors(chances[own])
            self.her2_known |= likelihood.tells_her2
        self._tumours = completed(cohort.patients, self._pool, self._chosen[:, 0])
        # Whose patients are invented already stay marked as such.
        self.mark = SEMI_SYNTHETIC if cohort.source.kind != "simulated" else "simulated"

    @property
    def tumours(self) -> Tumours:
        """True biology that the responses follow."""
        return self._tumours

    def cohort_and_truth(self) -> SemiSyntheticCohort:
        """Draw the responses.

        Returns
        -------
        SemiSyntheticCohort
        """
        received = self._received(self.tumours)
        attainable = np.zeros(len(received))
        for k in range(1, 1 + _DONORS):
            # Without the tumour that the patient has: that one nobody can know.
            attainable += self._received(completed(self.cohort.patients, self._pool, self._chosen[:, k])) / _DONORS
        return SemiSyntheticCohort(self._patients(received), self._truth(received, attainable))

    def effects(self) -> pd.DataFrame:
        """Find the true mean effect of each biomarker in these patients, by intervention.

        Returns
        -------
        pandas.DataFrame
            As `biomarker_effects` gives it.
        """
        from features.synthetic.oracle import intervention_effects

        parts = []
        for endpoint in dict.fromkeys(self._endpoints):
            own = self._endpoints == endpoint
            tumours = {name: values[own] for name, values in self.tumours.items()}
            parts.append(intervention_effects(self._simulator, tumours, self._no_arm[own], endpoint))
        return pd.concat(parts, ignore_index=True)

    def _allotted(self, adcs: Sequence[str] | None) -> list[str]:
        """ADC of each patient."""
        chance = self._draws.uniform("allotted adc")
        stated = self.cohort.patients["adc"].tolist()
        found = []
        for row, (given, endpoint) in enumerate(zip(stated, self._endpoints, strict=True)):
            known = list(_regimens(endpoint))
            offered = _named(adcs, known, endpoint) if adcs else None
            if offered is None and given in known:
                found.append(given)
                continue
            choices = offered or known[:2]
            found.append(choices[int(chance[row] * len(choices))])
        return found

    def _received(self, tumours: Tumours) -> FloatArray:
        found = np.empty(len(self.adcs))
        for (adc, endpoint), own in self._groups():
            every = self._simulator.regimen_probability(tumours, self._no_arm, _regimens(endpoint)[adc], endpoint)
            found[own] = every[own]
        return found

    def _groups(self) -> Iterator[tuple[tuple[str, Endpoint], BoolArray]]:
        pairs = list(zip(self.adcs, self._endpoints, strict=True))
        for pair in dict.fromkeys(pairs):
            yield pair, np.array([p == pair for p in pairs])

    def _patients(self, received: FloatArray) -> pd.DataFrame:
        patients = writable(self.cohort)
        left_out = {*OUTCOME_COLUMNS, *self.cohort.unused(), "arm", "partner_drugs", "treatment_start"}
        patients = patients[[c for c in patients.columns if c not in left_out and not str(c).startswith("source_")]]
        scale = np.zeros(len(received))
        partners = np.full(len(received), None, dtype=object)
        for (adc, endpoint), own in self._groups():
            regimen = _regimens(endpoint)[adc]
            scale[own] = regimen_calibrations()[regimen, endpoint].pfs_scale_months
            partners[own] = regimen.partition("+")[2] or None
        outcomes = draw_outcomes(received, scale, self._draws)
        early = self._endpoints == "pcr"
        responded = outcomes.responded.astype(np.float64)
        best = np.array([*BEST_RESPONSES], dtype=object)[outcomes.best_response]
        best[early] = None
        columns: dict[str, Any] = {
            "adc": pd.Series(self.adcs, dtype="str"),
            "partner_drugs": pd.Series(partners, dtype="str"),
            "setting": pd.Series(self._settings, dtype="str"),
            ORIGIN_COLUMN: pd.Series([self.mark] * len(received), dtype="str"),
            "pcr": np.where(early, responded, np.nan),
            "objective_response": np.where(early, np.nan, responded),
            "best_response": pd.Series(best, dtype="str"),
            "pfs_months": np.where(early, np.nan, np.round(outcomes.pfs_months, 1)),
            "pfs_event": np.where(early, np.nan, outcomes.pfs_event),
        }
        patients = patients.assign(**columns)
        empty = [c for c in columns if patients[c].isna().all()]
        return patients.drop(columns=empty)

    def _truth(self, received: FloatArray, attainable: FloatArray) -> pd.DataFrame:
        columns: dict[str, object] = {
            "patient_id": self.cohort.patients["patient_id"].tolist(),
            "adc": self.adcs,
            ORIGIN_COLUMN: [self.mark] * len(received),
            "endpoint": self._endpoints,
            "true_probability": received,
            "attainable_probability": attainable,
        }
        by_adc: dict[str, FloatArray] = {}
        for endpoint in dict.fromkeys(self._endpoints):
            own = self._endpoints == endpoint
            for adc, regimen in _regimens(endpoint).items():
                every = self._simulator.regimen_probability(self.tumours, self._no_arm, regimen, endpoint)
                by_adc.setdefault(adc, np.full(len(received), np.nan))[own] = every[own]
        table = np.column_stack(list(by_adc.values()))
        columns |= {f"probability_{adc}": values for adc, values in by_adc.items()}
        columns["best_adc"] = np.array(list(by_adc))[np.argmax(np.where(np.isnan(table), -1.0, table), axis=1)]
        return pd.DataFrame(columns)


def _settings(cohort: Cohort, setting: str | None) -> list[str]:
    """Tell the setting of each patient."""
    if setting is not None:
        if setting not in _ENDPOINTS:
            raise InputError(
                f"'{setting}' is not a setting that is simulated.",
                where="--setting",
                mend=f"Use {' or '.join(_ENDPOINTS)}.",
            )
        return [setting] * len(cohort.patients)
    column = cohort.patients.get("setting")
    known = column is not None and column.isin(list(_ENDPOINTS)).all()
    if column is None or not known:
        raise InputError(
            "not every patient has a setting that is simulated.",
            where=cohort.source.name,
            mend=f"Say --setting {' or '.join(_ENDPOINTS)}.",
        )
    return column.tolist()


def _regimens(endpoint: str) -> dict[str, str]:
    """Regimen by ADC for an endpoint."""
    return {r.partition("+")[0]: r for e, names in COMPARED_REGIMENS.items() if e == endpoint for r in names}


def _named(adcs: Sequence[str], known: Sequence[str], endpoint: str) -> list[str]:
    found = []
    for name in adcs:
        resolved = resolve_adc(name.strip())
        if resolved is None or resolved[0] not in known:
            raise InputError(
                f"{name} is not simulated for {endpoint}.", where="--adcs", mend=f"Use some of {', '.join(known)}."
            )
        found.append(resolved[0])
    return list(dict.fromkeys(found))


def write_semi_synthetic(
    path: Path,
    cohort: Cohort,
    seed: int,
    *,
    world: int = 0,
    adcs: Sequence[str] | None = None,
    setting: str | None = None,
    truth: Path | None = None,
    oracle: Path | None = None,
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write a semi-synthetic cohort, and on request the truth behind it.

    Parameters
    ----------
    path : pathlib.Path
        Cohort file; the suffix names the format.
    cohort, seed, world, adcs, setting
        As for `SemiSynthesis`.
    truth : pathlib.Path, optional
        Each patient's true probabilities.
    oracle : pathlib.Path, optional
        Best attainable scores and true effects, as JSON.

    Returns
    -------
    files : tuple of pathlib.Path
        The files written.
    doubts : tuple of str
        What a user should know of them.

    Raises
    ------
    InputError
        As for `SemiSynthesis`; or two files of one name.
    OutputError
        A file cannot be written; no part of it is left.
    """
    from features.synthetic.oracle import bayes_optimal

    targets = [p for p in (path, truth, oracle) if p is not None]
    if len({p.resolve() for p in targets}) < len(targets):
        raise InputError("two outputs cannot share a file.", where=str(path), mend="Name another file.")
    for target in targets:
        check_output(target, inputs=[cohort.source.path], any_format=target == oracle)
    synthesis = SemiSynthesis(cohort, seed, world=world, adcs=adcs, setting=setting)
    found = synthesis.cohort_and_truth()
    write_cohort_file(found.patients, path)
    if truth:
        write_cohort_file(found.truth, truth)
    if oracle:
        content = {
            "data_origin": synthesis.mark,
            "cohort": {"covariates": cohort.source.name, "patients": len(found.patients), "seed": seed, "world": world},
            "best_attainable": bayes_optimal(found.truth).to_dict(orient="records"),
            "best_attainable_from_measured": bayes_optimal(found.truth, "attainable_probability").to_dict(
                orient="records"
            ),
            "true_effects": synthesis.effects().to_dict(orient="records"),
        }
        write_whole(oracle, json.dumps(content, indent=1) + "\n")
    doubts = [f"{len(cohort.rejected):,} of {cohort.rows_in:,} rows were put aside."] if cohort.rejected else []
    if not synthesis.her2_known:
        doubts.append("No patient has a HER2 measure: every HER2 class was taken to be equally likely.")
    return tuple(targets), tuple(doubts)
