"""Parquet files as text; the footer is checked before any value is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features import fault_rules as rules
from features.faults import CohortRejectedError
from features.tables.parquet_expansion import check_parquet_expansion
from features.tables.text_table import as_text, check_shape, refuse, text_table

if TYPE_CHECKING:
    from pathlib import Path

    from features.limits import Limits
    from features.tables.text_table import TextTable

#: First and last four bytes of every Parquet file.
MAGIC = b"PAR1"


def read_parquet(path: Path, *, limits: Limits) -> TextTable:
    """Read a Parquet file.

    Parameters
    ----------
    path : pathlib.Path
    limits : Limits

    Returns
    -------
    TextTable
        Numbers, decimals, dates and dictionaries in their plain text form; row 2 is the first record.

    Raises
    ------
    CohortRejectedError
        If the file is cut off or corrupt, holds nested columns, or is beyond a limit.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # A memory map would kill the process were the file cut while it is read.
        with parquet.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
            footer = file.metadata
            expanded = sum(footer.row_group(g).total_byte_size for g in range(footer.num_row_groups))
            _check(path.name, footer.num_rows, footer.num_columns, expanded, limits)
            check_parquet_expansion(path, file, limits)
            table = file.read()
            # Text in a damaged file may be no UTF-8, which nothing else would notice before it is used.
            table.validate(full=True)
    except CohortRejectedError:
        raise
    except Exception as error:
        # Damaged files make Arrow raise its own errors, OSError, UnicodeDecodeError and MemoryError.
        reason = " ".join(str(error).split())[:80]
        raise refuse(path.name, rules.PARQUET_BROKEN, reason=reason or type(error).__name__) from error
    if not table.num_columns:
        raise refuse(path.name, rules.EMPTY_FILE)
    if not table.num_rows:
        raise refuse(path.name, rules.NO_ROWS)
    header = [str(name) for name in table.column_names]
    decimals = [name for name, kind in zip(header, table.schema.types, strict=True) if pa.types.is_decimal(kind)]
    notes = [rules.READ_AS.fault(column=name, what="a decimal number") for name in decimals]
    columns = [as_text(path.name, name, table.column(i)) for i, name in enumerate(header)]
    rows = np.arange(2, table.num_rows + 2, dtype=np.int64)
    return text_table(path.name, header, columns, rows, notes=notes)


def _check(name: str, rows: int, columns: int, expanded: int, limits: Limits) -> None:
    check_shape(name, rows=rows, columns=columns, limits=limits)
    if expanded > limits.max_expanded_bytes:
        raise refuse(
            name,
            rules.TOO_LARGE,
            what="bytes once unpacked",
            number=expanded,
            cap=limits.max_expanded_bytes,
            setting="ADCR_MAX_EXPANDED_BYTES",
        )
