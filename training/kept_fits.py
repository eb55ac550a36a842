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
import stat
import time
from functools import lru_cache
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
#: A kept fit is the SHA-256 of an NPZ archive, and the archive: what is spoilt is not read.
_DIGEST, _ENDING = 32, ".fit"


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
            content = self._file(name).read_bytes()
        except OSError:
            return None
        digest, packed = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(packed).digest() != digest:
            return None
        with np.load(BytesIO(packed), allow_pickle=False) as kept:
            found = {key: kept[key] for key in kept.files}
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
        content = packed.getvalue()
        file = self._file(name)
        temporary = file.with_suffix(f".{secrets.token_hex(6)}.part")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Without waiting for the disk: what a power failure spoils is only done again.
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
            temporary.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def count(self) -> int:
        """Count the fits whose results lie there.

        Returns
        -------
        int
        """
        return sum(1 for _ in self.folder.glob(f"*{_ENDING}"))

    def forget(self) -> None:
        """Take everything away: the training has ended well."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}{_ENDING}"


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
    try:
        lying = list(folder.iterdir())
    except OSError:
        return
    for path in lying:
        with contextlib.suppress(OSError):
            status = path.lstat()
            if status.st_mtime < oldest:
                shutil.rmtree(path) if stat.S_ISDIR(status.st_mode) else path.unlink()


@lru_cache(maxsize=1)
def code_and_libraries() -> str:
    """Hash of the code and the versions of the libraries that decide what a fit gives.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    digest = hashlib.sha256(msgspec.json.encode(package_versions(_LIBRARIES)))
    for package in ("features", "training"):
        for path in sorted(Path(str(files(package))).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _key(prepared: Prepared) -> str:
    """Hash of all that decides what a training's fits give."""
    table, prior = prepared.table, prepared.prior
    named = (prepared.endpoint, prepared.plan, prior.key if prior else "", code_and_libraries())
    digest = hashlib.sha256(msgspec.json.encode((*named, table.schema, table.adc.tolist()), enc_hook=str))
    numbers = (table.outcome, table.patient, table.groups, table.rows, prepared.held_out.folds)
    for array in (table.features.to_numpy(), *numbers):
        digest.update(repr((array.dtype, array.shape)).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
