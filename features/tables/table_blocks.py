"""Any table file, or a folder of them, block by block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from features import fault_rules as rules
from features.limits import Limits
from features.tables.blocks import WholeTable
from features.tables.delimited_blocks import BLOCK_BYTES, DelimitedBlocks, open_delimited
from features.tables.parquet_blocks import open_parquet
from features.tables.table_file import FORMATS, kind_of, read_table, suffix_of
from features.tables.text_table import TextTable, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from features.cohort import Fault
    from features.tables.blocks import Block, CellKind, TableBlocks

#: Rows that are read, scored and written together.
BATCH_ROWS = 32_768


def open_blocks(
    path: Path,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    limits: Limits | None = None,
    batch_rows: int = BATCH_ROWS,
    block_bytes: int = BLOCK_BYTES,
) -> TableBlocks:
    """Open a table file, or a folder of files with the same columns, to be read in blocks.

    Parameters
    ----------
    path : Path
    sheet, encoding : str, optional
        As for `read_table`.
    limits : Limits, optional
        By default those of the environment, without a cap on what a stream does not hold in memory.
    batch_rows, block_bytes : int
        About how large a block is; changes nothing else.

    Returns
    -------
    TableBlocks

    Raises
    ------
    CohortRejectedError
        The file cannot be used at all; says why and what to do.
    """
    caps = Limits.from_environment(Limits.of_streams()) if limits is None else limits
    if path.is_dir():
        parts = [_open(part, sheet, encoding, caps, batch_rows, block_bytes) for part in files_of(path)]
        if not parts:
            raise refuse(path.name, rules.NOT_A_FILE, kind="a folder without CSV, TSV or Parquet files")
        return FolderBlocks(path, tuple(parts), parts[0].columns)
    return _open(path, sheet, encoding, caps, batch_rows, block_bytes)


def files_of(folder: Path) -> list[Path]:
    """Tables of a folder in the order of their names, those of its folders too; hidden ones are passed over."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if suffix_of(path) in FORMATS
        and path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]
    return [path for path in found if not path.name.endswith((".rejected.csv",))]


def _open(
    path: Path, sheet: str | None, encoding: str | None, caps: Limits, batch_rows: int, block_bytes: int
) -> TableBlocks:
    try:
        kind = kind_of(path, caps)
        if kind == "parquet":
            return open_parquet(path, limits=caps, batch_rows=batch_rows)
        if kind in ("text", "gzip"):
            return open_delimited(path, limits=caps, encoding=encoding, block_bytes=block_bytes)
    except OSError as error:
        raise refuse(path.name, rules.UNREADABLE, reason=error.strerror or type(error).__name__) from error
    # A workbook is held whole, so the ordinary caps hold for it.
    return WholeTable(read_table(path, sheet=sheet, encoding=encoding), batch_rows)


@dataclass(frozen=True)
class FolderBlocks:
    """Files with the same columns, one after the other as one table.

    Attributes
    ----------
    path : Path
    parts : tuple of TableBlocks
    columns : tuple of str
        Of the first file; the others may hold them in another order.
    """

    path: Path
    parts: tuple[TableBlocks, ...]
    columns: tuple[str, ...]
    #: parts of single files, each with the number of its file; every file whole if None
    chosen: tuple[tuple[int, TableBlocks], ...] | None = None

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def notes(self) -> tuple[Fault, ...]:
        """What was normalised while reading."""
        return tuple(dict.fromkeys(note for part in self.parts for note in part.notes))

    @property
    def size(self) -> int:
        """Bytes on the disk; 0 where one of them is not known."""
        sizes = [part.size for part in self.parts]
        return sum(sizes) if all(sizes) else 0

    def as_careful(self) -> FolderBlocks:
        """Give the same files, the text ones by the careful reader."""
        parts = tuple(p.as_careful() if isinstance(p, DelimitedBlocks) else p for p in self.parts)
        return FolderBlocks(self.path, parts, self.columns)

    def place(self, row: int) -> str:
        """Name of the file, and the row in it."""
        part, within = divmod(row, _PART_ROWS)
        return f"{self.parts[part].name} row {within}"

    def blocks(self) -> Iterator[tuple[Block, int]]:
        """Blocks of all files in order."""
        for number, part in enumerate(self.parts) if self.chosen is None else self.chosen:
            if sorted(part.columns) != sorted(self.columns):
                raise refuse(f"{self.name}/{part.name}", rules.OTHER_COLUMNS, first=self.parts[0].name)
            order = [part.columns.index(name) for name in self.columns]
            for block, share in part.blocks():
                yield _PartBlock(block, number * _PART_ROWS, order, self), share

    def partitions(self, size: int) -> tuple[FolderBlocks, ...]:
        """Parts of about `size` bytes, none of more than one file."""
        found = [(number, part) for number, file in enumerate(self.parts) for part in file.partitions(size)]
        return tuple(replace(self, chosen=(one,)) for one in found)


#: Row numbers of a folder: those of its second file begin here, and so on. No file has as many rows.
_PART_ROWS = 1 << 40


@dataclass(frozen=True)
class _PartBlock:
    """A block of one file of a folder, its columns in the order of the first file."""

    block: Block
    first: int
    order: list[int]
    folder: FolderBlocks

    def table(self, kinds: Mapping[int, CellKind]) -> TextTable:
        return self._moved(self.block.table({self.order[i]: kind for i, kind in kinds.items()}))

    def text(self) -> TextTable:
        return self._moved(self.block.text())

    def _moved(self, table: TextTable) -> TextTable:
        cells = tuple(table.cells[i] for i in self.order)
        rows = table.rows + self.first
        misshapen = {p: replace(fault, row=int(rows[p])) for p, fault in table.misshapen.items()}
        moved: dict[str, Any] = {
            "columns": self.folder.columns,
            "cells": cells,
            "rows": np.asarray(rows),
            "misshapen": misshapen,
        }
        again: dict[str, Any] = {"careful": self.text, "column_text": lambda i: self.text().cells[i]}
        return replace(table, **moved, **(again if hasattr(table, "careful") else {}))


__all__ = ["BATCH_ROWS", "FolderBlocks", "files_of", "open_blocks"]
