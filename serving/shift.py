"""How far patients to score lie from those that the model learned from: row by row, and over the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from features.columns.coded_column import absent
from features.core_biomarkers import CORE_BIOMARKERS
from serving.population_shift import PSI_LARGE, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from features.feature_schema import FeatureColumn, FeatureSchema
    from training.model_bundle import BundleRecord, TrainingRange

    Flags = NDArray[np.bool_]

#: Stands between names in one cell.
SEPARATOR = "; "

#: A column is named in the summary where its missing share differs from training by more than this.
NOTABLE_MISSING_CHANGE = 0.2
#: ... or where more than this share of the measured values lies outside the training range.
NOTABLE_OUTSIDE = 0.05
#: ... or where its values moved and chance does not explain it; models have some fifty columns.
NOTABLE_P_VALUE = 0.001


class ColumnShift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of the model: what share is missing, and what share of the measured lies outside training."""

    name: str
    missing: float
    missing_in_training: float
    outside: float
    #: population stability index of the measured values, and p-value of the chi-square test that they are of the
    #: training patients' distribution; None where the model's record has no histogram
    psi: float | None = None
    p_value: float | None = None

    @property
    def moved(self) -> bool:
        """Whether the values are distributed otherwise than in training, by more than chance."""
        return self.psi is not None and self.psi > PSI_LARGE and (self.p_value or 0.0) < NOTABLE_P_VALUE

    @property
    def notable(self) -> bool:
        """Whether the difference is large enough to be told."""
        changed = abs(self.missing - self.missing_in_training) > NOTABLE_MISSING_CHANGE
        return changed or self.outside > NOTABLE_OUTSIDE or self.moved


def outside_training_range(record: BundleRecord, patients: Mapping[str, Any], matrix: NDArray[np.float64]) -> Flags:
    """Mark the values that lie beyond all that the model has seen.

    A number below the lowest or above the highest of the training patients, a level or category that none of them
    had, an ADC that none of them received, a treatment setting that none of them was in.

    Parameters
    ----------
    record : BundleRecord
        The model's record of its training patients.
    patients : mapping of str to numpy.ndarray or CodedColumn
        Validated patients by cohort column, row by row those of `matrix`.
    matrix : numpy.ndarray of shape (n_patients, n_columns)
        Encoded by `record.schema`.

    Returns
    -------
    numpy.ndarray of bool, shape (n_patients, n_columns + 2)
        One column per name of `range_names`; missing values are not outside.
    """
    flags = np.zeros((len(matrix), len(record.schema.columns) + 2), dtype=bool, order="F")
    for j, column in enumerate(record.schema.columns):
        # The parts of an ADC are those of the training set exactly where the ADC is.
        if column.source != "adc_profile":
            flags[:, j] = _outside(column, record.training_ranges.get(column.name), patients, matrix[:, j])
    flags[:, -2] = ~patients["adc"].isin(record.cohort.adcs)
    settings = record.cohort.settings
    if settings and "setting" in patients and "setting" not in record.schema.names:
        given = patients["setting"]
        flags[:, -1] = given.where(lambda setting: setting not in settings)
    return flags


def range_names(schema: FeatureSchema) -> tuple[str, ...]:
    """Names of the columns of `outside_training_range`.

    Parameters
    ----------
    schema : FeatureSchema

    Returns
    -------
    tuple of str
        The model's columns, then "adc" and "setting".
    """
    return (*schema.names, "adc", "setting")


def unseen_adc(outside: Flags) -> Flags:
    """Tell the patients whose ADC no training patient received, those without one among them.

    Parameters
    ----------
    outside : numpy.ndarray of bool, shape (n_patients, n_columns + 2)
        As `outside_training_range` gives it.

    Returns
    -------
    numpy.ndarray of bool, shape (n_patients,)
    """
    flags: Flags = outside[:, -2]
    return flags


def unseen_setting(outside: Flags) -> Flags:
    """Tell the patients in a treatment setting that no training patient was in.

    Parameters
    ----------
    outside : numpy.ndarray of bool, shape (n_patients, n_columns + 2)
        As `outside_training_range` gives it.

    Returns
    -------
    numpy.ndarray of bool, shape (n_patients,)
    """
    flags: Flags = outside[:, -1]
    return flags


def missing_core_biomarkers(schema: FeatureSchema, matrix: NDArray[np.float64]) -> Flags:
    """Mark the core biomarkers that a patient lacks although the model uses them.

    Parameters
    ----------
    schema : FeatureSchema
    matrix : numpy.ndarray of shape (n_patients, n_columns)

    Returns
    -------
    numpy.ndarray of bool, shape (n_patients, 5)
        In the order of CORE_BIOMARKERS: none of the columns by which the model knows the biomarker has a value.
    """
    flags = np.zeros((len(matrix), len(CORE_BIOMARKERS)), dtype=bool)
    for i, columns in enumerate(CORE_BIOMARKERS.values()):
        used = [j for j, name in enumerate(schema.names) if name in columns]
        if used:
            flags[:, i] = np.isnan(matrix[:, used]).all(axis=1)
    return flags


