"""The fast way to read a text table: for files without quotes, odd line ends, blank rows or rows that do not fit.

Most cohort files are so plain that splitting at the delimiter is all there is to do, and Arrow does it many times as
fast. Whatever is not so plain is left to the careful reader, which tells what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from features.tables.text_table import check_shape, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.cohort import Fault
    from features.limits import Limits
    from features.tables.text_table import TextTable

#: Larger files are read block by block, so as not to hold them in memory twice.
_LARGEST_BYTES = 512 * 1024 * 1024
#: Blocks are parsed side by side; none may be smaller than a line.
_BLOCK_BYTES = 32 * 1024 * 1024


def read_plain(path: Path, delimiter: str, *, limits: Limits, notes: Sequence[Fault]) -> TextTable | None:
    """Read a plain UTF-8 table.

    Parameters
    ----------
    path : pathlib.Path
    delimiter : str
    limits : Limits
    notes : sequence of Fault
        What was noticed of the dialect.

    Returns
    -------
    TextTable or None
        None where the file needs the careful reader.

    Raises
    ------
    CohortRejectedError
        If the table is beyond a limit.
    """
    packed = path.suffix.lower() == ".gz"
    if packed or path.stat().st_size > _LARGEST_BYTES or not _header_ends(path, limits):
        return None
    content = path.read_bytes()
    if not _is_plain(content, limits):
        return None
    first = content.find(b"\n")
    try:
        header = content[: None if first < 0 else first].decode("utf-8").rstrip("\r").split(delimiter)
    except UnicodeDecodeError:
        return None
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    check_shape(path.name, rows=lines - 1, columns=len(header), limits=limits)
    columns = _split(content, len(header), delimiter)
    if columns is None or not len(columns[0]) or not "".join(header).strip():
        return None
    if pc.any(pc.equal(pc.utf8_trim_whitespace(columns[0]), "")).as_py():
        return None
    rows = np.arange(2, len(columns[0]) + 2, dtype=np.int64)
    return text_table(path.name, header, columns, rows, notes=notes)


def _header_ends(path: Path, limits: Limits) -> bool:
    """Whether the first line ends where a line must, which is seen before the whole file is in memory."""
    with path.open("rb") as stream:
        return b"\n" in stream.read(min(limits.max_line_characters, _BLOCK_BYTES) + 1)


def _is_plain(content: bytes, limits: Limits) -> bool:
    if b'"' in content or b"\0" in content or content.count(b"\r") != content.count(b"\r\n"):
        return False
    breaks = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
    longest = int(np.diff(np.concatenate([[-1], breaks, [len(content)]])).max())
    return longest <= min(limits.max_line_characters, _BLOCK_BYTES)


def _split(content: bytes, width: int, delimiter: str) -> list[pa.ChunkedArray] | None:
    names = [str(position) for position in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=_BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, quote_char=False, double_quote=False, escape_char=False, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        # A row that does not fit the header, or bytes that are no UTF-8.
        return None
    return list(table.columns)
