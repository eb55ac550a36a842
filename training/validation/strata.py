"""Performance within each drug and HER2 class, and in subgroups, with counts and never a bare number from a few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from training import metrics
from training.bootstrap import interval_of, mean_probability
from training.metrics import brier_losses, weighted_mean
from training.validation.records import Stratum, WithinStrata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.bootstrap import HeldOut
    from training.estimate import Estimate
    from training.metrics import Floats, Integers

#: Fewer patients, or fewer of the rarer outcome, than this give counts only.
FEWEST_IN_SUBGROUP, FEWEST_OF_OUTCOME = 20, 5
_MOST_LEVELS = 12
#: Columns that patients are divided by, with the words for them; numbers are cut at these ages.
SUBGROUP_COLUMNS = {
    "hr_status": "hormone receptor",
    "age_years": "age",
    "setting": "setting",
    "site": "site",
    "cohort": "cohort",
}
_AGE_BANDS = ((0, 50, "below 50"), (50, 65, "50 to 64"), (65, 200, "65 and over"))
_SIGN = {"0": "negative", "1": "positive"}
#: Columns that tell how much HER2 there is, with the words for them; the first that varies in the cohort is used.
HER2_COLUMNS = {"her2_ihc": "HER2 IHC", "her2_class": "HER2 class", "her2_status": "HER2 status"}
#: Levels whose order is not that of the alphabet, lowest first.
_ORDER = ("0", "zero", "ultralow", "1+", "low", "2+", "3+", *(name for _, _, name in _AGE_BANDS))


def strata_of(patients: pd.DataFrame) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Divisions of the patients: ADC, HER2 level, hormone receptor, age, setting, site, cohort.

    Parameters
    ----------
    patients : pandas.DataFrame
        Canonical columns.

    Yields
    ------
    str
        What it is divided by.
    pandas.Series
        Level of each patient as text; missing where not known.
    """
    yield "ADC", patients["adc"].astype(object)
    her2 = next((c for c in HER2_COLUMNS if c in patients and len(patients[c].dropna().unique()) > 1), None)
    if her2:
        values = patients[her2].map(_text)
        yield HER2_COLUMNS[her2], values.replace(_SIGN) if her2 == "her2_status" else values
    for column, label in SUBGROUP_COLUMNS.items():
        if column == "age_years" and column in patients:
            yield label, _bands(patients[column])
        elif column in patients:
            values = patients[column].map(_text)
            yield label, values.replace(_SIGN) if column == "hr_status" else values


def _rank(level: Any) -> tuple[int, str]:
    return _ORDER.index(level) if level in _ORDER else len(_ORDER), str(level)


def _text(value: Any) -> Any:
    if isinstance(value, float):
        return np.nan if np.isnan(value) else f"{value:g}"
    return value


def _bands(ages: pd.Series[Any]) -> pd.Series[Any]:
    years = pd.to_numeric(ages, errors="coerce")
    inside = [((years >= low) & (years < high)).to_numpy() for low, high, _ in _AGE_BANDS]
    band = np.select(inside, [name for _, _, name in _AGE_BANDS], default="")
    return pd.Series(band, index=ages.index, dtype=object).replace("", np.nan)


def subgroups(patients: pd.DataFrame, held_out: HeldOut, log_odds: Floats) -> tuple[Stratum, ...]:
    """Count and judge each level of each division that has two levels at least.

    Parameters
    ----------
    patients : pandas.DataFrame of shape (n_patients, any)
    held_out : HeldOut
    log_odds : numpy.ndarray of shape (n_repeats, n_patients)
        Held out.

    Returns
    -------
    tuple of Stratum
    """
    found = []
    for by, level in strata_of(patients):
        levels = level.dropna().value_counts()
        if not 2 <= len(levels) <= _MOST_LEVELS:
            continue
        for name in sorted(levels.index, key=_rank):
            found.append(_stratum(by, str(name), (level == name).to_numpy(), held_out, log_odds))
    return tuple(found)


def _stratum(by: str, level: str, rows: np.ndarray, held_out: HeldOut, log_odds: Floats) -> Stratum:
    outcome = held_out.outcome[rows]
    patients, events = len(outcome), int(outcome.sum())
    rarer = min(events, patients - events)
    if patients < FEWEST_IN_SUBGROUP or rarer < FEWEST_OF_OUTCOME:
        few = f"{patients} patients" if patients < FEWEST_IN_SUBGROUP else f"{rarer} of the rarer outcome"
        return Stratum(by, level, patients, events, {}, f"too few for a number: {few}")
    weights = held_out.weights[rows]
    scores, folds = log_odds[:, rows], held_out.folds[:, rows]
    return Stratum(
        by,
        level,
        patients,
        events,
        {
            "auroc": _auroc(outcome, scores, folds, weights),
            "brier": _mean(brier_losses(outcome, scores).mean(axis=0), weights),
            "response_rate": _mean(outcome.astype(np.float64), weights),
            "predicted_rate": _mean(mean_probability(scores), weights),
        },
    )


def _mean(values: Floats, weights: Floats) -> Estimate:
    return interval_of(float(np.mean(values)), weighted_mean(values, weights))


def _auroc(outcome: Integers, log_odds: Floats, folds: Integers, weights: Floats) -> Estimate:
    """AUROC of pairs held out together, averaged over the repeats."""
    ones = np.ones((len(outcome), 1))
    pairs = list(zip(log_odds, folds, strict=True))
    value = float(np.mean([metrics.auroc(outcome, z, fold, ones)[0] for z, fold in pairs]))
    with np.errstate(invalid="ignore"):
        replicates = np.mean([metrics.auroc(outcome, z, fold, weights) for z, fold in pairs], axis=0)
    return interval_of(value, replicates, undefined="no fold holds both a responder and a non-responder")


def within(patients: pd.DataFrame, held_out: HeldOut, log_odds: Floats) -> tuple[WithinStrata, ...]:
    """Discrimination among patients of the same ADC, and of the same HER2 level, beside the pooled one.

    A model that knows the drug or the IHC class and nothing else looks good pooled; among patients who are alike in
    it, it is a coin.

    Parameters
    ----------
    patients : pandas.DataFrame of shape (n_patients, any)
    held_out : HeldOut
    log_odds : numpy.ndarray of shape (n_repeats, n_patients)

    Returns
    -------
    tuple of WithinStrata
    """
    pooled = _auroc(held_out.outcome, log_odds, held_out.folds, held_out.weights)
    found = []
    for by, level in strata_of(patients):
        if by not in ("ADC", *HER2_COLUMNS.values()) or level.nunique() < 2:
            continue
        code = pd.factorize(level)[0]
        known = code >= 0
        cells = held_out.folds[:, known] * (int(code.max()) + 1) + code[known]
        auroc = _auroc(held_out.outcome[known], log_odds[:, known], cells, held_out.weights[known])
        found.append(WithinStrata(by, auroc, pooled, _only_the_stratum(by, auroc, pooled)))
    return tuple(found)


def _only_the_stratum(by: str, auroc: Estimate, pooled: Estimate) -> str:
    if None in (auroc.value, auroc.low, pooled.low) or not (pooled.low or 0) > 0.5 >= (auroc.low or 1):
        return ""
    return (
        f"The pooled AUROC may be only the {by} speaking: among patients of the same {by} the model is not shown to "
        f"tell responders apart ({auroc.value:.2f}, 95% interval {auroc.low:.2f} to {auroc.high:.2f})."
    )
