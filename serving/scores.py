"""Encoded patients and a model to the score table: probability with interval, band, reasons and cautions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.core_biomarkers import CORE_BIOMARKERS
from features.errors import InputError
from serving.reasons import reason_columns
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
    from numpy.typing import NDArray

    from training.model_bundle import ModelBundle

    Floats = NDArray[np.float64]

#: Bands of the response probability, relative to the patients that the model learned from. No guideline cuts them: a
#: patient is called a likely (unlikely) responder only where the whole interval has at least BAND_ODDS_RATIO times (at
#: most one BAND_ODDS_RATIOth of) the odds of their response rate, and where the model has seen the ADC. Everyone else
#: is uncertain.
LIKELY, UNCERTAIN, UNLIKELY = "likely responder", "uncertain", "unlikely responder"
BAND_ODDS_RATIO = 1.5

#: More reasons than this tell a reader nothing.
MOST_REASONS = 20
_CONTRIBUTION_DECIMALS = 9


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


def score_columns(top_reasons: int, *, with_origin: bool = False) -> tuple[str, ...]:
    """Names of the score table's columns, in order.

    Parameters
    ----------
    top_reasons : int
        Reasons per patient; 0 for none.
    with_origin : bool
        Whether patients or model are simulated, so that `data_origin` is among them.

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


def score(
    bundle: ModelBundle, patients: pd.DataFrame, matrix: pd.DataFrame, *, top_reasons: int = 3, origin: str = ""
) -> ScoredBatch:
    """Score patients.

    Each row depends on itself alone: neither the other rows, their number nor their order changes a bit of it.

    Parameters
    ----------
    bundle : ModelBundle
    patients : pandas.DataFrame of shape (n_patients, any)
        Validated patients, with `patient_id` and `adc`.
    matrix : pandas.DataFrame of shape (n_patients, n_columns)
        The same patients, encoded by `bundle.record.schema`.
    top_reasons : int
        Reasons per patient, by absolute SHAP contribution to the log-odds of response; 0 for none.
    origin : str
        Text of the `data_origin` column; "" leaves the column out.

    Returns
    -------
    ScoredBatch
        `response_probability` is the calibrated probability of `endpoint`; `probability_low` and `probability_high`
        are its Venn-Abers pair.
    """
    record = bundle.record
    encoded = matrix.to_numpy(dtype=np.float64)
    # LightGBM divides by the number of rows.
    log_odds = bundle.predict_log_odds(encoded) if len(encoded) else np.empty(0)
    low, high = bundle.interval(log_odds)
    outside = outside_training_range(record, patients, encoded)
    bands = risk_bands(low, high, record.response_rate)
    bands[unseen_adc(outside)] = UNCERTAIN
    data: dict[str, object] = {
        "patient_id": patients["patient_id"].to_numpy(),
        "adc": patients["adc"].to_numpy(),
        "response_probability": bundle.probability(log_odds),
        "probability_low": low,
        "probability_high": high,
        "risk_band": bands,
        **_reasons(bundle, encoded, top_reasons),
        "outside_training_range": names_of(outside, range_names(record.schema)),
        "missing_core_biomarkers": names_of(missing_core_biomarkers(record.schema, encoded), list(CORE_BIOMARKERS)),
        "endpoint": record.endpoint,
        "model_version": record.model_version,
        "data_origin": origin,
    }
    columns = score_columns(top_reasons, with_origin=bool(origin))
    table = pd.DataFrame({name: data[name] for name in columns}, index=pd.RangeIndex(len(patients)))
    texts = {name: "str" for name in columns if not is_number(name)}
    return ScoredBatch(table.astype(texts), count_shift(encoded, outside))


def is_number(column: str) -> bool:
    """Whether a column of the score table holds numbers (all others hold text).

    Parameters
    ----------
    column : str

    Returns
    -------
    bool
    """
    return "probability" in column or column.endswith("_contribution")


def risk_bands(low: Floats, high: Floats, response_rate: float) -> NDArray[np.object_]:
    """Band of each patient: whether the interval leaves the response rate of the training patients well behind.

    Parameters
    ----------
    low, high : numpy.ndarray of shape (n_patients,)
        Interval of the response probability.
    response_rate : float
        Share of the training patients that responded, above 0 and below 1.

    Returns
    -------
    numpy.ndarray of str, shape (n_patients,)
        LIKELY, UNCERTAIN or UNLIKELY. With a response rate of 50% the cuts are 60% and 40%.
    """
    odds = response_rate / (1 - response_rate)
    above, below = odds * BAND_ODDS_RATIO, odds / BAND_ODDS_RATIO
    bands = np.full(len(low), UNCERTAIN, dtype=object)
    bands[low >= above / (1 + above)] = LIKELY
    bands[high <= below / (1 + below)] = UNLIKELY
    return bands


def _reasons(bundle: ModelBundle, encoded: Floats, top_reasons: int) -> dict[str, object]:
    if not top_reasons:
        return {}
    contributions = bundle.contributions(encoded)[:, :-1] if len(encoded) else np.empty(encoded.shape)
    # What LightGBM and the tree kernel round differently is rounded away, so that files do not depend on either.
    contributions = np.round(contributions, _CONTRIBUTION_DECIMALS)
    return reason_columns(bundle.record.schema, encoded, contributions, top_reasons)
