"""Which assay would a lab add first: the expected gain in information, by simulation from the literature prior.

Simulated patients on the cohort's ADCs are given the gaps of its real ones. The literature's model predicts them with
the gaps, and with one biomarker filled in; the gain is how much nearer it comes, in bits, to the response that each of
the simulated worlds gives them. No outcome of the cohort is used, and none is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from scipy.special import expit

from features.biomarkers import measures
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

#: Simulated patients: drawing others moves a gain by some 0.0005 bits.
_PATIENTS = 6000
_SEED = 20_240_501
#: A biomarker that fewer of the cohort's patients lack than this is measured already.
_LEAST_LACKING = 0.1
#: Follow from other columns; no assay of their own.
_DERIVED = ("her2_class", "her2_status", "hr_status")
#: Assays that give several biomarkers at once, by the assay of each (an antibody stains one, so that is not here).
_PANELS = {
    "RNA expression": "RNA expression",
    "RNA expression signature": "RNA expression",
    "RNA sequencing": "RNA expression",
    "tumour DNA sequencing": "tumour DNA sequencing",
    "copy number by sequencing": "tumour DNA sequencing",
    "dual-probe in situ hybridisation": "dual-probe in situ hybridisation",
    "in situ hybridisation": "dual-probe in situ hybridisation",
    "reverse-phase protein array of laser-dissected tumour": "reverse-phase protein array",
    "reverse-phase protein array": "reverse-phase protein array",
}


class InformationGain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a biomarker that patients lack, or an assay, would tell.

    Attributes
    ----------
    biomarkers : int
        Columns that are filled in at once; 1 for a biomarker.
    lacking : float
        Share of the cohort's patients who lack it, or a part of it.
    bits : Estimate
        Expected gain in information on response per patient who lacks it: median world with the range of 95% of them.
    """

    name: str
    label: str
    lacking: float
    bits: Estimate
    biomarkers: int = 1


def measure_next(
    cohort: Cohort, endpoint: Endpoint, *, by: Literal["biomarker", "assay"] = "biomarker"
) -> tuple[InformationGain, ...]:
    """Rank the biomarkers that a cohort's patients lack by what measuring them may be expected to tell.

    Parameters
    ----------
    cohort : Cohort
    endpoint : {"pcr", "objective_response"}
    by : {"biomarker", "assay"}
        Whether to fill in one biomarker at a time, or all that one assay measures.

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
    drug = np.array([c.source == "adc_profile" for c in bundle.record.schema.columns])
    given = gaps[draws.integers(len(gaps), size=len(rows))] & ~drug
    truth = expit(evidence.log_odds[rows].astype(np.float64))
    groups = [own for own in _groups(bundle, by) if gaps[:, own].any(axis=1).mean() >= _LEAST_LACKING]
    known = np.where(given, np.nan, full)
    found = [_gain(bundle, own, by, known, full, given, truth, gaps) for own in groups]
    return tuple(sorted((g for g in found if g), key=lambda g: (-(g.bits.value or 0.0), g.name)))


def _groups(bundle: ModelBundle, by: str) -> list[list[int]]:
    """Find the columns that are filled in at once: each biomarker, or all of an assay that measures several."""
    columns = bundle.record.schema.columns
    own = [j for j, c in enumerate(columns) if c.source == "biomarker" and c.name not in _DERIVED]
    if by == "biomarker":
        return [[j] for j in own]
    assays: dict[str, list[int]] = {}
    for j in own:
        if panel := _PANELS.get(assay_words(columns[j].name)):
            assays.setdefault(panel, []).append(j)
    return [group for group in assays.values() if len(group) > 1]


def assay_words(name: str) -> str:
    """Assay of a measure in few words; "" for a column outside the catalogue.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    measure = measures().get(name)
    return measure.assay.partition("(")[0].partition(",")[0].strip() if measure else ""


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


def _gain(
    bundle: ModelBundle,
    own: list[int],
    by: str,
    known: Floats,
    full: Floats,
    given: Flags,
    truth: Floats,
    gaps: Flags,
) -> InformationGain | None:
    """Fill the columns in for the patients who lack one of them and whose simulated value is known."""
    rows = np.flatnonzero((given[:, own] & np.isfinite(full[:, own])).any(axis=1))
    if not len(rows):
        return None
    filled = known[rows].copy()
    filled[:, own] = full[rows][:, own]
    gains = information_gain(truth[rows], bundle.predict_log_odds(known[rows]), bundle.predict_log_odds(filled))
    low, middle, high = (float(v) for v in np.quantile(gains, [0.025, 0.5, 0.975]))
    column, lacking = bundle.record.schema.columns[own[0]], float(gaps[:, own].any(axis=1).mean())
    name, label = (column.name, column.label) if by == "biomarker" else 2 * (_PANELS[assay_words(column.name)],)
    return InformationGain(name, label, lacking, Estimate(middle, low, high), len(own))


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