def names_of(flags: Flags, names: Sequence[str]) -> Any:
    """Name what is marked in each row.

    Parameters
    ----------
    flags : numpy.ndarray of bool, shape (n_rows, n_names)
    names : sequence of str

    Returns
    -------
    pyarrow.StringArray of n_rows
        Names in order with SEPARATOR between them; "" where none is marked.
    """
    marked = np.flatnonzero(flags.any(axis=0))
    codes, patterns = np.zeros(len(flags), dtype=np.int64), [""]
    # Few patterns occur among many rows: each is written once.
    for j in marked.tolist():
        with_name = [f"{text}{SEPARATOR}{names[j]}" if text else names[j] for text in patterns]
        codes, patterns = _used(
            codes * 2 + flags[:, j], [t for pair in zip(patterns, with_name, strict=True) for t in pair]
        )
    return pa.array(patterns, type=pa.string()).take(pa.array(codes))


def _used(codes: NDArray[np.int64], texts: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Codes without gaps, and their texts."""
    used = np.bincount(codes, minlength=len(texts)) > 0
    place = np.cumsum(used) - 1
    return place[codes], [text for text, on in zip(texts, used, strict=True) if on]


@dataclass(frozen=True)
class ShiftCounts:
    """Counts over some patients that add up over batches to the shift of a whole file.

    Attributes
    ----------
    rows : int
    rows_outside : int
        Patients with at least one value outside the training range.
    rows_unseen_adc : int
        Patients whose ADC no training patient received.
    rows_unseen_setting : int
        Patients in a treatment setting that no training patient was in.
    missing, outside, measured : numpy.ndarray of int, shape (n_columns,)
        Per column of the model; a category that the model does not know counts as measured and outside.
    """

    rows: int
    rows_outside: int
    rows_unseen_adc: int
    rows_unseen_setting: int
    missing: NDArray[np.int64]
    outside: NDArray[np.int64]
    measured: NDArray[np.int64]
    histogram: tuple[tuple[int, ...], ...] = ()

    def __add__(self, other: ShiftCounts) -> ShiftCounts:
        return ShiftCounts(
            self.rows + other.rows,
            self.rows_outside + other.rows_outside,
            self.rows_unseen_adc + other.rows_unseen_adc,
            self.rows_unseen_setting + other.rows_unseen_setting,
            self.missing + other.missing,
            self.outside + other.outside,
            self.measured + other.measured,
        )


def count_shift(matrix: NDArray[np.float64], outside: Flags) -> ShiftCounts:
    """Count missing values and values outside the training range.

    Parameters
    ----------
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    outside : numpy.ndarray of bool, shape (n_patients, n_columns + 2)
        As `outside_training_range` gives it.

    Returns
    -------
    ShiftCounts
    """
    beyond = outside[:, : matrix.shape[1]]
    measured = ~np.isnan(matrix) | beyond
    return ShiftCounts(
        rows=len(matrix),
        rows_outside=int(outside.any(axis=1).sum()),
        rows_unseen_adc=int(unseen_adc(outside).sum()),
        rows_unseen_setting=int(unseen_setting(outside).sum()),
        missing=(~measured).sum(axis=0),
        outside=beyond.sum(axis=0),
        measured=measured.sum(axis=0),
    )


class ColumnCounts(Protocol):
    """Counts per column of the model over some patients."""

    @property
    def missing(self) -> Sequence[int] | NDArray[np.int64]:
        """Patients without a value."""

    @property
    def outside(self) -> Sequence[int] | NDArray[np.int64]:
        """Patients with a value outside the training range."""

    @property
    def measured(self) -> Sequence[int] | NDArray[np.int64]:
        """Patients with a value."""

    @property
    def histogram(self) -> Sequence[Sequence[int]]:
        """Patients by the bins of the training record; empty where they were not counted."""


def column_shifts(record: BundleRecord, counts: ColumnCounts) -> tuple[ColumnShift, ...]:
    """Compare a file with the training patients, column by column.

    Parameters
    ----------
    record : BundleRecord
    counts : ShiftCounts or RunTally
        Of the whole file.

    Returns
    -------
    tuple of ColumnShift
        The model's columns in order, without the parts of the ADC; empty for a file without patients.
    """
    rows = [int(m) + int(k) for m, k in zip(counts.missing, counts.measured, strict=True)]
    if not any(rows):
        return ()
    return tuple(
        ColumnShift(
            name=column.name,
            missing=round(int(counts.missing[j]) / rows[j], 6),
            missing_in_training=round(record.training_ranges[column.name].missing_rate, 6),
            outside=round(int(counts.outside[j]) / max(int(counts.measured[j]), 1), 6),
            **_moved(record.training_ranges[column.name], counts.histogram[j] if counts.histogram else ()),
        )
        for j, column in enumerate(record.schema.columns)
        if column.source != "adc_profile" and column.name in record.training_ranges
    )


def _moved(seen: TrainingRange, found: Sequence[int]) -> dict[str, float]:
    if not seen.bin_counts or not found:
        return {}
    shift = compare(seen.bin_counts, found)
    # Two significant digits of a p-value are all that anyone reads.
    return {"psi": round(shift.psi, 4), "p_value": float(f"{shift.p_value:.2g}")}


def _outside(
    column: FeatureColumn, seen: TrainingRange | None, patients: Mapping[str, Any], values: NDArray[np.float64]
) -> Flags:
    # A value that the encoding does not know: a category that no training patient had.
    given = patients.get(column.name)
    flags = np.zeros(len(values), dtype=bool) if given is None else ~absent(given) & np.isnan(values)
    if seen is None:
        return flags
    if column.kind != "categorical" and seen.minimum is not None and seen.maximum is not None:
        flags |= (values < seen.minimum) | (values > seen.maximum)
    for position, level in enumerate(column.levels):
        if seen.level_counts and not seen.level_counts.get(level):
            flags |= values == position
    return flags
