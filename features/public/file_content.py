"""Whether what a server sent is the file that was asked for: packed as its name says, whole, and no page or message."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import re
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from features.faults import shown
from features.limits import Limits
from features.public.patience import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

PACKED = (".gz", ".tgz")
ARCHIVES = (".tar.gz", ".tgz")
_GZIP = b"\x1f\x8b"
_LFS = b"version https://git-lfs.github.com/spec/"
_HEAD_BYTES = 4096
_PIECE = 1024 * 1024
#: No table of this field begins with a tag.
_TAG = re.compile(r"<[!?/a-z]", re.IGNORECASE)
_MESSAGE_KEYS = ("error", "message", "detail", "error_description", "title")


class CutOffError(RefusedError):
    """The end of the file is missing, or its content was changed on the way."""


def check_content(path: Path, name: str, sha256: str = "") -> None:
    """Check a fetched file before it is put in its place.

    Parameters
    ----------
    path : pathlib.Path
    name : str
        Name that it is to have: what is to be in it follows from the suffix.
    sha256 : str
        Expected hash; empty where none is known.

    Raises
    ------
    CutOffError
        Its end is missing.
    RefusedError
        Says what was sent in its place.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    check_head(head)
    if name.lower().endswith(PACKED):
        if not head.startswith(_GZIP):
            raise RefusedError(f"the server sent '{_beginning(head)}' instead of a gzip file")
        _check_packed(path)
        if name.lower().endswith(ARCHIVES) and not tarfile.is_tarfile(path):
            raise RefusedError("the server sent a gzip file that is no tar archive")
    # The list of its members stands at the end of a zip archive, so that a cut one has none.
    if name.lower().endswith(".xlsx") and not zipfile.is_zipfile(path):
        raise CutOffError("what the server sent is no whole Excel workbook")
    if sha256 and digest != sha256.lower():
        raise RefusedError(f"its sha256 is {digest[:12]}..., not {sha256[:12]}... as the registry has it")


def check_head(head: bytes) -> None:
    """Refuse a web page, a Git LFS pointer, a message in JSON and nothing at all, by the first bytes.

    Parameters
    ----------
    head : bytes

    Raises
    ------
    RefusedError
    """
    if not head:
        raise RefusedError("the server sent an empty file")
    if head.startswith(_LFS):
        raise RefusedError("the server sent a Git LFS pointer instead of the file")
    text = _text(head)
    if _TAG.match(text):
        raise RefusedError("the server sent a web page instead of the file")
    if text.startswith("{"):
        raise RefusedError(f"the server sent a message instead of the file: '{message(text)}'")


def message(text: str) -> str:
    """Give the message of a JSON answer, safe to print; the answer's beginning where it has none.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        told = next((str(answer[key]) for key in _MESSAGE_KEYS if answer.get(key)), "")
        if told:
            return shown(told)
    return shown(text)


def _check_packed(path: Path) -> None:
    """Read a gzip file to its end: a cut or changed one fails, and so does a packed page."""
    left = Limits.from_environment().max_expanded_bytes
    try:
        with gzip.open(path) as stream:
            check_head(stream.read(_HEAD_BYTES))
            while piece := stream.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise RefusedError("it expands beyond the cap; raise ADCR_MAX_EXPANDED_BYTES")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CutOffError("the server sent a gzip file that is cut off or corrupt") from error


def _text(head: bytes) -> str:
    """Beginning as text, whatever its encoding, without marks and space before it."""
    utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return head.decode("utf-16" if utf16 else "utf-8-sig", errors="replace").lstrip("\ufeff \t\r\n\0")


def _beginning(head: bytes) -> str:
    return shown(" ".join(_text(head[:200]).split()))
