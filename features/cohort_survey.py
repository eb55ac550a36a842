"""The first pass over a cohort file: what reading one row needs to know of all the others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import fault_rules as rules
from features.biomarkers import measures
from features.columns.cohort_columns import ORIGIN_COLUMN, OUTCOMES
from features.columns.contradictions import ReadColumns
from features.columns.duplicates import settle_duplicates
from features.columns.id_hashes import HashStore, hash_ids
from features.columns.identifiers import read_ids
from features.columns.number_columns import NumberFacts, number_facts
from features.columns.value_reading import as_translated, number_range, read_column, reads_plainly
from features.faults import FaultLog
from features.in_order import in_order
from features.tables.blocks import NotNumbers
from features.tables.text_column import TextColumn
from features.tables.text_table import TextTable, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from features.cohort import Fault
    from features.columns.column_matching import ColumnPlan
    from features.tables.blocks import Block, CellKind, TableBlocks


@dataclass(frozen=True)
class Survey:
    """What is known of a whole file.

    Attributes
    ----------
    rows : int
        Rows that are patients, whatever becomes of them.
    marks : frozenset of str
        Marks of origin that rows bear.
    facts : dict of str to NumberFacts
        By cohort column, for columns of numbers that hold something else too, or are read by a mapping.
    merged : numpy.ndarray of int
        Rows that repeat an earlier one, in ascending order.
    differing : dict of int to Fault
        Rows whose patient and ADC stand elsewhere with other values.
    notes : tuple of Fault
        Of the whole file: duplicates merged.
    skimmed : bool
        Columns of numbers were looked at in the first block alone, where they held nothing else.
    """

    rows: int
    marks: frozenset[str]
    facts: dict[str, NumberFacts]
    merged: NDArray[np.int64]
    differing: dict[int, Fault]
    notes: tuple[Fault, ...]
    skimmed: bool = False

    def kinds(self, plans: Sequence[ColumnPlan]) -> dict[int, CellKind]:
        """How each column is best read, now that it is known what it holds."""
        kinds: dict[int, CellKind] = {}
        for plan in plans:
            if plan.position is not None:
                kind = cell_kind(plan)
                kinds[plan.position] = "text" if kind == "number" and plan.target in self.facts else kind
        return kinds


def cell_kind(plan: ColumnPlan) -> CellKind:
    """How a column is read while nothing is known against it."""
    if plan.target == "patient_id":
        return "id"
    measure = measures().get(plan.target) or OUTCOMES.get(plan.target)
    if measure is None or not reads_plainly(plan):
        return "text"
    return {"numeric": "number", "binary": "flag"}.get(measure.kind, "text")  # type: ignore[return-value]


@dataclass
class _Part:
    """What one block tells."""

    rows: int
    long_rows: int = 0
    longest: int = 0
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.array([], dtype=np.uint64))
    marks: frozenset[str] = frozenset()
    facts: dict[str, NumberFacts] = field(default_factory=dict)
    #: columns of numbers without anything else; True where they hold a value
    plain: dict[str, bool] = field(default_factory=dict)


def survey(
    source: TableBlocks,
    plans: Sequence[ColumnPlan],
    *,
    threads: int,
    skim: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Read a file once for what needs the whole of it.

    Parameters
    ----------
    source : TableBlocks
    plans : sequence of ColumnPlan
    threads : int
    skim : bool
        Take it that columns of numbers hold nothing else where the first block says so, which saves reading most of
        the file; whoever reads the rows must start anew, without skimming, where that proves wrong.
    progress : callable, optional
        Called with the bytes that have been read so far.

    Returns
    -------
    Survey

    Raises
    ------
    CohortRejectedError
        It holds no patients, or every row is longer than the header.
    NotPlain
        The careful reader must read it.
    """
    by_target = {plan.target: plan for plan in plans}
    with HashStore() as store:
        whole = _Part(0)
        items = iter(_counted(source))
        first = [(_survey_block(block, by_target, numbers=True), done) for block, done in islice(items, 1)]
        numbers = not skim or any(part.facts for part, _ in first)
        others = in_order(
            lambda item: (_survey_block(item[0], by_target, numbers=numbers), item[1]), items, threads=threads
        )
        for part, done in chain(first, others):
            store.add(part.hashes)
            whole = _joined(whole, part)
            if progress:
                progress(done)
        if not whole.rows:
            raise refuse(source.name, rules.NO_ROWS)
        if whole.long_rows == whole.rows:
            raise refuse(source.name, rules.ALL_ROWS_LONG, cells=whole.longest, columns=len(source.columns))
        repeated = store.repeated()
    again = {target for target, facts in whole.facts.items() if facts.comma and whole.plain.get(target)}
    facts = {t: f + NumberFacts(bare=True) if whole.plain.get(t) else f for t, f in whole.facts.items()}
    suspects: list[TextTable] = []
    if again or len(repeated):
        facts |= _look_again(source, by_target, again, repeated, suspects, threads)
    merged, differing, notes = _settle(suspects, plans)
    return Survey(whole.rows, whole.marks, facts, merged, differing, notes, skimmed=not numbers)


def _counted(source: TableBlocks) -> Iterable[tuple[Block, int]]:
    done = 0
    for block, share in source.blocks():
        done += share
        yield block, done


