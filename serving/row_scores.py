"""A data frame scored row for row: as many rows out as in, in order, an invalid one with its fault."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pandas as pd

from features.cohort_file import cohort_from_table
from features.feature_table import encode
from serving.quarantine import fault_text
from serving.scores import check_reasons, data_origin, score, score_columns

if TYPE_CHECKING:
    from features.cohort import Cohort, Fault
    from training.model_bundle import ModelBundle

FAULT_COLUMN = "fault"
#: Fault of a row that `cohort_from_table` merged into another and whose fellow cannot be told.
_MERGED = "an identical row was scored before this one."


def score_rows(bundle: ModelBundle, table: pd.DataFrame, *, top_reasons: int = 3) -> pd.DataFrame:
    """Score a data frame by the rules of a cohort file.

    Parameters
    ----------
    bundle : ModelBundle
    table : pandas.DataFrame of shape (n_rows, any)
        Columns named as in a cohort file, of text or numbers; the index is not looked at. Without `patient_id` the
        rows are those of different patients.
    top_reasons : int
        Reasons per patient; 0 for none.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        The columns of the score table and `fault`, which is "" in a row that was scored. In a row that was not,
        `fault` tells why and all but `patient_id` is null. A row that repeats another has the same scores.

    Raises
    ------
    InputError
        The table as a whole, or the number of reasons, cannot be used.
    """
    check_reasons(top_reasons)
    frame = table.reset_index(drop=True)
    if frame.empty:
        return pd.DataFrame(columns=[*score_columns(top_reasons), FAULT_COLUMN])
    named = "patient_id" in frame
    if not named:
        frame.insert(0, "patient_id", [f"row-{row}" for row in range(len(frame))])
    cohort = cohort_from_table(frame, name="request", for_scoring=True, first_row=0)
    origin = data_origin(bundle, cohort.source.kind)
    matrix = encode(cohort.patients, bundle.record.schema)
    scored = score(bundle, cohort.patients, matrix, top_reasons=top_reasons, origin=origin).table
    scored.index = pd.Index(cohort.rows)
    source = _sources(frame, cohort)
    rows = scored.reindex(source).reset_index(drop=True)
    rows[FAULT_COLUMN] = _faults(cohort, source)
    rows["patient_id"] = rows["patient_id"].fillna(frame["patient_id"].astype("str")) if named else None
    return _with_nulls(rows)


def _sources(frame: pd.DataFrame, cohort: Cohort) -> list[int]:
    """Row that each row's scores are those of: itself, or the row that it repeats."""
    settled = {*cohort.rows, *cohort.rejected}
    if len(settled) == len(frame):
        return list(range(len(frame)))
    texts = frame.map(_plain)
    first = texts.groupby(list(texts.columns), sort=False, dropna=False).ngroup()
    fellow = {int(group): row for row, group in reversed(list(enumerate(first))) if row in settled}
    return [row if row in settled else fellow.get(int(first[row]), row) for row in range(len(frame))]


def _plain(cell: object) -> str:
    """Cell in the form that repeats are found by: without spaces around it, in one Unicode form."""
    return "" if pd.isna(cell) else unicodedata.normalize("NFC", str(cell)).strip()  # type: ignore[call-overload]


def _faults(cohort: Cohort, source: list[int]) -> list[str]:
    by_row: dict[int, list[Fault]] = {}
    for fault in cohort.faults:
        if fault.severity == "quarantine" and fault.row is not None:
            by_row.setdefault(fault.row, []).append(fault)
    scored = set(cohort.rows)
    return ["" if row in scored else fault_text(by_row.get(row, [])) or _MERGED for row in source]


def _with_nulls(rows: pd.DataFrame) -> pd.DataFrame:
    """None in place of NaN, which JSON cannot write; columns without gaps keep their type."""
    gaps = rows.columns[rows.isna().any()]
    return rows.astype(dict.fromkeys(gaps, object)).where(rows.notna(), None)
