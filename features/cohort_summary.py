"""What a cohort holds and what is wrong with it: as text for people, as a dictionary for machines. Names no patient."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from features import fault_rules as rules
from features.biomarkers import measures
from features.cohort import NO_ADC
from features.columns.cohort_columns import OUTCOMES
from features.faults import NAME_CHARACTERS, by_code, describe, shown

if TYPE_CHECKING:
    import pandas as pd

    from features.cohort import Cohort, Fault

RESEARCH_USE = "Research use only; never a treatment recommendation."
#: Endpoints whose events are counted.
_EVENT_COLUMNS = ("pcr", "objective_response", "pfs_event")
_HEADINGS = {
    "quarantine": "To mend: rows put aside",
    "flag": "Doubts: rows kept",
    "normalised": "Read in the usual form",
}
_FAULT_FIELDS = ("code", "severity", "row", "column", "value", "what", "mend")
#: Faults of one kind that the text lists before it only counts them.
LISTED_FAULTS = 5


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Patients with a known outcome and events among them, of all patients or of one ADC."""

    outcome: str
    adc: str | None
    known: int
    events: int


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column of the cohort: what it was read from, how, and how much of it is missing."""

    column: str
    label: str
    read_from: str
    how: str
    missing_percent: float
    core: bool


@dataclass(frozen=True)
class CohortSummary:
    """Summary of a cohort.

    Attributes
    ----------
    rows_in, rows_valid, rows_rejected, duplicates_merged : int
        `rows_in` is the sum of the other three.
    patients : int
        Different patients among the valid rows.
    adcs : dict of str to int
        Rows per ADC; "none" for comparator arms.
    needs_mending : bool
        Whether any row was put aside or any column name is probably misspelt.
    """

    name: str
    sha256: str
    origin: str
    rows_in: int
    rows_valid: int
    rows_rejected: int
    duplicates_merged: int
    patients: int
    adcs: dict[str, int]
    outcomes: tuple[OutcomeCount, ...]
    columns: tuple[FoundColumn, ...]
    unused: tuple[str, ...]
    faults: tuple[Fault, ...]
    needs_mending: bool

    def to_dict(self) -> dict[str, Any]:
        """Everything, with every fault."""
        # `asdict` copies deeply, which takes its time where every row has faults.
        faults = [{name: getattr(fault, name) for name in _FAULT_FIELDS} for fault in self.faults]
        return {**asdict(replace(self, faults=())), "faults": faults, "research_use": RESEARCH_USE}

    def to_json(self) -> str:
        """Everything, with every fault, as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_text(self, *, width: int = 100, list_all: bool = False) -> str:
        """Report for people.

        Parameters
        ----------
        width : int, default 100
            Characters per line of running text; faults stay one line each.
        list_all : bool, default False
            List every fault, not the first few of each kind.

        Returns
        -------
        str
        """
        parts = [self._heading(), self._outcome_text(), self._column_text(width)]
        parts += [self._fault_text(s, None if list_all else LISTED_FAULTS) for s in _HEADINGS]
        return "\n\n".join([*filter(None, parts), RESEARCH_USE])

    def _heading(self) -> str:
        lines = [f"{shown(self.name, NAME_CHARACTERS)}: {_counted(self.rows_in, 'row')}"]
        if self.origin != "measured":
            told = (
                "real biomarkers, simulated responses" if self.origin == "semi-synthetic" else "these are not patients"
            )
            lines.append(f"{self.origin.upper()} COHORT: {told}.")
        merged = f", {self.duplicates_merged:,} merged as repeats" if self.duplicates_merged else ""
        lines.append(
            f"  {self.rows_valid:,} valid ({_counted(self.patients, 'patient')}), "
            f"{self.rows_rejected:,} put aside{merged}"
        )
        lines.append(f"  ADCs: {', '.join(f'{_adc_name(adc)} {n:,}' for adc, n in self.adcs.items())}")
        return "\n".join(lines)

    def _outcome_text(self) -> str:
        whole = [count for count in self.outcomes if count.adc is None]
        if not whole:
            return "Outcomes: none"
        lines = ["Outcomes"]
        for count in whole:
            share = f" ({100 * count.events / count.known:.0f}%)" if count.known else ""
            lines.append(f"  {count.outcome:<20}{count.events:>6,} of {count.known:,}{share}")
            by_adc = [c for c in self.outcomes if c.outcome == count.outcome and c.adc is not None]
            lines += [f"    {_adc_name(c.adc or ''):<18}{c.events:>6,} of {c.known:,}" for c in by_adc]
        return "\n".join(lines)

    def _column_text(self, width: int) -> str:
        lines = [f"Biomarkers: {_counted(len(self.columns), 'column')} (* core)"]
        for found in self.columns:
            mark = "*" if found.core else " "
            origin = "" if found.read_from == found.column else f"  {found.how}: {shown(found.read_from, 60)}"
            lines.append(f"{mark} {found.column:<26}{found.missing_percent:>5.1f}% missing{origin}")
        if self.unused:
            names = ", ".join(shown(name) for name in self.unused)
            told = f"Unused columns ({len(self.unused)}): {names}"
            lines.append("")
            lines.append(textwrap.shorten(told, 4 * width, placeholder=" ..."))
        return "\n".join(lines[:-1] + textwrap.wrap(lines[-1], width) if self.unused else lines)

    def _fault_text(self, severity: str, most: int | None) -> str:
        chosen = [fault for fault in self.faults if fault.severity == severity]
        if not chosen:
            return ""
        rows = len({fault.row for fault in chosen if fault.row is not None})
        aside = severity == "quarantine" and rows
        told = f"{_counted(len(chosen), 'fault')} in {_counted(rows, 'row')}" if aside else f"{len(chosen):,}"
        lines = [f"{_HEADINGS[severity]} ({told})"]
        for code, faults in by_code(chosen).items():
            lines += [f"  {code} {describe(fault, '')}" for fault in faults[:most]]
            left = len(faults) - len(faults[:most])
            if left:
                lines.append(f"  {code} and {left:,} more like this; --all lists them")
        return "\n".join(lines)


