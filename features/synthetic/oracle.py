"""What only a simulator can know: the best attainable scores, and each biomarker's true effect by intervention."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import rankdata

from features.synthetic.assay import MEASURES
from features.synthetic.cohort import simulate_cohort
from features.synthetic.enrolment import plan_enrolment
from features.synthetic.parameters import effects, marginal
from features.synthetic.simulator import COMPARED_REGIMENS, Simulator, blocks_of
from features.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.synthetic.arrays import FloatArray, IntArray, Tumours
    from features.synthetic.parameters import Endpoint

#: Most patients that mean effects are taken over; more change them by less than anyone can use.
_EFFECT_PATIENTS = 20_000


@dataclass(frozen=True, slots=True)
class Intervention:
    """Setting one biomarker from one value to another in every patient.

    Attributes
    ----------
    measure : str
        Measure of the catalogue.
    low, high : str
        The two values, as a cohort file would hold them.
    key : str
        True quantity that is set.
    low_value, high_value : float
        Its two values.
    """

    measure: str
    low: str
    high: str
    key: str
    low_value: float
    high_value: float


def _binary(measure: str) -> Intervention:
    return Intervention(measure, "0", "1", measure, 0.0, 1.0)


def _standard(measure: str) -> Intervention:
    return Intervention(measure, "-1", "1", measure, -1.0, 1.0)


def interventions() -> Mapping[str, Intervention]:
    """One intervention per biomarker that acts in the mechanism, by measure.

    HER2 level is set through the receptors per cell; heterogeneity through the share of HER2-negative cells. Measures
    that only report on these (copies, ratio, mRNA, H-score, stated status) are not here: setting a report on a tumour
    changes nothing in it.
    """
    found = [
        Intervention(
            "her2_ihc",
            "2+",
            "3+",
            "log10_receptors",
            marginal("receptors_mean_2+/ISH+"),
            marginal("receptors_mean_3+"),
        ),
        Intervention("her2_negative_fraction", "0.03", "0.5", "her2_negative_fraction", 0.03, 0.5),
        Intervention("her2_heterogeneous", "0", "1", "her2_negative_fraction", 0.03, 0.7),
        Intervention("erbb2_deletion", "none", "hemizygous", "erbb2_deletion", 0.0, 1.0),
        Intervention("p95her2_ratio", "0.05", "0.2", "p95her2_ratio", 0.05, 0.2),
        Intervention("til_percent", "5", "30", "til_percent", 5.0, 30.0),
        Intervention("prior_lines", "1", "4", "prior_lines", 1.0, 4.0),
        Intervention("pam50_subtype", "luminal_a", "her2_enriched", "pam50_her2_enriched", 0.0, 1.0),
    ]
    known = {i.key for i in found}
    for effect in effects().values():
        if effect.measure not in known:
            known.add(effect.measure)
            found.append(_standard(effect.measure) if effect.per == "sd" else _binary(effect.measure))
    return {i.measure: i for i in found}


def intervene(tumours: Tumours, key: str, value: float) -> Tumours:
    """Set one true quantity to a value in every tumour and leave everything else as it was drawn.

    Parameters
    ----------
    tumours : dict of str to ndarray, shape (n_patients,)
        True biology; not changed.
    key : str
        Quantity to set.
    value : float
        Its value.

    Returns
    -------
    dict of str to ndarray, shape (n_patients,)
    """
    return {**tumours, key: np.full_like(tumours[key], value)}


def bayes_optimal(truth: pd.DataFrame, score: str = "true_probability") -> pd.DataFrame:
    """Scores of the best possible model, which knows each patient's true probability; or of another one.

    Expectations over the outcomes that the patients could have had, so no luck of one draw is in them.

    Parameters
    ----------
    truth : pandas.DataFrame
        Truth of a simulated cohort, with `adc`, `endpoint` and `true_probability`.
    score : str, default "true_probability"
        Column of the probabilities that are judged against the true ones.

    Returns
    -------
    pandas.DataFrame
        One row per endpoint and ADC, and "all" ADCs of an endpoint together: `endpoint`, `adc`, `patients`,
        `response_rate`, `auroc` (higher is better), `brier` and `log_loss` (lower is better).
    """
    rows = []
    for endpoint, patients in truth.groupby("endpoint", sort=True):
        groups = [("all", patients), *patients.groupby("adc", sort=True)]
        for adc, group in groups:
            p = group["true_probability"].to_numpy(dtype=np.float64)
            q = group[score].to_numpy(dtype=np.float64)
            rows.append((endpoint, adc, len(p), float(p.mean()), *_expected_scores(q, p)))
    return pd.DataFrame(rows, columns=["endpoint", "adc", "patients", "response_rate", "auroc", "brier", "log_loss"])


def _expected_scores(q: FloatArray, p: FloatArray) -> tuple[float, float, float]:
    return (
        expected_auroc(p, q),
        float(np.mean(p * (1.0 - q) ** 2 + (1.0 - p) * q**2)),
        float(-np.mean(p * np.log(q) + (1.0 - p) * np.log1p(-q))),
    )


def expected_auroc(p: FloatArray, score: FloatArray | None = None) -> float:
    """AUROC that the true probabilities, or another score, reach on outcomes drawn from the true probabilities.

    The chance that of a random responder and a random non-responder the first has the higher probability, with patients
    weighted by the chance of being either.

    Parameters
    ----------
    p : ndarray, shape (n_patients,)
        True probabilities.
    score : ndarray, shape (n_patients,), optional
        What patients are ordered by; the true probabilities by default.

    Returns
    -------
    float
        0.5 where all probabilities are equal.
    """
    by = p if score is None else score
    order = np.argsort(by, kind="stable")
    level = rankdata(by[order], method="dense").astype(np.intp) - 1
    responders = np.bincount(level, weights=p[order])
    others = np.bincount(level, weights=1.0 - p[order])
    below = np.cumsum(others) - others
    return float(np.sum(responders * (below + 0.5 * others)) / (responders.sum() * others.sum()))


def biomarker_effects(
    patients: int,
    seed: int,
    *,
    world: int = 0,
    adcs: Sequence[str] | None = None,
    setting: str | None = None,
    trial: str | None = None,
) -> pd.DataFrame:
    """Find the true average effect of every measure on every ADC, by exact intervention.

    The cohort is simulated once; each biomarker is set to its low and its high value in every patient with everything
    else as drawn, and the mean change of the true probability is taken.

    Parameters
    ----------
    patients, seed, world, adcs, setting, trial
        As for `simulate_cohort`.

    Returns
    -------
    pandas.DataFrame
        One row per measure, endpoint and ADC: `measure`, `endpoint`, `adc`, `low`, `high`, `acts` (whether the measure
        is a cause in the mechanism at all), `change_probability` and `change_log_odds` (means over patients).
    """
    simulator = Simulator(plan_enrolment(patients, seed, world=world, adcs=adcs, setting=setting, trial=trial))
    blocks = [simulator.block(number, count) for number, count in blocks_of(patients)]
    arm_index = np.concatenate([block.arm_index for block in blocks])
    tumours = {name: np.concatenate([block.tumours[name] for block in blocks]) for name in blocks[0].tumours}
    of_patient = np.array([p.endpoint for p in simulator.plan.populations])[arm_index]
    parts = []
    for endpoint in dict.fromkeys(p.endpoint for p in simulator.plan.populations):
        own = of_patient == endpoint
        of_endpoint = {name: values[own] for name, values in tumours.items()}
        parts.append(intervention_effects(simulator, of_endpoint, arm_index[own], endpoint))
    return pd.concat(parts, ignore_index=True)


def intervention_effects(
    simulator: Simulator, tumours: Tumours, arm_index: IntArray, endpoint: Endpoint
) -> pd.DataFrame:
    """Find the true average effect of every measure on every ADC in given tumours.

    Parameters
    ----------
    simulator : Simulator
        Of the world that the effects are those of.
    tumours : dict of str to ndarray, shape (n_patients,)
        True biology.
    arm_index : ndarray of int, shape (n_patients,)
    endpoint : {"objective_response", "pcr"}

    Returns
    -------
    pandas.DataFrame
        As `biomarker_effects` gives it, for one endpoint.
    """
    causes = interventions()
    rows: list[tuple[object, ...]] = []
    for measure in MEASURES:
        cause = causes.get(measure)
        for regimen in COMPARED_REGIMENS[endpoint]:
            adc = regimen.partition("+")[0]
            if cause is None:
                rows.append((measure, endpoint, adc, "", "", False, 0.0, 0.0))
                continue
            low, high = (
                simulator.regimen_probability(intervene(tumours, cause.key, value), arm_index, regimen, endpoint)
                for value in (cause.low_value, cause.high_value)
            )
            change, log_change = float((high - low).mean()), float((logit(high) - logit(low)).mean())
            rows.append((measure, endpoint, adc, cause.low, cause.high, True, change, log_change))
    return pd.DataFrame(
        rows,
        columns=["measure", "endpoint", "adc", "low", "high", "acts", "change_probability", "change_log_odds"],
    )


def patient_effects(
    patients: int,
    seed: int,
    *,
    world: int = 0,
    adcs: Sequence[str] | None = None,
    setting: str | None = None,
    trial: str | None = None,
) -> pd.DataFrame:
    """Find the true effect of every cause in every patient on the treatment received, for judging explanations.

    Parameters
    ----------
    patients, seed, world, adcs, setting, trial
        As for `simulate_cohort`.

    Returns
    -------
    pandas.DataFrame
        `patient_id` and one column per cause: change of the patient's log-odds from the low to the high value.
    """
    simulator = Simulator(plan_enrolment(patients, seed, world=world, adcs=adcs, setting=setting, trial=trial))
    parts = []
    for number, count in blocks_of(patients):
        block = simulator.block(number, count)
        columns: dict[str, object] = {"patient_id": block.patient_ids()}
        for measure, cause in interventions().items():
            low, high = (
                logit(simulator.received_probability(intervene(block.tumours, cause.key, value), block.arm_index))
                for value in (cause.low_value, cause.high_value)
            )
            columns[measure] = high - low
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def write_oracle(
    path: str | Path,
    *,
    patients: int,
    seed: int,
    world: int = 0,
    adcs: Sequence[str] | None = None,
    setting: str | None = None,
    trial: str | None = None,
) -> Path:
    """Write what is known of a simulated cohort beyond its patients: best attainable scores and true effects.

    Parameters
    ----------
    path : str or Path
        JSON file to write.
    patients, seed, world, adcs, setting, trial
        As for `simulate_cohort`; missing values, sites and shifts do not change the truth.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        An argument is out of range or names nothing that is modelled.
    OutputError
        The file cannot be written; no part of it is left.
    """
    chosen = {"world": world, "adcs": adcs, "setting": setting, "trial": trial}
    cohort = simulate_cohort(patients, seed, world=world, adcs=adcs, setting=setting, trial=trial, missing=0.0)
    content = {
        "data_origin": "simulated",
        "cohort": {"patients": patients, "seed": seed, **chosen},
        "best_attainable": bayes_optimal(cohort.truth).to_dict(orient="records"),
        "true_effects": biomarker_effects(
            min(patients, _EFFECT_PATIENTS), seed, world=world, adcs=adcs, setting=setting, trial=trial
        ).to_dict(orient="records"),
    }
    write_whole(Path(path), json.dumps(content, indent=1) + "\n")
    return Path(path)
