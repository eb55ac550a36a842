"""What has come of a file so far, kept with the marks that tell whether the server still has the same file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from features.public.patience import TryAgainError

if TYPE_CHECKING:
    from pathlib import Path

    import requests

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Marks(msgspec.Struct, frozen=True):
    """Where a part came from, and the validators of RFC 9110 that name the version it is of."""

    url: str
    etag: str = ""
    modified: str = ""
    total: int = 0


class Part:
    """The first bytes of a file that is not whole yet.

    They are added to only where the server shows that it still has the same version: by a strong ETag, else by
    Last-Modified. Where it shows neither, or another, the file is fetched from its beginning.

    Parameters
    ----------
    target : pathlib.Path
        Where the file belongs; the part is a hidden file beside it.
    url : str
    """

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f".{target.name}.part")
        self._about = target.with_name(f".{target.name}.part.json")
        self._url = url

    def resumable(self) -> bool:
        """Tell whether there are bytes that may be added to."""
        return self.path.is_file() and self.path.stat().st_size > 0 and self._marks() is not None

    def headers(self) -> dict[str, str]:
        """Headers that ask for what is missing, and only of the same version; a part that tells none is removed."""
        marks = self._marks()
        if marks is None or not self.resumable():
            self.discard()
            return {}
        return {"Range": f"bytes={self.path.stat().st_size}-", "If-Range": marks.etag or marks.modified}

    def accept(self, answer: requests.Response) -> int:
        """Tell how many bytes an answer adds to, and keep the marks of a new version.

        Parameters
        ----------
        answer : requests.Response
            Of status 200 or 206.

        Returns
        -------
        int
            0 where it is to be written from its beginning.

        Raises
        ------
        TryAgainError
            It is a piece of another file, or does not tell which piece; the part was removed.
        """
        if answer.status_code == 206:
            return self._added_to(answer)
        self.discard()
        packed = "Content-Encoding" in answer.headers
        length = answer.headers.get("Content-Length", "")
        marks = _Marks(self._url, _etag(answer), _modified(answer), int(length) if length.isdigit() else 0)
        if (marks.etag or marks.modified) and not packed:
            self._about.write_bytes(msgspec.json.encode(marks))
        return 0

    def _added_to(self, answer: requests.Response) -> int:
        marks, have = self._marks(), self.path.stat().st_size if self.path.is_file() else 0
        told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        same = (
            marks is not None
            and told is not None
            and int(told[1]) == have
            and (told[2] == "*" or not marks.total or int(told[2]) == marks.total)
            and (_etag(answer) == marks.etag if marks.etag else _modified(answer) == marks.modified)
        )
        if not same:
            self.discard()
            raise TryAgainError("the server has another file than before", 0.0)
        return have

    def discard(self) -> None:
        """Remove the part and its marks."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Put the part, which is whole, in its place."""
        self.path.replace(target)
        self._about.unlink(missing_ok=True)

    def _marks(self) -> _Marks | None:
        try:
            marks = msgspec.json.decode(self._about.read_bytes(), type=_Marks)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return marks if marks.url == self._url and (marks.etag or marks.modified) else None


def _etag(answer: requests.Response) -> str:
    """Strong ETag: a weak one does not promise the same bytes."""
    etag = answer.headers.get("ETag", "").strip()
    return etag if etag.startswith('"') else ""


def _modified(answer: requests.Response) -> str:
    return answer.headers.get("Last-Modified", "").strip()
