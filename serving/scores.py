"""Encoded patients and a model to the score table: probability with interval, band, reasons and cautions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.columns.coded_column import CodedColumn
from features.core_biomarkers import CORE_BIOMARKERS
from features.errors import InputError
from serving.adc_ranking import rank, ranking_columns
from serving.patients import Patients
from serving.reasons import largest, reason_columns
from serving.shift import (
    ShiftCounts,
    count_shift,
    missing_core_biomarkers,
    names_of,
    outside_training_range,
    range_names,
    unseen_adc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.model_bundle import ModelBundle

    Floats = NDArray[np.float64]

#: Bands of the response probability, relative to the patients that the model learned from. No guideline cuts them: a
#: patient is called a likely (unlikely) responder only where the whole interval has at least BAND_ODDS_RATIO times (at
#: most one BAND_ODDS_RATIOth of) the odds of their response rate, and where the model has seen the ADC. Everyone else
#: is uncertain.
LIKELY, UNCERTAIN, UNLIKELY = "likely responder", "uncertain", "unlikely responder"
BAND_ODDS_RATIO = 1.5
BANDS = (LIKELY, UNCERTAIN, UNLIKELY)
UNCERTAIN_BAND = BANDS.index(UNCERTAIN)

#: More reasons than this tell a reader nothing.
MOST_REASONS = 20
_CONTRIBUTION_DECIMALS = 9
#: Columns with every contribution to the log-odds, and with the model's average log-odds, which they add to.
CONTRIBUTION, AVERAGE = "contribution_", "average"


@dataclass(frozen=True)
class ScoredBatch:
    """Scores of some patients, and how they compare with the training patients.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per patient in order, columns as `score_columns` names them.
    shift : ShiftCounts
    """

    table: pd.DataFrame
    shift: ShiftCounts


def score_columns(
    top_reasons: int,
    *,
    with_origin: bool = False,
    contributions: Sequence[str] = (),
    rank_adcs: Sequence[str] = (),
) -> tuple[str, ...]:
    """Names of the score table's columns, in order.

    Parameters
    ----------
    top_reasons : int
        Reasons per patient; 0 for none.
    with_origin : bool
        Whether patients or model are simulated, so that `data_origin` is among them.
    contributions : sequence of str
        Columns of the model whose contributions are all written; none by default.
    rank_adcs : sequence of str
        ADCs under which each patient is scored; none by default.

    Returns
    -------
    tuple of str
    """
    parts = ("", "_feature", "_value", "_contribution")
    return (
        *("patient_id", "adc", "response_probability", "probability_low", "probability_high", "risk_band"),
        *(f"reason_{i}{part}" for i in range(1, top_reasons + 1) for part in parts),
        *("outside_training_range", "missing_core_biomarkers", "endpoint", "model_version"),
        *(("data_origin",) if with_origin else ()),
        *(ranking_columns(rank_adcs) if rank_adcs else ()),
        *(f"{CONTRIBUTION}{name}" for name in (*contributions, *((AVERAGE,) if contributions else ()))),
    )


def check_reasons(top_reasons: int) -> None:
    """Refuse a number of reasons that cannot be given.

    Parameters
    ----------
    top_reasons : int

    Raises
    ------
    InputError
        It is negative or above MOST_REASONS.
    """
    if not 0 <= top_reasons <= MOST_REASONS:
        raise InputError(
            f"{top_reasons} reasons cannot be given.", where="--top-reasons", mend=f"Give 0 to {MOST_REASONS}."
        )


def data_origin(bundle: ModelBundle, patients_kind: str) -> str:
    """Tell what of the scores is simulated.

    Parameters
    ----------
    bundle : ModelBundle
    patients_kind : {"measured", "simulated", "semi-synthetic"}
        Kind of the cohort that is scored.

    Returns
    -------
    str
        "" where patients and model are real.
    """
    parts = []
    if patients_kind != "measured":
        parts.append(f"{patients_kind} patients")
    if bundle.record.simulated:
        parts.append(f"model of {bundle.record.cohort.kind} patients")
    return ", ".join(parts)


@dataclass(frozen=True)
class ScoredPatients:
    """Scores of some patients as an Arrow table, and how they compare with the training patients."""

    table: Any
    shift: ShiftCounts


def score(
    bundle: ModelBundle, patients: pd.DataFrame, matrix: pd.DataFrame, *, top_reasons: int = 3, origin: str = ""
) -> ScoredBatch:
    """Score the patients of a data frame; `score_patients` tells more.

    Parameters
    ----------
    bundle : ModelBundle
    patients : pandas.DataFrame of shape (n_patients, any)
        Validated patients, with `patient_id` and `adc`.
    matrix : pandas.DataFrame of shape (n_patients, n_columns)
        The same patients, encoded by `bundle.record.schema`.
    top_reasons : int
    origin : str

    Returns
    -------
    ScoredBatch
    """
    encoded = matrix.to_numpy(dtype=np.float64)
    found = score_patients(bundle, Patients.of(patients), encoded, top_reasons=top_reasons, origin=origin)
    columns = {
        name: found.table[name].to_numpy() if is_number(name) else pd.array(found.table[name].to_pylist(), dtype="str")
        for name in found.table.column_names
    }
    return ScoredBatch(pd.DataFrame(columns, index=pd.RangeIndex(len(patients))), found.shift)


def score_patients(
    bundle: ModelBundle,
    patients: Patients,
    encoded: Floats,
    *,
    top_reasons: int = 3,
    origin: str = "",
    contributions: bool = False,
    rank_adcs: Sequence[str] = (),
) -> ScoredPatients:
    """Score patients.

    Each row depends on itself alone: neither the other rows, their number nor their order changes a bit of it.

    Parameters
    ----------
    bundle : ModelBundle
    patients : Patients
    encoded : numpy.ndarray of shape (n_patients, n_columns)
        The same patients, encoded by `bundle.record.schema`.
    top_reasons : int
        Reasons per patient, by absolute SHAP contribution to the log-odds of response; 0 for none.
    origin : str
        Text of the `data_origin` column; "" leaves the column out.
    contributions : bool
        Whether to add a column for each contribution.
    rank_adcs : sequence of str
        ADCs under which to score each patient as well.

    Returns
    -------
    ScoredPatients
        `response_probability` is the calibrated probability of `endpoint`; `probability_low` and `probability_high`
        are its Venn-Abers pair.
    """
    record, rows = bundle.record, len(patients)
    log_odds, shap = _computed(bundle, encoded, explained=top_reasons > 0 or contributions)
    low, high = bundle.interval(log_odds)
    outside = outside_training_range(record, patients.columns, encoded)
    bands = risk_bands(low, high, record.response_rate)
    bands[unseen_adc(outside)] = UNCERTAIN_BAND
    data: dict[str, Any] = {
        "patient_id": patients.ids,
        "adc": _texts(patients.columns["adc"]),
        "response_probability": pa.array(bundle.probability(log_odds)),
        "probability_low": pa.array(low),
        "probability_high": pa.array(high),
        "risk_band": pa.array(BANDS, type=pa.string()).take(pa.array(bands)),
        **_reasons(bundle, encoded, shap, top_reasons, contributions),
        "outside_training_range": names_of(outside, range_names(record.schema)),
        "missing_core_biomarkers": names_of(missing_core_biomarkers(record.schema, encoded), list(CORE_BIOMARKERS)),
        "endpoint": _same(record.endpoint, rows),
        "model_version": _same(record.model_version, rows),
        "data_origin": _same(origin, rows),
        **(rank(bundle, patients, rank_adcs) if rank_adcs else {}),
    }
    every = record.schema.names if contributions else ()
    columns = score_columns(top_reasons, with_origin=bool(origin), contributions=every, rank_adcs=rank_adcs)
    table = pa.table([data[name] for name in columns], schema=score_schema(columns))
    return ScoredPatients(table, count_shift(encoded, outside))


def score_schema(columns: Sequence[str]) -> Any:
    """Arrow schema of the score table.

    Parameters
    ----------
    columns : sequence of str

    Returns
    -------
    pyarrow.Schema
        Doubles and texts.
    """
    return pa.schema([(name, pa.float64() if is_number(name) else pa.string()) for name in columns])


def _texts(column: CodedColumn) -> Any:
    texts = pa.array(list(column.texts) or [None], type=pa.string())
    return texts.take(pa.array(column.codes, mask=column.codes < 0))


def _same(text: str, rows: int) -> Any:
    return pa.array([text], type=pa.string()).take(pa.array(np.zeros(rows, dtype=np.int64)))


def is_number(column: str) -> bool:
    """Whether a column of the score table holds numbers (all others hold text).

    Parameters
    ----------
    column : str

    Returns
    -------
    bool
    """
    return column.startswith(CONTRIBUTION) or "probability" in column or column.endswith("_contribution")


def risk_bands(low: Floats, high: Floats, response_rate: float) -> NDArray[np.int64]:
    """Band of each patient: whether the interval leaves the response rate of the training patients well behind.

    Parameters
    ----------
    low, high : numpy.ndarray of shape (n_patients,)
        Interval of the response probability.
    response_rate : float
        Share of the training patients that responded, above 0 and below 1.

    Returns
    -------
    numpy.ndarray of int, shape (n_patients,)
        Position in BANDS. With a response rate of 50% the cuts are 60% and 40%.
    """
    odds = response_rate / (1 - response_rate)
    above, below = odds * BAND_ODDS_RATIO, odds / BAND_ODDS_RATIO
    bands = np.full(len(low), UNCERTAIN_BAND)
    bands[low >= above / (1 + above)] = BANDS.index(LIKELY)
    bands[high <= below / (1 + below)] = BANDS.index(UNLIKELY)
    return bands


def _computed(bundle: ModelBundle, encoded: Floats, *, explained: bool) -> tuple[Floats, Floats]:
    """Log-odds, and where they are to be explained the contributions with the model's average behind them."""
    none = np.empty((len(encoded), len(bundle.record.schema.columns) + 1 if explained else 0))
    if not len(encoded):
        # LightGBM divides by the number of rows.
        return np.empty(0), none
    if not explained:
        return bundle.predict_log_odds(encoded), none
    together = getattr(bundle, "explain", None)
    log_odds, shap = (
        together(encoded) if together else (bundle.predict_log_odds(encoded), bundle.contributions(encoded))
    )
    # What LightGBM and the tree kernel round differently is rounded away, so that files do not depend on either.
    return log_odds, np.round(shap, _CONTRIBUTION_DECIMALS, out=shap)


def _reasons(bundle: ModelBundle, encoded: Floats, shap: Floats, top_reasons: int, every: bool) -> dict[str, Any]:
    schema = bundle.record.schema
    names = (*schema.names, AVERAGE) if every else ()
    written = {f"{CONTRIBUTION}{name}": pa.array(np.ascontiguousarray(shap[:, j])) for j, name in enumerate(names)}
    if not top_reasons:
        return written
    find = getattr(bundle, "largest", lambda found, count: largest(found[:, :-1], count))
    return reason_columns(schema, encoded, shap, find(shap, top_reasons), top_reasons) | written
