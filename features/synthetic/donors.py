"""Donor tumours: simulated ones that a laboratory would have reported as a real patient was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.her2_status import her2_class
from features.synthetic.assay import DELETION_LEVELS, IHC_LEVELS, SUBTYPES, Laboratory, measure_tumours
from features.synthetic.parameters import HER2_CLASSES, Population
from features.synthetic.population import draw_tumours
from features.synthetic.population_tables import population_tables
from features.synthetic.streams import PhiloxDraws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.synthetic.arrays import FloatArray, IntArray, Tumours

#: Simulated tumours among which donors are sought.
_POOL = 16_384
#: Spread with which a reported value tells the tumour: of a level its position, of a count its logarithm, of expression
#: the z-score. Assumed: about one reader's or one assay's error.
_SPREADS = {"level": 0.6, "log": 0.25, "z": 0.3, "h_score": 40.0}
#: Chance that a yes or no is wrong.
_WRONG = 0.05
#: Measures that donors are sought by, and how each is compared.
_MATCHED = {
    "her2_ihc": "level",
    "her2_class": "level",
    "her2_status": "yes",
    "her2_ish_positive": "yes",
    "erbb2_amplified": "yes",
    "her2_heterogeneous": "yes",
    "hr_status": "yes",
    "her2_ish_ratio": "log",
    "erbb2_copy_number": "log",
    "erbb2_mrna_z": "z",
    "her2_h_score": "h_score",
}
#: Below these a measured value is none that the assay can tell from another; effects go by its logarithm.
_FLOORS = {"p95her2_ratio": 0.005, "til_percent": 0.5}
#: Levels as the simulator numbers them.
_LEVELS = {
    "her2_ihc": IHC_LEVELS,
    "her2_class": ("zero", "ultralow", "low", "positive"),
    "erbb2_deletion": DELETION_LEVELS,
    "pam50_subtype": SUBTYPES,
}
#: Patients compared with the pool at once; bounds the memory.
_CHUNK = 256


def donor_pool(seed: int) -> tuple[Tumours, dict[str, FloatArray]]:
    """Draw tumours of every HER2 class in equal parts, and what a laboratory would report of them.

    Parameters
    ----------
    seed : int

    Returns
    -------
    tumours : dict of str to ndarray, shape (n_donors,)
        True biology.
    seen : dict of str to ndarray, shape (n_donors,)
        Reported values by measure; levels by their position.
    """
    everyone = Population(
        id="donors",
        cohort="donors",
        setting="metastatic",
        classes=dict.fromkeys(HER2_CLASSES, 1.0 / len(HER2_CLASSES)),
        source="equal parts, weighed by the cohort's own composition",
        prior_lines=(0, 2.0),
    )
    draws = PhiloxDraws(seed, 1, _POOL)
    nobody = np.zeros(_POOL, dtype=np.intp)
    tumours = draw_tumours(population_tables([everyone]), nobody, draws)
    level = tumours["log10_mrna"]
    laboratory = Laboratory(
        missing=0.0,
        site_index=nobody,
        staining_shift=np.zeros(1),
        platform_shift=np.zeros(1),
        platform_scale=np.ones(1),
        missing_shift=np.zeros(1),
        central_review=False,
        mrna_centre=np.full(_POOL, level.mean()),
        mrna_spread=np.full(_POOL, level.std()),
    )
    seen = measure_tumours(tumours, laboratory, draws)
    ihc = np.array(IHC_LEVELS, dtype=object)[seen["her2_ihc"].astype(np.intp)]
    stated = pd.Series(her2_class(ihc, seen["her2_status"]), dtype="str")
    return tumours, {**seen, "her2_class": _as_numbers("her2_class", stated)}


class DonorLikelihood:
    """How likely each donor would be reported as each patient was.

    Two passes: the first without expression, whose scale depends on whom a cohort enrolled, gives the composition by
    HER2 class and the scale of expression; the second uses both.

    Parameters
    ----------
    patients : pandas.DataFrame
        Of one cohort, within which expression was standardised.
    seen : dict of str to ndarray, shape (n_donors,)
    class_index : ndarray, shape (n_donors,)
    """

    def __init__(self, patients: pd.DataFrame, seen: dict[str, FloatArray], class_index: FloatArray) -> None:
        self._values = {m: _as_numbers(m, patients[m]) for m in _MATCHED if m in patients}
        self._seen = {m: seen[m] for m in self._values}
        self._count = len(patients)
        self._class = class_index.astype(np.intp)
        self._log_prior = np.zeros(len(class_index))
        #: One standard deviation of the cohort's expression on the donors' scale.
        self._width = 1.0
        self.tells_her2 = any(np.isfinite(v).any() for m, v in self._values.items() if m != "hr_status")
        self._align()

    def _align(self) -> None:
        """Weigh HER2 classes as the cohort has them, and bring expression to the donors' scale."""
        without = {m: v for m, v in self._values.items() if m != "erbb2_mrna_z"}
        told = np.zeros(self._count, dtype=bool)
        for column in without.values():
            told |= np.isfinite(column)
        if not told.any():
            return
        classes, moments = np.zeros(len(HER2_CLASSES)), np.zeros((self._count, 2))
        expression = self._seen.get("erbb2_mrna_z", np.zeros(len(self._class)))
        for rows in self._chunks():
            weights = _normalised(self._log_weights(rows, without))
            moments[rows] = weights @ np.column_stack([expression, expression**2])
            classes += np.bincount(self._class, weights=weights[told[rows]].sum(axis=0), minlength=len(classes))
        self._log_prior = np.log((classes + 0.5) / (classes + 0.5).sum())[self._class]
        values = self._values.get("erbb2_mrna_z", np.array([]))
        known = np.isfinite(values)
        if known.sum() > 1 and values[known].std() > 0:
            centre, square = moments[known].mean(axis=0)
            self._width = float(np.sqrt(max(square - centre**2, 0.05)))
            self._values["erbb2_mrna_z"] = centre + self._width * (values - values[known].mean()) / values[known].std()

    def donors(self, chances: FloatArray) -> IntArray:
        """Draw donors by their likelihood.

        Parameters
        ----------
        chances : ndarray, shape (n_patients, n_wanted)
            Uniform random numbers.

        Returns
        -------
        ndarray of int, shape (n_patients, n_wanted)
        """
        chosen = np.empty(chances.shape, dtype=np.intp)
        for rows in self._chunks():
            cumulative = np.cumsum(_normalised(self._log_weights(rows, self._values)), axis=1)
            cumulative[:, -1] = 1.0
            for place, row in enumerate(range(rows.start, rows.stop)):
                chosen[row] = np.searchsorted(cumulative[place], chances[row])
        return chosen

    def _chunks(self) -> Iterator[slice]:
        for first in range(0, self._count, _CHUNK):
            yield slice(first, min(first + _CHUNK, self._count))

    def _log_weights(self, rows: slice, values: dict[str, FloatArray]) -> FloatArray:
        total = np.broadcast_to(self._log_prior, (rows.stop - rows.start, len(self._log_prior))).copy()
        for measure, column in values.items():
            how, own, of_donors = _MATCHED[measure], column[rows][:, None], self._seen[measure][None, :]
            part: FloatArray
            if how == "yes":
                part = np.asarray(np.where(own == of_donors, np.log(1.0 - _WRONG), np.log(_WRONG)))
            elif how == "log":
                part = -0.5 * (np.log(np.maximum(own, 0.1) / np.maximum(of_donors, 0.1)) / _SPREADS["log"]) ** 2
            else:
                part = -0.5 * ((own - of_donors) / (_SPREADS[how] * (self._width if how == "z" else 1.0))) ** 2
            # What was not measured, in the patient or in the donor, tells nothing.
            total += np.where(np.isfinite(part) & np.isfinite(own) & np.isfinite(of_donors), part, 0.0)
        return total


