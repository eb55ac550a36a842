"""The literature prior: built from simulated worlds, kept in the user's cache folder, rebuilt when its roots change.

The folder's name holds the hash of everything that the prior is made from (catalogues, simulator, the modules that
draw its worlds, and the settings), so an older prior is never used by mistake and several can stand side by side.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd

from training.cohort_prior import CohortPrior, make_cohort_prior
from training.prior_worlds import Evidence, PriorSettings, prior_world, simulate_evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.resources.abc import Traversable

    from features.feature_schema import FeatureSchema

PATIENTS_FILE, LOG_ODDS_FILE, RECORD_FILE = "patients.parquet", "log_odds.npy", "prior.json"
#: Raised when the form of the cached files changes.
_FORMAT = 1
#: What the prior is made from, beside the settings. Tests, documents and what only reads simulated cohorts are not.
_ROOTS = {
    "features": ("biomarkers.toml", "adcs.toml", "biomarkers.py", "adcs.py"),
    "features.synthetic": (".toml", ".py"),
    "training": ("prior_worlds.py",),
}
#: Priors of other versions that are kept; older ones are deleted when a new one is built.
_KEPT = 3
_DIGITS = 16


class PriorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a prior was made of.

    Attributes
    ----------
    key : str
        First digits of the hash over everything that decides it.
    settings : PriorSettings
    altered_worlds : int
        Worlds in which effects were turned round or removed beyond what the evidence levels foresee.
    treatments : tuple of dict
        Per ADC and endpoint the simulated patients, and the mean response rate.
    seconds : float
        It took to build.
    """

    key: str
    settings: PriorSettings
    altered_worlds: int
    treatments: tuple[dict[str, str | int | float], ...]
    seconds: float


@dataclass(frozen=True)
class LiteraturePrior:
    """A built prior.

    Attributes
    ----------
    record : PriorRecord
    evidence : Evidence
    folder : Path or None
        Where it is kept; None where the cache folder cannot be written.
    """

    record: PriorRecord
    evidence: Evidence
    folder: Path | None

    def of_cohort(self, schema: FeatureSchema, adc_ids: Iterable[str], endpoint: str) -> CohortPrior:
        """Give what the literature says about a cohort's columns, ADCs and endpoint.

        Parameters
        ----------
        schema : FeatureSchema
        adc_ids : iterable of str
        endpoint : {"pcr", "objective_response"}

        Returns
        -------
        CohortPrior
        """
        return replace(make_cohort_prior(self.evidence, schema, adc_ids, endpoint), key=self.record.key)


def cache_folder() -> Path:
    """Folder of the user's cache that priors are kept in.

    Returns
    -------
    Path
    """
    from platformdirs import user_cache_path

    return user_cache_path("adcr") / "prior"


def prior_key(settings: PriorSettings) -> str:
    """Hash of all that decides a prior.

    Parameters
    ----------
    settings : PriorSettings

    Returns
    -------
    str
        Hexadecimal digits.
    """
    digest = hashlib.sha256(f"{_FORMAT}".encode() + msgspec.json.encode(settings))
    for name, content in _roots():
        digest.update(f"\n{name}\n".encode() + content)
    return digest.hexdigest()[:_DIGITS]


def _roots() -> Iterator[tuple[str, bytes]]:
    """Name and content of every file that the prior is made from, in order."""
    for package, endings in _ROOTS.items():
        members: list[Traversable] = sorted(files(package).iterdir(), key=lambda f: f.name)
        for member in members:
            if member.is_file() and member.name.endswith(endings):
                yield f"{package}/{member.name}", member.read_bytes()


@lru_cache(maxsize=2)
def literature_prior(settings: PriorSettings | None = None) -> LiteraturePrior:
    """Return the prior, from the cache or built anew.

    Parameters
    ----------
    settings : PriorSettings, optional
        The usual ones by default.

    Returns
    -------
    LiteraturePrior
        Equal settings, catalogue and simulator give the same prior on any machine.
    """
    settings = settings or PriorSettings()
    folder = cache_folder() / prior_key(settings)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        from filelock import FileLock

        # Two commands that start together: the second waits for the first one's prior.
        with FileLock(f"{folder}.lock"):
            return _read(folder) or build_prior(settings, folder)
    except OSError:
        # A cache is a convenience: without one (read-only home, full disk) the prior is built for this run.
        return build_prior(settings, None)


def build_prior(settings: PriorSettings, folder: Path | None) -> LiteraturePrior:
    """Simulate the worlds, and keep the result.

    Parameters
    ----------
    settings : PriorSettings
    folder : Path, optional
        Where to keep it, in one move; None keeps nothing.

    Returns
    -------
    LiteraturePrior

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    started = perf_counter()
    evidence = simulate_evidence(settings)
    record = PriorRecord(
        key=prior_key(settings),
        settings=settings,
        altered_worlds=_altered(settings),
        treatments=tuple(_treatments(evidence)),
        seconds=round(perf_counter() - started, 1),
    )
    if folder is not None:
        _write(folder, record, evidence)
    return LiteraturePrior(record, evidence, folder)


def _altered(settings: PriorSettings) -> int:
    from features.synthetic.worlds import draw_world
    from training.prior_worlds import FIRST_WORLD

    worlds = (prior_world(n, settings) for n in range(settings.worlds))
    return sum(w.effect_sizes != draw_world(FIRST_WORLD + n).effect_sizes for n, w in enumerate(worlds))


def _treatments(evidence: Evidence) -> Iterator[dict[str, str | int | float]]:
    from scipy.special import expit

    rate = expit(evidence.log_odds.astype(np.float64)).mean(axis=1)
    endpoint, adc = (evidence.patients[c].to_numpy(dtype=str) for c in ("endpoint", "adc"))
    for pair in sorted(set(zip(endpoint.tolist(), adc.tolist(), strict=True))):
        own = (endpoint == pair[0]) & (adc == pair[1])
        yield {
            "adc": pair[1],
            "endpoint": pair[0],
            "patients": int(own.sum()),
            "response_rate": round(float(rate[own].mean()), 4),
        }


def _read(folder: Path) -> LiteraturePrior | None:
    """Return the prior of a folder; None where it is not there or not whole."""
    try:
        record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=PriorRecord)
        patients = pd.read_parquet(folder / PATIENTS_FILE)
        log_odds = np.load(folder / LOG_ODDS_FILE, allow_pickle=False)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    whole = record.key == folder.name and log_odds.shape == (len(patients), record.settings.worlds)
    return LiteraturePrior(record, Evidence(patients, log_odds), folder) if whole else None


def _write(folder: Path, record: PriorRecord, evidence: Evidence) -> None:
    """Write under another name and rename, so that a broken-off build leaves nothing that looks whole."""
    staging = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        evidence.patients.to_parquet(staging / PATIENTS_FILE, index=False)
        np.save(staging / LOG_ODDS_FILE, evidence.log_odds)
        (staging / RECORD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _forget_old(folder)


def _forget_old(newest: Path) -> None:
    others = [p for p in newest.parent.iterdir() if p.is_dir() and p != newest and (p / RECORD_FILE).is_file()]
    for old in sorted(others, key=lambda p: -p.stat().st_mtime)[_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
        old.with_name(f"{old.name}.lock").unlink(missing_ok=True)
