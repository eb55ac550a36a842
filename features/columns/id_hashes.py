"""Which patient ids stand in several rows of a long table, found without holding the ids: by 64-bit hashes on disk."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

#: Hashes that are sorted at once.
_AT_ONCE = 2_000_000
_FIRST, _ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_BYTES = 8


def hash_ids(ids: Any) -> Hashes:
    """Hash the texts of an Arrow column; equal texts have equal hashes, others hardly ever.

    Parameters
    ----------
    ids : pyarrow.Array
        Of strings; null counts as "".

    Returns
    -------
    numpy.ndarray of uint64, shape (n,)
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.fill_null(ids.cast(pa.large_string()), "")
    _, offsets, data = column.buffers()
    begins = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    content = b"" if data is None else memoryview(data)
    # Every word of eight bytes may begin at any byte; the last ones need something behind them.
    padded = np.frombuffer(bytes(content) + bytes(_BYTES), dtype=np.uint8)
    words = np.ndarray((len(padded) - _BYTES + 1,), dtype="<u8", buffer=padded.data, strides=(1,))
    lengths = np.diff(begins)
    hashes = lengths.astype(np.uint64) * _FIRST
    for start in range(0, int(lengths.max(initial=0)), _BYTES):
        rest = lengths - start
        some = np.flatnonzero(rest > 0)
        kept = np.minimum(rest[some], _BYTES).astype(np.uint64)
        mask = ~np.uint64(0) >> ((np.uint64(_BYTES) - kept) * np.uint64(8))
        mixed = (hashes[some] ^ (words[begins[:-1][some] + start] & mask)) * _ODD
        hashes[some] = (mixed ^ (mixed >> np.uint64(29))) * _FIRST
    return hashes ^ (hashes >> np.uint64(32))


class HashStore:
    """Hashes of all ids of a table, kept in a temporary file that has no name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="adcr-ids-")  # noqa: SIM115 - closed by __exit__
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, hashes: Hashes) -> None:
        """Keep some more."""
        self._file.write(hashes.tobytes())
        self._count += len(hashes)

    def repeated(self) -> Hashes:
        """Hashes that were added more than once, in ascending order."""
        parts = max(1, -(-self._count // _AT_ONCE))
        found = [self._repeated_within(part, parts) for part in range(parts)]
        return np.sort(np.concatenate(found))

    def _repeated_within(self, part: int, parts: int) -> Hashes:
        self._file.seek(0)
        chosen = []
        while chunk := self._file.read(8 * 1024 * 1024):
            hashes = np.frombuffer(chunk, dtype=np.uint64)
            chosen.append(hashes if parts == 1 else hashes[hashes % np.uint64(parts) == part])
        together = np.sort(np.concatenate(chosen)) if chosen else np.array([], dtype=np.uint64)
        return np.unique(together[1:][together[1:] == together[:-1]])
