"""What a cohort is once it has been read: valid patients, every fault, and where each column came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

#: Columns of a cohort file that are not biomarkers (biomarkers are in the catalogue).
CONTEXT_COLUMNS = ("patient_id", "adc", "partner_drugs", "arm", "cohort", "site", "setting")
OUTCOME_COLUMNS = ("pcr", "objective_response", "best_response", "pfs_months", "pfs_event")
#: Value of `adc` for a patient of a comparator arm, who received none.
NO_ADC = "none"
SETTINGS = ("neoadjuvant", "adjuvant", "metastatic")

Severity = Literal["reject", "quarantine", "normalised", "flag"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a cohort file, with the mend.

    `row` is the line of the table as a spreadsheet shows it: the header is row 1, the first patient row 2; None
    where the fault is of a whole column or file.
    """

    code: str
    severity: Severity
    what: str
    mend: str
    row: int | None = None
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnMatch:
    """A column of the file and what it was read as (`column_id` None: kept and reported as unused)."""

    name: str
    column_id: str | None
    how: Literal["id", "synonym", "mapping", "derived", "unused"]


@dataclass(frozen=True, slots=True)
class CohortSource:
    """Where a cohort came from."""

    name: str
    path: Path | None
    sha256: str
    #: "simulated" cohorts are marked so in the file and in everything made from them
    kind: Literal["measured", "simulated", "semi-synthetic"] = "measured"
    note: str = ""


@dataclass(frozen=True)
class Cohort:
    """A validated cohort.

    Attributes
    ----------
    patients : pandas.DataFrame
        One row per valid patient, default index. Identifiers and levels are text (`str` dtype, missing is NaN);
        numeric and binary columns are float64 with NaN missing (binary: 0.0 or 1.0). Columns: those of
        CONTEXT_COLUMNS and OUTCOME_COLUMNS that the file holds (`patient_id` and `adc` always), the measures of the
        catalogue that it holds or that were derived, and unused columns under their own names, as text.
    rows : tuple of int
        Row in the file of each row of `patients`.
    rejected : tuple of int
        Rows of the file that were quarantined; their faults are in `faults`.
    """

    source: CohortSource
    patients: pd.DataFrame
    rows: tuple[int, ...]
    rows_in: int
    rejected: tuple[int, ...] = ()
    duplicates_merged: int = 0
    columns: tuple[ColumnMatch, ...] = ()
    faults: tuple[Fault, ...] = ()
    raw_rejected: dict[int, dict[str, str]] = field(default_factory=dict)

    def measured(self) -> tuple[str, ...]:
        """Ids of the catalogue's measures with at least one value, in catalogue order."""
        from features.biomarkers import measures

        present = set(self.patients.columns[self.patients.notna().any()])
        return tuple(m for m in measures() if m in present)

    def unused(self) -> tuple[str, ...]:
        """Names of the file's columns that adcr has no use for."""
        return tuple(c.name for c in self.columns if c.column_id is None)
