"""How the values of a file are distributed beside those that the model learned from: stability index and test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.model_bundle import BundleRecord

#: Population stability index: below 0.1 little change, above 0.25 a large one (Siddiqi 2006, credit scoring's rule).
PSI_MODERATE, PSI_LARGE = 0.1, 0.25
#: Rows of a file that are looked at; more tell nothing new.
MOST_ROWS = 50_000
#: A difference with a larger p-value may be chance.
_CHANCE = 0.01
#: Added to each bin, so that an empty one gives a finite index (Jeffreys).
_PRIOR = 0.5


class Shift(NamedTuple):
    """Difference of two samples.

    Attributes
    ----------
    psi : float
        Population stability index, sum of (p - q) ln(p / q) over the bins.
    p_value : float
        Of the chi-square test that both samples are of one distribution.
    """

    psi: float
    p_value: float


def compare(training: Sequence[int], found: Sequence[int]) -> Shift:
    """Compare counts in the same bins.

    Parameters
    ----------
    training, found : sequence of int, shape (n_bins,)
        Patients per bin.

    Returns
    -------
    Shift
        Without patients on one side, an index of 0 and a p-value of 1.

    References
    ----------
    Siddiqi N. Credit Risk Scorecards. Wiley 2006. Pearson K. Philos Mag 1900;50:157-175.
    """
    old, new = np.asarray(training, dtype=np.float64), np.asarray(found, dtype=np.float64)
    if not old.sum() or not new.sum() or len(old) < 2:
        return Shift(0.0, 1.0)
    q = (old + _PRIOR) / (old.sum() + _PRIOR * len(old))
    p = (new + _PRIOR) / (new.sum() + _PRIOR * len(new))
    used = old + new > 0
    table = np.array([old[used], new[used]])
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return Shift(float(((p - q) * np.log(p / q)).sum()), chi_square_tail(statistic, int(used.sum()) - 1))


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Probability of a chi-square variable above a value, in closed form.

    Parameters
    ----------
    statistic : float
    freedom : int
        Degrees of freedom; 0 gives 1.

    Returns
    -------
    float

    References
    ----------
    Abramowitz M, Stegun IA. Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if freedom < 1 or statistic <= 0.0:
        return 1.0
    half = statistic / 2.0
    odd = freedom % 2
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    # exp(-x/2) (x/2)^k / k! for whole k, and with the gamma function for half ones.
    powers = np.arange(freedom // 2) + (0.5 if odd else 0.0)
    terms = [math.exp(-half + k * math.log(half) - math.lgamma(k + 1.0)) for k in powers]
    return min(1.0, tail + math.fsum(terms))


def histograms(record: BundleRecord, matrix: NDArray[np.float64]) -> list[list[int]]:
    """Count patients by the bins of the training record.

    Parameters
    ----------
    record : BundleRecord
    matrix : numpy.ndarray of shape (n_patients, n_columns)

    Returns
    -------
    list of list of int
        Per column of the model; empty where the record has no bins.
    """
    counts: list[list[int]] = []
    for j, column in enumerate(record.schema.columns):
        seen = record.training_ranges.get(column.name)
        if seen is None or not seen.bin_edges:
            counts.append([])
            continue
        values = matrix[:, j]
        bins = np.searchsorted(np.array(seen.bin_edges), values[~np.isnan(values)], side="left")
        counts.append(np.bincount(bins, minlength=len(seen.bin_edges) + 1).tolist())
    return counts


def score_shift(record: BundleRecord, by_step: NDArray[np.int64]) -> Shift:
    """Compare the scores of a file with the held-out scores of the training patients.

    Where they differ much, the calibration was learned from few patients of the kind that the file holds.

    Parameters
    ----------
    record : BundleRecord
    by_step : numpy.ndarray of int, shape (n_steps + 1,)
        Patients by response probability in equal steps from 0 to 1.

    Returns
    -------
    Shift
        Over the tenths of the held-out scores.
    """
    held_out = 1.0 / (1.0 + np.exp(-np.asarray(record.held_out_log_odds, dtype=np.float64)))
    if not len(held_out) or not by_step.sum():
        return Shift(0.0, 1.0)
    edges = np.unique(np.quantile(held_out, np.linspace(0.1, 0.9, 9)))
    old = np.bincount(np.searchsorted(edges, held_out, side="left"), minlength=len(edges) + 1)
    place = np.searchsorted(edges, np.arange(len(by_step)) / (len(by_step) - 1), side="left")
    new = np.bincount(place, weights=by_step, minlength=len(edges) + 1)
    return compare(old.tolist(), new.astype(np.int64).tolist())


def calibration_risk(scores: Shift) -> str:
    """Tell what the shift of the scores says of the calibration.

    Between two samples of one distribution, of n and m patients in B bins, the index is (B - 1)(1 / n + 1 / m) on
    average: some 0.2 for 50 patients in ten bins. An index that chance may explain is therefore no sign of anything.

    Parameters
    ----------
    scores : Shift

    Returns
    -------
    {"low", "uncertain", "moderate", "high"}
        Uncertain where the index is large and the patients too few to tell it from chance.

    References
    ----------
    Yurdakul B, Naranjo J. Statistical properties of the population stability index. J Risk Model Valid 2020;14(4).
    """
    if scores.psi < PSI_MODERATE:
        return "low"
    if scores.p_value >= _CHANCE:
        return "uncertain"
    return "moderate" if scores.psi < PSI_LARGE else "high"
