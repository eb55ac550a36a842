"""A table in blocks of rows, for files that are not to be held in memory: what every format has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from features.tables.text_table import TextTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from features.cohort import Fault

#: How a column is wanted: as numbers where each of its cells is one, as numbers where the file holds them as such, as
#: text that repeats, or as text that does not.
CellKind = Literal["number", "flag", "text", "id"]


@dataclass(frozen=True)
class BlockTable(TextTable):
    """Rows of a block, of which only some columns were read, numbers as numbers.

    Attributes
    ----------
    careful : callable
        Reads the block again, every column as text.
    column_text : callable
        Reads one column again as text.
    """

    careful: Callable[[], TextTable] = field(kw_only=True)
    column_text: Callable[[int], Any] = field(kw_only=True)

    def text_cells(self, column: int) -> Any:
        """Cells of one column as text, read again where they were read as numbers or not at all."""
        cells = self.cells[column]
        if cells is None or pa.types.is_floating(cells.type):
            return self.column_text(column)
        return cells

    def texts(self, column: int, positions: Any) -> list[str]:
        """Cells of one column at some rows, as written; absent ones are ""."""
        return self.careful().texts(column, positions)


class Block(Protocol):
    """Consecutive rows of a table, read when they are asked for; may be asked in any thread."""

    def table(self, kinds: Mapping[int, CellKind]) -> TextTable:
        """Rows with the columns at some positions; other columns may be absent.

        Raises
        ------
        NotNumbers
            A column that is wanted as numbers holds something else.
        """

    def text(self) -> TextTable:
        """Rows with every column as text."""


class NotNumbers(Exception):  # noqa: N818 - no error: it asks for the text
    """A column that was wanted as numbers holds something else."""


class NotPlain(Exception):  # noqa: N818
    """A text file that was taken for plain is not; the careful reader must read it from its beginning."""


class TableBlocks(Protocol):
    """A table file, block by block."""

    @property
    def name(self) -> str:
        """Name of the file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Header as written."""

    @property
    def notes(self) -> tuple[Fault, ...]:
        """What was normalised while reading."""

    @property
    def size(self) -> int:
        """Bytes on the disk, for the progress bar; 0 where it is not known."""

    def blocks(self) -> Iterator[tuple[Block, int]]:
        """Blocks in the order of the file, each with the bytes that it takes of `size`."""

    def place(self, row: int) -> str:
        """Name a row as a user finds it: its number, and in a folder the file before it."""

    def partitions(self, size: int) -> Sequence[TableBlocks]:
        """Cut the table into consecutive parts of about `size` bytes that can be read apart from each other."""


@dataclass(frozen=True)
class TextBlock:
    """Rows that were read as text already."""

    rows: TextTable

    def table(self, kinds: Mapping[int, CellKind]) -> TextTable:
        """Rows with every column as text."""
        return self.rows

    def text(self) -> TextTable:
        """Rows with every column as text."""
        return self.rows


@dataclass(frozen=True)
class WholeTable:
    """A table that was read whole, in slices."""

    whole: TextTable
    batch_rows: int
    size: int = 0

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.whole.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Header as written."""
        return self.whole.columns

    @property
    def notes(self) -> tuple[Fault, ...]:
        """What was normalised while reading."""
        return self.whole.notes

    def blocks(self) -> Iterator[tuple[Block, int]]:
        """Slices in order."""
        for start in range(0, len(self.whole), self.batch_rows):
            yield TextBlock(part_of(self.whole, start, start + self.batch_rows)), 0

    def place(self, row: int) -> str:
        """Row number as text."""
        return str(row)

    def partitions(self, size: int) -> tuple[WholeTable]:
        """Give the table itself: it is in memory."""
        return (self,)


def part_of(table: TextTable, start: int, stop: int) -> TextTable:
    """Consecutive rows of a table, without copying them."""
    stop = min(stop, len(table))
    if start == 0 and stop == len(table):
        return table
    misshapen = {p - start: fault for p, fault in table.misshapen.items() if start <= p < stop}
    details: dict[str, Any] = {
        "name": table.name,
        "columns": table.columns,
        "cells": tuple(None if cells is None else cells.slice(start, stop - start) for cells in table.cells),
        "rows": table.rows[start:stop],
        "notes": table.notes,
        "misshapen": misshapen,
    }
    if isinstance(table, BlockTable):
        return BlockTable(
            careful=lambda: part_of(table.careful(), start, stop),
            column_text=lambda column: table.column_text(column).slice(start, stop - start),
            **details,
        )
    return TextTable(**details)


def slices(table: TextTable, rows: int) -> Iterator[TextTable]:
    """Cut a table into slices of some rows; one empty slice where it has none."""
    for start in range(0, max(len(table), 1), rows):
        yield part_of(table, start, start + rows)
