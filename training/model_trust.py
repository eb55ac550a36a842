"""Models from elsewhere: tried in a guarded process the first time they are met, and remembered by their hash.

LightGBM's parser ends the process on a corrupt text, or runs for ever, or gives other scores in silence. So a model is
first read by a process of its own with little time and memory, which checks the structure of the text, lets LightGBM
parse it, and scores the golden rows. Only a model that passed is ever parsed by the process that scores patients.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from features.biomarkers import measures
from features.catalogue_version import catalogue_sha256
from features.errors import ModelError
from training.bundle_schema import GoldenRows
from training.model_bundle import MODEL_FILE, RECORD_FILE, read_bundle, sha256_of
from training.record_check import record_fault

if TYPE_CHECKING:
    from training.model_bundle import ModelBundle

#: Raised when the trial checks more than it did, so that models are tried again.
_TRIAL_VERSION = 1
#: The program of the guarded process; named, not imported, since imports run one way.
TRIAL_MODULE = "serving.model_trial"
#: Seconds that the guarded process may take; a sound model takes about one.
TRIAL_SECONDS = 60
_MEND = "Copy the model again from where it was trained, or train it anew; do not use it as it is."


class TrialRequest(msgspec.Struct, frozen=True):
    """What the guarded process is given: nothing of it is read from a file again."""

    names: tuple[str, ...]
    golden: GoldenRows
    model_text: str


class TrialVerdict(msgspec.Struct, frozen=True):
    """Its answer: "" for a sound model, else what is wrong with it."""

    what: str


def trusted_bundle(folder: Path) -> ModelBundle:
    """Read a bundle that LightGBM may parse in this process.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    ModelBundle

    Raises
    ------
    ModelError
        It is damaged, of another version or catalogue, or did not pass its trial.
    """
    bundle = read_bundle(folder)
    mark = _mark(bundle)
    if mark.is_file():
        return bundle
    require_catalogue(bundle)
    what = record_fault(bundle.record) or trial(bundle)
    if what:
        raise ModelError(f"the model is not sound: {what}.", where=str(folder), mend=_MEND)
    _remember(mark)
    return bundle


def require_catalogue(bundle: ModelBundle) -> None:
    """Refuse a model whose columns mean something else in this catalogue; it names the column.

    Parameters
    ----------
    bundle : ModelBundle

    Raises
    ------
    ModelError
        The catalogue no longer has a column of the model, or has it with another unit or other levels.
    """
    if bundle.record.catalogue_sha256 == catalogue_sha256():
        return
    known = measures()
    for column in bundle.record.schema.columns:
        if column.source != "biomarker":
            continue
        now = known.get(column.name)
        if now is None or (now.kind, now.unit, now.levels) != (column.kind, column.unit, column.levels):
            change = "has no such column" if now is None else "has it with another unit or other levels"
            raise ModelError(
                f"the model's column '{column.name}' is of another catalogue "
                f"({bundle.record.catalogue_sha256[:12]}); this one ({catalogue_sha256()[:12]}) {change}.",
                where=str(bundle.folder),
                mend="Train it again, or use the adcr that wrote it.",
            )


def trial(bundle: ModelBundle, *, seconds: float = TRIAL_SECONDS) -> str:
    """Let a guarded process read a model and score its golden rows.

    Parameters
    ----------
    bundle : ModelBundle
    seconds : float
        After which it is ended.

    Returns
    -------
    str
        "" for a sound model, else what is wrong.
    """
    record = bundle.record
    request = msgspec.json.encode(TrialRequest(record.schema.names, record.golden, bundle.model_text))
    # -P: the working folder may hold a hostile module, and is not looked into.
    command = [sys.executable, "-P", "-m", TRIAL_MODULE]
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter, no shell)
            command, input=request, capture_output=True, timeout=seconds, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired:
        return f"reading it took longer than {seconds:g} seconds"
    try:
        return msgspec.json.decode(done.stdout, type=TrialVerdict).what
    except msgspec.DecodeError:
        return f"{MODEL_FILE} ended the process that read it (code {done.returncode})"


def _environment() -> dict[str, str]:
    # More threads would take more address space than the process is allowed.
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **one, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}


def _mark(bundle: ModelBundle) -> Path:
    """File whose presence says that this very model passed, with this catalogue and these packages."""
    from platformdirs import user_cache_path

    content = (bundle.folder / RECORD_FILE).read_bytes()
    parts = (str(_TRIAL_VERSION), sha256_of(content), catalogue_sha256(), version("lightgbm"), version("numpy"))
    sealed = f"{bundle.record.model_version} {bundle.record.files[MODEL_FILE]}"
    return user_cache_path("adcr") / "trusted-models" / sha256_of(" ".join((*parts, sealed)).encode())


def _remember(mark: Path) -> None:
    # Where the cache cannot be written, the model is tried again next time.
    with contextlib.suppress(OSError):
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.touch(mode=0o600)
