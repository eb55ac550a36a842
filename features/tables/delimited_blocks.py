"""CSV and TSV in blocks: plain ones cut at line ends and parsed by Arrow, others by the careful reader as it goes."""

from __future__ import annotations

import csv
import io
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from features import fault_rules as rules
from features.tables import delimited_text as careful
from features.tables.blocks import BlockTable, NotNumbers, NotPlain, TextBlock
from features.tables.packed_file import open_bytes
from features.tables.text_table import TextTable, check_shape, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from features.cohort import Fault
    from features.limits import Limits
    from features.tables.blocks import Block, CellKind

#: Large enough to parse fast, small enough that a few of them are no burden.
BLOCK_BYTES = 3 * 1024 * 1024
_REPEATED = pa.dictionary(pa.int32(), pa.string())
_TYPES = {"number": pa.float64(), "flag": _REPEATED, "text": _REPEATED, "id": pa.string()}


@dataclass(frozen=True)
class DelimitedBlocks:
    """A text table in blocks.

    Attributes
    ----------
    path : Path
    columns : tuple of str
    notes : tuple of Fault
    plain : bool
        Whether it may be cut at line ends.
    """

    path: Path
    columns: tuple[str, ...]
    notes: tuple[Fault, ...]
    plain: bool
    dialect: careful.Dialect
    limits: Limits
    block_bytes: int = BLOCK_BYTES
    #: a part of the file: first byte, the byte after the last, number of the first row; from the header on if None
    within: tuple[int, int, int] | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes on the disk; 0 where it is packed."""
        return 0 if self.path.suffix.lower() == ".gz" else self.path.stat().st_size

    def place(self, row: int) -> str:
        """Row number as text."""
        return str(row)

    def as_careful(self) -> DelimitedBlocks:
        """Give the same table by the careful reader."""
        return replace(self, plain=False)

    def blocks(self) -> Iterator[tuple[Block, int]]:
        """Blocks in order.

        Raises
        ------
        NotPlain
            A plain table turns out to hold quotes or odd line ends.
        """
        return self._cut() if self.plain else self._read_on()

    def _cut(self) -> Iterator[tuple[Block, int]]:
        with closing(open_bytes(self.path, self.limits)) as stream:
            row, rest, left = 2, b"", 1 << 62
            if self.within is None:
                stream.readline()
            else:
                start, stop, row = self.within
                stream.seek(start)
                left = stop - start
            while chunk := stream.read(min(self.block_bytes, left)):
                left -= len(chunk)
                content = rest + chunk
                cut = content.rfind(b"\n") + 1
                content, rest = content[:cut], content[cut:]
                if len(rest) > self.limits.max_line_characters:
                    raise NotPlain
                if content:
                    yield self._block(content, row), len(content)
                    row += content.count(b"\n")
            if rest:
                yield self._block(rest, row), len(rest)

    def partitions(self, size: int) -> tuple[DelimitedBlocks, ...]:
        """Parts of about `size` bytes, cut at line ends; a packed file, or one that is not plain, is one part."""
        if not self.plain or not self.size:
            return (self,)
        found = []
        with self.path.open("rb") as stream:
            stream.readline()
            start = at = stream.tell()
            row = next_row = 2
            while chunk := stream.read(self.block_bytes):
                cut = chunk.rfind(b"\n") + 1
                if cut and at + cut - start >= size:
                    found.append(replace(self, within=(start, at + cut, row)))
                    row = next_row + chunk[:cut].count(b"\n")
                    start = at + cut
                next_row += chunk.count(b"\n")
                at += len(chunk)
        if at > start or not found:
            found.append(replace(self, within=(start, at, row)))
        return tuple(found)

    def _block(self, content: bytes, row: int) -> Block:
        returns = b"\r" in content and content.count(b"\r") != content.count(b"\r\n")
        quoted = b'"' in content
        if returns or b"\0" in content or (quoted and not _quotes_are_simple(content, self.dialect.delimiter)):
            raise NotPlain
        return _PlainBlock(self, content, row, quoted)

    def _read_on(self) -> Iterator[tuple[Block, int]]:
        encoding = self.dialect.encoding
        with closing(open_bytes(self.path, self.limits)) as stream, careful.as_text(stream, encoding) as text:
            records = careful.records(self.name, text, self.dialect, self.limits)
            number = careful.skip_to_header(records)[0]
            builder = careful.TableBuilder(self.name, self.columns, self.limits)
            try:
                for record in records:
                    number += 1
                    builder.add(number, record)
                    if builder.full:
                        yield TextBlock(builder.part()), 0
                        builder = careful.TableBuilder(self.name, self.columns, self.limits)
            except UnicodeDecodeError:
                careful.refuse_encoding(self.path, encoding, self.limits)
            yield TextBlock(builder.part()), 0


@dataclass(frozen=True)
class _PlainBlock:
    """Whole lines, of which each is one row."""

    source: DelimitedBlocks
    content: bytes
    first_row: int
    quoted: bool

    def table(self, kinds: Mapping[int, CellKind]) -> TextTable:
        try:
            cells = self._parse({0: "text", **kinds})
        except pa.ArrowInvalid as error:
            if "conversion error to double" in str(error):
                raise NotNumbers from error
            return self.text()
        first = cells[0]
        blank = first.null_count if pa.types.is_floating(first.type) else _has_blank(first)
        if blank:
            return self.text()
        rows = np.arange(self.first_row, self.first_row + len(first), dtype=np.int64)
        source = self.source
        read = tuple(cells.get(i) for i in range(len(source.columns)))
        return BlockTable(source.name, source.columns, read, rows, careful=self.text, column_text=self._column)

    def _column(self, position: int) -> Any:
        return self._parse({position: "id"})[position]

    def text(self) -> TextTable:
        try:
            cells = self._parse(dict.fromkeys(range(len(self.source.columns)), "id"))
        except pa.ArrowInvalid:
            return self._carefully()
        every = [cells[i] for i in range(len(self.source.columns))]
        if _has_blank(every[0]) and _has_blank_row(every):
            return self._carefully()
        rows = np.arange(self.first_row, self.first_row + len(every[0]), dtype=np.int64)
        return TextTable(self.source.name, self.source.columns, tuple(every), rows)

    def _parse(self, kinds: Mapping[int, CellKind]) -> dict[int, Any]:
        _check_utf8(self.content)
        names = [str(position) for position in range(len(self.source.columns))]
        table = arrow_csv.read_csv(
            pa.BufferReader(self.content),
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(self.content) + 1, use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.source.dialect.delimiter,
                quote_char='"' if self.quoted else False,
                double_quote=False,
                escape_char=False,
                ignore_empty_lines=False,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={str(i): _TYPES[kind] for i, kind in kinds.items()},
                include_columns=[str(i) for i in kinds],
                null_values=[""],
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        return {i: table.column(str(i)) for i in kinds}

    def _carefully(self) -> TextTable:
        source = self.source
        try:
            text = self.content.decode("utf-8")
        except UnicodeDecodeError:
            careful.refuse_encoding(source.path, source.dialect.encoding, source.limits)
        builder = careful.TableBuilder(source.name, source.columns, source.limits)
        lines = io.StringIO(text, newline="")
        for number, record in enumerate(csv.reader(lines, delimiter=source.dialect.delimiter), start=self.first_row):
            builder.add(number, record)
        return builder.part()


def _quotes_are_simple(content: bytes, delimiter: str) -> bool:
    """Whether quotes only ever stand around whole cells, none of which holds a quote or a line end."""
    data = np.frombuffer(content, dtype=np.uint8)
    at = np.flatnonzero(data == ord('"'))
    if len(at) % 2:
        return False
    ends = (ord(delimiter), ord("\n"), ord("\r"))
    opening, closing = at[0::2], at[1::2]
    opens = (opening == 0) | np.isin(data[opening - 1], ends)
    last = closing + 1 == len(data)
    closes = last | np.isin(data[np.where(last, 0, closing + 1)], ends)
    breaks = np.flatnonzero(data == ord("\n"))
    within = np.searchsorted(at, breaks) % 2
    return bool(opens.all() and closes.all() and not within.any())


def _check_utf8(content: bytes) -> None:
    """Raise ArrowInvalid where the bytes are no UTF-8: unread columns are looked at too."""
    offsets = pa.py_buffer(np.array([0, len(content)], dtype=np.int64))
    pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(content)]).cast(pa.large_string())


def _has_blank(cells: Any) -> bool:
    for chunk in cells.chunks:
        texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        if pc.any(pc.equal(pc.utf8_trim_whitespace(texts), "")).as_py():
            return True
    return False


def _has_blank_row(columns: list[Any]) -> bool:
    blank = None
    for cells in columns:
        here = pc.equal(pc.utf8_trim_whitespace(cells), "")
        blank = here if blank is None else pc.and_(blank, here)
        if not pc.any(blank).as_py():
            return False
    return True


def open_delimited(path: Path, *, limits: Limits, encoding: str | None, block_bytes: int) -> DelimitedBlocks:
    """Read the header of a text table.

    Parameters
    ----------
    path : Path
    limits : Limits
    encoding : str or None
    block_bytes : int

    Returns
    -------
    DelimitedBlocks

    Raises
    ------
    CohortRejectedError
        It is empty, no text, or badly quoted in its header.
    """
    dialect, head = careful.dialect_of(path, limits, encoding)
    with closing(open_bytes(path, limits)) as stream, careful.as_text(stream, dialect.encoding) as text:
        try:
            lines_above, header = careful.skip_to_header(careful.records(path.name, text, dialect, limits))
        except UnicodeDecodeError:
            careful.refuse_encoding(path, dialect.encoding, limits)
    if not header:
        raise refuse(path.name, rules.EMPTY_FILE)
    check_shape(path.name, rows=0, columns=len(header), limits=limits)
    # Where the header is one line of the file, so is every row of a plain table.
    one_line = lines_above == 1 and b"\n" in head and not any("\n" in name or "\r" in name for name in header)
    plain = dialect.encoding in ("utf-8", "utf-8-sig") and one_line and b"\r" not in head.split(b"\n")[0].rstrip(b"\r")
    return DelimitedBlocks(path, tuple(header), dialect.notes, plain, dialect, limits, block_bytes)
