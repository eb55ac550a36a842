"""A trained model as a folder without pickle: `model.txt`, LightGBM's text, and `bundle.json`, everything else.

LightGBM's text parser ends the process on corrupt input, so the hash of `model.txt` is checked before it is parsed.
The trees hold the calibration: their sum is the calibrated log-odds of response, and their SHAP contributions add up
to it exactly.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from features.errors import ModelError, OutputError
from training.bundle_schema import (
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    BundleRecord,
    Calibration,
    CohortStamp,
    TrainingRange,
    VennAbersTable,
)
from training.lightgbm_library import lightgbm_alone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "MODEL_FILE",
    "RECORD_FILE",
    "SCHEMA_VERSION",
    "BundleRecord",
    "Calibration",
    "CohortStamp",
    "ModelBundle",
    "TrainingRange",
    "VennAbersTable",
    "read_bundle",
    "require_free",
    "seal",
    "sha256_of",
    "write_bundle",
]

MODEL_FILE, RECORD_FILE = "model.txt", "bundle.json"
#: A model of this project is below 2 MB; larger files are refused before they are read.
MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ModelBundle:
    """A model that has been read and checked.

    Attributes
    ----------
    record : BundleRecord
    model_text : str
        LightGBM's text, whose hash has been checked.
    folder : Path
    """

    record: BundleRecord
    model_text: str
    folder: Path

    @cached_property
    def _booster(self) -> Any:
        return lightgbm_alone().Booster(model_str=self.model_text)

    def predict_log_odds(self, matrix: Floats) -> Floats:
        """Calibrated log-odds of response.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)
            Encoded by `record.schema`.

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        raw = self._booster.predict(np.ascontiguousarray(matrix), raw_score=True, num_threads=1)
        return np.asarray(raw, dtype=np.float64)

    def contributions(self, matrix: Floats) -> Floats:
        """SHAP contributions to the log-odds, the last column being the model's average log-odds.

        Path-dependent TreeSHAP: each row adds up to `predict_log_odds`.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, n_columns + 1)

        References
        ----------
        Lundberg SM et al. Nat Mach Intell 2020;2:56-67.
        """
        shap = self._booster.predict(np.ascontiguousarray(matrix), pred_contrib=True, num_threads=1)
        return np.asarray(shap, dtype=np.float64)

    def probability(self, log_odds: Floats) -> Floats:
        """Probability of response.

        Parameters
        ----------
        log_odds : numpy.ndarray

        Returns
        -------
        numpy.ndarray
            Between 0 and 1, rising with `log_odds`.
        """
        # exp(-log(1 + exp(-z))): exact in both tails, and SciPy need not be loaded to score.
        return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))

    def interval(self, log_odds: Floats) -> tuple[Floats, Floats]:
        """95% interval of the response rate among patients of this score, widened to hold the model's probability.

        It tells how well the score's level is known. Patients of one score still differ in what the model does not
        know of them, so a single patient's own probability lies outside more often than once in twenty.

        Parameters
        ----------
        log_odds : numpy.ndarray of shape (n_patients,)

        Returns
        -------
        low, high : numpy.ndarray of shape (n_patients,)
            `low <= probability(log_odds) <= high`; both rise with `log_odds`.
        """
        table = self.record.venn_abers
        scores = np.asarray(table.scores)
        low = np.asarray(table.low)[np.searchsorted(scores, log_odds, side="right")]
        high = np.asarray(table.high)[np.searchsorted(scores, log_odds, side="left")]
        probability = self.probability(log_odds)
        return np.minimum(low, probability), np.maximum(high, probability)


def sha256_of(content: bytes) -> str:
    """Hash of some bytes as hexadecimal digits.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    str
    """
    return hashlib.sha256(content).hexdigest()


