"""Files as a stream of bytes, unpacked where their name ends in .gz, and stopped where they expand as no table does."""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any

from features import fault_rules as rules
from features.limits import SMALL_EXPANSION
from features.tables.text_table import refuse

if TYPE_CHECKING:
    from pathlib import Path

    from features.limits import Limits


class _CappedGzip(io.RawIOBase):
    """Decompresses as it is read, and stops where an archive expands as no table does."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._name, self._limits = path.name, limits
        self._file = path.open("rb")
        self._gzip = gzip.GzipFile(fileobj=self._file)
        self._expanded = 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._gzip.close()
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._gzip.read(len(buffer))
        except (EOFError, OSError, zlib.error) as error:
            raise refuse(self._name, rules.GZIP_BROKEN, reason=str(error) or "cut off") from error
        self._expanded += len(data)
        ratio = self._expanded // max(self._file.tell(), 1)
        if self._expanded > SMALL_EXPANSION and ratio > self._limits.max_expansion:
            size = self._expanded // (1024 * 1024)
            raise refuse(self._name, rules.BOMB, ratio=ratio, size=size, setting="ADCR_MAX_EXPANSION")
        if self._expanded > self._limits.max_expanded_bytes:
            raise refuse(
                self._name,
                rules.TOO_LARGE,
                what="bytes once unpacked",
                number=self._expanded,
                cap=self._limits.max_expanded_bytes,
                setting="ADCR_MAX_EXPANDED_BYTES",
            )
        buffer[: len(data)] = data
        return len(data)


def open_bytes(path: Path, limits: Limits) -> IO[bytes]:
    """Content of a file, decompressed where its name ends in .gz."""
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(_CappedGzip(path, limits), buffer_size=1024 * 1024)
    return path.open("rb")


def check_expansion(path: Path, limits: Limits) -> None:
    """Unpack an archive once without keeping it: a bomb or a cut is met before any row is made of it."""
    with closing(open_bytes(path, limits)) as stream:
        while stream.read(1024 * 1024):
            pass
