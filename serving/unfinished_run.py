"""The work of a scoring run before it is done: one run at a time, kept apart from finished files, and resumable.

Beside the output `out.csv` stands, while a run works, the hidden folder `.out.csv.unfinished` with the bytes that are
written so far and a checkpoint that says how many of them are good. A run that was killed leaves it behind; another
one with the same input, model and options continues from it, and any other starts anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import msgspec

from features.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

#: A run that is killed loses about this much work.
CHECKPOINT_SECONDS = 5.0
_LOCK, _CHECKPOINT = "lock", "checkpoint"


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a run has come; nothing of a patient but what its output holds."""

    #: of input, model, options and versions
    fingerprint: str
    #: blocks of the input that are done
    blocks: int
    #: good bytes of each file
    sizes: dict[str, int]
    #: places of the row groups of a Parquet file, and their footers
    positions: list[int]
    footers: list[bytes]
    #: what has been summed up
    tally: bytes


class UnfinishedRun:
    """The folder of a run's unfinished work, locked while the block runs.

    Parameters
    ----------
    output : Path
        The score file, or folder, that is being made.
    keep : bool
        Leave the work behind where the block ends by an interruption or an error, for a later run to continue.

    Raises
    ------
    OutputError
        Another run is making the same output, or the folder cannot be written.
    """

    def __init__(self, output: Path, *, keep: bool) -> None:
        final = output.resolve()
        self.folder = final.with_name(f".{final.name}.unfinished")
        self._output, self._keep = output, keep
        self._descriptor: int | None = None
        self._files: dict[str, BinaryIO] = {}
        self._saved = time.monotonic()
        self.done = False

    def __enter__(self) -> Self:
        while self._descriptor is None:
            self.folder.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = self._locked()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            # On a full disk the last bytes cannot be written here either; the error that ended the run is told.
            with contextlib.suppress(OSError):
                file.close()
        if self.done or not (self._keep and (self.folder / _CHECKPOINT).exists()):
            # The lock goes with the folder: whoever waits for it finds that it is no longer there, and tries again.
            with contextlib.suppress(OSError):
                shutil.rmtree(self.folder)
        assert self._descriptor is not None
        os.close(self._descriptor)

    def start(self, fingerprint: str, *, resume: bool) -> Checkpoint | None:
        """Begin, or go on where a run with the same fingerprint was cut short.

        Parameters
        ----------
        fingerprint : str
        resume : bool
            False throws earlier work away.

        Returns
        -------
        Checkpoint or None
            None where there is nothing to go on from.
        """
        found = self._read() if resume else None
        if found is not None and found.fingerprint == fingerprint and self._whole(found):
            for name, size in found.sizes.items():
                os.truncate(self.folder / name, size)
            return found
        for file in self._files.values():
            file.close()
        self._files.clear()
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()
        return None

    def file(self, name: str) -> BinaryIO:
        """One of the run's files, open at its end.

        Parameters
        ----------
        name : str

        Returns
        -------
        binary file
        """
        if name not in self._files:
            self._files[name] = (self.folder / name).open("ab")
        return self._files[name]

    def path(self, name: str) -> Path:
        """Where a file is until it is published."""
        return self.folder / name

    @property
    def due(self) -> bool:
        """Whether enough has been done since the last checkpoint."""
        return time.monotonic() - self._saved >= CHECKPOINT_SECONDS

    def sizes(self) -> dict[str, int]:
        """Bytes of each file once everything in it is on the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: file.tell() for name, file in self._files.items()}

    def save(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint in the place of the last one, in one step.

        Parameters
        ----------
        checkpoint : Checkpoint
            Its sizes as `sizes` gives them.
        """
        new = self.folder / f"{_CHECKPOINT}.new"
        with new.open("wb") as file:
            file.write(msgspec.msgpack.encode(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / _CHECKPOINT)
        self._saved = time.monotonic()

    def close(self) -> None:
        """Close every file, its bytes being on the disk."""
        self.sizes()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def publish_folder(self, name: str, target: Path) -> None:
        """Put one of the run's folders in its place; an older one goes away with the unfinished work.

        Parameters
        ----------
        name : str
        target : Path
        """
        final = target.resolve()
        if final.exists():
            final.rename(self.folder / f"{name}.old")
        (self.folder / name).rename(final)

    def _read(self) -> Checkpoint | None:
        try:
            return msgspec.msgpack.decode((self.folder / _CHECKPOINT).read_bytes(), type=Checkpoint)
        except (OSError, msgspec.DecodeError):
            return None

    def _whole(self, found: Checkpoint) -> bool:
        paths = {name: self.folder / name for name in found.sizes}
        return all(path.is_file() and path.stat().st_size >= found.sizes[name] for name, path in paths.items())

    def _locked(self) -> int | None:
        """Descriptor of the lock, None where it was taken away while we waited for it."""
        path = self.folder / _LOCK
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputError(
                "another run is writing it.", where=str(self._output), mend="Wait for it, or name another output."
            ) from error
        except FileNotFoundError:
            pass
        os.close(descriptor)
        return None


def _lock(descriptor: int) -> None:
    """Take a lock that the operating system gives back when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        lock: Any = msvcrt
        try:
            lock.locking(descriptor, lock.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
