"""Cohort to training table: who can be learned from, who is left out and why, and when a cohort is too small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from features.cohort import NO_ADC
from features.errors import InputError
from features.feature_table import build_schema, encode, left_out_columns
from training.splits import patient_groups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import pandas as pd
    from numpy.typing import NDArray

    from features.cohort import Cohort
    from features.feature_table import FeatureSchema

Endpoint = Literal["pcr", "objective_response"]
ENDPOINTS: tuple[Endpoint, ...] = ("pcr", "objective_response")

#: Below these a model of response is noise, whatever the method: refused.
FEWEST_PATIENTS = 30
FEWEST_PER_OUTCOME = 10

#: Reason for leaving out rows with a fault, as everywhere that tells of them.
PUT_ASIDE = "rows put aside with a fault"

#: RECIST 1.1: complete and partial response are objective responses. NE (not evaluable) is no outcome here.
_RESPONSE_OF_BEST = {"CR": 1.0, "PR": 1.0, "SD": 0.0, "PD": 0.0}


@dataclass(frozen=True)
class TrainingTable:
    """What models learn from.

    Attributes
    ----------
    features : pandas.DataFrame of shape (n_patients, n_columns)
        Encoded by `schema`, default index.
    outcome : numpy.ndarray of shape (n_patients,)
        1 responded, 0 did not.
    adc : numpy.ndarray of shape (n_patients,)
        Short name of the ADC each patient received.
    patient : numpy.ndarray of shape (n_patients,)
        Number of the patient: rows of one patient share it.
    groups : numpy.ndarray of shape (n_patients,)
        Rows with the same number are never split: those of a patient, and of a group (site) where one is named.
    rows : numpy.ndarray of shape (n_patients,)
        Position in the cohort's `patients`.
    """

    features: pd.DataFrame
    outcome: NDArray[np.int64]
    adc: NDArray[Any]
    patient: NDArray[np.int64]
    groups: NDArray[np.int64]
    rows: NDArray[np.int64]
    schema: FeatureSchema

    def take(self, rows: NDArray[Any]) -> TrainingTable:
        """Keep some rows.

        Parameters
        ----------
        rows : numpy.ndarray
            Positions, or a mask.

        Returns
        -------
        TrainingTable
        """
        return TrainingTable(
            self.features.iloc[rows].reset_index(drop=True),
            self.outcome[rows],
            self.adc[rows],
            self.patient[rows],
            self.groups[rows],
            self.rows[rows],
            self.schema,
        )

    @property
    def patients(self) -> int:
        """Number of rows, one per treated patient."""
        return len(self.outcome)

    @property
    def events(self) -> int:
        """Number of responders."""
        return int(self.outcome.sum())


@dataclass(frozen=True)
class Attrition:
    """From the file to the patients learned from."""

    rows_in: int
    #: patients by reason, in the order in which they were left out
    left_out: dict[str, int]
    #: measures of the cohort that are not used, with the reason
    columns: dict[str, str]


def outcome_of(patients: pd.DataFrame, endpoint: Endpoint) -> NDArray[np.float64]:
    """Outcome of each patient: 1 responded, 0 did not, NaN unknown.

    `objective_response` is read from `best_response` where it has no column of its own.

    Parameters
    ----------
    patients : pandas.DataFrame
        Canonical columns.
    endpoint : {"pcr", "objective_response"}

    Returns
    -------
    numpy.ndarray of shape (n_patients,)

    Raises
    ------
    InputError
        The cohort does not hold the endpoint.
    """
    if endpoint in patients:
        return np.asarray(patients[endpoint].to_numpy(dtype=np.float64, na_value=np.nan))
    if endpoint == "objective_response" and "best_response" in patients:
        return np.asarray(patients["best_response"].map(_RESPONSE_OF_BEST), dtype=np.float64)
    raise InputError(
        f"The cohort has no column '{endpoint}', the outcome.",
        mend=f"Rename the column of 0 and 1 that holds it, or name it with --map.{_other_outcomes(patients, endpoint)}",
    )


def _other_outcomes(patients: pd.DataFrame, endpoint: Endpoint) -> str:
    known = {e: int(patients[e].notna().sum()) for e in ENDPOINTS if e != endpoint and e in patients}
    told = [f"{other}, known of {count} patients" for other, count in known.items() if count]
    return f" It holds {' and '.join(told)}." if told else ""


def put_aside(cohort: Cohort) -> str:
    """Sentence on the rows that cannot be used, where there are any.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    str
        With a space before it; empty where every row can be used.
    """
    if not cohort.rejected:
        return ""
    return f" {len(cohort.rejected)} of {cohort.rows_in} rows were put aside: 'adcr cohort check' tells why."


def prepare(
    cohort: Cohort, endpoint: Endpoint, *, group: str | None = None, extra_features: Sequence[str] = ()
) -> tuple[TrainingTable, Attrition]:
    """Patients of a cohort that a model of response can learn from.

    Parameters
    ----------
    cohort : Cohort
    endpoint : {"pcr", "objective_response"}
    group : str, optional
        Column whose values are never split.
    extra_features : sequence of str, optional
        Columns outside the catalogue.

    Returns
    -------
    TrainingTable
    Attrition

    Raises
    ------
    InputError
        The endpoint or a column is absent, one outcome only, or too few patients or events.
    """
    outcome = outcome_of(cohort.patients, endpoint)
    treated = (cohort.patients["adc"] != NO_ADC).to_numpy()
    known = np.isfinite(outcome)
    rows = np.flatnonzero(treated & known)
    left_out = {
        PUT_ASIDE: len(cohort.rejected),
        "identical duplicates": cohort.duplicates_merged,
        "no ADC (comparator arm)": int((~treated).sum()),
        f"{endpoint} not known": int((treated & ~known).sum()),
    }
    responses = outcome[rows].astype(np.int64)
    _require_enough(responses, endpoint, cohort)
    # Only what is learned from may decide which columns vary.
    learned = replace(
        cohort,
        patients=cohort.patients.iloc[rows].reset_index(drop=True),
        rows=tuple(cohort.rows[r] for r in rows),
    )
    schema = build_schema(learned, extra_features=extra_features)
    if not schema.columns:
        raise InputError(
            "No biomarker differs between the patients.",
            where=cohort.source.name,
            mend="Run 'adcr cohort check' to see which columns were recognised.",
        )
    table = TrainingTable(
        features=encode(learned.patients, schema),
        outcome=responses,
        adc=learned.patients["adc"].astype(object).to_numpy(),
        patient=patient_groups(learned.patients),
        groups=patient_groups(learned.patients, group),
        rows=rows.astype(np.int64),
        schema=schema,
    )
    shown = {reason: count for reason, count in left_out.items() if count}
    return table, Attrition(cohort.rows_in, shown, left_out_columns(learned, schema))


def _require_enough(outcome: NDArray[np.int64], endpoint: str, cohort: Cohort) -> None:
    patients, events = len(outcome), int(outcome.sum())
    fault = ""
    if patients < FEWEST_PATIENTS:
        fault = f"{patients} patients received an ADC and have a known {endpoint}; a model needs {FEWEST_PATIENTS}."
    elif events in (0, patients):
        fault = f"All {patients} patients have {endpoint} = {int(events > 0)}; a model needs both outcomes."
    elif min(events, patients - events) < FEWEST_PER_OUTCOME:
        rarer = "responded" if events < patients - events else "did not respond"
        fault = (
            f"{min(events, patients - events)} of {patients} patients {rarer} ({endpoint}); "
            f"a model needs {FEWEST_PER_OUTCOME} of each outcome."
        )
    if fault:
        raise InputError(
            fault + put_aside(cohort), where=cohort.source.name, mend="Add patients, or choose another --endpoint."
        )


def settings_of(cohort: Cohort, table: TrainingTable) -> tuple[str, ...]:
    """Treatment settings of the patients learned from, most frequent first.

    Parameters
    ----------
    cohort : Cohort
    table : TrainingTable

    Returns
    -------
    tuple of str
    """
    if "setting" not in cohort.patients:
        return ()
    counts = cohort.patients["setting"].iloc[table.rows].value_counts()
    return tuple(cast("str", s) for s in counts.index)
