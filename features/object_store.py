"""Files of object stores: copied to this machine before they are read, and from it once they are whole."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from features.errors import InputError, OutputError
from features.faults import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What an address begins with, and the package that fsspec needs for it.
STORES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "memory": "fsspec",
}
#: Names a folder for the copies, on a disk that all machines of a cluster share.
STAGING = "ADCR_STAGING"
_ADDRESS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://(.+)$", re.DOTALL)


def is_address(name: str) -> bool:
    """Whether a name is that of something in an object store, and no path.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
        True for "s3://bucket/cohort.parquet".

    Raises
    ------
    InputError
        It is an address that nothing is read from or written to.
    """
    found = _ADDRESS.match(name)
    if found and found[1].lower() not in STORES:
        raise InputError(
            "files are not read from or written to such an address.",
            where=shown(name),
            mend="Name a path, or an address of s3://, gs:// or az://.",
        )
    return bool(found)


@contextmanager
def staging_folder(*, shared: bool) -> Iterator[Path]:
    """Make a folder for copies, which goes when they have been used.

    Parameters
    ----------
    shared : bool
        Whether other machines read and write there too.

    Yields
    ------
    Path

    Raises
    ------
    InputError
        It must be shared and the environment does not say where.
    """
    named = os.environ.get(STAGING, "").strip()
    if shared and not named:
        raise InputError(
            "the workers must reach the copy of what an object store holds.",
            where="--scheduler",
            mend=f"Set {STAGING} to a folder on a disk that all machines share.",
        )
    try:
        place = tempfile.TemporaryDirectory(prefix=".adcr-staging-", dir=named or None)
    except OSError as error:
        mend = f"Set {STAGING} to a folder that exists and has room."
        raise OutputError(
            "no folder for copies can be made.", where=named or tempfile.gettempdir(), mend=mend
        ) from error
    with place as folder:
        yield Path(folder)


def fetch(address: str, folder: Path) -> Path:
    """Copy a file, or all files below a prefix, from an object store.

    Parameters
    ----------
    address : str
    folder : Path
        Where the copy goes, under its own name.

    Returns
    -------
    Path
        The copy: a file, or a folder.

    Raises
    ------
    InputError
        The store cannot be reached or read, or holds nothing of that name.
    """
    try:
        store, name = _opened(address)
        copy = folder / PurePosixPath(name.rstrip("/")).name
        if store.isfile(name):
            store.get_file(name, str(copy))
            return copy
        keys = store.find(name)
        for key in keys:
            place = copy / _below(PurePosixPath(name.rstrip("/")), PurePosixPath(key))
            place.parent.mkdir(parents=True, exist_ok=True)
            store.get_file(key, str(place))
    except (InputError, MemoryError):
        raise
    # Each store raises errors of its own.
    except Exception as error:
        raise _unread(address, error) from error
    if not keys:
        raise InputError("there is no such file.", where=shown(address), mend="Check bucket, name and access.")
    return copy


def require_unused(address: str) -> None:
    """Refuse a folder of an object store that holds something: what is deleted there cannot be brought back.

    Parameters
    ----------
    address : str

    Raises
    ------
    InputError
        Something is there, or the store cannot be reached.
    """
    try:
        store, name = _opened(address)
        used = store.exists(name)
    except InputError:
        raise
    except Exception as error:
        raise _unread(address, error) from error
    if used:
        raise InputError("there is something already.", where=shown(address), mend="Name another folder, or remove it.")


def deliver(files: Sequence[Path], address: str) -> None:
    """Copy files, each whole before the next begins, to where an address is.

    Parameters
    ----------
    files : sequence of Path
        Files or folders; the last one vouches for the others.
    address : str
        Of the first one; the others go beside it.

    Raises
    ------
    OutputError
        The store cannot be reached or written.
    """
    try:
        store, name = _opened(address)
        beside = name.rstrip("/").rpartition("/")[0]
        # An older one would vouch for files that are now being replaced.
        if store.exists(f"{beside}/{files[-1].name}"):
            store.rm_file(f"{beside}/{files[-1].name}")
        for file in files:
            place = f"{beside}/{file.name}"
            if not file.is_dir():
                store.put_file(str(file), place)
                continue
            for part in sorted(path for path in file.rglob("*") if path.is_file()):
                store.put_file(str(part), f"{place}/{part.relative_to(file).as_posix()}")
    except Exception as error:
        told = f"it cannot be written to: {_told(error)}."
        raise OutputError(
            told, where=shown(address), mend="Check bucket, access and network, and run again."
        ) from error


def _below(folder: PurePosixPath, key: PurePosixPath) -> PurePosixPath:
    """Name of a file below a folder; keys of an object store may hold "..", which must not lead out of it."""
    found = key.relative_to(folder)
    if ".." in found.parts:
        raise InputError("a name in it leads out of it.", where=shown(str(key)), mend="Rename it.")
    return found


def _opened(address: str) -> tuple[Any, str]:
    found = _ADDRESS.match(address)
    assert found is not None
    try:
        import fsspec

        store, name = fsspec.core.url_to_fs(address)
    except ImportError as error:
        package = STORES[found[1].lower()]
        mend = f"Install it with: pip install {package}."
        raise InputError(f"{package} is not installed.", where=shown(address), mend=mend) from error
    return store, str(name)


def _unread(address: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("there is no such file.", where=shown(address), mend="Check bucket and name.")
    mend = "Check bucket, access and network."
    return InputError(f"it cannot be read: {_told(error)}.", where=shown(address), mend=mend)


def _told(error: Exception) -> str:
    return shown(" ".join(str(error).split()).rstrip(".") or type(error).__name__)
