"""The place of a fetched file in the user's cache: refusals of the disk in one line, and one fetch at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from features.errors import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds to wait while another process fetches the same file.
LOCK_PATIENCE = 600.0


@contextmanager
def caching(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to read or write the cache into one line for the user.

    Parameters
    ----------
    path : pathlib.Path
        What is read or written there.

    Raises
    ------
    OutputError
        In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise OutputError(
            f"the cache cannot be used: {reason}.",
            where=str(error.filename or path),
            mend="Set XDG_CACHE_HOME to a folder that may be written to, or make room.",
        ) from error


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a place of the cache for this process; another one that wants it waits.

    The lock is an empty hidden file beside the place; it stays, because to remove it would let two processes in.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made.

    Raises
    ------
    InputError
        Another process has held it for longer than ten minutes.
    OutputError
        The cache cannot be written.
    """
    from filelock import FileLock, Timeout

    with caching(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_PATIENCE)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                "another process is fetching it.", where=str(path), mend="Wait until that one is done."
            ) from error
    try:
        yield
    finally:
        lock.release()
