"""From a cohort file to validated patients: every fault listed, every faulty row put aside, none lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.biomarkers import measures
from features.cohort import CONTEXT_COLUMNS, OUTCOME_COLUMNS, Cohort, CohortSource, ColumnMatch
from features.columns.coded_column import CodedColumn, absent
from features.columns.cohort_columns import CONTEXT_LEVELS, ORIGIN_COLUMN, OUTCOMES
from features.columns.column_matching import column_matches, match_columns
from features.columns.contradictions import ReadColumns, check_contradictions
from features.columns.derived_columns import derive_columns
from features.columns.duplicates import settle_duplicates
from features.columns.value_reading import read_column
from features.faults import CohortRejectedError, FaultLog
from features.mapping_file import TableMapping, load_mapping
from features.tables.table_file import digest, read_table
from features.tables.text_column import collapse_spaces
from features.tables.text_table import frame_table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from features.cohort import Fault
    from features.columns.column_matching import ColumnPlan
    from features.limits import Limits
    from features.tables.text_table import TextTable

#: Marks of origin from the least to the most invented; a cohort counts as its most invented row.
ORIGINS = ("measured", "semi-synthetic", "simulated")


def read_cohort(
    path: Path | str,
    *,
    mapping: TableMapping | Path | str | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
    for_scoring: bool = False,
    limits: Limits | None = None,
) -> Cohort:
    """Read and validate a cohort file.

    Parameters
    ----------
    path : pathlib.Path or str
        CSV, TSV (gzipped or not), xlsx or Parquet, one row per treated patient; or a cBioPortal study folder.
    mapping : TableMapping, pathlib.Path or str, optional
        How to read a foreign table: a mapping, its TOML file, or the name of one shipped with adcr.
    sheet : str, optional
        Sheet of a workbook that has several.
    encoding : str, optional
        Encoding of a text file that is not UTF-8 or UTF-16.
    for_scoring : bool, default False
        Drop outcome columns, with a warning.
    limits : Limits, optional
        Caps on the size of the file; by default those of the environment.

    Returns
    -------
    Cohort
        Valid patients; rows that were put aside are in `rejected` with their faults in `faults`.

    Raises
    ------
    CohortRejectedError
        If the file cannot be used: tells every reason at once, one line each. It is an InputError.
    InputError
        If the mapping or a limit is not well formed.
    """
    path = Path(path)
    table_mapping = load_mapping(mapping) if isinstance(mapping, str | Path) else mapping
    if path.is_dir():
        from features.public.cbioportal import read_study

        study = read_study(path, mapping=table_mapping)
        return cohort_from_text(study.table, mapping=study.mapping, source=study.source, for_scoring=for_scoring)
    chosen = sheet or (table_mapping.sheet if table_mapping else "") or None
    table = read_table(path, sheet=chosen, encoding=encoding, limits=limits)
    source = CohortSource(name=path.name, path=path, sha256=digest(path))
    if table_mapping and table_mapping.beside:
        from features.public.tables_beside import join_beside

        table, table_mapping = join_beside(table, path, table_mapping)
    return cohort_from_text(table, mapping=table_mapping, source=source, for_scoring=for_scoring)


def cohort_from_table(
    table: pd.DataFrame,
    *,
    name: str = "table",
    mapping: TableMapping | None = None,
    for_scoring: bool = False,
    first_row: int = 2,
    path: Path | None = None,
    sha256: str = "",
) -> Cohort:
    """Validate a data frame by the rules of a cohort file.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns of text or numbers, named as in a cohort file.
    name : str, default "table"
        What messages call it.
    mapping : TableMapping, optional
    for_scoring : bool, default False
        Drop outcome columns, with a warning.
    first_row : int, default 2
        Row number of the first row, for batches of a larger file.
    path : pathlib.Path, optional
    sha256 : str, optional
        Where the table comes from, for the cohort's source.

    Returns
    -------
    Cohort

    Raises
    ------
    CohortRejectedError
        If the table cannot be used.
    """
    text = frame_table(table, name, first_row=first_row)
    source = CohortSource(name=name, path=path, sha256=sha256)
    return cohort_from_text(text, mapping=mapping, source=source, for_scoring=for_scoring)


def cohort_from_text(
    table: TextTable, *, source: CohortSource, mapping: TableMapping | None = None, for_scoring: bool = False
) -> Cohort:
    """Validate a table of text; what `read_cohort` and `cohort_from_table` share.

    Parameters
    ----------
    table : TextTable
    source : CohortSource
    mapping : TableMapping, optional
    for_scoring : bool, default False

    Returns
    -------
    Cohort

    Raises
    ------
    CohortRejectedError
        If the table cannot be used.
    """
    if mapping is not None:
        table = selected(table, mapping)
    log = FaultLog(table.rows)
    log.faults.extend(table.notes)
    for position, fault in table.misshapen.items():
        log.faults.append(fault)
        log.quarantined[position] = True
    plans = match_columns(table.columns, mapping, log)
    if for_scoring:
        plans = without_outcomes(plans, log)
    read, kind = _read_all(table, plans, log)
    if log.rejections():
        # A misspelt name is often the reason why a column is missing.
        near = [fault for fault in log.faults if fault.code == rules.NEAR_NAME.code]
        raise CohortRejectedError(table.name, [*log.rejections(), *near])
    merged = settle_duplicates(table, read, log)
    check_predictors(read, log)
    check_contradictions(read, log)
    derived = derive_columns(read, outcomes=not for_scoring)
    _note_unevaluable(read, ~log.quarantined & ~merged, log)
    matches = (
        *column_matches(table.columns, plans),
        *(ColumnMatch(" + ".join(sources), target, "derived") for target, sources in derived.items()),
    )
    return _cohort(table, read, log, merged, matches, replace(source, kind=kind))


def selected(table: TextTable, mapping: TableMapping) -> TextTable:
    """Rows of the table that are patients of the cohort."""
    positions = np.arange(len(table))[mapping.skip_rows_after_header :]
    chosen = mapping.keep_rows
    if chosen is not None:
        if chosen.column not in table.columns:
            fault = rules.MAPPED_COLUMN_ABSENT.fault(column=chosen.column, needed="keep_rows", hint="")
            raise CohortRejectedError(table.name, [fault])
        texts = table.texts(table.columns.index(chosen.column), positions)
        positions = positions[[text.strip() in chosen.holds for text in texts]]
    if not len(positions):
        raise CohortRejectedError(table.name, [rules.NO_ROWS.fault()])
    return table.take(positions)


def without_outcomes(plans: Sequence[ColumnPlan], log: FaultLog) -> tuple[ColumnPlan, ...]:
    """Plans of a file to score, in which an outcome has no place."""
    for plan in plans:
        if plan.target in OUTCOME_COLUMNS:
            log.note(rules.OUTCOME_DROPPED, column=plan.name)
    return tuple(plan for plan in plans if plan.target not in OUTCOME_COLUMNS)


def _read_all(table: TextTable, plans: Sequence[ColumnPlan], log: FaultLog) -> tuple[ReadColumns, Any]:
    """Read every planned column; the mark of origin is taken out of the columns."""
    values: dict[str, Any] = {}
    for plan in plans:
        values.update(read_column(table, plan, log, present=values))
    origin = values.pop(ORIGIN_COLUMN, None)
    kind = "measured" if origin is None else origin_kind({m for m in ORIGINS if origin.isin((m,)).any()}, log)
    read = ReadColumns(values, {plan.target: plan.name for plan in plans}, len(table))
    _note_constant(read, log)
    return read, kind


def origin_kind(marks: Collection[str], log: FaultLog) -> Any:
    """Kind of a cohort by the marks of origin of its rows."""
    met = [mark for mark in ORIGINS if mark in marks]
    kind = met[-1] if met else "measured"
    if len(met) > 1:
        log.note(rules.MIXED_ORIGIN, column=ORIGIN_COLUMN, marks=" and ".join(met), kind=kind)
    return kind


def _note_constant(read: ReadColumns, log: FaultLog) -> None:
    if read.size < 2:
        return
    for column, values in read.by_column.items():
        if column in measures():
            known = met_values(values)
            if len(known) == 1:
                told = known[0] if isinstance(known[0], str) else f"{known[0]:g}"
                log.note(rules.CONSTANT, column=read.names[column], value=told)


def met_values(values: Any) -> list[Any]:
    """Distinct values of a column; of numbers the smallest and the largest."""
    if isinstance(values, CodedColumn):
        met = np.bincount(values.codes[values.codes >= 0], minlength=len(values.texts)) > 0
        return sorted({text for text in values.texts[met] if text is not None})
    known = values[~np.isnan(values)]
    return list(dict.fromkeys((float(known.min()), float(known.max())))) if len(known) else []


def check_predictors(read: ReadColumns, log: FaultLog) -> None:
    """Put aside the rows in which no biomarker has a value."""
    columns = [values for column, values in read.by_column.items() if column in measures()]
    empty = np.full(read.size, bool(columns))
    for values in columns:
        if not empty.any():
            break
        empty &= absent(values)
    log.at(rules.NO_PREDICTOR, np.flatnonzero(empty & ~log.quarantined))


def _note_unevaluable(read: ReadColumns, kept: NDArray[np.bool_], log: FaultLog) -> None:
    number = int((read.texts("best_response")[kept] == "NE").sum())
    if number:
        denominator = int(np.isfinite(read.numbers("objective_response")[kept]).sum())
        column = read.names.get("best_response", "best_response")
        log.note(rules.NOT_EVALUABLE, column=column, number=number, denominator=denominator)


def _cohort(
    table: TextTable,
    read: ReadColumns,
    log: FaultLog,
    merged: NDArray[np.bool_],
    matches: Sequence[ColumnMatch],
    source: CohortSource,
) -> Cohort:
    kept = np.flatnonzero(~log.quarantined & ~merged)
    aside = np.flatnonzero(log.quarantined & ~merged)
    rejected = tuple(int(row) for row in table.rows[aside])
    return Cohort(
        source=source,
        patients=_patients(table, read, kept, matches, log.faults),
        rows=tuple(int(row) for row in table.rows[kept]),
        rows_in=len(table),
        rejected=rejected,
        duplicates_merged=int(merged.sum()),
        columns=tuple(matches),
        faults=_faults(log, table.rows[merged]),
        raw_rejected=dict(zip(rejected, _raw_rows(table, aside), strict=True)),
    )


def _faults(log: FaultLog, merged_rows: NDArray[np.int64]) -> tuple[Fault, ...]:
    """Faults in order, without those of rows that only repeat another."""
    gone = set(merged_rows.tolist())
    return tuple(fault for fault in log.in_order() if fault.row not in gone)


def _patients(
    table: TextTable,
    read: ReadColumns,
    kept: NDArray[np.intp],
    matches: Sequence[ColumnMatch],
    faults: Sequence[Fault],
) -> pd.DataFrame:
    order = [*CONTEXT_COLUMNS, *CONTEXT_LEVELS, "treatment_start", *OUTCOMES, *measures()]
    columns: dict[str, Any] = {}
    for column in dict.fromkeys(order):
        if column in read.by_column:
            values = read.by_column[column]
            coded = isinstance(values, CodedColumn)
            columns[column] = pd.array(values.take(kept).objects(), dtype="str") if coded else values[kept]
    dropped = {fault.column for fault in faults if fault.code == rules.OUTCOME_DROPPED.code}
    unused = {match.name for match in matches if match.column_id is None and match.name.strip()}
    for name, cells in zip(table.columns, table.cells, strict=True):
        if name in unused and name not in columns and collapse_spaces(name) not in dropped:
            columns[name] = pd.array(cells.take(kept), dtype="str")
    return pd.DataFrame(columns, index=pd.RangeIndex(len(kept)))


def _raw_rows(table: TextTable, positions: NDArray[np.intp]) -> list[dict[str, str]]:
    if not len(positions):
        return []
    columns = [table.texts(column, positions) for column in range(len(table.columns))]
    return [dict(zip(table.columns, texts, strict=True)) for texts in zip(*columns, strict=True)]
