"""One file from a server, whole or not at all: resumed, tried again, checked, and kept in the user's cache."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from features.errors import InputError
from features.public.cache_place import alone, caching
from features.public.file_content import CutOffError, check_content
from features.public.patience import (
    FIRST_WAIT,
    TIMEOUTS,
    RefusedError,
    TryAgainError,
    check_status,
    patiently,
)
from features.public.resumed_part import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import requests

_PIECE = 64 * 1024
MOST_BYTES = 2 * 1024**3


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    offline: bool = False,
    most_bytes: int = MOST_BYTES,
    progress: Callable[[int, int], None] | None = None,
    first_wait: float = FIRST_WAIT,
) -> Path:
    """Fetch a file, unless it is in its place already.

    Proxy variables of the environment are honoured. What a broken connection left is resumed, now or at the next call,
    where the server shows that it still has the same file.

    Parameters
    ----------
    url : str
    target : pathlib.Path
        Where it belongs; it is put there once it is whole and has passed every check. Of two processes that fetch it
        at once, one waits for the other.
    sha256 : str
        Expected hash; empty where none is known.
    offline : bool
        Use what is in place, and never the network.
    most_bytes : int
    progress : callable, optional
        Called with the bytes there are and the bytes to come (0 where the server does not tell).
    first_wait : float
        Seconds before the second attempt.

    Returns
    -------
    pathlib.Path
        `target`.

    Raises
    ------
    InputError
        It cannot be had: one line with the reason, the address, and where to put a file fetched by hand.
    OutputError
        The cache cannot be written.
    """
    with caching(target):
        if target.is_file():
            return target
    if offline:
        raise _refused("it is not in the cache, and --offline forbids the network", url, target)
    with alone(target), caching(target):
        if target.is_file():
            # The process that was waited for has fetched it.
            return target
        part = Part(target, url)
        with _kept_or_removed(part, url, target):
            patiently(lambda: _fetch_whole(url, part, target.name, sha256, most_bytes, progress), first_wait)
        part.finish(target)
    return target


@contextmanager
def _kept_or_removed(part: Part, url: str, target: Path) -> Iterator[None]:
    """Keep a part that the next call can go on with, and no other; tell which."""
    try:
        yield
    except RefusedError as error:
        if not (isinstance(error.__cause__, TryAgainError) and part.resumable()):
            part.discard()
        raise _refused(str(error), url, target) from error
    except KeyboardInterrupt as error:
        if part.resumable():
            raise KeyboardInterrupt(
                f"what came of {target.name} is kept, and the same command goes on from it"
            ) from error
        part.discard()
        raise


def _fetch_whole(
    url: str, part: Part, name: str, sha256: str, most_bytes: int, progress: Callable[[int, int], None] | None
) -> None:
    measured = _fetch(url, part, most_bytes, progress)
    try:
        check_content(part.path, name, sha256)
    except CutOffError as error:
        if measured:
            raise
        # Without a length only the content tells that the connection broke; where, it does not tell.
        part.discard()
        raise TryAgainError(str(error)) from error


def _fetch(url: str, part: Part, most_bytes: int, progress: Callable[[int, int], None] | None) -> bool:
    """Fetch what is missing; tell whether the server said how much that is."""
    import requests

    # As it is: a packed file must stay packed, and the bytes counted are those that are kept.
    headers = {"Accept-Encoding": "identity", **part.headers()}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
        return _write(answer, part, most_bytes, progress)


def _write(answer: requests.Response, part: Part, most_bytes: int, progress: Callable[[int, int], None] | None) -> bool:
    if answer.status_code == 416:
        # What is there does not fit what the server has: from the beginning.
        part.discard()
        raise TryAgainError("the server has another file than before", 0.0)
    check_status(answer, (200, 206))
    have = part.accept(answer)
    told = answer.headers.get("Content-Length", "") if "Content-Encoding" not in answer.headers else ""
    total = have + int(told) if told.isdigit() else 0
    if total > most_bytes:
        raise RefusedError(f"it has {total:,} bytes, more than the cap of {most_bytes:,}")
    with part.path.open("ab" if have else "wb") as file:
        for piece in answer.iter_content(_PIECE):
            file.write(piece)
            have += len(piece)
            if have > most_bytes:
                raise RefusedError(f"it has more bytes than the cap of {most_bytes:,}")
            if progress:
                progress(have, total)
        file.flush()
        os.fsync(file.fileno())
    if total and have < total:
        raise TryAgainError("the connection broke")
    return total > 0


def _refused(why: str, url: str, target: Path) -> InputError:
    return InputError(f"{why}.", where=url, mend=f"Try again later, or download it by hand to {target}.")
