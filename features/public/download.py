"""One file from a server, whole or not at all: resumed, tried again, checked, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from features.errors import InputError
from features.public.patience import (
    FIRST_WAIT,
    TIMEOUTS,
    RefusedError,
    TryAgainError,
    check_status,
    patiently,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

_PIECE = 64 * 1024
MOST_BYTES = 2 * 1024**3
_WEB_PAGES = (b"<!doctype html", b"<html", b"<?xml")
_LFS = b"version https://git-lfs.github.com/spec/"


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

    Proxy variables of the environment are honoured. What a broken connection left is resumed, now or at the next call.

    Parameters
    ----------
    url : str
    target : pathlib.Path
        Where it belongs; it is put there once it is whole and has passed every check.
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
    """
    if target.is_file():
        return target
    if offline:
        raise _refused("it is not in the cache, and --offline forbids the network", url, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        patiently(lambda: _fetch(url, part, most_bytes, progress), first_wait)
    except RefusedError as error:
        if not isinstance(error.__cause__, TryAgainError):
            part.unlink(missing_ok=True)
        raise _refused(str(error), url, target) from error
    try:
        _check(part, sha256)
    except RefusedError as error:
        part.unlink(missing_ok=True)
        raise _refused(str(error), url, target) from error
    part.replace(target)
    return target


def _fetch(url: str, part: Path, most_bytes: int, progress: Callable[[int, int], None] | None) -> None:
    import requests

    have = part.stat().st_size if part.exists() else 0
    # As it is: a packed file must stay packed, and the bytes counted are those that are kept.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
        _write(answer, part, have, most_bytes, progress)


def _write(
    answer: requests.Response, part: Path, have: int, most_bytes: int, progress: Callable[[int, int], None] | None
) -> None:
    if answer.status_code == 416:
        # What is there does not fit what the server has: from the beginning.
        part.unlink(missing_ok=True)
        raise TryAgainError("the server has another file than before", 0.0)
    check_status(answer, (200, 206))
    resumed = answer.status_code == 206
    have = have if resumed else 0
    length = int(answer.headers.get("Content-Length", 0)) if "Content-Encoding" not in answer.headers else 0
    total = have + length if length else 0
    if total > most_bytes:
        raise RefusedError(f"it has {total:,} bytes, more than the cap of {most_bytes:,}")
    with part.open("ab" if resumed else "wb") as file:
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


def _check(part: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with part.open("rb") as file:
        head = file.read(256)
        digest.update(head)
        while piece := file.read(1024 * 1024):
            digest.update(piece)
    if head.lstrip().lower().startswith(_WEB_PAGES):
        raise RefusedError("the server sent a web page instead of the file")
    if head.startswith(_LFS):
        raise RefusedError("the server sent a Git LFS pointer instead of the file")
    if not head:
        raise RefusedError("the server sent an empty file")
    if sha256 and digest.hexdigest() != sha256.lower():
        raise RefusedError(f"its sha256 is {digest.hexdigest()[:12]}..., not {sha256[:12]}... as the registry has it")


def _refused(why: str, url: str, target: Path) -> InputError:
    return InputError(f"{why}.", where=url, mend=f"Or download it by hand to {target}.")
