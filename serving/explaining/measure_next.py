"""Which assay would a lab add first: the expected gain in information, by simulation from the literature prior.

Simulated patients on the cohort's ADCs are given the gaps of its real ones. The literature's model predicts them with
the gaps, and with one biomarker filled in; the gain is how much nearer it comes, in bits, to the response that each of
the simulated worlds gives them. No outcome of the cohort is used, and none is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.special import expit

from features.feature_table import encode
from training.estimate import Estimate
from training.literature_model import literature_bundle
from training.prior import literature_prior

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from features.cohort import Cohort
    from serving.explaining.explained_cohort import Floats
    from training.model_bundle import ModelBundle
    from training.training_table import Endpoint

    Flags = NDArray[np.bool_]

#: Simulated patients; more change the order of the first few no more.
_PATIENTS = 1500
_SEED = 20_240_501
#: A biomarker that fewer of the cohort's patients lack than this is measured already.
_LEAST_LACKING = 0.1
#: Follow from other columns; no assay of their own.
_DERIVED = ("her2_class", "her2_status", "hr_status")


class InformationGain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a biomarker that patients lack would tell.

    Attributes
    ----------
    lacking : float
        Share of the cohort's patients who lack it.
    bits : Estimate
        Expected gain in information on response per patient who lacks it: median world with the range of 95% of them.
    """

    name: str
    label: str
    lacking: float
    bits: Estimate


def measure_next(cohort: Cohort, endpoint: Endpoint) -> tuple[InformationGain, ...]:
    """Rank the biomarkers that a cohort's patients lack by what measuring them may be expected to tell.

    Parameters
    ----------
    cohort : Cohort
    endpoint : {"pcr", "objective_response"}

    Returns
    -------
    tuple of InformationGain
        By falling median gain; empty where none of the cohort's ADCs is simulated for the endpoint.
    """
    bundle, evidence = literature_bundle(endpoint), literature_prior().evidence
    draws = np.random.default_rng(_SEED)
    own = (evidence.patients["endpoint"] == endpoint).to_numpy()
    rows = _drawn(evidence.patients, own, cohort.patients["adc"], draws)
    if not len(rows):
        return ()
    full = encode(evidence.patients.iloc[rows], bundle.record.schema).to_numpy(dtype=np.float64)
    gaps = np.isnan(encode(cohort.patients, bundle.record.schema).to_numpy(dtype=np.float64))
    lacking = gaps.mean(axis=0)
    drug = np.array([c.source == "adc_profile" for c in bundle.record.schema.columns])
    given = gaps[draws.integers(len(gaps), size=len(rows))] & ~drug
    truth = expit(evidence.log_odds[rows].astype(np.float64))
    return _ranked(bundle, np.where(given, np.nan, full), full, given, truth, lacking)


def _drawn(patients: pd.DataFrame, own: Flags, adc: pd.Series, draws: np.random.Generator) -> NDArray[np.int64]:
    """Rows of simulated patients whose ADCs are in the cohort's shares; none for ADCs that are not simulated."""
    simulated = patients["adc"].to_numpy(dtype=str)
    shares = {drug: share for drug, share in adc.value_counts(normalize=True).items() if drug in simulated[own]}
    found = []
    for drug, share in sorted(shares.items()):
        there = np.flatnonzero(own & (simulated == drug))
        wanted = min(len(there), round(_PATIENTS * share / sum(shares.values())))
        found.append(np.sort(draws.choice(there, size=wanted, replace=False)))
    return np.concatenate(found) if found else np.array([], dtype=int)


def _ranked(
    bundle: ModelBundle, known: Floats, full: Floats, given: Flags, truth: Floats, lacking: Floats
) -> tuple[InformationGain, ...]:
    """Fill in one column at a time, for the patients who lack it and whose simulated value is known."""
    before = bundle.predict_log_odds(known)
    found = []
    for j, column in enumerate(bundle.record.schema.columns):
        rows = np.flatnonzero(given[:, j] & np.isfinite(full[:, j]))
        if column.source != "biomarker" or column.name in _DERIVED or lacking[j] < _LEAST_LACKING or not len(rows):
            continue
        filled = known[rows].copy()
        filled[:, j] = full[rows, j]
        gains = information_gain(truth[rows], before[rows], bundle.predict_log_odds(filled))
        low, middle, high = (float(v) for v in np.quantile(gains, [0.025, 0.5, 0.975]))
        bits = Estimate(middle, low, high)
        found.append(InformationGain(column.name, column.label, float(lacking[j]), bits))
    return tuple(sorted(found, key=lambda g: (-(g.bits.value or 0.0), g.name)))


def information_gain(truth: Floats, before: Floats, after: Floats) -> Floats:
    """Mean gain in bits, in each world, of predicting by one log-odds instead of another.

    Parameters
    ----------
    truth : numpy.ndarray of shape (n_patients, n_worlds)
        Probability of response in each world.
    before, after : numpy.ndarray of shape (n_patients,)
        Predicted log-odds.

    Returns
    -------
    numpy.ndarray of shape (n_worlds,)
        Expected log loss before less that after, over log 2; below 0 where the prediction was better before.
    """
    responded = np.logaddexp(0.0, -before) - np.logaddexp(0.0, -after)
    not_responded = np.logaddexp(0.0, before) - np.logaddexp(0.0, after)
    gain = truth * responded[:, None] + (1.0 - truth) * not_responded[:, None]
    return np.asarray(gain.mean(axis=0) / np.log(2.0))
