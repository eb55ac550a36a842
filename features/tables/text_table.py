"""A table as text: every cell as written, with the row of the file that it stands in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features import fault_rules as rules
from features.faults import CohortRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.cohort import Fault
    from features.faults import Rule
    from features.limits import Limits


@dataclass(frozen=True)
class TextTable:
    """A table before anything is known of its meaning.

    Attributes
    ----------
    name : str
        Name of the file, for messages.
    columns : tuple of str
        Header as written.
    cells : tuple of pyarrow.ChunkedArray
        One per column, of text; an absent cell is null, an empty one may be null or "".
    rows : numpy.ndarray of int, shape (n,)
        Row in the file of each row: the header is row 1 where nothing stands above it.
    notes : tuple of Fault
        What was normalised while reading (line ends, delimiter, blank rows).
    misshapen : dict of int to Fault
        Positions of rows that do not fit the header, and why.
    """

    name: str
    columns: tuple[str, ...]
    cells: tuple[Any, ...]
    rows: NDArray[np.int64]
    notes: tuple[Fault, ...] = ()
    misshapen: dict[int, Fault] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def text_cells(self, column: int) -> Any:
        """Cells of one column as text, whatever `cells` holds them as."""
        return self.cells[column]

    def take(self, positions: NDArray[np.intp]) -> TextTable:
        """Return the table with only the rows at `positions`, in that order."""
        kept = {old: new for new, old in enumerate(positions.tolist())}
        return TextTable(
            name=self.name,
            columns=self.columns,
            cells=tuple(column.take(positions) for column in self.cells),
            rows=self.rows[positions],
            notes=self.notes,
            misshapen={kept[p]: fault for p, fault in self.misshapen.items() if p in kept},
        )

    def texts(self, column: int, positions: NDArray[np.intp]) -> list[str]:
        """Cells of one column at some rows, as written; absent ones are ""."""
        chosen: list[str] = pc.fill_null(self.cells[column].take(positions), "").to_pylist()
        return chosen


def with_columns(table: TextTable, columns: Mapping[str, Sequence[str]]) -> TextTable:
    """Add columns of text to a table.

    Parameters
    ----------
    table : TextTable
    columns : mapping of str to sequence of str
        One cell per row, by name.

    Returns
    -------
    TextTable
    """
    cells = tuple(pa.chunked_array([pa.array(texts, type=pa.large_string())]) for texts in columns.values())
    return replace(table, columns=(*table.columns, *columns), cells=(*table.cells, *cells))


def refuse(name: str, rule: Rule, **details: Any) -> CohortRejectedError:
    """Error that refuses a whole file for one reason."""
    return CohortRejectedError(name, [rule.fault(**details)])


def check_shape(name: str, *, rows: int, columns: int, limits: Limits) -> None:
    """Refuse a table beyond the caps on rows, columns and cells.

    Raises
    ------
    CohortRejectedError
        If a cap is passed.
    """
    for what, number, cap in (
        ("rows", rows, limits.max_rows),
        ("columns", columns, limits.max_columns),
        ("cells", rows * columns, limits.max_cells),
    ):
        if number > cap:
            raise refuse(name, rules.TOO_LARGE, what=what, number=number, cap=cap, setting=f"ADCR_MAX_{what.upper()}")


def text_table(
    name: str,
    header: Sequence[str],
    columns: Sequence[Any],
    rows: NDArray[np.int64],
    *,
    notes: Sequence[Fault] = (),
    misshapen: dict[int, Fault] | None = None,
) -> TextTable:
    """Build a table from Arrow columns of text, without the nameless empty columns that trailing delimiters leave."""
    kept = [
        (title, cells) for title, cells in zip(header, columns, strict=True) if title.strip() or not _is_empty(cells)
    ]
    return TextTable(
        name=name,
        columns=tuple(title for title, _ in kept),
        cells=tuple(_chunked(cells) for _, cells in kept),
        rows=rows,
        notes=tuple(notes),
        misshapen=misshapen or {},
    )


def _chunked(cells: Any) -> Any:
    # large_string: a column may hold more than 2 GiB of text.
    chunked = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    return chunked.cast(pa.large_string())


def _is_empty(cells: Any) -> bool:
    filled = pc.and_kleene(pc.is_valid(cells), pc.not_equal(pc.utf8_trim_whitespace(cells), ""))
    return not pc.any(filled).as_py()


def frame_table(frame: pd.DataFrame, name: str, *, first_row: int = 2) -> TextTable:
    """Turn a data frame into text: numbers in their shortest exact form, true and false as "TRUE" and "FALSE".

    Parameters
    ----------
    frame : pandas.DataFrame
        Any columns of text, numbers, booleans or dates.
    name : str
        What messages call it.
    first_row : int, default 2
        Row number of the first row.

    Raises
    ------
    CohortRejectedError
        If a column holds something that is no single value (a list, a structure).
    """
    arrow = pa.Table.from_pandas(_plain(frame), preserve_index=False)
    header = [str(column) for column in frame.columns]
    columns = [as_text(name, title, arrow.column(i)) for i, title in enumerate(header)]
    return text_table(name, header, columns, np.arange(first_row, first_row + len(frame), dtype=np.int64))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with columns named by position (names may repeat) and cells of mixed type as text."""
    plain = {}
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        if column.dtype == object:
            column = column.map(_cell_text, na_action="ignore").astype("str")
        plain[str(position)] = column.reset_index(drop=True)
    return pd.DataFrame(plain, index=pd.RangeIndex(len(frame)))


def _cell_text(cell: object) -> str:
    if isinstance(cell, bool | np.bool_):
        return "TRUE" if cell else "FALSE"
    # A lone surrogate, as JSON may hold, has no UTF-8 form.
    return str(cell).encode("utf-8", "replace").decode("utf-8")


def as_text(name: str, title: str, cells: Any) -> Any:
    """Arrow column of any plain type as text.

    Raises
    ------
    CohortRejectedError
        If the column is nested or holds bytes that are no text.
    """
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return as_text(name, title, cells.cast(kind.value_type))
    if pa.types.is_nested(kind):
        raise refuse(name, rules.NESTED_COLUMN, column=title, kind=str(kind))
    if pa.types.is_boolean(kind):
        return pc.if_else(cells, "TRUE", "FALSE").cast(pa.string())
    if pa.types.is_floating(kind):
        # NaN is how a numeric column says "missing".
        return pc.if_else(pc.is_nan(cells), None, cells).cast(pa.float64()).cast(pa.string())
    try:
        return cells.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise refuse(name, rules.NESTED_COLUMN, column=title, kind=str(kind)) from error
