"""The report of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.report.document import Document, Figure, Paragraph, Section, Series, Table
from features.report.words import banner, share
from training.report.checklists import checklists
from training.report.of_explanation import explanation_sections
from training.report.parts import (
    SCHEMA_VERSION,
    USE,
    calibration_section,
    checks_section,
    comparator_section,
    decision_section,
    performance_table,
    signal_paragraph,
    strata_section,
    unsaid_paragraphs,
)
from training.report.table_one import table_one
from training.report.words import METRIC_LABELS, estimate
from training.validation.sample_size import required_patients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.training_result import TrainingResult

_ENDPOINTS = {
    "pcr": "pathological complete response (pCR)",
    "objective_response": "objective response (RECIST 1.1: complete or partial response)",
}


def training_document(result: TrainingResult, *, verdict: str, literature: str) -> Document:
    """Put the report of a training together.

    Parameters
    ----------
    result : TrainingResult
    verdict : str
        Whether the model is better than the baselines, in a sentence.
    literature : str
        What it kept of the literature, in words; empty where it was left out.

    Returns
    -------
    Document
    """
    stamp, validation = result.record.cohort, result.validation
    answers = _answers(result, verdict)
    tripod, probast = checklists(answers)
    limits = tuple(Paragraph(text) for text in _limits(result))
    sections = (
        Section("purpose", "What the model is for", (Paragraph(answers["objective"]), Paragraph(USE))),
        Section("flow", "From the file to the patients learned from", _flow(result)),
        Section("table-1", "Table 1", (table_one(result.table),)),
        checks_section(validation.checks),
        Section("performance", "Performance in patients that it did not see", _performance(result, verdict)),
        Section("overfitting", "Apparent and corrected performance", _optimism(result)),
        calibration_section(validation.calibration),
        decision_section(validation.decision_curve),
        strata_section(validation.within, validation.subgroups),
        comparator_section(None),
        Section("learning-curve", "Learning curve", _curve(result)),
        Section("literature", "What was kept of the literature", _literature(result, literature)),
        *explanation_sections(result.explanation),
        Section("limits", "Limits", (*unsaid_paragraphs(validation.unsaid), *limits)),
        Section("specification", "Specification", (_specification(result),)),
        Section("standards", "Reporting standards", (tripod, probast)),
    )
    return Document(
        schema_version=SCHEMA_VERSION,
        kind="training",
        title=f"{result.name}: {_ENDPOINTS[result.endpoint]}",
        subtitle=f"Trained on {stamp.name}: {stamp.patients} patients, {stamp.events} responded; "
        f"{', '.join(f'{drug} {count}' for drug, count in stamp.adcs.items())}.",
        banner=banner(stamp.kind),
        use=USE,
        headline=tuple(_headline(result)),
        sections=sections,
    )


def _headline(result: TrainingResult) -> Iterator[tuple[str, str]]:
    for metric in ("auroc", "log_loss", "brier", "calibration_slope"):
        yield METRIC_LABELS[metric], estimate(result.model.evaluation.estimate(metric))
    yield "patients, responders", f"{result.table.patients}, {share(result.table.events, result.table.patients)}"


def _flow(result: TrainingResult) -> tuple[Paragraph | Table, ...]:
    attrition = result.attrition
    rows = [("rows in the file", f"{attrition.rows_in:,}")]
    rows += [(f"left out: {reason}", f"{count:,}") for reason, count in attrition.left_out.items()]
    rows += [("learned from", f"{result.table.patients:,}"), ("of them responded", f"{result.table.events:,}")]
    blocks: list[Paragraph | Table] = [Table("The cohort's flow.", ("", "patients"), tuple(rows))]
    if attrition.columns:
        told = "; ".join(f"{name} ({why})" for name, why in attrition.columns.items())
        blocks.append(Paragraph(f"Columns not learned from: {told}."))
    return tuple(blocks)


def _performance(result: TrainingResult, verdict: str) -> tuple[Paragraph | Table, ...]:
    validation = result.validation
    split = validation.split
    how = (
        f"held out one at a time: {', '.join(split.held_out)}"
        if split.held_out
        else f"{split.repeats} x {split.folds}-fold cross-validation that splits no patient"
    )
    caption = (
        f"Held-out performance, {how}; 95% intervals resample {split.resampled}. The difference is the model's log "
        "loss less that of the row: below 0 the model is better."
    )
    return (
        Paragraph(f"{split.sentence}"),
        signal_paragraph(validation.signal),
        Paragraph(verdict),
        performance_table(validation.candidates, caption),
    )


def _optimism(result: TrainingResult) -> tuple[Paragraph | Table, ...]:
    found = result.validation.optimism
    if not found.metrics:
        return (Paragraph(f"Resampling was not done: {found.reason}."),)
    lost = f" {found.lost} resamples held one outcome and were left out." if found.lost else ""
    rows = tuple(
        (
            METRIC_LABELS[o.metric],
            f"{o.apparent:.3f}",
            f"{o.harrell:.3f}",
            f"{o.left_out:.3f}",
            estimate(o.corrected, digits=3),
        )
        for o in found.metrics
    )
    caption = f"{found.resamples} resamples of 63% of the patients, every step refitted.{lost}"
    explained = (
        "Apparent: in the patients that the model learned from. Harrell's correction takes the mean optimism off; for "
        "models that fit closely it still flatters. Left out: in the patients that a resample did not draw. Corrected "
        "(.632+) weighs apparent and left out by how much is overfitted: what new patients like these may be expected "
        "to show. For the slope both have fixed weights."
    )
    head = ("", "apparent", "Harrell", "left out", "corrected (95% interval)")
    return Paragraph(explained), Table(caption, head, rows)


def _curve(result: TrainingResult) -> tuple[Paragraph | Figure, ...]:
    if not result.curve:
        return (Paragraph("Not asked for: 'adcr train --learning-curve' refits at growing sizes."),)
    series = []
    for label in dict.fromkeys(p.label for p in result.curve):
        points = [p for p in result.curve if p.label == label and np.isfinite(p.log_loss)]
        series.append(Series(label, tuple(float(p.patients) for p in points), tuple(p.log_loss for p in points)))
    last = "; ".join(f"{s.label} {s.y[0]:.3f} to {s.y[-1]:.3f}" for s in series if s.y)
    figure = Figure(
        "lines",
        "Held-out log loss by the number of patients learned from (lower is better).",
        f"Learning curve, smallest to largest size: {last}.",
        "patients learned from",
        "log loss",
        tuple(series),
    )
    return (figure,)


def _literature(result: TrainingResult, sentence: str) -> tuple[Paragraph | Table, ...]:
    use = result.literature
    if use is None:
        return (Paragraph("The literature prior was left out (--no-prior)."),)
    rows = tuple(
        (s.step.replace("_", " "), f"{s.weight:.0%}", f"{s.spread:.2f}")
        for s in sorted(use.steps, key=lambda s: -s.spread)
    )
    caption = "Weight kept of each mechanism step, and how far the step tells these patients apart (SD of log-odds)."
    blocks: list[Paragraph | Table] = [Paragraph(sentence), Table(caption, ("step", "weight kept", "spread"), rows)]
    if use.contradicted:
        told = f"Against the catalogue's direction: {', '.join(use.contradicted)}. No sign is held for them."
        blocks.append(Paragraph(told, "warning"))
    return tuple(blocks)


def _limits(result: TrainingResult) -> Iterator[str]:
    yield "Intervals hold the sampling of patients that were judged, not the variation of training on another cohort."
    yield "Explanations say what the model does, not what a drug does; they are no causal effects."
    if result.validation.split.question == "new-patients":
        yield "Another hospital or trial may differ in more than chance: validate there ('adcr validate')."
    if result.literature is not None:
        yield (
            "The literature prior comes from a simulator calibrated to published trials; many of its effect sizes are "
            "assumed, and no patient of this cohort entered it."
        )


def _specification(result: TrainingResult) -> Table:
    record = result.record
    rows = [
        ("model version", record.model_version),
        ("columns", ", ".join(result.table.schema.names)),
        ("rounds of the cohort's trees", f"{result.rounds}"),
        ("recalibration", f"{record.calibration.method}, {record.calibration.intercept:+.3f} and "
         f"{record.calibration.slope:.3f}"),
        ("seed", f"{record.seed}"),
        ("cohort sha256", record.cohort.sha256),
        ("catalogue sha256", record.catalogue_sha256),
        ("literature prior", result.prior.key if result.prior else "none"),
        ("packages", ", ".join(f"{name} {version}" for name, version in record.packages.items())),
    ]  # fmt: skip
    return Table(
        "What made the model; the same input and versions make it again.", ("", ""), tuple(rows), numeric=False
    )


def _answers(result: TrainingResult, verdict: str) -> dict[str, str]:
    """Answer the items of the standards, as far as a run can."""
    record, table, validation = result.record, result.table, result.validation
    stamp = record.cohort
    columns = len(table.schema.columns)
    required = required_patients(columns, table.events / table.patients).required
    missing = table.features.isna().to_numpy().mean()
    auroc = result.model.evaluation.estimate("auroc")
    participants = f"{stamp.patients} of {result.attrition.rows_in} rows; see the flow and Table 1."
    return {
        "title": f"{result.name}: development and internal validation of a prediction model.",
        "objective": f"To estimate the probability of {_ENDPOINTS[result.endpoint]} to {', '.join(stamp.adcs)} from "
        f"biomarkers measured before treatment. {validation.split.sentence}",
        "data": f"Cohort file {stamp.name} ({stamp.kind}), sha256 {stamp.sha256[:12]}.",
        "participants": participants,
        "preparation": "Columns matched to a catalogue and values checked by declared rules; faulty rows put aside and "
        "counted; expression within assay and cohort.",
        "outcome": f"{_ENDPOINTS[result.endpoint]}; {table.events} of {table.patients} responded.",
        "predictors": f"{columns} columns, listed under specification; acquired alterations are excluded.",
        "sample_size": f"{table.patients} patients; Riley's criteria ask for {required:,} for {columns} parameters.",
        "missing": f"{missing:.0%} of the values are missing; trees learn a branch for them, nothing is imputed.",
        "methods": "Literature prior with additive effects and gradient-boosted trees, weighed by evidence; every step "
        "refitted in each fold; monotone where the catalogue is sure.",
        "imbalance": f"Response rate {table.events / table.patients:.0%}; no weights or resampling, which would spoil "
        "calibration.",
        "fairness": "Performance by hormone receptor, age, setting and site under subgroups.",
        "output": "A calibrated probability with an interval for patients of the same score; no cut-off is proposed.",
        "evaluation": f"{validation.split.sentence} {validation.split.repeats} x {validation.split.folds} folds.",
        "open_science": f"adcr {record.packages.get('adcr', '')}; settings, seeds and hashes under specification.",
        "development": f"{participants} {verdict}",
        "specification": "The model is a text file with its record; see specification.",
        "performance": f"AUROC {estimate(auroc)}; see performance, calibration and decision curve.",
        "updating": "'adcr validate' shows the effect of recalibration in another cohort.",
        "limits": " ".join(_limits(result)),
        "usability": "Missing biomarkers are accepted; patients outside the training range are marked when scored.",
        "analysis": f"{len(validation.checks)} doubt(s) found by the checks. {validation.signal} Optimism corrected by "
        f"{validation.optimism.resamples} refits.",
    }
