"""The page of one patient: the probability, what it is made of, the literature behind it, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.biomarkers import biomarker_of
from features.cohort import NO_ADC
from features.core_biomarkers import CORE_LABELS
from features.report.document import Bar, Bars, Document, Paragraph, Section, Table
from features.report.words import share
from serving.adc_ranking import FEWEST_COMPARABLE, HYPOTHESIS, rank
from serving.explaining.like_patients import LikePatients
from serving.explaining.page_parts import document, model_line, stability
from serving.explaining.plausible_values import unmeasured_ranges
from serving.patients import Patients
from serving.reasons import finding_text, value_words
from serving.shift import SEPARATOR
from training.explaining.knowledge import cited_sources, expected_direction
from training.report.of_knowledge import sources_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from features.report.document import Block
    from serving.explaining.explained_cohort import ExplainedCohort, Floats
    from serving.explaining.plausible_values import UnmeasuredRange

_MOST_STEPS, _MOST_UNMEASURED = 12, 15
#: Half a patient in a hundred: what moves the probability by less is told as a count.
_LEAST_WIDTH, _NOTHING = 0.005, 0.001
#: A position among fewer others says nothing.
_FEWEST_OTHERS = 5
_TREATMENT = {"adc": "the ADC", "setting": "the setting"}
#: Scores nearer than this in log-odds count as alike.
_ALIKE = 0.5
#: What the interval of a probability is: a single patient's own probability may well lie outside it.
RATE_INTERVAL = "95% interval of the response rate at this score"
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
        Section("reasons", "What the probability is made of", (*_outside(explained, row), *_waterfall(explained, row))),
        Section("missing", "Measure next: what is missing, and what it could change", tuple(_missing(explained, row))),
        Section("drugs", "By ADC", tuple(_drugs(explained, row))),
        Section("others", "Among other patients", tuple(_others(explained, row))),
        Section("literature", "What is known of each reason", tuple(_literature(explained, row))),
    )
    drug = "without an ADC" if scores["adc"] == NO_ADC else f"on {scores['adc']}"
    title = f"Patient {scores['patient_id']} {drug}"
    return document(explained, title, f"{model_line(explained)}.", _headline(explained, row), parts)


def _headline(explained: ExplainedCohort, row: int) -> Iterator[tuple[str, str]]:
    scores = explained.scores.iloc[row]
    yield "probability of response", f"{scores['response_probability']:.3f}"
    yield RATE_INTERVAL, f"{scores['probability_low']:.3f} to {scores['probability_high']:.3f}"
    yield "band", str(scores["risk_band"])
    lower = int((explained.log_odds < explained.log_odds[row]).sum())
    others = len(explained.log_odds) - 1
    if others >= _FEWEST_OTHERS:
        yield "position in the file", f"higher than {lower:,} of {others:,} others ({lower / others:.0%})"


def _chosen(explained: ExplainedCohort, row: int) -> list[int]:
    """Columns that are shown by themselves, largest contribution first."""
    shap = explained.shap[row]
    order = np.argsort(-np.abs(shap), kind="stable")[:_MOST_STEPS]
    return [int(j) for j in order if abs(shap[j]) >= _LEAST]


def _outside(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    """Name what the model has never seen, before anything is made of it."""
    names = [n for n in str(explained.scores["outside_training_range"].iloc[row] or "").split(SEPARATOR) if n]
    columns = {c.name: j for j, c in enumerate(explained.schema.columns)}
    told = []
    for name in names:
        if name in columns:
            j = columns[name]
            told.append(finding_text(explained.schema.columns[j], float(explained.matrix[row, j])))
        else:
            told.append(f"{_TREATMENT[name]} {explained.cohort.patients[name].iloc[row]}")
    if told:
        yield Paragraph(
            f"Outside all that the model has seen in training: {'; '.join(told)}. It extrapolates here.", "warning"
        )


def _waterfall(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    shap: list[float] = explained.shap[row].tolist()
    columns, at = explained.schema.columns, explained.base
    unstable = {name for name, found in stability(explained).items() if not found.stable}
    bars = [Bar("The model's average", f"{at:+.2f}", 0.0, at, _probability(explained, at), "total")]
    chosen = _chosen(explained, row)
    for j in chosen:
        words = finding_text(columns[j], float(explained.matrix[row, j]))
        doubt = columns[j].name in unstable
        detail = _probability(explained, at + shap[j]) + (", unstable" if doubt else "")
        bars.append(Bar(words, f"{shap[j]:+.2f}", at, at + shap[j], detail, "unsure" if doubt else "step"))
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
        "Each bar starts where the one above ends and moves the log-odds of response, blue up and red down; below each "
        "label the probability reached. Correlated biomarkers share credit."
    )
    if any(b.tone == "unsure" for b in bars):
        caption += " Grey, unstable: refits of the training disagree on the biomarker's direction."
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
    if scores["missing_core_biomarkers"]:
        core = [CORE_LABELS[name] for name in str(scores["missing_core_biomarkers"]).split(SEPARATOR)]
        yield Paragraph(f"Core biomarkers not measured: {'; '.join(core)}.", "warning")
    like = LikePatients(explained.schema, str(scores["adc"]), explained.record.endpoint)
    ranges = unmeasured_ranges(explained.bundle, explained.matrix[row], like)
    if not ranges:
        yield Paragraph("Every biomarker that the model uses is measured.", "good")
        return
    rows = [r for r in ranges if r.width >= _LEAST_WIDTH][:_MOST_UNMEASURED]
    if rows:
        yield _tornado(explained, rows, float(scores["response_probability"]))
    left = ranges[len(rows) :]
    if left:
        more = "further " if rows else ""
        kind = "biomarker" if len(left) == 1 else "biomarkers"
        least = f"by {left[0].width:.3f} at most" if left[0].width >= _NOTHING else "by less than 0.001"
        yield Paragraph(f"{len(left)} {more}unmeasured {kind} could move it {least}.")


def _tornado(explained: ExplainedCohort, rows: list[UnmeasuredRange], now: float) -> Bars:
    columns = {c.name: c for c in explained.schema.columns}
    bars = []
    for r in rows:
        column = columns[r.name]
        detail = (
            f"{r.lowest:.3f} at {value_words(column, r.lowest_at)}, {r.highest:.3f} at "
            f"{value_words(column, r.highest_at)}"
        )
        bars.append(Bar(column.label, f"{r.width:.3f}", r.lowest - now, r.highest - now, detail, "range"))
    caption = (
        f"How far the probability could move from {now:.3f} (the line) if one more biomarker were measured, all else "
        "as it is. Values are plausible that training patients had (first to ninety-ninth percentile, or any level) "
        "and that simulated patients have who resemble this one in the biomarkers that go along with it."
    )
    told = f"Widest: {bars[0].label}, {bars[0].detail}."
    return Bars(caption, told, ("not measured", "down and up", "width"), tuple(bars))


def _drugs(explained: ExplainedCohort, row: int) -> Iterator[Block]:
    record, scores = explained.record, explained.scores.iloc[row]
    own = str(scores["adc"])
    names = sorted({*record.cohort.adcs, own})
    found = rank(explained.bundle, Patients.of(explained.cohort.patients.iloc[[row]]), names)
    rows = [_drug_row(explained, row, name, found) for name in names]
    yield Paragraph(
        "The same patient with another ADC, by the model. Patients on different ADCs differ in more than the drug, so "
        "these numbers do not say which drug is better for this patient.",
        "warning",
    )
    caption = (
        f"Probability by ADC; none is given where fewer than {FEWEST_COMPARABLE} training patients of this HER2 class "
        "had the ADC."
    )
    yield Table(caption, ("ADC", "probability", RATE_INTERVAL, "training patients on it"), tuple(rows))
    if len(names) > 1:
        why = found["adc_ranking_abstains"][0].as_py()
        yield Paragraph(
            f"No ADC is ranked first: {why}."
            if why
            else f"Highest, with an interval apart: {found['adc_ranked_first'][0].as_py()}; {HYPOTHESIS}."
        )


def _drug_row(explained: ExplainedCohort, row: int, name: str, found: dict[str, Any]) -> tuple[str, ...]:
    scores, seen = explained.scores.iloc[row], f"{explained.record.cohort.adcs.get(name, 0):,}"
    if name == str(scores["adc"]):
        low, high = scores["probability_low"], scores["probability_high"]
        return (f"{name} (in the file)", f"{scores['response_probability']:.3f}", f"{low:.3f} to {high:.3f}", seen)
    p, low, high = (
        found[f"{part}_{name}"][0].as_py() for part in ("probability", "probability_low", "probability_high")
    )
    if p is None:
        return (name, "not given", "-", seen)
    return (name, f"{p:.3f}", f"{low:.3f} to {high:.3f}", seen)


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
