"""What became of several cohorts when they were put together: mapped, lost, changed, and how alike they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from features.biomarkers import measures
from features.cohort_summary import RESEARCH_USE
from features.columns.cohort_columns import CONTEXT_LEVELS, OUTCOMES
from features.faults import by_code, listed
from features.harmonise import origins
from features.report.document import Document, Figure, Paragraph, Section, Series, Table
from features.report.words import banner, share
from features.side_by_side import UNLIKE, compare_cohorts

if TYPE_CHECKING:
    from features.cohort import Cohort
    from features.harmonise import Harmonised
    from features.side_by_side import Comparison, Distribution

SCHEMA_VERSION = 1
#: Most figures of a report: numbers that two cohorts hold, core biomarkers first.
_MOST_FIGURES = 6
_NOT_MEASURED = "not measured"


def harmonisation_document(harmonised: Harmonised) -> Document:
    """Put the report of a merge together.

    Parameters
    ----------
    harmonised : Harmonised

    Returns
    -------
    Document
    """
    patients = harmonised.patients
    kinds = origins(harmonised)
    invented = next((k for k in ("simulated", "semi-synthetic") if k in kinds), "measured")
    by_name = {
        name: patients.iloc[first : first + count].reset_index(drop=True) for name, first, count in _places(harmonised)
    }
    compared = compare_cohorts(by_name)
    unlike = [c for c in compared if c.difference is not None and c.difference > UNLIKE]
    return Document(
        schema_version=SCHEMA_VERSION,
        kind="harmonisation",
        title="Harmonisation report",
        subtitle=" + ".join(f"{name} ({len(part):,})" for name, part in by_name.items()),
        banner=banner(invented),
        use=RESEARCH_USE,
        headline=(
            ("Cohorts", str(len(by_name))),
            ("Patients", f"{len(patients):,}"),
            ("Biomarkers measured in all", _in_all(compared, len(by_name))),
            ("Unlike distributions", f"{len(unlike)} of {len(compared)}"),
        ),
        sections=(
            _cohort_section(harmonised),
            _column_section(harmonised, compared),
            _reference_section(harmonised),
            _status_section(harmonised),
            _distribution_section(harmonised, compared, unlike),
            _lost_section(harmonised),
        ),
    )


def _places(harmonised: Harmonised) -> list[tuple[str, int, int]]:
    """Name, first row and number of rows of each cohort."""
    found, first = [], 0
    for name, cohort in zip(harmonised.names, harmonised.cohorts, strict=True):
        found.append((name, first, len(cohort.patients)))
        first += len(cohort.patients)
    return found


def _in_all(compared: tuple[Comparison, ...], cohorts: int) -> str:
    of_measures = [c for c in compared if c.measure in measures()]
    everywhere = sum(sum(d.known > 0 for d in c.distributions) == cohorts for c in of_measures)
    return f"{everywhere} of {len(of_measures)}"


def _label(column: str) -> str:
    known = {**OUTCOMES, **CONTEXT_LEVELS, **measures()}
    return f"{known[column].label} ({column})" if column in known else column


def _cohort_section(harmonised: Harmonised) -> Section:
    rows = []
    for name, cohort in zip(harmonised.names, harmonised.cohorts, strict=True):
        drugs = cohort.patients["adc"].value_counts()
        rows.append(
            (
                name,
                cohort.source.name,
                cohort.source.kind,
                f"{cohort.rows_in:,}",
                f"{len(cohort.rows):,}",
                f"{len(cohort.rejected):,}",
                f"{cohort.duplicates_merged:,}",
                ", ".join(f"{drug} {count:,}" for drug, count in drugs.items()),
            )
        )
    head = ("Cohort", "File", "Origin", "Rows read", "Kept", "Put aside", "Merged as repeats", "ADC")
    events = []
    for outcome in ("pcr", "objective_response", "pfs_event"):
        cells = [_events(cohort, outcome) for cohort in harmonised.cohorts]
        if any(cells):
            events.append((_label(outcome), *(cell or _NOT_MEASURED for cell in cells)))
    blocks = [Table("Cohorts that were put together", head, tuple(rows), numeric=False)]
    if events:
        blocks.append(
            Table("Outcomes: events of patients with a known one", ("Outcome", *harmonised.names), tuple(events))
        )
    return Section("cohorts", "Cohorts", tuple(blocks))


def _events(cohort: Cohort, outcome: str) -> str:
    if outcome not in cohort.patients or not (known := int(cohort.patients[outcome].notna().sum())):
        return ""
    return f"{share(int(cohort.patients[outcome].sum()), known)} of {known:,}"


def _column_section(harmonised: Harmonised, compared: tuple[Comparison, ...]) -> Section:
    read_from = [{c.column_id: c for c in cohort.columns} for cohort in harmonised.cohorts]
    rows = []
    for comparison in compared:
        cells = []
        for columns, distribution in zip(read_from, comparison.distributions, strict=True):
            match = columns.get(comparison.measure)
            missing = 1 - distribution.known / distribution.patients if distribution.patients else 1.0
            told = f"{match.name} ({match.how}), {missing:.0%} missing" if match else f"{missing:.0%} missing"
            cells.append(told if distribution.known else _NOT_MEASURED)
        rows.append((_label(comparison.measure), *cells))
    table = Table("Columns: what each was read from", ("Column", *harmonised.names), tuple(rows), numeric=False)
    return Section("columns", "What was mapped", (table,))


def _reference_section(harmonised: Harmonised) -> Section:
    if not harmonised.references:
        return Section("references", "What z-scores refer to", (Paragraph("No cohort holds a z-score."),))
    rows = tuple(
        (
            _label(r.column),
            r.cohort,
            r.population,
            "" if r.her2_positive_share is None else f"{r.her2_positive_share:.0%}",
            f"{r.patients:,}",
            f"{r.mean:z.2f}",
            f"{r.spread:.2f}",
        )
        for r in harmonised.references
    )
    told = Paragraph(
        "A z-score counts standard deviations from the mean of a reference population. Where that is HER2-positive "
        "patients only, 0 is an average HER2-positive tumour; where it is all patients, an average tumour. The "
        "population is read from the HER2 status of the patients themselves; a mean far from 0 tells of another one."
    )
    head = ("z-score", "Cohort", "Patients are", "HER2-positive", "With a value", "Mean", "SD")
    return Section("references", "What z-scores refer to", (told, Table("Reference of each z-score", head, rows)))


def _status_section(harmonised: Harmonised) -> Section:
    if not harmonised.statuses:
        text = "No cohort states a HER2 status beside the assays that it could be computed from."
        return Section("her2", "HER2 status, stated and computed", (Paragraph(text),))
    rows = tuple(
        (name, f"{s.both:,}", share(s.agree, s.both), f"{s.stated_positive:,}", f"{s.computed_positive:,}")
        for name, s in harmonised.statuses.items()
    )
    head = ("Cohort", "Both known", "Agree", "Positive as stated only", "Positive as computed only")
    caption = "Stated HER2 status beside that of IHC and ISH by ASCO/CAP 2018; where they differ the stated one is kept"
    blocks: list[Paragraph | Table] = [Table(caption, head, rows)]
    filled = [name for name, s in harmonised.statuses.items() if s.filled]
    if filled:
        blocks.append(
            Paragraph(f"In {listed(filled)} statuses filled in from the assays are among those that agree.", "warning")
        )
    return Section("her2", "HER2 status, stated and computed", tuple(blocks))


def _distribution_section(
    harmonised: Harmonised, compared: tuple[Comparison, ...], unlike: list[Comparison]
) -> Section:
    rows = tuple(
        (
            _label(c.measure),
            *(_told(c.kind, d) for d in c.distributions),
            "" if c.difference is None else f"{c.difference:.2f}",
        )
        for c in compared
    )
    head = ("Column", *harmonised.names, "Difference")
    text = (
        "Difference: the largest between two cohorts with at least 10 values; standardised mean difference of numbers "
        "and yes/no, share of patients who would have to change level otherwise."
    )
    blocks: list[Paragraph | Table | Figure] = [Paragraph(text)]
    if unlike:
        names = ", ".join(c.measure for c in unlike)
        blocks.append(
            Paragraph(
                f"Unlike (difference above {UNLIKE}): {names}. A model of the merged cohort may tell cohorts apart by "
                "them; train with the question `cohort` (--question) to see what it predicts in a new one.",
                "warning",
            )
        )
    selected = [
        told for pair in zip(harmonised.names, harmonised.cohorts, strict=True) if (told := _too_positive(*pair))
    ]
    if selected:
        blocks.append(
            Paragraph(
                "Without IHC only a positive ISH or status tells the HER2 class, so that the share of positive tumours "
                f"is too high where IHC is missing: {'; '.join(selected)}.",
                "warning",
            )
        )
    blocks.append(Table("Distributions side by side", head, rows, numeric=False))
    shown = [c for c in compared if c.kind == "numeric" and sum(d.known > 0 for d in c.distributions) > 1]
    shown.sort(key=lambda c: not (c.measure in measures() and measures()[c.measure].core))
    blocks += [_figure(c) for c in shown[:_MOST_FIGURES]]
    return Section("distributions", "Distributions side by side", tuple(blocks))


def _too_positive(name: str, cohort: Cohort) -> str:
    """Tell how many tumours without IHC have a HER2 class, where all of these are positive."""
    patients = cohort.patients
    if not {"her2_ihc", "her2_class"} <= set(patients):
        return ""
    known = patients["her2_class"][patients["her2_ihc"].isna()].dropna()
    positive = int((patients["her2_class"] == "positive").sum())
    if known.empty or (known != "positive").any():
        return ""
    return f"{name}, {len(known):,} of {positive:,} positive ones without IHC"


def _told(kind: str, d: Distribution) -> str:
    if not d.known:
        return _NOT_MEASURED
    if kind == "numeric":
        return f"{_short(d.middle)} ({_short(d.low)} to {_short(d.high)}), n {d.known:,}"
    if kind == "binary":
        return f"{100 * (d.middle or 0.0):.0f}% of {d.known:,}"
    levels = ", ".join(f"{level} {100 * part:.0f}%" for level, part in d.shares.items() if part > 0)
    return f"{levels}; n {d.known:,}"


def _short(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3g}"


def _figure(comparison: Comparison) -> Figure:
    held = [d for d in comparison.distributions if d.known]
    series = Series(
        label="",
        x=tuple(d.middle or 0.0 for d in held),
        y=(0.0,) * len(held),
        low=tuple(d.low or 0.0 for d in held),
        high=tuple(d.high or 0.0 for d in held),
        style="points",
    )
    label = _label(comparison.measure)
    told = "; ".join(f"{d.cohort} {_short(d.middle)} ({_short(d.low)} to {_short(d.high)})" for d in held)
    return Figure(
        kind="intervals",
        caption=f"{label}: median and quartiles",
        alternative=f"Median and quartiles of {label}: {told}.",
        x_label=comparison.measure,
        y_label="",
        series=(series,),
        categories=tuple(d.cohort for d in held),
    )


def _lost_section(harmonised: Harmonised) -> Section:
    rows = []
    for name, cohort in zip(harmonised.names, harmonised.cohorts, strict=True):
        unused = cohort.unused()
        faults = [f for f in cohort.faults if f.severity in ("quarantine", "flag")]
        told = ", ".join(f"{code} {len(found):,}" for code, found in by_code(faults).items())
        rows.append((name, f"{len(cohort.rejected):,}", f"{len(unused):,}", ", ".join(unused[:12]), told or "none"))
    head = ("Cohort", "Rows put aside", "Columns unused", "Among them", "Faults and doubts by code")
    notes = [Paragraph(note) for note in harmonised.notes]
    return Section(
        "lost",
        "What was changed or lost",
        (*notes, Table("Not in the merged cohort, or only as unused columns", head, tuple(rows), numeric=False)),
    )
