"""Train, judge and compare: from a cohort to a model with honest numbers beside it."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from training.bundle_record import bundle_record
from training.candidates import Boosted, candidate_makers
from training.cross_validation import CandidateResult, cross_validate
from training.explaining.left_out import fitted_without
from training.explaining.record import explanation_record
from training.explaining.refits import Refits
from training.explanations import influences
from training.learning_curve import CurvePoint, learning_curve
from training.one_thread import linear_algebra_on_one_thread
from training.training_plan import FOLDS, REPEATS, Plan, Prepared, prepare_training, prior_of
from training.training_result import TrainingResult
from training.validation.of_training import split_of, validation_record
from training.validation.optimism import optimism

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.cohort import Cohort
    from features.feature_schema import FeatureSchema
    from training.baselines import Candidate
    from training.bundle_schema import Calibration
    from training.cross_validation import Progress
    from training.explaining.refits import Ablation
    from training.training_table import Endpoint
    from training.validation.questions import Question
    from training.validation.records import ValidationRecord


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
    with linear_algebra_on_one_thread():
        return _train(cohort, prepared, name, progress)


def _train(cohort: Cohort, prepared: Prepared, name: str, progress: Progress | None) -> TrainingResult:
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
        prior = prior_of(replace(table, schema=schema), prepared.endpoint) if plan.prior else None
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