def summarise(cohort: Cohort) -> CohortSummary:
    """Count what a cohort holds.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    CohortSummary
    """
    patients = cohort.patients
    mended = {rules.NEAR_NAME.code}
    return CohortSummary(
        name=cohort.source.name,
        sha256=cohort.source.sha256,
        origin=cohort.source.kind,
        rows_in=cohort.rows_in,
        rows_valid=len(cohort.rows),
        rows_rejected=len(cohort.rejected),
        duplicates_merged=cohort.duplicates_merged,
        patients=int(patients["patient_id"].nunique()) if "patient_id" in patients else 0,
        adcs={str(adc): int(n) for adc, n in patients["adc"].value_counts().items()},
        outcomes=tuple(_outcomes(patients)),
        columns=tuple(_columns(cohort)),
        unused=cohort.unused(),
        faults=cohort.faults,
        needs_mending=any(f.severity == "quarantine" or f.code in mended for f in cohort.faults),
    )


def _outcomes(patients: pd.DataFrame) -> list[OutcomeCount]:
    counts = []
    for outcome in OUTCOMES:
        if outcome not in patients or outcome not in _EVENT_COLUMNS:
            continue
        values = patients[outcome].to_numpy(dtype=np.float64)
        counts.append(_count(outcome, None, values))
        adcs = patients["adc"].unique()
        if len(adcs) > 1:
            counts += [_count(outcome, str(adc), values[patients["adc"].to_numpy() == adc]) for adc in sorted(adcs)]
    return counts


def _count(outcome: str, adc: str | None, values: np.ndarray[Any, np.dtype[np.float64]]) -> OutcomeCount:
    known = values[~np.isnan(values)]
    return OutcomeCount(outcome, adc, int(known.size), int(known.sum()))


def _columns(cohort: Cohort) -> list[FoundColumn]:
    """Biomarkers that the cohort has a column for, in catalogue order."""
    matches: dict[str, tuple[str, str]] = {}
    for match in cohort.columns:
        if match.column_id is not None:
            # A column that is partly stated and partly derived counts by its statement.
            matches.setdefault(match.column_id, (match.name, match.how))
    found = []
    for column, measure in measures().items():
        if column in cohort.patients and column in matches:
            missing = cohort.patients[column].isna()
            percent = 100.0 * float(missing.mean()) if len(missing) else 0.0
            name, how = matches[column]
            found.append(FoundColumn(column, measure.label, name, how, round(percent, 1), measure.core))
    return found


def _adc_name(adc: str) -> str:
    return "no ADC" if adc == NO_ADC else shown(adc)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
