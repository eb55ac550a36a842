"""What one refit says of its columns: asked where the fit runs, and small enough to be sent back from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from features.core_biomarkers import CORE_BIOMARKERS, CORE_LABELS
from training.explaining.learned_effects import ends, slope_of
from training.explaining.mechanism_steps import STEP_LABELS, TREATMENT, step_columns
from training.metrics import log_losses

if TYPE_CHECKING:
    from features.feature_schema import FeatureSchema
    from training.baselines import Candidate
    from training.candidates import Boosted
    from training.kept_fits import Arrays
    from training.metrics import Floats, Integers
    from training.training_table import TrainingTable

#: Patients whose contributions are compared between refits; more change the figures by less than the refits do.
_SAMPLE = 150
#: Times that the values of a group are dealt out anew in each fold.
_DEALS = 2


@dataclass(frozen=True)
class Examination:
    """Findings of one refit.

    Attributes
    ----------
    sizes : numpy.ndarray of shape (n_columns,)
        Mean absolute contribution.
    changes : numpy.ndarray of shape (n_columns, n_drugs)
        Learned change of the log-odds from low to high value; NaN where it is not told. Properties of the drug: the
        change over all patients, the same for each drug.
    rows : tuple of int
        Held-out patients by their position in the cohort; empty where none were tried.
    rises : numpy.ndarray of shape (n_groups, n_rows)
        Rise of each one's log loss where a group's values are dealt out anew.
    """

    sizes: Floats
    changes: Floats
    rows: tuple[int, ...]
    rises: Floats

    def arrays(self) -> Arrays:
        """Give the findings as arrays, to be kept and sent.

        Returns
        -------
        dict of str to numpy.ndarray
        """
        rows = np.array(self.rows, dtype=np.int64)
        return {"sizes": self.sizes, "changes": self.changes, "rows": rows, "rises": self.rises}

    @classmethod
    def of(cls, arrays: Arrays) -> Examination | None:
        """Read findings from what a fit gave.

        Parameters
        ----------
        arrays : dict of str to numpy.ndarray

        Returns
        -------
        Examination or None
            None where the fit was not examined.
        """
        if "sizes" not in arrays:
            return None
        rows = tuple(int(row) for row in arrays["rows"])
        return cls(arrays["sizes"], arrays["changes"], rows, arrays["rises"])


def column_groups(schema: FeatureSchema) -> dict[str, Integers]:
    """Columns of each mechanism step, then of each core biomarker, by label.

    Parameters
    ----------
    schema : FeatureSchema

    Returns
    -------
    dict of str to numpy.ndarray of int
    """
    groups = {STEP_LABELS[step]: own for step, own in step_columns(schema).items()}
    for name, columns in CORE_BIOMARKERS.items():
        own = [schema.names.index(c) for c in columns if c in schema.names]
        if own:
            groups[CORE_LABELS[name]] = np.array(own)
    return groups


def groups_to_leave_out(schema: FeatureSchema) -> dict[str, Integers]:
    """Find the groups of columns that leave a model something to learn from.

    Parameters
    ----------
    schema : FeatureSchema

    Returns
    -------
    dict of str to numpy.ndarray of int
        Positions by label: mechanism steps, then core biomarkers.
    """
    return {label: own for label, own in column_groups(schema).items() if len(own) < len(schema.columns)}


class Examiner:
    """Asks every refit the same.

    Parameters
    ----------
    table : TrainingTable
        All patients that are learned from.
    seed : int
    """

    def __init__(self, table: TrainingTable, seed: int) -> None:
        rows = np.unique(np.linspace(0, table.patients - 1, _SAMPLE).astype(int))
        full = table.features.to_numpy()
        self.sample, self.adc, self.drugs = full[rows], table.adc[rows], np.unique(table.adc)
        self.groups = column_groups(table.schema)
        self._steps = np.array([high - low for low, high in map(ends, table.schema.columns, full.T)])
        self._of_drug = {j for j, c in enumerate(table.schema.columns) if c.source == "adc_profile"}
        self._seed = seed

    def examine(self, candidate: Candidate, held_out: TrainingTable | None = None) -> Examination:
        """Ask a fitted candidate.

        Parameters
        ----------
        candidate : Candidate
            A `Boosted` one.
        held_out : TrainingTable, optional
            Patients whom it did not see.

        Returns
        -------
        Examination
        """
        model = cast("Boosted", candidate)
        shap = model.classifier.contributions(self.sample)[:, :-1]
        rows = () if held_out is None else tuple(held_out.rows.tolist())
        rises = np.empty((len(self.groups), 0)) if held_out is None else self._rises(model, held_out)
        return Examination(np.abs(shap).mean(axis=0), self._changes(shap), rows, rises)

    def _changes(self, shap: Floats) -> Floats:
        changes = np.full((shap.shape[1], len(self.drugs)), np.nan)
        for j in range(shap.shape[1]):
            if j in self._of_drug:
                # What tells drugs apart is the same in all patients on one: its slope is that over all patients.
                slope = slope_of(*_known(self.sample[:, j], shap[:, j]))
                changes[j] = np.nan if slope is None else slope * self._steps[j]
                continue
            for d, drug in enumerate(self.drugs):
                own = (self.adc == drug) & np.isfinite(self.sample[:, j])
                slope = slope_of(self.sample[own, j], shap[own, j])
                if slope is not None:
                    changes[j, d] = slope * self._steps[j]
        return changes

    def _rises(self, model: Boosted, table: TrainingTable) -> Floats:
        """Loss of held-out patients with each group's values dealt out anew, less their loss as they are.

        Biomarkers go round among the patients of one ADC, so that what only tells the drugs apart is not counted.
        """
        random = np.random.default_rng([self._seed, table.patients, int(table.rows.sum())])
        matrix = table.features.to_numpy()
        orders = [_dealt_within(table.adc, random) for _ in range(_DEALS)]
        free = [random.permutation(table.patients) for _ in range(_DEALS)]
        tried = [matrix]
        for label, columns in self.groups.items():
            for order in free if label == STEP_LABELS[TREATMENT] else orders:
                changed = matrix.copy()
                changed[:, columns] = matrix[np.ix_(order, columns)]
                tried.append(changed)
        log_odds = model.classifier.decision_function(np.concatenate(tried)).reshape(len(tried), -1)
        losses = log_losses(table.outcome, log_odds)
        return np.asarray(losses[1:].reshape(len(self.groups), _DEALS, -1).mean(axis=1) - losses[0])


def _known(values: Floats, shap: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(values)
    return values[known], shap[known]


def _dealt_within(adc: Any, random: np.random.Generator) -> Integers:
    """Order in which patients take the values of others on the same ADC."""
    order = np.arange(len(adc))
    for drug in np.unique(adc):
        own = np.flatnonzero(adc == drug)
        order[own] = random.permutation(own)
    return order
