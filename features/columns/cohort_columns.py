"""Every column that a cohort file may have: biomarkers of the catalogue, outcomes, and what describes the patient.

Outcomes and settings are read by the same rules as biomarkers, so they are `Measure` records too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from features.biomarkers import Measure, measures
from features.cohort import NO_ADC, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED_COLUMNS = ("patient_id", "adc")
#: The five core biomarkers, each with the columns that measure it.
CORE_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "HER2 level": ("her2_ihc", "her2_ish_ratio", "erbb2_copy_number", "erbb2_mrna_z", "her2_h_score"),
        "HER2 heterogeneity": ("her2_heterogeneous", "her2_negative_fraction"),
        "p95HER2": ("p95her2_ratio", "p95her2_positive"),
        "CDK12": ("cdk12_amplified", "cdk12_copy_number"),
        "ERBB2 deletion": ("erbb2_deletion",),
    }
)
#: Column in which cohort files written by adcr say where their rows come from.
ORIGIN_COLUMN = "data_origin"
#: Longest follow-up that is believed, in months.
_LONGEST_FOLLOWUP_MONTHS = 600.0


def _yes_no(column: str, label: str, synonyms: dict[str, str]) -> Measure:
    return Measure(
        id=column, label=label, assay="", unit="yes/no", kind="binary", toward_state=0, level_synonyms=synonyms
    )


_PROGRESSED = {
    **dict.fromkeys(("progressed", "progression", "event", "pd", "death", "died", "deceased", "relapsed"), "1"),
    **dict.fromkeys(("1:progressed", "1:progression", "1:recurred/progressed", "1:deceased", "recurred"), "1"),
    **dict.fromkeys(("censored", "no event", "alive", "0:censored", "0:diseasefree", "0:not progressed"), "0"),
    **dict.fromkeys(("0:living", "living", "progression-free", "progression free"), "0"),
}
_RESPONDED = {
    **dict.fromkeys(("cr", "pr", "responder", "response", "r", "complete response", "partial response"), "1"),
    **dict.fromkeys(("sd", "pd", "non-responder", "nonresponder", "no response", "nr"), "0"),
    **dict.fromkeys(("stable disease", "progressive disease", "not a responder"), "0"),
}
_PCR = {
    **dict.fromkeys(("pcr", "tpcr", "complete", "complete response", "ypt0/is ypn0", "rcb-0", "rcb 0"), "1"),
    **dict.fromkeys(("non-pcr", "non pcr", "nonpcr", "no pcr", "not pcr", "npcr", "rd", "residual disease"), "0"),
    **dict.fromkeys(("residual", "residual tumour", "residual tumor", "no-pcr", "incomplete"), "0"),
}
_BEST_RESPONSE = {
    **dict.fromkeys(("complete response", "complete remission", "icr"), "CR"),
    **dict.fromkeys(("partial response", "partial remission", "ipr"), "PR"),
    **dict.fromkeys(("stable disease", "stable", "no change", "isd"), "SD"),
    **dict.fromkeys(("progressive disease", "progressed", "progression", "ipd"), "PD"),
    **dict.fromkeys(("not evaluable", "non-evaluable", "inevaluable", "not evaluated", "not assessable"), "NE"),
}

#: Outcome columns, read by the rules of a measure.
OUTCOMES: Mapping[str, Measure] = MappingProxyType(
    {
        m.id: m
        for m in (
            _yes_no("pcr", "pathologic complete response (ypT0/is ypN0 unless the study says otherwise)", _PCR),
            _yes_no("objective_response", "objective response by RECIST 1.1: best response CR or PR", _RESPONDED),
            Measure(
                id="best_response",
                label="best response by RECIST 1.1",
                assay="",
                unit="level",
                kind="ordinal",
                toward_state=0,
                levels=("CR", "PR", "SD", "PD", "NE"),
                level_synonyms=_BEST_RESPONSE,
            ),
            Measure(
                id="pfs_months",
                label="time to progression, death or last follow-up",
                assay="",
                unit="months",
                kind="numeric",
                toward_state=0,
                minimum=0.0,
                maximum=_LONGEST_FOLLOWUP_MONTHS,
            ),
            _yes_no("pfs_event", "progressed or died (1) or censored (0) at pfs_months", _PROGRESSED),
        )
    }
)

#: Context columns with a fixed set of values.
CONTEXT_LEVELS: Mapping[str, Measure] = MappingProxyType(
    {
        "setting": Measure(
            id="setting",
            label="treatment setting",
            assay="",
            unit="level",
            kind="categorical",
            toward_state=0,
            levels=SETTINGS,
            level_synonyms={
                **dict.fromkeys(("neo-adjuvant", "preoperative", "primary systemic", "nact", "nat"), "neoadjuvant"),
                **dict.fromkeys(("post-neoadjuvant", "postoperative"), "adjuvant"),
                **dict.fromkeys(("advanced", "mbc", "abc", "stage iv", "palliative", "recurrent"), "metastatic"),
            },
        ),
        ORIGIN_COLUMN: Measure(
            id=ORIGIN_COLUMN,
            label="where the row comes from",
            assay="",
            unit="level",
            kind="categorical",
            toward_state=0,
            levels=("measured", "simulated", "semi-synthetic"),
            level_synonyms={"synthetic": "simulated", "real": "measured", "semisynthetic": "semi-synthetic"},
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ColumnNote:
    """A line of the data dictionary: a column, what it means and what it may hold."""

    column: str
    group: Literal["context", "outcome", "biomarker"]
    meaning: str
    unit: str
    allowed: str
    required: bool
    core: bool = False


_CONTEXT_NOTES = {
    "patient_id": ("study number of the patient", "any text, kept as written"),
    "adc": ("antibody-drug conjugate received", f"a name of `adcr catalogue adcs`, or '{NO_ADC}' (comparator arm)"),
    "partner_drugs": ("drugs given with the ADC", "any text"),
    "arm": ("arm of the trial, as the trial names it", "any text"),
    "cohort": ("trial or cohort", "any text"),
    "site": ("hospital", "any text"),
    "treatment_start": ("first day of the ADC", "ISO date: 2024-03-31"),
}


@cache
def column_notes() -> tuple[ColumnNote, ...]:
    """Build the data dictionary of a cohort file: context, outcomes, then biomarkers in catalogue order."""
    notes = [
        ColumnNote(column, "context", meaning, "", allowed, required=column in REQUIRED_COLUMNS)
        for column, (meaning, allowed) in _CONTEXT_NOTES.items()
    ]
    notes += [_note(measure, "context") for measure in CONTEXT_LEVELS.values()]
    notes += [_note(measure, "outcome") for measure in OUTCOMES.values()]
    notes += [_note(measure, "biomarker") for measure in measures().values()]
    return tuple(notes)


def _note(measure: Measure, group: Literal["context", "outcome", "biomarker"]) -> ColumnNote:
    return ColumnNote(
        column=measure.id,
        group=group,
        meaning=measure.label,
        unit="" if measure.unit in ("level", "yes/no") else measure.unit,
        allowed=allowed_values(measure),
        required=False,
        core=measure.core,
    )


def allowed_values(measure: Measure) -> str:
    """Say the allowed values of a measure in words: "0, ultralow, 1+, 2+ or 3+", "0.1 to 30"."""
    if measure.kind == "binary":
        return "1 (yes) or 0 (no)"
    if measure.levels:
        return f"{', '.join(measure.levels[:-1])} or {measure.levels[-1]}"
    low, high = measure.minimum, measure.maximum
    if low is None and high is None:
        return "any number"
    return f"{'' if low is None else f'{low:g} '}to {'any' if high is None else f'{high:g}'}".strip()
