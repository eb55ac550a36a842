"""Score tables to CSV or Parquet, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from serving.quarantine import harmless_table
from serving.scores import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    import pandas as pd


class ScoreWriter(Protocol):
    """Takes batches of the score table in order; nothing is sure to be in the file before `close`."""

    def write(self, batch: pd.DataFrame) -> None:
        """Append a batch."""

    def close(self) -> None:
        """Finish the file."""


def open_scores(path: Path, suffix: str, columns: Sequence[str], metadata: Mapping[str, str]) -> ScoreWriter:
    """Open a file for scores.

    Parameters
    ----------
    path : Path
        File to write; replaced if it is there.
    suffix : str
        ".csv" or ".parquet".
    columns : sequence of str
        Columns of every batch, in order.
    metadata : mapping of str to str
        Facts of the whole table; kept in a Parquet file's own metadata, for which CSV has no place.

    Returns
    -------
    ScoreWriter
    """
    return _Csv(path, columns) if suffix == ".csv" else _Parquet(path, columns, metadata)


class _Csv:
    """UTF-8, commas, full precision of every number; text that a spreadsheet would run is made harmless."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(self._columns) + "\n")

    def write(self, batch: pd.DataFrame) -> None:
        table = harmless_table(batch[self._columns])
        table.to_csv(self._file, index=False, header=False, lineterminator="\n")

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Typed columns: doubles and texts, with nulls where a value is absent."""

    def __init__(self, path: Path, columns: Sequence[str], metadata: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([(name, pa.float64() if is_number(name) else pa.string()) for name in columns])
        self._schema = self._schema.with_metadata({f"adcr.{key}": value for key, value in metadata.items()})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, batch: pd.DataFrame) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pandas(batch, schema=self._schema, preserve_index=False))

    def close(self) -> None:
        self._writer.close()
