"""The same patient twice: an exact repeat is merged, a differing one is put aside with its fellow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.faults import listed
from features.tables.text_column import collapse_spaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.columns.contradictions import ReadColumns
    from features.faults import FaultLog
    from features.tables.text_table import TextTable


#: Rows that a fault names before it only counts them.
_LISTED_ROWS = 4


def settle_duplicates(table: TextTable, read: ReadColumns, log: FaultLog) -> NDArray[np.bool_]:
    """Merge rows that repeat another exactly, and put aside rows of one patient and ADC that differ.

    A patient may stand in several rows with different ADCs, as in a sequence of treatments.

    Parameters
    ----------
    table : TextTable
        Cells as written, by which rows are compared.
    read : ReadColumns
    log : FaultLog

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        Rows that were merged into an earlier one.
    """
    merged = np.zeros(len(table), dtype=bool)
    keys = pd.DataFrame({"patient": read.texts("patient_id"), "adc": read.texts("adc")})
    known = keys["patient"].notna().to_numpy(dtype=bool)
    repeated = keys["patient"].duplicated(keep=False).to_numpy(dtype=bool) & known
    if not repeated.any():
        return merged
    positions = np.flatnonzero(repeated)
    texts = _texts(table, positions)
    texts[read.names["patient_id"]] = keys["patient"].to_numpy()[positions]
    exact = texts.duplicated().to_numpy(dtype=bool)
    merged[positions[exact]] = True
    if exact.any():
        log.note(rules.DUPLICATE_MERGED, number=int(exact.sum()))
    left = keys.iloc[positions[~exact]].dropna()
    for _, group in left[left.duplicated(keep=False)].groupby(["patient", "adc"], sort=False):
        rows = table.rows[group.index.to_numpy()]
        for position, row in zip(group.index, rows, strict=True):
            told = _told_rows([int(other) for other in rows[: _LISTED_ROWS + 1] if other != row], len(rows) - 1)
            log.at(rules.DUPLICATE_DIFFERS, [int(position)], column=read.names["patient_id"], others=told)
    return merged


def _told_rows(first: list[int], number: int) -> str:
    """Rows in words: "row 3", "rows 3, 4, 5 and 96 more"; listing them all would square with their number."""
    shown = [str(row) for row in first[:_LISTED_ROWS]]
    if number > len(shown):
        return f"rows {', '.join(shown)} and {number - len(shown):,} more"
    return f"{'row' if number == 1 else 'rows'} {listed(shown)}"


def _texts(table: TextTable, positions: NDArray[np.intp]) -> pd.DataFrame:
    """Cells of some rows without spaces around them, an absent cell like an empty one."""
    columns = {collapse_spaces(name): table.texts(i, positions) for i, name in enumerate(table.columns)}
    return pd.DataFrame({name: [text.strip() for text in texts] for name, texts in columns.items()})
