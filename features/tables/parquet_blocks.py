"""Parquet in blocks: record batches of the row groups, numbers as the file holds them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import fault_rules as rules
from features.faults import CohortRejectedError
from features.tables.blocks import BlockTable
from features.tables.parquet_expansion import check_parquet_expansion
from features.tables.text_table import TextTable, as_text, check_shape, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from features.cohort import Fault
    from features.limits import Limits
    from features.tables.blocks import Block, CellKind


#: Rows of a block: about as many as a block of text holds, so that both take as much memory.
_MOST_ROWS = 12_288


@dataclass(frozen=True)
class ParquetBlocks:
    """A Parquet file in blocks.

    Attributes
    ----------
    path : Path
    columns : tuple of str
    notes : tuple of Fault
    """

    path: Path
    columns: tuple[str, ...]
    notes: tuple[Fault, ...]
    batch_rows: int
    #: a part of the file: its row groups, and the number of the first row; all of them if None
    within: tuple[tuple[int, ...], int] | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.path.stat().st_size

    def place(self, row: int) -> str:
        """Row number as text."""
        return str(row)

    def blocks(self) -> Iterator[tuple[Block, int]]:
        """Record batches in order; the header is row 1."""
        from pyarrow import parquet

        groups, row = (None, 2) if self.within is None else self.within
        # A memory map would kill the process were the file cut while it is read; buffering ahead takes five times
        # the memory.
        with _readable(self.name), parquet.ParquetFile(self.path, memory_map=False, pre_buffer=False) as file:
            share = self.size / max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=min(self.batch_rows, _MOST_ROWS), row_groups=groups):
                # Text in a damaged file may be no UTF-8, which nothing else would notice before it is used.
                batch.validate(full=True)
                yield _ParquetBlock(self, batch, row), int(batch.num_rows * share)
                row += batch.num_rows

    def partitions(self, size: int) -> tuple[ParquetBlocks, ...]:
        """Parts of about `size` bytes, made of whole row groups."""
        from pyarrow import parquet

        found: list[ParquetBlocks] = []
        with _readable(self.name), parquet.ParquetFile(self.path, memory_map=False, pre_buffer=False) as file:
            groups: list[int] = []
            row, rows, taken = 2, 0, 0
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                groups.append(number)
                rows += group.num_rows
                taken += sum(group.column(c).total_compressed_size for c in range(group.num_columns))
                if taken >= size or number == file.metadata.num_row_groups - 1:
                    found.append(replace(self, within=(tuple(groups), row)))
                    row, rows, taken, groups = row + rows, 0, 0, []
        return tuple(found)


@dataclass(frozen=True)
class _ParquetBlock:
    source: ParquetBlocks
    batch: Any
    first_row: int

    @property
    def rows(self) -> Any:
        return np.arange(self.first_row, self.first_row + self.batch.num_rows, dtype=np.int64)

    def table(self, kinds: Mapping[int, CellKind]) -> TextTable:
        cells = tuple(self._cells(i, kinds[i]) if i in kinds else None for i in range(len(self.source.columns)))
        return BlockTable(
            self.source.name, self.source.columns, cells, self.rows, careful=self.text, column_text=self._column
        )

    def _cells(self, position: int, kind: CellKind) -> Any:
        column = self.batch.column(position)
        if kind in ("number", "flag"):
            if pa.types.is_floating(column.type):
                numbers = column.cast(pa.float64())
                # NaN is how a numeric column says "missing".
                return pa.chunked_array([pc.if_else(pc.is_nan(numbers), None, numbers)])
            if pa.types.is_integer(column.type):
                return pa.chunked_array([column.cast(pa.float64(), safe=False)])
        return self._column(position)

    def _column(self, position: int) -> Any:
        column = self.batch.column(position)
        return pa.chunked_array([as_text(self.source.name, self.source.columns[position], column)])

    def text(self) -> TextTable:
        source = self.source
        cells = tuple(self._column(i) for i in range(len(source.columns)))
        return TextTable(source.name, source.columns, cells, self.rows)


def open_parquet(path: Path, *, limits: Limits, batch_rows: int) -> ParquetBlocks:
    """Read the footer of a Parquet file.

    Parameters
    ----------
    path : Path
    limits : Limits
    batch_rows : int

    Returns
    -------
    ParquetBlocks

    Raises
    ------
    CohortRejectedError
        It is cut off or corrupt, holds nested columns, no rows, or is beyond a limit.
    """
    from pyarrow import parquet

    with _readable(path.name), parquet.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        check_shape(path.name, rows=rows, columns=len(schema.names), limits=limits)
        check_parquet_expansion(path, file, limits)
    if not schema.names:
        raise refuse(path.name, rules.EMPTY_FILE)
    if not rows:
        raise refuse(path.name, rules.NO_ROWS)
    for name, kind in zip(schema.names, schema.types, strict=True):
        if pa.types.is_nested(kind):
            raise refuse(path.name, rules.NESTED_COLUMN, column=str(name), kind=str(kind))
    decimals = [str(n) for n, kind in zip(schema.names, schema.types, strict=True) if pa.types.is_decimal(kind)]
    notes = tuple(rules.READ_AS.fault(column=name, what="a decimal number") for name in decimals)
    return ParquetBlocks(path, tuple(map(str, schema.names)), notes, batch_rows)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (CohortRejectedError, GeneratorExit, KeyboardInterrupt):
        raise
    except (OSError, UnicodeDecodeError, MemoryError, pa.ArrowException) as error:
        # What damaged files make Arrow raise.
        reason = " ".join(str(error).split())[:80]
        raise refuse(name, rules.PARQUET_BROKEN, reason=reason or type(error).__name__) from error
