"""What fits gave, kept in the user's cache folder until their training ends: one that was broken off goes on from it.

The folder's name is the hash of everything that decides a fit (patients, outcomes, folds, settings, literature, code
and libraries), so nothing is taken over from another training. It holds predictions and sums by row number, never an
id, and goes when the training has ended well; what was never gone on with goes after `_DAYS` days. A cache is a
convenience: where it cannot be written or read, fits are done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import time
import zipfile
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from training.bundle_record import package_versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.training_plan import Prepared

    #: What a fit gives: named arrays, empty where there was nothing to fit.
    Arrays = dict[str, NDArray[Any]]

#: Libraries that decide what a fit gives.
_LIBRARIES = ("lightgbm", "numpy", "optuna", "pandas", "scikit-learn", "scipy")
_DAYS = 7


class KeptFits:
    """Results of one training's fits.

    Parameters
    ----------
    folder : Path
        Of this training alone; made when the first result is kept.

    Attributes
    ----------
    taken_over : int
        Fits that were not done again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken_over = 0

    def find(self, name: str) -> Arrays | None:
        """Look for what a fit gave.

        Parameters
        ----------
        name : str
            Of the fit within its training.

        Returns
        -------
        dict of str to numpy.ndarray, or None
            None where the fit was not done, or what is kept of it cannot be read.
        """
        try:
            with np.load(BytesIO(self._file(name).read_bytes()), allow_pickle=False) as kept:
                found = {key: kept[key] for key in kept.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        self.taken_over += 1
        return found

    def keep(self, name: str, found: Arrays) -> None:
        """Keep what a fit gave, where the cache can be written.

        Parameters
        ----------
        name : str
        found : dict of str to numpy.ndarray
        """
        packed = BytesIO()
        np.savez(packed, **found)  # type: ignore[arg-type]
        file = self._file(name)
        temporary = file.with_suffix(f".{secrets.token_hex(6)}.part")
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            # Without waiting for the disk: what a power failure spoils is only done again.
            temporary.write_bytes(packed.getvalue())
            temporary.replace(file)

    def count(self) -> int:
        """Count the fits whose results lie there.

        Returns
        -------
        int
        """
        return sum(1 for _ in self.folder.glob("*.npz"))

    def forget(self) -> None:
        """Take everything away: the training has ended well."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.npz"


def kept_fits(prepared: Prepared) -> KeptFits:
    """Open what is kept of a training, in the user's cache folder.

    Parameters
    ----------
    prepared : Prepared

    Returns
    -------
    KeptFits
    """
    from platformdirs import user_cache_path

    trainings = user_cache_path("adcr") / "trainings"
    forget_old(trainings)
    return KeptFits(trainings / _key(prepared))


def forget_old(folder: Path) -> None:
    """Take away what lies in a cache folder for longer than anyone goes on with it.

    Parameters
    ----------
    folder : Path
    """
    oldest = time.time() - _DAYS * 86_400
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _key(prepared: Prepared) -> str:
    """Hash of all that decides what a training's fits give."""
    table, prior = prepared.table, prepared.prior
    named = (prepared.endpoint, prepared.plan, prior.key if prior else "", package_versions(_LIBRARIES))
    digest = hashlib.sha256(msgspec.json.encode((*named, table.schema, table.adc.tolist()), enc_hook=str))
    for package in ("features", "training"):
        for path in sorted(Path(str(files(package))).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.name.encode() + path.read_bytes())
    numbers = (table.outcome, table.patient, table.groups, table.rows, prepared.held_out.folds)
    for array in (table.features.to_numpy(), *numbers):
        digest.update(repr((array.dtype, array.shape)).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
