"""Train, judge and compare: from a cohort to a model with honest numbers beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from training.baselines import BASELINES
from training.bootstrap import FEWEST_GROUPS, Estimate, HeldOut, resampling_weights
from training.bundle_record import bundle_record
from training.candidates import Boosted, Tuning, candidate_makers
from training.checks.before_training import check_before_training
from training.cross_validation import CandidateResult, cross_validate
from training.explaining.left_out import fitted_without, groups_to_leave_out
from training.explaining.record import ExplanationRecord, explanation_record
from training.explaining.refits import Refits
from training.explanations import Influence, influences
from training.learning_curve import CurvePoint, curve_sizes, learning_curve
from training.splits import assign_folds, require_both_outcomes, stratum
from training.training_table import Attrition, Endpoint, TrainingTable, prepare
from training.validation.of_training import split_of, validation_record
from training.validation.optimism import RESAMPLES, optimism
from training.validation.questions import Question, held_out_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from features.cohort import Cohort
    from features.feature_schema import FeatureSchema
    from training.baselines import Candidate
    from training.bundle_schema import Calibration
    from training.cohort_prior import CohortPrior
    from training.cross_validation import Progress
    from training.explaining.refits import Ablation
    from training.literature_use import LiteratureUse
    from training.metrics import Floats
    from training.model_bundle import BundleRecord
    from training.validation.records import CheckFinding, ValidationRecord

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
class TrainingResult:
    """A trained model, and how it compares with the baselines on patients that it did not see.

    Attributes
    ----------
    candidates : tuple of CandidateResult
        Baselines first, then the model.
    resampled : str
        What the intervals resample: "patients" or the group column.
    shap : numpy.ndarray of shape (n_patients, n_columns)
        Contributions of the final model to its training patients.
    explanation : ExplanationRecord
        What it makes of biomarkers, against the catalogue, and how stable that is.
    literature : LiteratureUse or None
        What the final model kept of the literature; None where it was left out.
    prior : CohortPrior or None
        The literature as this cohort sees it.
    curve : tuple of CurvePoint
        Learning curve, where one was asked for.
    """

    name: str
    endpoint: Endpoint
    plan: Plan
    table: TrainingTable
    attrition: Attrition
    held_out: HeldOut
    resampled: str
    candidates: tuple[CandidateResult, ...]
    record: BundleRecord
    model_text: str
    rounds: int
    influences: tuple[Influence, ...]
    literature: LiteratureUse | None
    prior: CohortPrior | None
    curve: tuple[CurvePoint, ...]
    shap: Floats
    explanation: ExplanationRecord
    validation: ValidationRecord
    seconds: float

    @property
    def model(self) -> CandidateResult:
        """The model of the bundle."""
        return self.candidates[-1]

    @property
    def best(self) -> CandidateResult:
        """The candidate with the lowest held-out log loss; it may be a baseline."""
        losses = [c.evaluation.estimate("log_loss").value for c in self.candidates]
        return self.candidates[int(np.argmin([np.inf if loss is None else loss for loss in losses]))]

    def differences(self, metric: str) -> dict[str, Estimate]:
        """Model minus each baseline in the same patients.

        Parameters
        ----------
        metric : str

        Returns
        -------
        dict of str to Estimate
            By the baseline's id; for losses, below zero is better.
        """
        return {c.id: d for c, d in self._differences(metric) if c.baseline}

    def differences_of_models(self, metric: str) -> dict[str, Estimate]:
        """Model minus each other model (literature alone, LightGBM without it) in the same patients.

        Parameters
        ----------
        metric : str

        Returns
        -------
        dict of str to Estimate
            By the other model's id.
        """
        return {c.id: d for c, d in self._differences(metric) if not c.baseline and c.id != self.model.id}

    def _differences(self, metric: str) -> list[tuple[CandidateResult, Estimate]]:
        return [(c, self.model.evaluation.difference(c.evaluation, metric)) for c in self.candidates]

    @property
    def beats_baselines(self) -> bool:
        """Whether the interval of the difference in log loss excludes zero against every baseline."""
        fitted = {c.id for c in self.candidates if c.baseline and c.log_odds is not None}
        differences = self.differences("log_loss")
        return all(differences[b].excludes_zero and (differences[b].value or 0) < 0 for b in fitted)


def train(
    cohort: Cohort,
    endpoint: Endpoint,
    *,
    group: str | None = None,
    name: str | None = None,
    extra_features: Sequence[str] = (),
    seed: int = 0,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    prior: bool = True,
    resamples: int = 0,
    question: Question = "new-patients",
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a model of response and judge it against the naive baselines.

    Every step of the model (rounds, calibration) is refitted in each fold, and no patient is ever in both parts of a
    split.

    Parameters
    ----------
    cohort : Cohort
    endpoint : {"pcr", "objective_response"}
    group : str, optional
        Column whose values are never split either (site, cohort).
    name : str, optional
        Of the model; `adcr-<endpoint>` by default.
    extra_features : sequence of str, optional
        Columns outside the catalogue.
    seed : int
        Equal seeds give equal results.
    folds, repeats : int
        Of the outer cross-validation.
    prior : bool
        Whether the literature is used.
    resamples : int
        Bootstrap resamples that performance is corrected by; 0 for none.
    question : {"new-patients", "new-cohort", "new-site", "new-adc"}
        What the held-out patients stand for.
    progress : callable, optional
        Called with the number of fits done since the last call; `Plan.fits` in all.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        The cohort, the endpoint or a column does not allow a model.
    """
    plan = Plan(folds, repeats, seed, group, prior, optimism=resamples, question=question)
    prepared = prepare_training(cohort, endpoint, plan, extra_features=extra_features)
    return train_prepared(cohort, prepared, name=name or default_name(endpoint), progress=progress)


