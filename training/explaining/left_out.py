"""What a model loses that is fitted anew without a mechanism step or a core biomarker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from features.core_biomarkers import CORE_LABELS
from features.feature_schema import FeatureSchema
from training.bootstrap import interval_of
from training.cross_validation import cross_validate
from training.explaining.examination import groups_to_leave_out
from training.explaining.refits import Ablation
from training.metrics import log_losses, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.baselines import Candidate
    from training.bootstrap import HeldOut
    from training.cross_validation import Progress
    from training.metrics import Floats, Integers
    from training.training_table import TrainingTable


def fitted_without(
    table: TrainingTable,
    held_out: HeldOut,
    log_odds: Floats,
    maker_for: Callable[[FeatureSchema], Callable[[], Candidate]],
    *,
    progress: Progress | None = None,
) -> tuple[Ablation, ...]:
    """Fit the model anew without each group of columns, and judge it on the patients that each fold held out.

    Biomarkers that go along with the group take over what they can, so that the rise is what only the group tells.

    Parameters
    ----------
    table : TrainingTable
    held_out : HeldOut
        Its first repeat is fitted anew.
    log_odds : numpy.ndarray of shape (n_repeats, n_patients)
        Held-out predictions of the model with all its columns.
    maker_for : callable
        Gives for a schema what makes unfitted models of it.
    progress : callable, optional
        Called with the number of fits done since the last call.

    Returns
    -------
    tuple of Ablation
        Mechanism steps along the ADC's way, then core biomarkers; a group that is the whole model is left out.
    """
    first = replace(held_out, folds=held_out.folds[:1])
    before = log_losses(table.outcome, log_odds[0])
    found = []
    for label, own in groups_to_leave_out(table.schema).items():
        rest = _without(table, own)
        fitted = cross_validate(maker_for(rest.schema), rest, first, progress=progress, without=label)
        if fitted.log_odds is None:
            continue
        rise = log_losses(table.outcome, fitted.log_odds[0]) - before
        loss = interval_of(float(rise.mean()), weighted_mean(rise, held_out.weights))
        names = tuple(table.schema.names[j] for j in own)
        found.append(Ablation(label, label in CORE_LABELS.values(), names, loss))
    return tuple(found)


def _without(table: TrainingTable, own: Integers) -> TrainingTable:
    left = [j for j in range(len(table.schema.columns)) if j not in set(own.tolist())]
    schema = FeatureSchema(tuple(table.schema.columns[j] for j in left))
    return replace(table, features=table.features.iloc[:, np.array(left, dtype=int)], schema=schema)
