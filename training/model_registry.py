"""The model in MLflow: logged once as models-from-code, registered by name, champion where it has earned it."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.biomarkers import measures
from features.columns.cohort_columns import CONTEXT_LEVELS
from features.errors import ModelError
from training.bundle_record import package_versions
from training.champion import ALIAS, ChampionDecision, decide
from training.model_bundle import ModelBundle, write_bundle
from training.model_trust import trusted_bundle
from training.run_metrics import COHORT_TAG, SIMULATED_TAG

if TYPE_CHECKING:
    from features.biomarkers import Measure
    from features.cohort import Cohort
    from features.feature_schema import FeatureColumn, FeatureSchema
    from training.tracked_run import TrackedRun
    from training.training_result import TrainingResult

#: Name of the logged model, and of the bundle's folder within its artifacts.
MODEL_NAME, BUNDLE_NAME = "model", "bundle"
#: Reasons per patient unless a caller of the logged model asks for another number.
TOP_REASONS = 3
#: What scoring needs besides adcr, which is on no package index.
_SCORING_PACKAGES = ("lightgbm", "mlflow", "msgspec", "numpy", "pandas", "pyarrow", "scipy")


@dataclass(frozen=True)
class RegisteredModel:
    """Where a model has been registered, and whether it became champion."""

    name: str
    version: str
    uri: str
    model_id: str
    decision: ChampionDecision


def pyfunc_columns(schema: FeatureSchema) -> list[tuple[str, str, bool]]:
    """Columns of a cohort file that the logged model takes: name, MLflow type, and whether it is needed.

    All of the catalogue, not the model's columns alone: one may follow from columns that are none of the model's
    (HER2 status from IHC and ISH), and a contradiction with another puts a row aside. Levels and dates are text and
    every number is a double, binary columns too; only `adc` is needed.

    Parameters
    ----------
    schema : FeatureSchema

    Returns
    -------
    list of (str, str, bool)
    """
    known: dict[str, Measure | FeatureColumn] = {**CONTEXT_LEVELS, **measures()}
    known |= {c.name: c for c in schema.columns if c.source == "extra"}
    texts = ("patient_id", "adc", "treatment_start")
    return [
        *((name, "string", name == "adc") for name in texts),
        *((name, "string" if column.levels else "double", False) for name, column in known.items()),
    ]


def register(run: TrackedRun, result: TrainingResult, cohort: Cohort, *, script: Path) -> RegisteredModel:
    """Log the model, register it, and move the alias where `decide` says so.

    Parameters
    ----------
    run : TrackedRun
    result : TrainingResult
    cohort : Cohort
    script : Path
        The models-from-code script that serves a bundle.

    Returns
    -------
    RegisteredModel
    """
    from mlflow.exceptions import MlflowException

    model = _log_model(run, result, script)
    try:
        run.client.create_registered_model(result.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    decision = _decision(run, result, cohort)
    record = result.record
    version = run.client.create_model_version(
        result.name,
        source=model.model_uri,
        run_id=run.run_id,
        model_id=model.model_id,
        tags={
            "adcr.endpoint": result.endpoint,
            "adcr.bundle_version": record.model_version,
            COHORT_TAG: record.cohort.sha256,
            SIMULATED_TAG: str(record.simulated).lower(),
            "adcr.champion_reason": decision.reason[:500],
        },
    )
    if decision.moves:
        run.client.set_registered_model_alias(result.name, ALIAS, version.version)
    uri = f"models:/{result.name}/{version.version}"
    return RegisteredModel(result.name, str(version.version), uri, model.model_id, decision)


def _log_model(run: TrackedRun, result: TrainingResult, script: Path) -> Any:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    columns = [ColSpec(kind, name, required) for name, kind, required in pyfunc_columns(result.table.schema)]
    reasons = ParamSpec("top_reasons", "long", TOP_REASONS)
    pins = [f"{name}=={version}" for name, version in package_versions(_SCORING_PACKAGES).items()]
    with tempfile.TemporaryDirectory(prefix="adcr-") as folder, warnings.catch_warnings():
        # MLflow asks for an input example; one of ours would be a patient.
        warnings.filterwarnings("ignore", message=".*input example", category=UserWarning)
        bundle = write_bundle(Path(folder) / BUNDLE_NAME, result.record, result.model_text)
        # Not as a context: its end would call the run finished while most of it is still to be written.
        mlflow.start_run(run_id=run.run_id)
        return mlflow.pyfunc.log_model(
            name=MODEL_NAME,
            python_model=str(script),
            artifacts={BUNDLE_NAME: str(bundle)},
            signature=ModelSignature(inputs=Schema(columns), params=ParamSchema([reasons])),
            pip_requirements=pins,
            metadata={"adcr_bundle": result.record.model_version, "adcr_endpoint": result.endpoint},
        )


def _decision(run: TrackedRun, result: TrainingResult, cohort: Cohort) -> ChampionDecision:
    try:
        return decide(result, cohort, _champion(run, result.name))
    except ModelError as error:
        return ChampionDecision(moves=False, reason=f"the present champion cannot be read ({error.what})")


def _champion(run: TrackedRun, name: str) -> ModelBundle | None:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        version = run.client.get_model_version_by_alias(name, ALIAS)
    except MlflowException:
        return None
    try:
        folder = Path(download_artifacts(f"models:/{name}/{version.version}"))
    except (MlflowException, OSError) as error:
        raise ModelError("its files are gone", where=f"models:/{name}@{ALIAS}") from error
    return trusted_bundle(folder / "artifacts" / BUNDLE_NAME)
