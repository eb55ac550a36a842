"""Files that appear whole, under their own names, or not at all: one, or several together."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, Self

from features.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

#: What the system refuses, in the user's words.
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "its folder may not be written to",
    errno.EPERM: "its folder may not be written to",
    errno.EROFS: "the disk is read-only",
    errno.ENOENT: "its folder does not exist",
    errno.EFBIG: "the file is larger than the disk's limit",
    errno.EISDIR: "this is a folder",
}
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StagedFiles:
    """Writes each file under a temporary name in its own folder, and renames them all at the end.

    Used as a context manager: what has not been published when the block is left, for whatever reason, is removed,
    so an error, a full disk or Ctrl-C leaves neither a half file nor litter.
    """

    def __init__(self) -> None:
        self._staged: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for temporary in self._staged.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._staged.clear()

    def stage(self, target: Path) -> Path:
        """Temporary name to write `target` under.

        Parameters
        ----------
        target : Path
            The file's final place; a symbolic link is followed, so that the link itself stays.

        Returns
        -------
        Path
            A hidden, so far unused name in the folder of `target`: a rename within one folder is atomic.
        """
        final = target.resolve()
        temporary = final.with_name(f".{final.name}.{secrets.token_hex(6)}.part")
        self._staged[final] = temporary
        return temporary

    def adopt(self, target: Path, temporary: Path) -> None:
        """Take a file that was written elsewhere on the same disk as the one to become `target`.

        Parameters
        ----------
        target : Path
            The file's final place.
        temporary : Path
            Where it is; removed like any staged file where it is not published.
        """
        self._staged[target.resolve()] = temporary

    def staged(self, target: Path) -> Path:
        """Where a staged file is until it is published.

        Parameters
        ----------
        target : Path
            As given to `stage`.

        Returns
        -------
        Path
        """
        return self._staged[target.resolve()]

    def publish(self, target: Path) -> None:
        """Give a staged file its final name, once its bytes are on the disk.

        Parameters
        ----------
        target : Path
            As given to `stage`; a file of that name is replaced.

        Raises
        ------
        OutputError
            The disk or folder refuses.
        """
        final = target.resolve()
        temporary = self._staged[final]
        with writing(target):
            _sync(temporary)
            temporary.replace(final)
            _sync(final.parent)
        del self._staged[final]


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `target` into one line for the user.

    Parameters
    ----------
    target : Path
        The file being written, as the user knows it.

    Raises
    ------
    OutputError
        In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        reason = _REASONS.get(code, os.strerror(code).lower() if code else str(error))
        raise OutputError(
            f"cannot be written: {reason}.",
            where=str(target),
            mend=_mend(code),
        ) from error


def _mend(code: int) -> str:
    if code in _NO_ROOM:
        return "Nothing was left half written. Make room, or name another file."
    if code == errno.ENOENT:
        return "Create the folder, or name another file."
    return "Name another file."


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write one file under, which becomes `path` once the block ends well.

    Parameters
    ----------
    path : Path
        The file's final place; an existing file is replaced in one step.

    Yields
    ------
    Path
        A hidden name in the same folder; nothing is left of it if the block fails.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with StagedFiles() as files, writing(path):
        yield files.stage(path)
        files.publish(path)


def require_folder(path: Path) -> None:
    """Refuse, before any work, a file whose folder is not there.

    Parameters
    ----------
    path : Path
        The file to write later.

    Raises
    ------
    OutputError
        There is no such folder, or it may not be written to.
    """
    with writing(path):
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Parameters
    ----------
    path : Path
    text : str

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    # Folders cannot be opened for this on Windows, where a rename is durable without it.
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
