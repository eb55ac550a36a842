"""What the refits of a validation tell of explanations: how stable they are, and what the model loses without a step.

The cross-validation and the bootstrap refit the model anyway. Each refit is asked for its contributions to the same
patients, and each fold's model for its held-out patients with the values of a group of columns dealt out anew among
them, so neither costs another fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

import msgspec
import numpy as np

from features.core_biomarkers import CORE_BIOMARKERS, CORE_LABELS
from training.bootstrap import interval_of
from training.estimate import Estimate
from training.explaining.learned_effects import NEGLIGIBLE, ends, slope_of
from training.explaining.mechanism_steps import STEP_LABELS, TREATMENT, step_columns
from training.metrics import log_losses, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.baselines import Candidate
    from training.bootstrap import HeldOut
    from training.candidates import Boosted
    from training.metrics import Floats, Integers
    from training.training_table import TrainingTable

#: Patients whose contributions are compared between refits; more change the figures by less than the refits do.
_SAMPLE = 150
#: Times that the values of a group are dealt out anew in each fold.
_DEALS = 2
#: Fewer refits tell no interval.
FEWEST_REFITS = 5


class Stability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column over refits on parts of the cohort.

    Attributes
    ----------
    size : Estimate
        Mean absolute contribution, log-odds; the median refit with the range of 95% of them.
    rank : Estimate
        Place among the columns, 1 the largest.
    change : Estimate or None
        Learned change of the log-odds from low to high value; None for categories.
    """

    name: str
    label: str
    size: Estimate
    rank: Estimate
    change: Estimate | None

    @property
    def stable(self) -> bool:
        """Whether nearly all refits give it the same direction."""
        return self.change is None or self.change.excludes_zero


class DrugDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A biomarker that works differently by drug: learned change on one ADC less that on another, over refits."""

    name: str
    label: str
    adc: str
    other: str
    change: float
    change_other: float
    difference: Estimate


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
    """

    def __init__(self, table: TrainingTable, seed: int) -> None:
        self.table, self.seed = table, seed
        rows = np.unique(np.linspace(0, table.patients - 1, _SAMPLE).astype(int))
        self._sample = table.features.to_numpy()[rows]
        self._adc = table.adc[rows]
        self._drugs = np.unique(table.adc)
        full = table.features.to_numpy()
        self._steps = np.array([high - low for low, high in map(ends, table.schema.columns, full.T)])
        self._groups = {STEP_LABELS[s]: own for s, own in step_columns(table.schema).items()}
        names = table.schema.names
        for name, columns in CORE_BIOMARKERS.items():
            own = [names.index(c) for c in columns if c in names]
            if own:
                self._groups[CORE_LABELS[name]] = np.array(own)
        self._sizes: list[Floats] = []
        self._changes: list[Floats] = []
        self._dealt: list[tuple[list[int], Floats]] = []

    def watched(self, maker: Callable[[], Candidate], *, dealing: bool) -> Callable[[], Candidate]:
        """Make candidates that tell this collector of their fits.

        Parameters
        ----------
        maker : callable
            Of a `Boosted` candidate.
        dealing : bool
            Whether the patients that it predicts are held out, so that groups of columns are tried on them.

        Returns
        -------
        callable
        """
        return lambda: _Watched(cast("Boosted", maker()), self, dealing=dealing)

    def add(self, model: Boosted) -> None:
        """Keep what a refit makes of each column.

        Parameters
        ----------
        model : Boosted
        """
        shap = model.classifier.contributions(self._sample)[:, :-1]
        changes = np.full((shap.shape[1], len(self._drugs)), np.nan)
        for j in range(shap.shape[1]):
            for d, drug in enumerate(self._drugs):
                own = (self._adc == drug) & np.isfinite(self._sample[:, j])
                slope = slope_of(self._sample[own, j], shap[own, j])
                if slope is not None:
                    changes[j, d] = slope * self._steps[j]
        self._sizes.append(np.abs(shap).mean(axis=0))
        self._changes.append(changes)

    def deal(self, model: Boosted, table: TrainingTable) -> None:
        """Predict held-out patients with each group's values dealt out anew, and keep the rise of each one's loss.

        Biomarkers go round among the patients of one ADC, so that what only tells the drugs apart is not counted.

        Parameters
        ----------
        model : Boosted
        table : TrainingTable
        """
        random = np.random.default_rng([self.seed, table.patients, int(table.rows.sum())])
        matrix = table.features.to_numpy()
        orders = [_dealt_within(table.adc, random) for _ in range(_DEALS)]
        free = [random.permutation(table.patients) for _ in range(_DEALS)]
        tried = [matrix]
        for label, columns in self._groups.items():
            for order in free if label == STEP_LABELS[TREATMENT] else orders:
                changed = matrix.copy()
                changed[:, columns] = matrix[np.ix_(order, columns)]
                tried.append(changed)
        log_odds = model.classifier.decision_function(np.concatenate(tried)).reshape(len(tried), -1)
        losses = log_losses(table.outcome, log_odds)
        rises = losses[1:].reshape(len(self._groups), _DEALS, -1).mean(axis=1) - losses[0]
        # Every patient is held out once per repeat, with others each time.
        self._dealt.append((table.rows.tolist(), rises))

    def stability(self) -> tuple[Stability, ...]:
        """Size, rank and direction of each column over the refits.

        Returns
        -------
        tuple of Stability
            By falling median size; empty with fewer than FEWEST_REFITS.
        """
        if len(self._sizes) < FEWEST_REFITS:
            return ()
        sizes, changes = np.array(self._sizes), np.array(self._changes)
        ranks = (-sizes).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") + 1.0
        pooled = np.nansum(changes * self._weights(), axis=2)
        found = []
        for j, column in enumerate(self.table.schema.columns):
            known = column.kind != "categorical" and bool(np.isfinite(changes[:, j]).any())
            change = spread(pooled[:, j]) if known else None
            found.append(Stability(column.name, column.label, spread(sizes[:, j]), spread(ranks[:, j]), change))
        return tuple(sorted(found, key=lambda s: (-(s.size.value or 0.0), s.name)))

    def _weights(self) -> Floats:
        """Share of each drug among the patients of the sample."""
        counts = np.array([(self._adc == drug).sum() for drug in self._drugs], dtype=np.float64)
        return np.asarray(counts / counts.sum())

    def drug_differences(self) -> tuple[DrugDifference, ...]:
        """Biomarkers whose learned change differs most between two ADCs, where nearly all refits agree that it does.

        Returns
        -------
        tuple of DrugDifference
            By falling difference.
        """
        if len(self._sizes) < FEWEST_REFITS or len(self._drugs) < 2:
            return ()
        changes = np.array(self._changes)
        found = []
        for j, column in enumerate(self.table.schema.columns):
            known = np.isfinite(changes[:, j]).all(axis=0)
            if column.source == "adc_profile" or column.kind == "categorical" or known.sum() < 2:
                continue
            median = np.where(known, np.median(np.nan_to_num(changes[:, j]), axis=0), np.nan)
            high, low = int(np.nanargmax(median)), int(np.nanargmin(median))
            difference = spread(changes[:, j, high] - changes[:, j, low])
            if difference.excludes_zero and (difference.value or 0.0) >= NEGLIGIBLE:
                drugs = (str(self._drugs[high]), str(self._drugs[low]))
                found.append(
                    DrugDifference(
                        column.name, column.label, *drugs, float(median[high]), float(median[low]), difference
                    )
                )
        return tuple(sorted(found, key=lambda d: (-(d.difference.value or 0.0), d.name)))

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
        if not self._dealt:
            return ()
        position = {int(row): i for i, row in enumerate(self.table.rows)}
        rises = np.zeros((len(self._groups), self.table.patients))
        # In a fixed order: sums must not depend on which fold was done first.
        for rows, risen in sorted(self._dealt, key=lambda dealt: dealt[0]):
            rises[:, [position[row] for row in rows]] += risen
        rises /= len(held_out.folds)
        names = self.table.schema.names
        return tuple(
            Ablation(
                label,
                label in CORE_LABELS.values(),
                tuple(names[j] for j in columns),
                interval_of(float(rise.mean()), weighted_mean(rise, held_out.weights)),
            )
            for (label, columns), rise in zip(self._groups.items(), rises, strict=True)
        )

    @property
    def count(self) -> int:
        """Number of refits."""
        return len(self._sizes)


class _Watched:
    """A candidate that reports its fits."""

    def __init__(self, model: Boosted, refits: Refits, *, dealing: bool) -> None:
        self.id, self.label, self.baseline = model.id, model.label, model.baseline
        self._model, self._refits, self._dealing = model, refits, dealing

    def fit(self, table: TrainingTable) -> Self:
        self._model.fit(table)
        if table.patients < self._refits.table.patients:
            self._refits.add(self._model)
        return self

    def log_odds(self, table: TrainingTable) -> NDArray[np.float64]:
        if self._dealing:
            self._refits.deal(self._model, table)
        return self._model.log_odds(table)


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


def _dealt_within(adc: Any, random: np.random.Generator) -> Integers:
    """Order in which patients take the values of others on the same ADC."""
    order = np.arange(len(adc))
    for drug in np.unique(adc):
        own = np.flatnonzero(adc == drug)
        order[own] = random.permutation(own)
    return order
