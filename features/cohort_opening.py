"""Any cohort file opened to be read in batches: what needs the whole of it is found out first."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features import fault_rules as rules
from features.cohort import CohortSource
from features.cohort_file import origin_kind, selected, without_outcomes
from features.cohort_stream import CohortStream, load_catalogues
from features.cohort_survey import survey
from features.columns.column_matching import match_columns
from features.faults import CohortRejectedError, FaultLog
from features.in_order import processors
from features.limits import Limits
from features.mapping_file import TableMapping, load_mapping
from features.tables.blocks import NotPlain, WholeTable
from features.tables.table_blocks import BATCH_ROWS, files_of, open_blocks
from features.tables.table_file import digest, read_table
from features.tables.text_table import check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.cohort_survey import Survey
    from features.columns.column_matching import ColumnPlan
    from features.tables.blocks import TableBlocks


def open_cohort(
    path: Path,
    *,
    mapping: TableMapping | Path | str | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
    extra: Sequence[str] = (),
    threads: int | None = None,
    skim: bool = False,
    batch_rows: int = BATCH_ROWS,
    block_bytes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CohortStream:
    """Read a cohort file to score once, for what needs the whole of it; its rows are then read batch by batch.

    Parameters
    ----------
    path : Path
        CSV, TSV (gzipped or not), xlsx or Parquet; a folder of such files; a cBioPortal study folder.
    mapping, sheet, encoding
        As for `read_cohort`.
    extra : sequence of str
        Columns outside the catalogue to read as well.
    threads : int, optional
        By default as many as there are processors.
    skim : bool
        Look at columns of numbers in the first block alone; reading the rows then raises `NotNumbers` where a later
        one holds something else.
    batch_rows, block_bytes : int, optional
        How much is read at once; changes no value.
    progress : callable, optional
        Called with bytes read and bytes to read.

    Returns
    -------
    CohortStream

    Raises
    ------
    CohortRejectedError
        If the file cannot be used: tells every reason at once, one line each.
    """
    load_catalogues()
    chosen = load_mapping(mapping) if isinstance(mapping, str | Path) else mapping
    sizes: dict[str, Any] = {"batch_rows": batch_rows} | ({"block_bytes": block_bytes} if block_bytes else {})
    table, chosen, source = _opened(path, chosen, sheet, encoding, sizes)
    workers = processors() if threads is None else threads
    log = FaultLog(np.array([], dtype=np.int64))
    plans = without_outcomes(match_columns(table.columns, chosen, log), log)

    def tell(done: int) -> None:
        if progress and table.size:
            progress(done, table.size)

    with _hashing(path, source) as hashed:
        try:
            known = survey(table, plans, threads=workers, skim=skim, progress=tell)
        except NotPlain:
            table = table.as_careful()  # type: ignore[attr-defined]
            known = survey(table, plans, threads=workers, skim=skim, progress=tell)
    caps = Limits.from_environment(Limits.of_streams())
    check_shape(table.name, rows=known.rows, columns=len(table.columns), limits=caps)
    kind = origin_kind(known.marks, log)
    _require_usable(table.name, plans, known, log)
    notes = (*table.notes, *log.faults, *known.notes)
    return CohortStream(replace(hashed(), kind=kind), table, plans, known, notes, tuple(extra), batch_rows=batch_rows)


def _opened(
    path: Path, mapping: TableMapping | None, sheet: str | None, encoding: str | None, sizes: dict[str, Any]
) -> tuple[TableBlocks, TableMapping | None, CohortSource | None]:
    rows = sizes["batch_rows"]
    if path.is_dir() and not files_of(path):
        from features.public.cbioportal import read_study

        study = read_study(path, mapping=mapping)
        whole = selected(study.table, study.mapping) if study.mapping else study.table
        return WholeTable(whole, len(whole)), study.mapping, study.source
    named = sheet or (mapping.sheet if mapping else "") or None
    if mapping is None or not _needs_whole(mapping):
        return open_blocks(path, sheet=named, encoding=encoding, **sizes), mapping, None
    # Z-scores and a choice of rows are over the whole file.
    whole = read_table(path, sheet=named, encoding=encoding)
    if mapping.beside:
        from features.public.tables_beside import join_beside

        whole, mapping = join_beside(whole, path, mapping)
    whole = selected(whole, mapping)
    return WholeTable(whole, max(len(whole), rows)), mapping, None


def _needs_whole(mapping: TableMapping) -> bool:
    standardised = any(entry.standardise for entry in mapping.entries().values())
    selects = mapping.keep_rows is not None or mapping.skip_rows_after_header > 0
    return standardised or selects or bool(mapping.beside)


class _hashing:  # noqa: N801 - used as a context manager
    """Hashes a file, or every file of a folder, while something else is done."""

    def __init__(self, path: Path, source: CohortSource | None) -> None:
        self._path, self._source = path, source

    def __enter__(self) -> Callable[[], CohortSource]:
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(1)
        found = self._pool.submit(self._hashed)
        return found.result

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def _hashed(self) -> CohortSource:
        path = self._path
        if self._source is not None:
            return self._source
        if not path.is_dir():
            return CohortSource(name=path.name, path=path, sha256=digest(path))
        lines = [f"{digest(part)}  {part.relative_to(path).as_posix()}\n" for part in files_of(path)]
        return CohortSource(name=path.name, path=path, sha256=hashlib.sha256("".join(lines).encode()).hexdigest())


def _require_usable(name: str, plans: Sequence[ColumnPlan], known: Survey, log: FaultLog) -> None:
    """Raise with every reason why the file as a whole cannot be used."""
    for plan in plans:
        facts = known.facts.get(plan.target)
        if facts and facts.comma and facts.pointed:
            log.note(rules.DECIMAL_MIXED, column=plan.name, comma=facts.comma, point=facts.pointed)
        if facts and facts.impossible and plan.entry:
            details = {"value": facts.impossible, "unit": plan.entry.unit}
            log.note(rules.UNIT_CONFLICT, column=plan.name, number=1, **details)
    if log.rejections():
        near = [fault for fault in log.faults if fault.code == rules.NEAR_NAME.code]
        raise CohortRejectedError(name, [*log.rejections(), *near])
