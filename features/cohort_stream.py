"""A cohort file validated batch by batch: the same rules, rows and values as `read_cohort`, in flat memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import fault_rules as rules
from features.adcs import adc_names
from features.biomarkers import measures
from features.cohort import CohortSource
from features.cohort_file import check_predictors, met_values
from features.cohort_survey import Survey
from features.columns.coded_column import CodedColumn
from features.columns.cohort_columns import ORIGIN_COLUMN, column_notes
from features.columns.column_matching import column_matches
from features.columns.contradictions import ReadColumns, check_contradictions
from features.columns.derived_columns import derive_columns
from features.columns.identifiers import plain_ids
from features.columns.number_columns import NumberFacts
from features.columns.value_reading import number_range, read_column, reads_plainly
from features.faults import FaultLog
from features.tables.blocks import NotNumbers, slices
from features.tables.table_blocks import BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from features.cohort import ColumnMatch, Fault
    from features.columns.column_matching import ColumnPlan
    from features.tables.blocks import Block, CellKind, TableBlocks
    from features.tables.text_table import TextTable


@dataclass(frozen=True)
class CohortBatch:
    """Some consecutive rows of a cohort file, validated.

    Attributes
    ----------
    columns : dict of str to numpy.ndarray or CodedColumn
        Valid patients by cohort column, numbers and yes/no as float64, all else coded; columns without a meaning as
        coded text.
    patient_id : pyarrow.Array
    rows : numpy.ndarray of int
        Row in the file of each valid patient.
    rows_in, merged : int
        Rows of the file, and those of them that repeat an earlier one.
    rejected : TextTable
        Rows that were put aside, as the file holds them.
    faults : tuple of Fault
        Of rows that were not merged, and notes, those of the batch alone.
    met : dict of str to list
        Distinct values of each biomarker; of numbers the smallest and the largest.
    derived : dict of str to tuple of str
        Columns that were filled in, with those that they follow from.
    """

    columns: dict[str, Any]
    patient_id: Any
    rows: NDArray[np.int64]
    rows_in: int
    merged: int
    rejected: TextTable | None
    faults: tuple[Fault, ...]
    met: dict[str, list[Any]]
    derived: dict[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.patient_id)


@dataclass(frozen=True)
class CohortStream:
    """A cohort file that has been surveyed.

    Attributes
    ----------
    source : CohortSource
    rows : int
        Rows of the file.
    names : tuple of str
        Header as written.
    """

    source: CohortSource
    table: TableBlocks
    plans: tuple[ColumnPlan, ...]
    known: Survey
    notes: tuple[Fault, ...]
    extra: tuple[str, ...] = ()
    batch_rows: int = BATCH_ROWS

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return self.known.rows

    @property
    def names(self) -> tuple[str, ...]:
        """Header as written."""
        return self.table.columns

    def blocks(self) -> Iterator[Block]:
        """Blocks to be handed to `read`, in any thread."""
        for block, _ in self.table.blocks():
            yield block

    def read(self, block: Block) -> list[CohortBatch]:
        """Validate the rows of a block, at most `batch_rows` of them at once.

        Raises
        ------
        NotNumbers
            The file was skimmed, and a column of numbers holds something else: survey it, and read it from its
            beginning.
        """
        kinds = self.known.kinds(self.plans)
        kinds |= dict.fromkeys(self._extra_positions().values(), "text")
        try:
            table = block.table(kinds)
        except NotNumbers:
            if self.known.skimmed:
                raise
            table = block.text()
        if self.known.skimmed and len(table):
            _require_numbers(table, kinds)
        return [self._read(part) for part in slices(table, self.batch_rows)]

    def matches(self, derived: dict[str, tuple[str, ...]]) -> tuple[ColumnMatch, ...]:
        """Say what every column of the file was read as."""
        from features.cohort import ColumnMatch

        return (
            *(match for match in column_matches(self.names, self.plans) if match.name.strip()),
            *(ColumnMatch(" + ".join(sources), target, "derived") for target, sources in derived.items()),
        )

    def _extra_positions(self) -> dict[str, int]:
        """Columns outside the catalogue that a model learned from."""
        planned = {plan.position for plan in self.plans}
        return {n: i for i, n in enumerate(self.names) if n in self.extra and i not in planned}

    def _read(self, table: TextTable) -> CohortBatch:
        log = FaultLog(table.rows)
        for position, fault in table.misshapen.items():
            log.faults.append(fault)
            log.quarantined[position] = True
        log.faults.extend(table.notes)
        values, ids = _read_columns(table, self.plans, self.known, log)
        read = ReadColumns(values, {plan.target: plan.name for plan in self.plans}, len(table))
        merged = self._settle(table, log)
        met = {c: met_values(v) for c, v in read.by_column.items() if c in measures()}
        check_predictors(read, log)
        check_contradictions(read, log)
        derived = derive_columns(read, outcomes=False)
        kept = ~log.quarantined & ~merged
        aside = np.flatnonzero(log.quarantined & ~merged)
        gone = set(table.rows[merged].tolist())
        everything = bool(kept.all())
        columns = {c: v if everything else _take(v, kept) for c, v in read.by_column.items() if c != "patient_id"}
        for name, position in self._extra_positions().items():
            if name not in columns:
                columns[name] = _text_column(table.text_cells(position)).take(kept)
        return CohortBatch(
            columns=columns,
            patient_id=ids if everything else ids.filter(pa.array(kept)),
            rows=table.rows if everything else table.rows[kept],
            rows_in=len(table),
            merged=int(merged.sum()),
            rejected=_rows_as_text(table, aside) if len(aside) else None,
            faults=tuple(fault for fault in log.in_order() if fault.row not in gone),
            met=met,
            derived=derived,
        )

    def _settle(self, table: TextTable, log: FaultLog) -> NDArray[np.bool_]:
        merged = np.isin(table.rows, self.known.merged) if len(self.known.merged) else np.zeros(len(table), dtype=bool)
        if self.known.differing:
            for position, row in enumerate(table.rows.tolist()):
                if row in self.known.differing:
                    log.faults.append(self.known.differing[row])
                    log.quarantined[position] = True
        return merged


def _require_numbers(table: TextTable, kinds: Mapping[int, CellKind]) -> None:
    for position, kind in kinds.items():
        cells = table.cells[position]
        if kind == "number" and (cells is None or not pa.types.is_floating(cells.type)):
            raise NotNumbers


def _read_columns(
    table: TextTable, plans: Sequence[ColumnPlan], known: Survey, log: FaultLog
) -> tuple[dict[str, Any], Any]:
    """Columns by cohort column, and the ids as an Arrow array."""
    values: dict[str, Any] = {}
    ids = None
    for plan in plans:
        if plan.target == "patient_id" and plan.position is not None and reads_plainly(plan):
            ids = _plain_ids(table.cells[plan.position])
            if ids is not None:
                continue
        facts = known.facts.get(plan.target, NumberFacts())
        values.update(read_column(table, plan, log, present=values, facts=facts))
    values.pop(ORIGIN_COLUMN, None)
    if ids is None:
        found = values.get("patient_id", CodedColumn(np.full(len(table), -1), np.array([], dtype=object)))
        ids = pa.array(found.objects(), type=pa.string())
    return values, ids


def _plain_ids(cells: Any) -> Any:
    joined = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    ids = pc.utf8_trim_whitespace(joined) if pa.types.is_string(joined.type) else None
    return ids if ids is not None and plain_ids(ids) else None


def _text_column(cells: Any) -> CodedColumn:
    encoded = pa.chunked_array(cells).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return CodedColumn(codes.astype(np.intp), np.array(encoded.dictionary.to_pylist(), dtype=object))


def _take(values: Any, kept: NDArray[np.bool_]) -> Any:
    return values.take(kept) if isinstance(values, CodedColumn) else values[kept]


def _rows_as_text(table: TextTable, positions: NDArray[np.intp]) -> TextTable:
    careful = getattr(table, "careful", None)
    whole = table if careful is None else careful()
    return whole.take(positions)


def load_catalogues() -> None:
    """Read the catalogues that rows are validated by, before several threads do.

    msgspec crashes the process where two threads ask at once for a type that it has not met.
    """
    adc_names()
    measures()
    column_notes()


def whole_notes(stream: CohortStream, met: dict[str, list[Any]]) -> list[Fault]:
    """Doubts that only all rows together raise, once all have passed.

    Parameters
    ----------
    stream : CohortStream
    met : dict of str to list
        Distinct values of each biomarker over all rows; of numbers the smallest and the largest.

    Returns
    -------
    list of Fault
    """
    names = {plan.target: plan.name for plan in stream.plans}
    notes = []
    for column, values in met.items():
        if stream.rows > 1 and len(values) == 1:
            told = values[0] if isinstance(values[0], str) else f"{values[0]:g}"
            notes.append(rules.CONSTANT.fault(column=names.get(column, column), value=told))
    for plan in stream.plans:
        measure, facts = measures().get(plan.target), stream.known.facts.get(plan.target)
        values = met.get(plan.target, [])
        if measure is None or measure.kind != "numeric" or not values or (facts and facts.percent):
            continue
        span = number_range(measure, plan.entry)
        if span.unit == "percent" and span.declared is None and 0.0 < max(values) <= 1.0:
            notes.append(rules.UNIT_DOUBT.fault(column=plan.name))
    return notes


def joined_values(met: dict[str, list[Any]], more: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Distinct values of two parts of a cohort together; of numbers the smallest and the largest."""
    together = dict(met)
    for column, values in more.items():
        every = sorted({*together.get(column, []), *values})
        together[column] = (
            every if every and isinstance(every[0], str) else list(dict.fromkeys((*every[:1], *every[-1:])))
        )
    return together
