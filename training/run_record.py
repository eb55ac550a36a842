"""What a run tells MLflow: settings, metrics, cohort stamp, candidates, plots. No patient is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from training.cross_validation import fold_losses
from training.explanations import summary_plot
from training.run_metrics import candidate_metrics, missing_metric_tags, parent_metrics, run_parameters, spread
from training.run_plots import calibration_plot, roc_plot
from training.tracked_run import KIND_TAG, TrackedRun, now_milliseconds, process_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from features.cohort import Cohort
    from features.report.document import Document
    from training.model_registry import RegisteredModel
    from training.training_result import TrainingResult

#: Longest dataset digest that MLflow stores.
_DIGEST_DIGITS = 36


def run_name(cohort: Cohort, model_name: str) -> str:
    """Name of the parent run, as the MLflow UI lists it.

    Parameters
    ----------
    cohort : Cohort
    model_name : str

    Returns
    -------
    str
    """
    mark = "" if cohort.source.kind == "measured" else f" ({cohort.source.kind})"
    return f"{model_name} on {cohort.source.name}{mark}"


def log_settings(run: TrackedRun, result: TrainingResult) -> None:
    """Write settings and cohort before the model, which takes its parameters from the run.

    Parameters
    ----------
    run : TrackedRun
    result : TrainingResult
    """
    from mlflow.entities import Param

    run.client.log_batch(run.run_id, params=[Param(k, v) for k, v in run_parameters(result).items()])
    log_dataset(run, result)


def log_outcome(
    run: TrackedRun, result: TrainingResult, cohort: Cohort, registered: RegisteredModel, tags: Mapping[str, str]
) -> None:
    """Write metrics, candidates, plots, and whether the model became champion.

    Parameters
    ----------
    run : TrackedRun
    result : TrainingResult
    cohort : Cohort
    registered : RegisteredModel
    tags : mapping of str to str
        Of the parent; the candidates get them too.
    """
    from mlflow.entities import Metric, RunTag

    stamp, record = now_milliseconds(), result.record.cohort
    decision = registered.decision
    metrics = parent_metrics(result)
    if decision.difference:
        metrics |= spread("log_loss_minus_champion", decision.difference)
    told = {
        **missing_metric_tags(result.model),
        "adcr.model_version": f"{registered.name} {registered.version}",
        "adcr.bundle_version": result.record.model_version,
        "adcr.catalogue_sha256": result.record.catalogue_sha256,
        "adcr.champion": "yes" if decision.moves else "no",
        "adcr.champion_reason": decision.reason,
        "adcr.lowest_log_loss": result.best.id,
    }
    run.client.log_batch(
        run.run_id,
        metrics=[
            Metric(
                key,
                value,
                stamp,
                0,
                model_id=registered.model_id,
                dataset_name=record.name,
                dataset_digest=record.sha256[:_DIGEST_DIGITS],
                run_id=run.run_id,
            )
            for key, value in metrics.items()
        ],
        tags=[RunTag(k, v) for k, v in told.items()],
    )
    log_children(run, result, tags)
    log_plots(run, result, cohort)


def log_children(run: TrackedRun, result: TrainingResult, tags: Mapping[str, str]) -> None:
    """Write one child run per candidate, its folds as steps.

    Parameters
    ----------
    run : TrackedRun
    result : TrainingResult
    tags : mapping of str to str
        Of the parent.
    """
    from mlflow.entities import Metric, Param, RunTag

    for candidate in result.candidates:
        child = run.client.create_run(
            run.experiment_id,
            run_name=candidate.label,
            tags={"mlflow.parentRunId": run.run_id, **process_tags()},
        )
        stamp = now_milliseconds()
        metrics = [Metric(k, v, stamp, 0) for k, v in candidate_metrics(candidate).items()]
        for name, values in fold_losses(candidate, result.held_out).items():
            metrics += [Metric(name, value, stamp, step) for step, value in enumerate(values)]
        told = {**tags, **missing_metric_tags(candidate), KIND_TAG: "candidate", "adcr.candidate": candidate.id}
        run.client.log_batch(
            child.info.run_id,
            metrics=metrics,
            params=[
                Param("candidate", candidate.id),
                Param("baseline", str(candidate.baseline).lower()),
                Param("endpoint", result.endpoint),
            ],
            tags=[RunTag(k, v) for k, v in told.items()],
        )
        run.client.set_terminated(child.info.run_id, "FINISHED")


def log_dataset(run: TrackedRun, result: TrainingResult) -> None:
    """Link the cohort to the run by name, hash and columns; its rows stay where they are.

    Parameters
    ----------
    run : TrackedRun
    result : TrainingResult
    """
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types import ColSpec, Schema

    stamp = result.record.cohort
    dataset = MetaDataset(
        CodeDatasetSource({"mlflow.source.name": "adcr train", "mlflow.source.type": "LOCAL"}),
        name=stamp.name,
        digest=stamp.sha256[:_DIGEST_DIGITS],
        schema=Schema([ColSpec("double", name) for name in result.table.schema.names]),
    )
    told = dataset.to_dict()
    profile = {"patients": stamp.patients, "events": stamp.events, "adcs": stamp.adcs, "kind": stamp.kind}
    entity = Dataset(
        name=dataset.name,
        digest=dataset.digest,
        source_type=told["source_type"],
        source=told["source"],
        schema=told.get("schema"),
        profile=msgspec.json.encode(profile).decode(),
    )
    run.client.log_inputs(run.run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", "training")])])


def log_plots(run: TrackedRun, result: TrainingResult, cohort: Cohort) -> None:
    """Write the plots, the table of mean absolute SHAP contributions, and what refits and catalogue say of them.

    Parameters
    ----------
    run : TrackedRun
    result : TrainingResult
    cohort : Cohort
    """
    for name, figure in _figures(result, cohort):
        run.client.log_figure(run.run_id, figure, f"plots/{name}.png", save_kwargs={"dpi": 110})
    table = {
        "name": [i.name for i in result.influences],
        "label": [i.label for i in result.influences],
        "mean_abs_shap": [round(i.mean_abs_shap, 6) for i in result.influences],
        "direction": [None if i.direction is None else round(i.direction, 3) for i in result.influences],
    }
    run.client.log_text(run.run_id, msgspec.json.encode(table).decode(), "explanations/mean_abs_shap.json")
    # Stability, ablation, drugs and the catalogue: another cohort's run is compared with this one by it.
    found = msgspec.json.format(msgspec.json.encode(result.explanation), indent=1).decode()
    run.client.log_text(run.run_id, found, "explanations/explanation.json")


def log_report(run: TrackedRun, document: Document) -> None:
    """Write the report and the document that it was made from.

    Parameters
    ----------
    run : TrackedRun
    document : Document
    """
    from features.report.files import report_files

    for name, content in report_files(document).items():
        run.client.log_text(run.run_id, content, f"report/{name}")


def _figures(result: TrainingResult, cohort: Cohort) -> Iterator[tuple[str, Any]]:
    mark = "" if cohort.source.kind == "measured" else f"  ({cohort.source.kind.upper()} patients)"
    yield "roc", roc_plot(result)
    yield "calibration", calibration_plot(result)
    yield (
        "shap_summary",
        summary_plot(
            result.table.schema,
            np.asarray(result.table.features),
            result.shap,
            title=f"What {result.name} builds on{mark}",
        ),
    )
