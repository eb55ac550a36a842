"""CSV and TSV as text: encoding, delimiter and line ends found, every record kept with its row number."""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa

from features import fault_rules as rules
from features.tables.packed_file import check_expansion, open_bytes
from features.tables.plain_text import read_plain
from features.tables.text_table import TextTable, check_shape, refuse, text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.cohort import Fault
    from features.limits import Limits

#: Delimiters looked for, the likelier first.
_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: What Python's reader says of a bad cell, and what a user is told.
_QUOTE_PROBLEMS = {
    "expected after": "has text behind its closing quote",
    "unexpected end": "opens a quote that does not end",
    "field limit": f"has more than {csv.field_size_limit():,} characters; it may open a quote that does not end",
}
_HEAD_BYTES = 64 * 1024
_RECORDS_PER_BLOCK = 32_768


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text file is written."""

    encoding: str
    delimiter: str
    notes: tuple[Fault, ...]
    #: the file begins with a spreadsheet's "sep=;" line
    has_separator_line: bool = False


def read_delimited(path: Path, *, limits: Limits, encoding: str | None = None, leading_comments: str = "") -> TextTable:
    """Read a CSV or TSV file, gzipped or not.

    Parameters
    ----------
    path : pathlib.Path
    limits : Limits
    encoding : str, optional
        Text encoding; by default UTF-8, or UTF-16 and UTF-32 where the file says so.
    leading_comments : str, default ""
        Lines above the header that begin with this are passed over; the same sign further down is data.

    Returns
    -------
    TextTable

    Raises
    ------
    CohortRejectedError
        If the file is empty, not text, badly quoted, or beyond a limit.
    """
    if path.suffix.lower() == ".gz":
        check_expansion(path, limits)
    dialect, _ = dialect_of(path, limits, encoding, leading_comments)
    if dialect.encoding == "utf-8" and not leading_comments:
        plain = read_plain(path, dialect.delimiter, limits=limits, notes=dialect.notes)
        if plain is not None:
            return plain
    with closing(open_bytes(path, limits)) as stream, as_text(stream, dialect.encoding) as text:
        try:
            return _read(path.name, text, dialect, limits, leading_comments)
        except UnicodeDecodeError:
            refuse_encoding(path, dialect.encoding, limits)


def _head(path: Path, limits: Limits) -> bytes:
    with closing(open_bytes(path, limits)) as stream:
        return stream.read(_HEAD_BYTES)


def as_text(stream: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """Text of a stream of bytes."""
    # newline="" keeps line ends inside quoted cells, and still splits at \n, \r\n and bare \r.
    return io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline="")


def dialect_of(path: Path, limits: Limits, encoding: str | None, leading_comments: str = "") -> tuple[Dialect, bytes]:
    """How a file is written, and its first bytes, by which that was told.

    Raises
    ------
    CohortRejectedError
        If it holds nothing, or no such encoding is known.
    """
    head = _head(path, limits)
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise refuse(path.name, rules.EMPTY_FILE)
    return _dialect(path.name, head, encoding, leading_comments), head


def _dialect(name: str, head: bytes, encoding: str | None, leading_comments: str) -> Dialect:
    notes = []
    found = _encoding(name, head, encoding)
    if found not in ("utf-8", "ascii"):
        notes.append(rules.READ_AS.fault(what="UTF-8 with a byte order mark" if found == "utf-8-sig" else found))
    text = head.decode(found, errors="replace")
    if "\n" not in text and "\r" in text:
        notes.append(rules.READ_AS.fault(what="lines that end in a bare carriage return"))
    lines = [line for line in io.StringIO(text, newline="") if line.strip()]
    while leading_comments and lines and lines[0].startswith(leading_comments):
        lines.pop(0)
    separator = lines[0].strip() if lines else ""
    if separator.lower().startswith("sep=") and separator[4:] in _DELIMITERS:
        return Dialect(found, separator[4:], tuple(notes), has_separator_line=True)
    delimiter = _delimiter(lines[0] if lines else "")
    if delimiter != ("\t" if name.lower().removesuffix(".gz").endswith((".tsv", ".txt", ".tab")) else ","):
        notes.append(rules.READ_AS.fault(what=f"columns divided by {_DELIMITERS[delimiter]}"))
    return Dialect(found, delimiter, tuple(notes))


def _encoding(name: str, head: bytes, asked: str | None) -> str:
    if asked is not None:
        try:
            b"".decode(asked)
            return codecs.lookup(asked).name
        except (LookupError, ValueError, TypeError) as error:
            raise refuse(name, rules.UNKNOWN_ENCODING, encoding=asked) from error
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    # Latin text in UTF-16 has a NUL in every second byte; without a mark, nothing else tells.
    sample = head[:4096]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(sample) > 3 and sample[offset::2].count(0) > 0.4 * len(sample) / 2:
            return encoding
    return "utf-8"


def _delimiter(header: str) -> str:
    def columns(delimiter: str) -> int:
        return max((len(record) for record in csv.reader([header], delimiter=delimiter)), default=0)

    return max(_DELIMITERS, key=columns)


def _read(name: str, text: io.TextIOWrapper, dialect: Dialect, limits: Limits, comments: str) -> TextTable:
    found = records(name, text, dialect, limits)
    above, header = skip_to_header(found, comments)
    if not header:
        raise refuse(name, rules.EMPTY_FILE)
    check_shape(name, rows=0, columns=len(header), limits=limits)
    builder = TableBuilder(name, header, limits)
    for number, record in enumerate(found, start=above + 1):
        builder.add(number, record)
    return builder.table(dialect.notes)


def skip_to_header(found: Iterator[list[str]], comments: str = "") -> tuple[int, list[str]]:
    """Take records up to the header: its row, and its names; no names where there is none."""
    above = 0
    for record in found:
        above += 1
        if "".join(record).strip() and not (comments and record[0].startswith(comments)):
            return above, record
    return above, []


def records(name: str, text: io.TextIOWrapper, dialect: Dialect, limits: Limits) -> Iterator[list[str]]:
    """Every record of a text, the header among them."""
    lines = _lines(name, text, limits)
    done = 0
    if dialect.has_separator_line:
        next(lines)
        done = 1
        yield []
    try:
        for record in csv.reader(lines, delimiter=dialect.delimiter, strict=True):
            yield record
            done += 1
    except csv.Error as error:
        problem = next((p for sign, p in _QUOTE_PROBLEMS.items() if sign in str(error)), str(error))
        raise refuse(name, rules.BAD_QUOTE, at=done + 1, problem=problem) from error


def _lines(name: str, text: io.TextIOWrapper, limits: Limits) -> Iterator[str]:
    cap = limits.max_line_characters
    while line := text.readline(cap + 1):
        if len(line) > cap:
            setting = "ADCR_MAX_LINE_CHARACTERS"
            raise refuse(name, rules.TOO_LARGE, what="characters in a line", number=len(line), cap=cap, setting=setting)
        yield line


class TableBuilder:
    """Turns records into Arrow columns block by block, so that memory holds one block of Python text at a time."""

    def __init__(self, name: str, header: Sequence[str], limits: Limits) -> None:
        self._name, self._header, self._limits = name, list(header), limits
        self._block: list[list[str]] = []
        self._chunks: list[list[Any]] = [[] for _ in header]
        self._rows: list[int] = []
        self._misshapen: dict[int, Fault] = {}
        self.blank = 0
        self.too_long = 0
        self.longest = 0

    @property
    def full(self) -> bool:
        """Whether a block of rows has been taken, for those who take a table in parts."""
        return len(self._rows) == _RECORDS_PER_BLOCK

    def add(self, number: int, record: list[str]) -> None:
        """Take the record of one row."""
        width = len(self._header)
        if len(record) != width or not record[0].strip():
            if not "".join(record).strip():
                self.blank += 1
                return
            record = self._fit(number, record)
        self._rows.append(number)
        self._block.append(record)
        if len(self._block) == _RECORDS_PER_BLOCK:
            self._flush()

    def _fit(self, number: int, record: list[str]) -> list[str]:
        width = len(self._header)
        surplus = record[width:]
        if "".join(surplus).strip():
            self.too_long += 1
            self.longest = max(self.longest, len(record))
            rule = rules.LONG_ROW
        elif len(record) < width:
            rule = rules.SHORT_ROW
        else:
            return record[:width]
        fault = rule.fault(row=number, cells=len(record), columns=width)
        self._misshapen[len(self._rows)] = fault
        return record[:width] + [""] * (width - len(record))

    def _flush(self) -> None:
        check_shape(self._name, rows=len(self._rows), columns=len(self._header), limits=self._limits)
        for chunks, cells in zip(self._chunks, zip(*self._block, strict=True), strict=True):
            chunks.append(_arrow_text(cells))
        self._block = []

    def table(self, notes: Sequence[Fault]) -> TextTable:
        """Everything that was added."""
        if self._block:
            self._flush()
        if not self._rows:
            raise refuse(self._name, rules.NO_ROWS)
        if self.too_long == len(self._rows):
            raise refuse(self._name, rules.ALL_ROWS_LONG, cells=self.longest, columns=len(self._header))
        return text_table(
            self._name,
            self._header,
            [pa.chunked_array(chunks, type=pa.string()) for chunks in self._chunks],
            np.array(self._rows, dtype=np.int64),
            notes=[*notes, *self._blank_notes()],
            misshapen=self._misshapen,
        )

    def part(self) -> TextTable:
        """Give what was added as part of a larger table: it may hold no row, and nameless columns stay."""
        if self._block:
            self._flush()
        return TextTable(
            name=self._name,
            columns=tuple(self._header),
            cells=tuple(pa.chunked_array(chunks, type=pa.string()) for chunks in self._chunks),
            rows=np.array(self._rows, dtype=np.int64),
            notes=tuple(self._blank_notes()),
            misshapen=self._misshapen,
        )

    def _blank_notes(self) -> list[Fault]:
        return [rules.BLANK_ROWS.fault(number=self.blank)] if self.blank else []


def _arrow_text(cells: Sequence[str]) -> Any:
    try:
        return pa.array(cells, type=pa.string())
    except UnicodeEncodeError:
        # A lone surrogate (from UTF-16 cut in the middle of a character) has no UTF-8 form.
        return pa.array([c.encode("utf-8", "replace").decode() for c in cells], type=pa.string())


def refuse_encoding(path: Path, encoding: str, limits: Limits) -> NoReturn:
    """Refuse a file with the first byte that its encoding does not allow."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, line = 0, 1
    with closing(open_bytes(path, limits)) as stream:
        while chunk := stream.read(_HEAD_BYTES):
            pending = len(decoder.getstate()[0])
            try:
                line += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                at = offset - pending + error.start
                byte = error.object[error.start]
                raise refuse(path.name, rules.ENCODING, byte=byte, offset=at, line=line, encoding=encoding) from error
            offset += len(chunk)
    # The file ends in the middle of a character.
    raise refuse(path.name, rules.ENCODING, byte=0, offset=offset, line=line, encoding=encoding)
