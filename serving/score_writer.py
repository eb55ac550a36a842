"""Score tables to bytes of CSV or Parquet, in any thread, and those bytes to one file, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from features.cell_safety import harmless
from serving.parquet_splice import MAGIC, joined_footer, split_file
from serving.scores import is_number, score_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

#: What a spreadsheet would run: begins like a formula, and is no plain number (RE2).
_RISKY = r"^[=+\-@\t\r]"
_QUOTED = '[",\r\n]'


@dataclass(frozen=True)
class EncodedScores:
    """A batch of the score table as the file holds it.

    Attributes
    ----------
    body : bytes-like
    footer : bytes
        Where a Parquet body's row group lies; b"" for CSV.
    """

    body: Any
    footer: bytes = b""


@dataclass(frozen=True)
class ScoreFormat:
    """How a score file is written.

    Attributes
    ----------
    suffix : {".csv", ".parquet"}
    columns : tuple of str
        Columns of every batch, in order.
    metadata : mapping of str to str
        Facts of the whole table; kept in a Parquet file's own metadata, for which CSV has no place.
    """

    suffix: str
    columns: tuple[str, ...]
    metadata: Mapping[str, str]

    @property
    def opening(self) -> bytes:
        """What stands before the first batch."""
        return MAGIC if self.suffix == ".parquet" else (",".join(self.columns) + "\n").encode()

    def encode(self, table: Any) -> EncodedScores:
        """Encode a batch.

        Parameters
        ----------
        table : pyarrow.Table
            With `columns`.

        Returns
        -------
        EncodedScores
        """
        if self.suffix == ".parquet":
            body, footer = split_file(self._parquet(table))
            return EncodedScores(body, footer)
        return EncodedScores(csv_lines([table[name] for name in self.columns]))

    def closing(self, footers: Sequence[bytes], positions: Sequence[int]) -> bytes:
        """Give what stands behind the last batch.

        Parameters
        ----------
        footers : sequence of bytes
            Of all batches, in order.
        positions : sequence of int
            Where in the file each begins.

        Returns
        -------
        bytes
        """
        if self.suffix != ".parquet":
            return b""
        if footers:
            return joined_footer(footers, positions)
        empty = score_schema(self.columns).empty_table()
        return bytes(memoryview(self._parquet(empty))[len(MAGIC) :])

    def _parquet(self, table: Any) -> bytes:
        import pyarrow.parquet as pq

        facts = {f"adcr.{key}": value for key, value in self.metadata.items()}
        schema = score_schema(self.columns).with_metadata(facts)
        texts = [name for name in self.columns if not is_number(name) and name != "patient_id"]
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=texts) as writer:
            if table.num_rows:
                writer.write_table(table.cast(schema), row_group_size=table.num_rows)
        content: bytes = sink.getvalue()
        return content


def csv_lines(columns: Sequence[Any]) -> Any:
    """Rows as lines of CSV: full precision of every number, and text that a spreadsheet would run made harmless.

    Parameters
    ----------
    columns : sequence of pyarrow.Array or pyarrow.ChunkedArray

    Returns
    -------
    bytes-like
    """
    cells = [_csv_cells(column) for column in columns]
    if not len(cells[0]):
        return b""
    lines = pc.binary_join_element_wise(*cells, pa.scalar(",", pa.large_string()))
    ended = pc.binary_join_element_wise(lines, pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string()))
    _, offsets, data = ended.buffers()
    return memoryview(data)[: memoryview(offsets).cast("q")[ended.offset + len(ended)]]


def _csv_cells(column: Any) -> Any:
    joined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    texts = pc.fill_null(joined.cast(pa.large_string()), "")
    return texts if pa.types.is_floating(joined.type) else quoted(harmless_texts(texts))


def harmless_texts(texts: Any) -> Any:
    """Put an apostrophe before each text that a spreadsheet would run as a formula.

    Parameters
    ----------
    texts : pyarrow.Array
        Of large_string.

    Returns
    -------
    pyarrow.Array

    References
    ----------
    OWASP, "CSV Injection".
    """
    risky = pc.match_substring_regex(texts, _RISKY)
    if not pc.any(risky).as_py():
        return texts
    written = [harmless(text) if on else text for text, on in zip(texts.to_pylist(), risky.to_pylist(), strict=True)]
    return pa.array(written, type=pa.large_string())


def quoted(texts: Any) -> Any:
    """Put quotes around each text that holds a comma, a quote or a line end.

    Parameters
    ----------
    texts : pyarrow.Array
        Of large_string.

    Returns
    -------
    pyarrow.Array
    """
    special = pc.match_substring_regex(texts, _QUOTED)
    if not pc.any(special).as_py():
        return texts
    mark, none = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise(mark, doubled, mark, none), texts)


class ScoreFile:
    """Takes encoded batches in order, and remembers where each is.

    Parameters
    ----------
    file : binary file
        Positioned behind what it holds already.
    form : ScoreFormat
    footers, positions : list
        Of the batches that it holds already.
    """

    def __init__(self, file: BinaryIO, form: ScoreFormat, footers: list[bytes], positions: list[int]) -> None:
        self._file, self._form = file, form
        self.footers, self.positions = footers, positions
        if not file.tell():
            file.write(form.opening)

    def append(self, batch: EncodedScores) -> None:
        """Write a batch behind the last one."""
        if batch.footer:
            self.footers.append(batch.footer)
            self.positions.append(self._file.tell())
        self._file.write(batch.body)

    def finish(self) -> None:
        """Write what stands behind the last batch."""
        self._file.write(self._form.closing(self.footers, self.positions))
        self._file.flush()