def default_name(endpoint: Endpoint) -> str:
    """Name of a model that was given none.

    Parameters
    ----------
    endpoint : {"pcr", "objective_response"}

    Returns
    -------
    str
    """
    return f"adcr-{endpoint}"


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
    prior = _prior(table, endpoint) if plan.prior else None
    checks = check_before_training(cohort, table, attrition, prior, ignore=plan.ignore)
    return Prepared(endpoint, plan, table, attrition, held_out, resampled, prior, patients, levels, checks)


def _prior(table: TrainingTable, endpoint: Endpoint) -> CohortPrior:
    """Read the literature with the cohort's eyes; it sees columns and ADCs, never outcomes."""
    from training.prior import literature_prior

    return literature_prior().of_cohort(table.schema, [str(adc) for adc in table.adc], endpoint)


def train_prepared(
    cohort: Cohort, prepared: Prepared, *, name: str, progress: Progress | None = None
) -> TrainingResult:
    """Fit and judge the candidates, and fit the final model.

    Parameters
    ----------
    cohort : Cohort
    prepared : Prepared
    name : str
        Of the model.
    progress : callable, optional

    Returns
    -------
    TrainingResult
    """
    started = perf_counter()
    table, seed = prepared.table, prepared.plan.seed
    tuning = prepared.plan.tuning
    makers, refits = candidate_makers(seed, prepared.prior, tuning), Refits(table, seed)
    candidates = tuple(
        cross_validate(make, table, prepared.held_out, progress=progress, refits=refits if make is makers[-1] else None)
        for make in makers
    )
    curve = _curve(prepared, progress)
    final = Boosted(seed, prepared.prior, tuning).fit(table).classifier
    if progress:
        progress(1)
    shap = final.contributions(table.features)[:, :-1]
    validation = _validation(prepared, candidates, final.calibration_, makers[-1], progress, refits)
    return TrainingResult(
        name=name,
        endpoint=prepared.endpoint,
        plan=prepared.plan,
        table=table,
        attrition=prepared.attrition,
        held_out=prepared.held_out,
        resampled=prepared.resampled,
        candidates=candidates,
        record=bundle_record(
            cohort,
            table,
            final,
            candidates[-1],
            name=name,
            endpoint=prepared.endpoint,
            seed=seed,
            refits=refits.findings(),
        ),
        model_text=final.model_text_,
        rounds=final.rounds_,
        influences=tuple(influences(table.schema, table.features.to_numpy(), shap)),
        literature=final.literature_,
        prior=prepared.prior,
        curve=curve,
        shap=shap,
        explanation=explanation_record(
            table,
            final.schema_,
            shap,
            refits,
            prepared.held_out,
            final.model_text_,
            left_out=_left_out(prepared, candidates[-1], progress),
        ),
        validation=validation,
        seconds=perf_counter() - started,
    )


def _left_out(prepared: Prepared, judged: CandidateResult, progress: Progress | None) -> tuple[Ablation, ...]:
    """Fit the model anew without each mechanism step and core biomarker, where that was asked for."""
    plan, table = prepared.plan, prepared.table
    if not plan.leave_out or judged.log_odds is None:
        return ()

    def maker_for(schema: FeatureSchema) -> Callable[[], Candidate]:
        prior = _prior(replace(table, schema=schema), prepared.endpoint) if plan.prior else None
        return candidate_makers(plan.seed, prior, plan.tuning)[-1]

    return fitted_without(table, prepared.held_out, judged.log_odds, maker_for, progress=progress)


def _validation(
    prepared: Prepared,
    candidates: tuple[CandidateResult, ...],
    recalibration: Calibration,
    maker: Callable[[], Candidate],
    progress: Progress | None,
    refits: Refits,
) -> ValidationRecord:
    """Judge the model from its held-out predictions, and correct the apparent performance by the bootstrap."""
    plan, table = prepared.plan, prepared.table
    corrected = optimism(
        maker,
        table,
        candidates[-1].evaluation,
        resamples=plan.optimism,
        seed=plan.seed,
        progress=progress,
        refits=refits,
    )
    folds = sum(len(np.unique(row)) for row in prepared.held_out.folds) // len(prepared.held_out.folds)
    return validation_record(
        candidates,
        prepared.held_out,
        prepared.patients,
        split=split_of(
            plan.question, folds, len(prepared.held_out.folds), prepared.levels_held_out, prepared.resampled
        ),
        recalibration=recalibration,
        optimism=corrected,
        checks=prepared.checks,
    )


def _curve(prepared: Prepared, progress: Progress | None) -> tuple[CurvePoint, ...]:
    """Learn from growing parts, with and without the literature, on the folds of the first repeat; never tuned."""
    plan = prepared.plan
    if not plan.learning_curve:
        return ()
    models = [m for m in candidate_makers(plan.seed, prepared.prior) if not m().baseline and m().id != "prior_alone"]
    folds = prepared.held_out.folds[0]
    return tuple(learning_curve(models, prepared.table, folds, seed=plan.seed, progress=progress))


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