def _joined(whole: _Part, part: _Part) -> _Part:
    whole.rows += part.rows
    whole.long_rows += part.long_rows
    whole.longest = max(whole.longest, part.longest)
    whole.marks |= part.marks
    for target, facts in part.facts.items():
        whole.facts[target] = whole.facts.get(target, NumberFacts()) + facts
    for target, valued in part.plain.items():
        whole.plain[target] = whole.plain.get(target, False) or valued
    return whole


def _survey_block(block: Block, by_target: dict[str, ColumnPlan], *, numbers: bool) -> _Part:
    chosen = [
        plan
        for plan in by_target.values()
        if plan.position is not None
        and (plan.target in ("patient_id", ORIGIN_COLUMN) or (numbers and _is_number(plan)))
    ]
    try:
        table = block.table({plan.position: cell_kind(plan) for plan in chosen if plan.position is not None})
    except NotNumbers:
        table = block.text()
    part = _Part(len(table))
    for fault in table.misshapen.values():
        if fault.code == rules.LONG_ROW.code:
            part.long_rows += 1
            part.longest = max(part.longest, int(re.findall(r"\d+", fault.what)[0]))
    for plan in chosen:
        if plan.target == "patient_id":
            part.hashes = hash_ids(_ids(table, plan))
        elif plan.target == ORIGIN_COLUMN:
            column = read_column(table, plan, FaultLog(table.rows), present={})[ORIGIN_COLUMN]
            part.marks = frozenset(text for text in column.texts if text is not None)
        else:
            _survey_numbers(table, plan, part)
    return part


def _is_number(plan: ColumnPlan) -> bool:
    measure = measures().get(plan.target) or OUTCOMES.get(plan.target)
    return measure is not None and measure.kind == "numeric"


def _survey_numbers(table: TextTable, plan: ColumnPlan, part: _Part) -> None:
    cells = table.cells[plan.position or 0]
    if cells is not None and pa.types.is_floating(cells.type):
        part.plain[plan.target] = cells.null_count < len(cells)
        return
    part.facts[plan.target] = _facts(table, plan)


def _facts(table: TextTable, plan: ColumnPlan) -> NumberFacts:
    measure = measures().get(plan.target) or OUTCOMES[plan.target]
    column = as_translated(TextColumn.of(plan.name, table.text_cells(plan.position or 0)), plan)
    return number_facts(column, number_range(measure, plan.entry))


def _ids(table: TextTable, plan: ColumnPlan) -> Any:
    """Ids as they are compared: without spaces around them, in one Unicode form."""
    cells = table.cells[plan.position or 0]
    ids = pc.utf8_trim_whitespace(_one(cells))
    if reads_plainly(plan) and pc.all(pc.string_is_ascii(ids)).as_py() is not False:
        return ids
    column = as_translated(TextColumn.of(plan.name, cells), plan)
    return pa.array(read_ids(column, FaultLog(table.rows)).objects(), type=pa.large_string())


def _one(cells: Any) -> Any:
    chunked = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    joined = chunked.combine_chunks()
    return joined.cast(joined.type.value_type) if pa.types.is_dictionary(joined.type) else joined


def _look_again(
    source: TableBlocks,
    by_target: dict[str, ColumnPlan],
    numbers: set[str],
    repeated: NDArray[np.uint64],
    suspects: list[TextTable],
    threads: int,
) -> dict[str, NumberFacts]:
    """Read the file once more as text, for columns with decimal commas and for rows of repeated patients."""
    ids = by_target.get("patient_id")

    def look(item: tuple[Block, int]) -> tuple[dict[str, NumberFacts], TextTable | None]:
        table = item[0].text()
        facts = {target: _facts(table, by_target[target]) for target in numbers}
        if ids is None or not len(repeated) or not len(table):
            return facts, None
        hashes = hash_ids(_ids(table, ids))
        rows = np.flatnonzero(repeated[np.minimum(np.searchsorted(repeated, hashes), len(repeated) - 1)] == hashes)
        return facts, table.take(rows) if len(rows) else None

    found: dict[str, NumberFacts] = {}
    for facts, rows in in_order(look, source.blocks(), threads=threads):
        found = {target: found.get(target, NumberFacts()) + fact for target, fact in facts.items()}
        if rows is not None:
            suspects.append(rows)
    return found


def _settle(
    suspects: Sequence[TextTable], plans: Sequence[ColumnPlan]
) -> tuple[NDArray[np.int64], dict[int, Fault], tuple[Fault, ...]]:
    """Tell rows that repeat another from rows that differ from another of the same patient and ADC."""
    keys = [plan for plan in plans if plan.target in ("patient_id", "adc")]
    if not suspects or len(keys) < 2:
        return np.array([], dtype=np.int64), {}, ()
    table = TextTable(
        name=suspects[0].name,
        columns=suspects[0].columns,
        cells=tuple(
            pa.chunked_array([chunk.cast(pa.large_string()) for t in suspects for chunk in _chunks(t.cells[i])])
            for i in range(len(suspects[0].columns))
        ),
        rows=np.concatenate([t.rows for t in suspects]),
    )
    values: dict[str, Any] = {}
    for plan in keys:
        values.update(read_column(table, plan, FaultLog(table.rows), present={}))
    log = FaultLog(table.rows)
    merged = settle_duplicates(table, ReadColumns(values, {p.target: p.name for p in keys}, len(table)), log)
    differing = {fault.row: fault for fault in log.faults if fault.row is not None}
    return np.sort(table.rows[merged]), differing, tuple(fault for fault in log.faults if fault.row is None)


def _chunks(cells: Any) -> Any:
    return cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
