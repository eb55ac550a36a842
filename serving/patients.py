"""Validated patients column by column, as scoring takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.columns.coded_column import CodedColumn

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Patients:
    """Validated patients, column by column.

    Attributes
    ----------
    ids : pyarrow.Array
        Of text.
    columns : mapping of str to numpy.ndarray or CodedColumn
        By cohort column, `adc` among them: numbers as float64, all else coded.
    """

    ids: Any
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Patients:
        """Take a data frame of a cohort apart."""
        columns = {str(name): _column(frame[name]) for name in frame.columns if name != "patient_id"}
        return cls(pa.array(frame["patient_id"], type=pa.string(), from_pandas=True), columns)


def _column(values: pd.Series[Any]) -> Any:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, texts = pd.factorize(values)
    return CodedColumn(codes, np.array([str(text) for text in texts], dtype=object))
