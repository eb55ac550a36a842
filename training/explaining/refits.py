"""What the refits of a validation tell of explanations: how stable they are, and what the model loses without a step.

The cross-validation and the bootstrap refit the model anyway. Each refit is asked for its contributions to the same
patients, and each fold's model for its held-out patients with the values of a group of columns dealt out anew among
them, so neither costs another fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features.core_biomarkers import CORE_LABELS
from training.bootstrap import interval_of
from training.estimate import Estimate
from training.explaining.examination import Examination, Examiner
from training.explaining.learned_effects import NEGLIGIBLE
from training.explaining.stability import DrugDifference, RefitFindings, Stability
from training.metrics import weighted_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training.bootstrap import HeldOut
    from training.kept_fits import Arrays
    from training.metrics import Floats
    from training.training_table import TrainingTable

#: Fewer refits tell no interval.
FEWEST_REFITS = 5


class Ablation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What held-out log loss rises by when a group's values are dealt out anew among patients; above 0 it is needed."""

    label: str
    core: bool
    columns: tuple[str, ...]
    loss: Estimate


class Refits:
    """Collects what refits of a model say.

    Parameters
    ----------
    table : TrainingTable
        All patients that are learned from.
    seed : int

    Attributes
    ----------
    examiner : Examiner
        Asks a refit, where it runs.
    """

    def __init__(self, table: TrainingTable, seed: int) -> None:
        self.table, self.examiner = table, Examiner(table, seed)
        self._found: list[Examination] = []

    def keep(self, fits: Iterable[Arrays]) -> None:
        """Keep what refits said that were examined.

        Parameters
        ----------
        fits : iterable of dict of str to numpy.ndarray
            What they gave.
        """
        self._found += [found for fit in fits if (found := Examination.of(fit))]

    @property
    def count(self) -> int:
        """Number of refits."""
        return len(self._found)

    def stability(self) -> tuple[Stability, ...]:
        """Size, rank and direction of each column over the refits.

        Returns
        -------
        tuple of Stability
            By falling median size; empty with fewer than FEWEST_REFITS.
        """
        if self.count < FEWEST_REFITS:
            return ()
        sizes, changes = np.array([f.sizes for f in self._found]), np.array([f.changes for f in self._found])
        ranks = (-sizes).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") + 1.0
        # A drug on which a column tells nothing has no say; it must not draw the mean towards zero.
        weights = self._weights() * np.isfinite(changes)
        pooled = np.nansum(changes * self._weights(), axis=2) / np.maximum(weights.sum(axis=2), 1e-12)
        found = []
        for j, column in enumerate(self.table.schema.columns):
            known = column.kind != "categorical" and bool(np.isfinite(changes[:, j]).any())
            change = spread(pooled[:, j]) if known else None
            found.append(Stability(column.name, column.label, spread(sizes[:, j]), spread(ranks[:, j]), change))
        return tuple(sorted(found, key=lambda s: (-(s.size.value or 0.0), s.name)))

    def _weights(self) -> Floats:
        """Share of each drug among the patients of the sample."""
        counts = np.array([(self.examiner.adc == drug).sum() for drug in self.examiner.drugs], dtype=np.float64)
        return np.asarray(counts / counts.sum())

    def drug_differences(self) -> tuple[DrugDifference, ...]:
        """Biomarkers whose learned change differs most between two ADCs, where nearly all refits agree that it does.

        Returns
        -------
        tuple of DrugDifference
            By falling difference.
        """
        drugs = self.examiner.drugs
        if self.count < FEWEST_REFITS or len(drugs) < 2:
            return ()
        changes = np.array([f.changes for f in self._found])
        found = []
        for j, column in enumerate(self.table.schema.columns):
            known = np.isfinite(changes[:, j]).all(axis=0)
            if column.source == "adc_profile" or column.kind == "categorical" or known.sum() < 2:
                continue
            median = np.where(known, np.median(np.nan_to_num(changes[:, j]), axis=0), np.nan)
            high, low = int(np.nanargmax(median)), int(np.nanargmin(median))
            difference = spread(changes[:, j, high] - changes[:, j, low])
            if difference.excludes_zero and (difference.value or 0.0) >= NEGLIGIBLE:
                pair = (str(drugs[high]), str(drugs[low]))
                found.append(
                    DrugDifference(
                        column.name, column.label, *pair, float(median[high]), float(median[low]), difference
                    )
                )
        return tuple(sorted(found, key=lambda d: (-(d.difference.value or 0.0), d.name)))

    def findings(self) -> RefitFindings | None:
        """Sum up what is kept with the model; None with fewer than FEWEST_REFITS.

        Returns
        -------
        RefitFindings or None
        """
        stability = self.stability()
        return RefitFindings(self.count, stability, self.drug_differences()).rounded() if stability else None

    def ablation(self, held_out: HeldOut) -> tuple[Ablation, ...]:
        """Rise of the held-out log loss without each group, with the interval of the paired difference.

        Parameters
        ----------
        held_out : HeldOut
            What the folds were, and the weights of the intervals.

        Returns
        -------
        tuple of Ablation
            Mechanism steps along the ADC's way, then the other groups; empty where no held-out patient was tried.
        """
        dealt = [f for f in self._found if f.rows]
        if not dealt:
            return ()
        groups = self.examiner.groups
        position = {int(row): i for i, row in enumerate(self.table.rows)}
        rises = np.zeros((len(groups), self.table.patients))
        # In a fixed order: sums must not depend on which fold was done first.
        for found in sorted(dealt, key=lambda f: f.rows):
            rises[:, [position[row] for row in found.rows]] += found.rises
        rises /= len(held_out.folds)
        names = self.table.schema.names
        return tuple(
            Ablation(
                label,
                label in CORE_LABELS.values(),
                tuple(names[j] for j in columns),
                interval_of(float(rise.mean()), weighted_mean(rise, held_out.weights)),
            )
            for (label, columns), rise in zip(groups.items(), rises, strict=True)
        )


def spread(values: Floats) -> Estimate:
    """Median of some refits with the range of 95% of them.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_refits,)

    Returns
    -------
    Estimate
    """
    low, middle, high = (float(v) for v in np.quantile(values, [0.025, 0.5, 0.975]))
    return Estimate(middle, low, high)
