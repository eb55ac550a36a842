"""How large a Parquet file is once unpacked: a text that is stored once may be meant by millions of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features import fault_rules as rules
from features.limits import SMALL_EXPANSION
from features.tables.text_table import refuse

if TYPE_CHECKING:
    from pathlib import Path

    from features.limits import Limits

#: Bytes of a number once unpacked, and of a text beside its characters.
_NUMBER, _OFFSET = 8, 4


def check_parquet_expansion(path: Path, file: Any, limits: Limits) -> None:
    """Refuse a file that expands as no table does, before any column is read in full.

    The footer tells the size of dictionaries, not how often their texts are meant; so text columns that have one are
    read as dictionaries, which takes four bytes per cell, row group by row group. Of numbers only those that are there
    count: a wide table may be nearly empty.

    Parameters
    ----------
    path : Path
    file : pyarrow.parquet.ParquetFile
        Open; its footer is used.
    limits : Limits

    Raises
    ------
    CohortRejectedError
        It is a bomb.
    """
    from pyarrow import parquet

    footer, size = file.metadata, max(path.stat().st_size, 1)
    texts = [column.path for column in file.schema if column.physical_type == "BYTE_ARRAY" and "." not in column.path]
    groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
    columns = [(number, group.column(j)) for number, group in enumerate(groups) for j in range(footer.num_columns)]
    expanded = sum(_present(c) * (_OFFSET if c.path_in_schema in texts else _NUMBER) for _, c in columns)
    _refuse_bomb(path.name, expanded, size, limits)
    with parquet.ParquetFile(path, memory_map=False, pre_buffer=False, read_dictionary=texts) as packed:
        for number, column in columns:
            if column.path_in_schema not in texts:
                continue
            if column.has_dictionary_page:
                found = packed.read_row_group(number, columns=[column.path_in_schema]).column(0)
                expanded += sum(_size(chunk) for chunk in found.chunks)
            else:
                expanded += column.total_uncompressed_size
            _refuse_bomb(path.name, expanded, size, limits)


def _refuse_bomb(name: str, expanded: int, size: int, limits: Limits) -> None:
    ratio = expanded // size
    if expanded > SMALL_EXPANSION and ratio > limits.max_expansion:
        raise refuse(name, rules.BOMB, ratio=ratio, size=expanded // (1024 * 1024), setting="ADCR_MAX_EXPANSION")


def _present(column: Any) -> int:
    """Cells of a column in a row group that are not missing, as far as the footer tells."""
    facts = column.statistics
    missing = facts.null_count if facts is not None and facts.has_null_count else 0
    return int(max(column.num_values - missing, 0))


def _size(chunk: Any) -> int:
    """Bytes of a dictionary-encoded column once unpacked."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    return int(pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices).cast("int64")).as_py() or 0)
