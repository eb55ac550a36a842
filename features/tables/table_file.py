"""Any table file as text: the format is told by name and content together, and both must agree."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from features import fault_rules as rules
from features.limits import Limits
from features.tables.delimited_text import read_delimited
from features.tables.excel_workbook import OLE_MAGIC, read_workbook
from features.tables.parquet_table import MAGIC as PARQUET_MAGIC
from features.tables.parquet_table import read_parquet
from features.tables.text_table import refuse

if TYPE_CHECKING:
    from features.tables.text_table import TextTable

_TEXT = (".csv", ".tsv", ".txt", ".tab")
#: Suffixes that are read, and the format each names.
FORMATS = {
    **dict.fromkeys(_TEXT, "text"),
    **{f"{suffix}.gz": "gzip" for suffix in _TEXT},
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xls",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_CONTENT = (
    (PARQUET_MAGIC, "parquet", "Parquet", ".parquet"),
    (b"PK\x03\x04", "xlsx", "a zip archive, as .xlsx is", ".xlsx"),
    (OLE_MAGIC, "xls", "an old .xls or a password-protected workbook", ".xls"),
    (b"\x1f\x8b", "gzip", "gzip", ".csv.gz"),
)
#: First line of the stand-in that Git keeps for a large file.
LFS_MARK = b"version https://git-lfs.github.com/spec/"


def read_table(
    path: Path,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    leading_comments: str = "",
    limits: Limits | None = None,
) -> TextTable:
    """Read a table from CSV, TSV (gzipped or not), xlsx or Parquet, every cell as text.

    Parameters
    ----------
    path : pathlib.Path
    sheet : str, optional
        Sheet of a workbook that has several.
    encoding : str, optional
        Encoding of a text file that is not UTF-8, UTF-16 or UTF-32.
    leading_comments : str, default ""
        Lines above the header of a text file that begin with this are passed over.
    limits : Limits, optional
        Caps on size; by default those of the environment.

    Returns
    -------
    TextTable

    Raises
    ------
    CohortRejectedError
        If the file cannot be used at all; says why and what to do.
    """
    caps = Limits.from_environment() if limits is None else limits
    try:
        kind = kind_of(path, caps)
        if kind == "parquet":
            return read_parquet(path, limits=caps)
        if kind == "xlsx":
            return read_workbook(path, limits=caps, sheet=sheet)
        return read_delimited(path, limits=caps, encoding=encoding, leading_comments=leading_comments)
    except OSError as error:
        raise refuse(path.name, rules.UNREADABLE, reason=error.strerror or type(error).__name__) from error


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise refuse(path.name, rules.UNREADABLE, reason=error.strerror or type(error).__name__) from error


def suffix_of(path: Path) -> str:
    """Suffix that names the format, ".csv.gz" for a gzipped one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def kind_of(path: Path, limits: Limits) -> str:
    """Check what can be known without reading a file whole, and tell its format."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
        raise refuse(path.name, rules.NOT_A_FILE, kind=what)
    if status.st_size > limits.max_file_bytes:
        raise refuse(
            path.name,
            rules.TOO_LARGE,
            what="bytes",
            number=status.st_size,
            cap=limits.max_file_bytes,
            setting="ADCR_MAX_FILE_BYTES",
        )
    suffix = suffix_of(path)
    if suffix not in FORMATS:
        raise refuse(path.name, rules.UNKNOWN_FORMAT, suffix=suffix or path.name)
    if status.st_size == 0:
        raise refuse(path.name, rules.EMPTY_FILE)
    with path.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(LFS_MARK):
        raise refuse(path.name, rules.LFS_POINTER)
    return _agreed(path, suffix, head)


def _agreed(path: Path, suffix: str, head: bytes) -> str:
    named = FORMATS[suffix]
    for magic, kind, content, proper in _CONTENT:
        if not head.startswith(magic):
            continue
        if kind == "xls" and named in ("xls", "xlsx"):
            raise refuse(path.name, rules.EXCEL_LOCKED)
        if kind != named:
            stem = path.name[: len(path.name) - len(suffix)]
            raise refuse(
                path.name, rules.OTHER_FORMAT, suffix=suffix, content=content, remedy=f"Rename it {stem}{proper}."
            )
        return kind
    if named == "text":
        if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
            raise refuse(path.name, rules.WEB_PAGE)
        return "text"
    if named == "gzip":
        return "gzip"
    remedy = "Export it again, or name it .csv if it is text."
    raise refuse(path.name, rules.OTHER_FORMAT, suffix=suffix, content="of another format", remedy=remedy)
