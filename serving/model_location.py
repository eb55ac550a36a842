"""Where a model is: a folder, a tracked run, or a version or alias in the MLflow model registry."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import ModelError
from training.literature_name import literature_endpoint
from training.model_bundle import MODEL_FILE, RECORD_FILE
from training.run_store import default_store, opened, store_exists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.run_store import RunStore

_RUN_ID = re.compile(r"[0-9a-f]{32}\Z")
_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))\Z")
_WAYS = "Name a model's folder, a run id, models:/NAME@champion, models:/NAME/VERSION or literature."
_MOST_TOLD = 10


@contextlib.contextmanager
def model_folder(model: str) -> Iterator[Path]:
    """Folder of a model's bundle, while the block runs.

    Parameters
    ----------
    model : str
        A folder (of a bundle, or of an MLflow model that holds one), the id of a run, `models:/NAME@ALIAS` or
        `models:/NAME/VERSION`, or `literature` (`literature:pcr`) for the prior alone. MLflow is
        loaded only for what is no folder.

    Yields
    ------
    Path
        Folder for `read_bundle`; that of a tracked model is a copy that is removed afterwards.

    Raises
    ------
    ModelError
        There is no such folder, run, model, version or alias.
    TrackingError
        The store cannot be reached.
    """
    endpoint = literature_endpoint(model)
    if endpoint:
        from training.literature_model import literature_folder

        yield literature_folder(endpoint)
        return
    local = Path(model)
    if local.is_dir():
        yield bundle_within(local)
        return
    if local.exists():
        inside = local.name in (RECORD_FILE, MODEL_FILE)
        raise ModelError(
            "a model is a folder; this is a file.",
            where=model,
            mend=f"Name its folder: {local.parent}" if inside else _WAYS,
        )
    registered = _REGISTERED.match(model)
    if not registered and not _RUN_ID.match(model):
        raise ModelError("there is no such model folder.", where=model, mend=_WAYS)
    store = default_store()
    if not store_exists(store):
        raise ModelError(
            "there are no tracked runs in this folder.",
            where=model,
            mend="Go to the folder that 'adcr train' ran in, or set MLFLOW_TRACKING_URI.",
        )
    with tempfile.TemporaryDirectory(prefix="adcr-model-") as place:
        with opened(store):
            uri = _registered_uri(registered) if registered else _run_uri(model, store)
            copy = _download(uri, model, place)
        yield bundle_within(copy)


def bundle_within(folder: Path) -> Path:
    """Folder of the bundle in a model folder.

    Parameters
    ----------
    folder : Path
        A bundle itself, or an MLflow model that holds one among its artifacts.

    Returns
    -------
    Path
        `folder` itself where no bundle is found, for `read_bundle` to say so.
    """
    if (folder / RECORD_FILE).is_file():
        return folder
    return next((found.parent for found in sorted(folder.glob(f"artifacts/*/{RECORD_FILE}"))), folder)


def _run_uri(run_id: str, store: RunStore) -> str:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        run = MlflowClient().get_run(run_id)
    except MlflowException as error:
        raise ModelError(
            "there is no such run.", where=f"{run_id} in {store.uri}", mend="'adcr compare' lists the runs."
        ) from error
    models = [output.model_id for output in run.outputs.model_outputs] if run.outputs else []
    if not models:
        raise ModelError(
            "the run has no model.",
            where=run_id,
            mend="Name the run of 'adcr train' itself, not one of its candidates.",
        )
    return f"models:/{models[-1]}"


def _registered_uri(named: re.Match[str]) -> str:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient()
    name, alias, number = named["name"], named["alias"], named["version"]
    try:
        version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    except MlflowException as error:
        raise _unknown_model(client, named) from error
    return f"models:/{name}/{version.version}"


def _unknown_model(client: Any, named: re.Match[str]) -> ModelError:
    """Say which of name, alias and version is unknown, and what there is."""
    name, alias = named["name"], named["alias"]
    known = sorted(model.name for model in client.search_registered_models(max_results=1000))
    if name not in known:
        mend = f"There are: {_told(known)}." if known else "'adcr train' registers models."
        return ModelError(f"there is no registered model '{name}'.", where=named.group(), mend=mend)
    versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
    there = _told([f"models:/{name}/{v}" for v in versions]) if versions else "none"
    if alias == "champion":
        what = f"no version of '{name}' is champion: none has beaten every baseline."
    elif alias:
        what = f"no version of '{name}' has the alias '{alias}'."
    else:
        what = f"'{name}' has no version {named['version']}."
    return ModelError(what, where=named.group(), mend=f"Versions: {there}.")


def _told(names: list[str]) -> str:
    more = len(names) - _MOST_TOLD
    return ", ".join(names[-_MOST_TOLD:]) + (f" and {more} more" if more > 0 else "")


def _download(uri: str, model: str, place: str) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=uri, dst_path=place))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ModelError(
            f"the model's files cannot be fetched ({reason}).", where=model, mend="Was mlartifacts/ moved or removed?"
        ) from error