def seal(record: BundleRecord, model_text: str) -> BundleRecord:
    """Fill in the golden rows, the hash of the model text and the model's version.

    Parameters
    ----------
    record : BundleRecord
        With any `files`, `golden` and `model_version`.
    model_text : str

    Returns
    -------
    BundleRecord
    """
    from training.golden_rows import golden_rows

    files = {MODEL_FILE: sha256_of(model_text.encode())}
    golden = golden_rows(record.schema, record.training_ranges, model_text)
    filled = msgspec.structs.replace(record, files=files, golden=golden)
    # As it will be read: a whole number in the place of a double is written otherwise than it is read.
    written = msgspec.json.decode(msgspec.json.encode(filled), type=BundleRecord)
    return msgspec.structs.replace(written, model_version=_version_of(written))


def _version_of(record: BundleRecord) -> str:
    """First digits of the hash over all of a record but this."""
    return sha256_of(msgspec.json.encode(msgspec.structs.replace(record, model_version="")))[:12]


def write_bundle(folder: Path, record: BundleRecord, model_text: str) -> Path:
    """Write a bundle in one move: the folder holds all of it or is not touched.

    Parameters
    ----------
    folder : Path
        Created, or replaced where it is an empty folder or an older bundle.
    record : BundleRecord
        As `seal` gives it.
    model_text : str

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    """
    require_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            new = staging / "new"
            new.mkdir()
            (new / MODEL_FILE).write_text(model_text, encoding="utf-8")
            (new / RECORD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
            if folder.exists():
                folder.rename(staging / "old")
            try:
                new.rename(folder)
            except OSError:
                # The older model stays where the new one cannot go.
                if (staging / "old").exists():
                    (staging / "old").rename(folder)
                raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"The model cannot be written ({error.strerror or error}).", where=str(folder), mend="Name another folder."
        ) from error
    return folder


def require_free(folder: Path) -> None:
    """Refuse a place that holds anything but an older bundle.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    OutputError
        It is a file, or a folder that holds something else.
    """
    if folder.exists() and not (folder.is_dir() and (_is_bundle(folder) or not any(folder.iterdir()))):
        raise OutputError(
            "The folder holds something other than a model.", where=str(folder), mend="Name another folder."
        )


def _is_bundle(folder: Path) -> bool:
    return {p.name for p in folder.iterdir()} == {MODEL_FILE, RECORD_FILE}


class _Version(msgspec.Struct):
    schema_version: int = 0


def read_bundle(folder: Path) -> ModelBundle:
    """Read and check a bundle; nothing of it is executed, and LightGBM is not loaded.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    ModelBundle

    Raises
    ------
    ModelError
        The folder is no bundle, of another version, or a file is missing, too large or not the one written.
    """
    content = _read(folder, RECORD_FILE)
    try:
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version not in READABLE_VERSIONS:
            raise ModelError(
                f"The model has format {version}; this adcr reads {' and '.join(map(str, READABLE_VERSIONS))}.",
                where=str(folder),
                mend="Train it again, or use the adcr that wrote it.",
            )
        record = msgspec.json.decode(content, type=BundleRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            f"{RECORD_FILE} is damaged ({error}).", where=str(folder), mend="Copy the model again."
        ) from error
    if record.model_version != _version_of(record):
        raise ModelError(
            f"{RECORD_FILE} is not the file that was written (its hash differs).",
            where=str(folder),
            mend="Copy the model again, or train it anew.",
        )
    model = _read(folder, MODEL_FILE)
    if sha256_of(model) != record.files.get(MODEL_FILE):
        raise ModelError(
            f"{MODEL_FILE} is not the file that was written (sha256 differs).",
            where=str(folder),
            mend="Copy the model again, or train it anew.",
        )
    try:
        return ModelBundle(record, model.decode("utf-8"), folder)
    except UnicodeDecodeError as error:
        raise ModelError(f"{MODEL_FILE} is no text.", where=str(folder), mend="Copy the model again.") from error


def _read(folder: Path, name: str) -> bytes:
    file = folder / name
    mend = "Name the folder of a trained model, a run id, or models:/NAME@champion."
    if not file.is_file():
        raise ModelError(f"The folder holds no {name}.", where=str(folder), mend=mend)
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(f"{name} has {size:,} bytes; no model is that large.", where=str(folder), mend=mend)
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"{name} cannot be read ({error.strerror}).", where=str(folder), mend=mend) from error