def _normalised(log_weights: FloatArray) -> FloatArray:
    weights: FloatArray = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _as_numbers(measure: str, column: pd.Series[str]) -> FloatArray:
    """Values as the simulator holds them: levels by their position."""
    levels = _LEVELS.get(measure)
    if levels is not None:
        column = column.map({level: float(i) for i, level in enumerate(levels)})
    return np.asarray(column, dtype=np.float64)


def completed(patients: pd.DataFrame, pool: Tumours, donors: IntArray) -> Tumours:
    """Put every quantity that was measured directly in the place of the donor's.

    Parameters
    ----------
    patients : pandas.DataFrame
    pool : dict of str to ndarray, shape (n_donors,)
    donors : ndarray of int, shape (n_patients,)

    Returns
    -------
    dict of str to ndarray, shape (n_patients,)
    """
    tumours = {name: values[donors] for name, values in pool.items()}
    for name, of_donor in tumours.items():
        if name in patients and _MATCHED.get(name, "yes") == "yes":
            measured = _as_numbers(name, patients[name])
            if name == "erbb2_deletion":
                measured = np.minimum(measured, 1.0)
            measured = np.maximum(measured, _FLOORS.get(name, -np.inf))
            tumours[name] = np.where(np.isnan(measured), of_donor, measured)
    if "pam50_subtype" in patients:
        subtype = _as_numbers("pam50_subtype", patients["pam50_subtype"])
        enriched = (subtype == SUBTYPES.index("her2_enriched")).astype(np.float64)
        tumours["pam50_her2_enriched"] = np.where(np.isnan(subtype), tumours["pam50_her2_enriched"], enriched)
    return tumours
