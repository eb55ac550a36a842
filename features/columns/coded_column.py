"""A column of text by codes: what is asked of every row is asked of each distinct text once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray


@dataclass(frozen=True)
class CodedColumn:
    """Texts of a column.

    Attributes
    ----------
    codes : numpy.ndarray of int, shape (n,)
        Which text each row holds; -1 where it is missing.
    texts : numpy.ndarray of object
        The texts; one may stand here several times, and None is missing too.
    """

    codes: NDArray[Any]
    texts: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.codes)

    def where(self, holds: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Rows whose text has a property; missing has none."""
        chosen = np.array([text is not None and holds(text) for text in self.texts] + [False], dtype=bool)
        return np.asarray(chosen[self.codes], dtype=bool)

    def isin(self, texts: Collection[str]) -> NDArray[np.bool_]:
        """Rows that hold one of some texts."""
        return self.where(lambda text: text in texts)

    def missing(self) -> NDArray[np.bool_]:
        """Rows without a text."""
        return ~self.where(lambda _: True)

    def lookup(self, read: Callable[[str], float]) -> NDArray[np.float64]:
        """Read a number for each row by its text; NaN where it is missing."""
        numbers = np.array([np.nan if t is None else read(t) for t in self.texts] + [np.nan], dtype=np.float64)
        return np.asarray(numbers[self.codes], dtype=np.float64)

    def objects(self) -> NDArray[np.object_]:
        """Write out the text of every row; None where it is missing."""
        return np.asarray(np.append(self.texts, np.array([None], dtype=object))[self.codes], dtype=object)

    def take(self, rows: NDArray[Any]) -> CodedColumn:
        """Keep some of the rows, by position or mask."""
        return CodedColumn(self.codes[rows], self.texts)

    def filled(self, other: CodedColumn) -> CodedColumn:
        """Texts of `other` where this column has none."""
        codes = np.where(self.missing(), np.where(other.codes < 0, -1, other.codes + len(self.texts)), self.codes)
        return CodedColumn(codes, np.concatenate([self.texts, other.texts]))


def among(level: Any, names: Collection[str]) -> NDArray[np.bool_]:
    """Rows of a column of levels, coded or of objects, that hold one of some names."""
    if isinstance(level, CodedColumn):
        return level.isin(names)
    return np.asarray(np.isin(np.asarray(level, dtype=object), list(names)), dtype=bool)


def absent(values: Any) -> NDArray[np.bool_]:
    """Rows of a column, of numbers, coded or of objects, that hold nothing."""
    if isinstance(values, CodedColumn):
        return values.missing()
    if values.dtype != object:
        return np.asarray(np.isnan(values))
    import pandas as pd

    return np.asarray(pd.isna(values))
