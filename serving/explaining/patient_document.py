"""The page of one patient: the probability, what it is made of, the literature behind it, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.biomarkers import biomarker_of
from features.feature_table import encode
from features.report.document import Bar, Bars, Document, Paragraph, Section, Table
from features.report.words import share
from serving.explaining.page_parts import document, model_line
from serving.explaining.plausible_values import unmeasured_ranges
from serving.reasons import finding_text, value_words
from serving.scores import score
from training.explaining.knowledge import cited_sources, expected_direction
from training.report.of_explanation import sources_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from features.report.document import Block
    from serving.explaining.explained_cohort import ExplainedCohort, Floats

_MOST_STEPS, _MOST_UNMEASURED = 12, 15
#: Scores nearer than this in log-odds count as alike.
_ALIKE = 0.5
#: Contributions below this are left to the last bar.
_LEAST = 0.005


def patient_document(explained: ExplainedCohort, row: int) -> Document:
    """Put the page of one patient together.

    Parameters
    ----------
    explained : ExplainedCohort
    row : int
        Position among the cohort's valid patients.

    Returns
    -------
    Document
    """
    scores = explained.scores.iloc[row]
    parts = (
        Section("reasons", "What the probability is made of", tuple(_waterfall(explained, row))),
        Section("literature", "What is known of each reason", tuple(_literature(explained, row))),
        Section("missing", "What is missing, and what it could change", tuple(_missing(explained, row))),
        Section("drugs", "By ADC", tuple(_drugs(explained, row))),
        Section("others", "Among other patients", tuple(_others(explained, row))),
    )
    title = f"Patient {scores['patient_id']} on {scores['adc']}"
    return document(explained, title, f"{model_line(explained)}.", _headline(explained, row), parts)


def _headline(explained: ExplainedCohort, row: int) -> Iterator[tuple[str, str]]:
    scores = explained.scores.iloc[row]
    yield "probability of response", f"{scores['response_probability']:.3f}"
    yield "95% interval", f"{scores['probability_low']:.3f} to {scores['probability_high']:.3f}"
    yield "band", str(scores["risk_band"])
    lower = int((explained.log_odds < explained.log_odds[row]).sum())
    others = len(explained.log_odds) - 1
    if others:
        yield "position in the file", f"higher than {lower:,} of {others:,} others ({lower / others:.0%})"


def _chosen(explained: ExplainedCohort, row: int) -> list[int]:
    """Columns that are shown by themselves, largest contribution first."""
    shap = explained.shap[row]
    order = np.argsort(-np.abs(shap), kind="stable")[:_MOST_STEPS]
    return [int(j) for j in order if abs(shap[j]) >= _LEAST]


def _waterfall(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    shap: list[float] = explained.shap[row].tolist()
    columns, at = explained.schema.columns, explained.base
    bars = [Bar("The model's average", f"{at:+.2f}", 0.0, at, _probability(explained, at), "total")]
    chosen = _chosen(explained, row)
    for j in chosen:
        words = finding_text(columns[j], float(explained.matrix[row, j]))
        bars.append(Bar(words, f"{shap[j]:+.2f}", at, at + shap[j], _probability(explained, at + shap[j])))
        at += shap[j]
    rest = float(explained.log_odds[row]) - at
    left = len(columns) - len(chosen)
    if left:
        end = float(explained.log_odds[row])
        bars.append(Bar(f"{left} further columns", f"{rest:+.2f}", at, end, _probability(explained, end)))
    total = float(explained.log_odds[row])
    bars.append(Bar("This patient", f"{total:+.2f}", 0.0, total, _probability(explained, total), "total"))
    told = "; ".join(f"{b.label} {b.amount}" for b in bars[1:4])
    caption = (
        "Each bar starts where the one above ends and moves the log-odds of response; below each label the probability "
        "reached. Correlated biomarkers share credit."
    )
    yield Bars(caption, f"Largest contributions: {told}.", ("reason", "", "log-odds"), tuple(bars))


def _probability(explained: ExplainedCohort, log_odds: float) -> str:
    reached = float(explained.bundle.probability(np.array([log_odds]))[0])
    return f"probability {reached:.3f}"


def _literature(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    columns, adc = explained.schema.columns, str(explained.scores["adc"].iloc[row])
    names = [j for j in _chosen(explained, row) if columns[j].name in biomarker_of()]
    if not names:
        yield Paragraph("None of the largest contributions is a biomarker of the catalogue.")
        return
    rows = []
    for j in names:
        column, biomarker = columns[j], biomarker_of()[columns[j].name]
        direction, support = expected_direction(column.name, adc)
        known = f"{direction} ({support})" if support != "none" else direction
        if biomarker.conditional_on:
            known += f", given {biomarker.conditional_on}"
        rows.append(
            (
                finding_text(column, float(explained.matrix[row, j])),
                f"{explained.shap[row, j]:+.2f}",
                known,
                biomarker.effect or biomarker.note,
                ", ".join(dict.fromkeys(c.source for c in biomarker.citations)),
            )
        )
    caption = f"Known: what more of the measure does to response on {adc}, and the kind of evidence."
    yield Table(
        caption, ("reason", "log-odds", "known", "effect in the literature", "sources"), tuple(rows), numeric=False
    )
    yield from sources_table(cited_sources(columns[j].name for j in names))


def _missing(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    scores = explained.scores.iloc[row]
    for name, told in (("missing_core_biomarkers", "Core biomarkers not measured"),
                       ("outside_training_range", "Outside all that the model has seen")):  # fmt: skip
        if scores[name]:
            yield Paragraph(f"{told}: {scores[name]}.", "warning")
    ranges = unmeasured_ranges(explained.bundle, explained.matrix[row])
    if not ranges:
        yield Paragraph("Every biomarker that the model uses is measured.", "good")
        return
    columns = {c.name: c for c in explained.schema.columns}
    bars, rows = [], ranges[:_MOST_UNMEASURED]
    for r in rows:
        column = columns[r.name]
        detail = (
            f"{r.lowest:.3f} at {value_words(column, r.lowest_at)}, {r.highest:.3f} at "
            f"{value_words(column, r.highest_at)}"
        )
        bars.append(Bar(column.label, f"{r.width:.3f}", r.lowest, r.highest, detail, "unsure"))
    caption = (
        "Measure next: the probability over plausible values of each unmeasured biomarker (first to ninety-ninth "
        "percentile, or every level, of the training patients), all else as it is."
    )
    told = f"Widest: {bars[0].label}, {bars[0].detail}."
    yield Bars(caption, told, ("not measured", "from 0", "width"), tuple(bars))
    if len(ranges) > len(rows):
        yield Paragraph(f"{len(ranges) - len(rows)} further unmeasured biomarkers could change it by less.")


def _drugs(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    record = explained.record
    patient: pd.DataFrame = explained.cohort.patients.iloc[[row]]
    own = str(explained.scores["adc"].iloc[row])
    rows = []
    for adc in sorted({*record.cohort.adcs, own}):
        other = patient.assign(adc=adc)
        found = score(explained.bundle, other, encode(other, record.schema), top_reasons=0).table.iloc[0]
        seen = record.cohort.adcs.get(adc, 0)
        rows.append(
            (
                f"{adc} (in the file)" if adc == own else adc,
                f"{found['response_probability']:.3f}",
                f"{found['probability_low']:.3f} to {found['probability_high']:.3f}" if seen else "no support",
                f"{seen:,}",
            )
        )
    yield Paragraph(
        "The same patient with another ADC, by the model. Patients on different ADCs differ in more than the drug, so "
        "these numbers do not say which drug is better for this patient.",
        "warning",
    )
    yield Table("Probability by ADC.", ("ADC", "probability", "95% interval", "training patients on it"), tuple(rows))


def _others(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    """Count those who are alike; no training patient is in a model, and none is shown."""
    record, scores = explained.record, explained.scores.iloc[row]
    patients = record.cohort.patients
    rows = [(f"training patients on {scores['adc']}", share(record.cohort.adcs.get(scores["adc"], 0), patients))]
    for j in _chosen(explained, row):
        column, value = explained.schema.columns[j], explained.matrix[row, j]
        counts = record.training_ranges[column.name].level_counts if column.name in record.training_ranges else {}
        if column.levels and counts and np.isfinite(value):
            level = column.levels[int(value)]
            known = sum(counts.values())
            rows.append((f"training patients with {column.label} {level}", share(counts.get(level, 0), known)))
    held_out = np.asarray(record.held_out_log_odds)
    if len(held_out):
        alike = int((np.abs(held_out - explained.log_odds[row]) <= _ALIKE).sum())
        rows.append((f"training patients scored within {_ALIKE} log-odds when held out", share(alike, len(held_out))))
    alike = _alike(explained.log_odds, row)
    rows.append((f"other patients of the file within {_ALIKE} log-odds", share(alike, len(explained.log_odds) - 1)))
    yield Table("How many patients are like this one, as counts only.", ("", "patients"), tuple(rows))


def _alike(log_odds: Floats, row: int) -> int:
    return int((np.abs(log_odds - log_odds[row]) <= _ALIKE).sum()) - 1
