"""How a cohort is split and judged: whatever can be refused is refused here, before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.baselines import BASELINES
from training.bootstrap import FEWEST_GROUPS, HeldOut, resampling_weights
from training.checks.before_training import check_before_training
from training.explaining.examination import groups_to_leave_out
from training.learning_curve import curve_sizes
from training.splits import assign_folds, require_both_outcomes, stratum
from training.training_table import Attrition, Endpoint, TrainingTable, prepare
from training.validation.optimism import RESAMPLES
from training.validation.questions import Question, held_out_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from features.cohort import Cohort
    from training.candidates import Tuning
    from training.cohort_prior import CohortPrior
    from training.validation.records import CheckFinding

FOLDS, REPEATS = 5, 5


@dataclass(frozen=True)
class Plan:
    """How a cohort is split and judged; whether the literature is used, and whether settings are searched for."""

    folds: int = FOLDS
    repeats: int = REPEATS
    seed: int = 0
    group: str | None = None
    prior: bool = True
    tuning: Tuning | None = None
    learning_curve: bool = False
    question: Question = "new-patients"
    optimism: int = RESAMPLES
    ignore: tuple[str, ...] = ()
    leave_out: bool = False

    @property
    def fits(self) -> int:
        """Number of fits of an ordinary plan: candidates in every fold, the final model, the bootstrap's."""
        return self.candidates * self.folds * self.repeats + 1 + self.optimism

    @property
    def candidates(self) -> int:
        """Number of models that are judged."""
        return len(BASELINES) + (3 if self.prior else 1)

    def curve_fits(self, patients: int) -> int:
        """Count the fits of the learning curve, 0 where none is asked for."""
        if not self.learning_curve:
            return 0
        part = patients - -(-patients // self.folds)
        return len(curve_sizes(part)) * self.folds * (2 if self.prior else 1)


@dataclass(frozen=True)
class Prepared:
    """A cohort that has passed every check, encoded and split."""

    endpoint: Endpoint
    plan: Plan
    table: TrainingTable
    attrition: Attrition
    held_out: HeldOut
    resampled: str
    prior: CohortPrior | None
    patients: pd.DataFrame
    levels_held_out: tuple[str, ...]
    checks: tuple[CheckFinding, ...]

    @property
    def fits(self) -> int:
        """Number of fits that progress is counted by."""
        plan = self.plan
        folds = sum(len(np.unique(row)) for row in self.held_out.folds)
        left_out = len(groups_to_leave_out(self.table.schema)) * len(np.unique(self.held_out.folds[0]))
        curve = plan.curve_fits(self.table.patients)
        return plan.candidates * folds + 1 + plan.optimism + curve + (left_out if plan.leave_out else 0)


def prepare_training(cohort: Cohort, endpoint: Endpoint, plan: Plan, *, extra_features: Sequence[str] = ()) -> Prepared:
    """Check, encode and split a cohort: whatever can be refused is refused here, before any work.

    Parameters
    ----------
    cohort : Cohort
    endpoint : {"pcr", "objective_response"}
    plan : Plan
    extra_features : sequence of str, optional

    Returns
    -------
    Prepared

    Raises
    ------
    InputError
        The cohort, the endpoint, a column or the groups do not allow a model.
    """
    table, attrition = prepare(cohort, endpoint, group=plan.group, extra_features=extra_features)
    patients = cohort.patients.iloc[table.rows].reset_index(drop=True)
    held_out, resampled, levels = split(table, patients, plan)
    prior = prior_of(table, endpoint) if plan.prior else None
    checks = check_before_training(cohort, table, attrition, prior, ignore=plan.ignore)
    return Prepared(endpoint, plan, table, attrition, held_out, resampled, prior, patients, levels, checks)


def prior_of(table: TrainingTable, endpoint: Endpoint) -> CohortPrior:
    """Read the literature with the cohort's eyes; it sees columns and ADCs, never outcomes.

    Parameters
    ----------
    table : TrainingTable
    endpoint : {"pcr", "objective_response"}

    Returns
    -------
    CohortPrior
    """
    from training.prior import literature_prior

    return literature_prior().of_cohort(table.schema, [str(adc) for adc in table.adc], endpoint)


def split(table: TrainingTable, patients: pd.DataFrame, plan: Plan) -> tuple[HeldOut, str, tuple[str, ...]]:
    """Outer folds by the question asked, and the weights that intervals are computed with.

    Parameters
    ----------
    table : TrainingTable
    patients : pandas.DataFrame of shape (n_patients, any)
    plan : Plan

    Returns
    -------
    HeldOut
    str
        What is resampled: the group column where it has at least `FEWEST_GROUPS` groups, else "patients".
    tuple of str
        What each fold holds out, where folds are cohorts, sites or drugs.

    Raises
    ------
    InputError
        There are fewer groups than folds, or a fold would leave one outcome to learn from.
    """
    if plan.question == "new-patients":
        strata = stratum(table.outcome, table.adc, plan.folds)
        folds = assign_folds(strata, table.groups, folds=plan.folds, repeats=plan.repeats, seed=plan.seed)
        levels: tuple[str, ...] = ()
    else:
        folds, levels = held_out_levels(plan.question, patients, table.patient, table.outcome, seed=plan.seed)
    require_both_outcomes(table.outcome, folds)
    by_group = plan.group is not None and len(np.unique(table.groups)) >= FEWEST_GROUPS
    units = table.groups if by_group else table.patient
    resampled = plan.group if by_group and plan.group else "patients"
    return HeldOut(table.outcome, folds, resampling_weights(units, seed=plan.seed)), resampled, levels
