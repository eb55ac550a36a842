"""The report of a validation in another cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Document, Paragraph, Section, Table
from features.report.words import banner
from training.report.parts import (
    SCHEMA_VERSION,
    USE,
    calibration_section,
    comparator_section,
    decision_section,
    performance_table,
    signal_paragraph,
    strata_section,
    unsaid_paragraphs,
)
from training.report.words import METRIC_LABELS, estimate

if TYPE_CHECKING:
    from training.validation.records import ExternalRecord


def validation_document(record: ExternalRecord) -> Document:
    """Put the report of a validation together.

    Parameters
    ----------
    record : ExternalRecord

    Returns
    -------
    Document
    """
    metrics = record.as_it_is.metrics
    headline = [(METRIC_LABELS[m], estimate(metrics[m])) for m in ("auroc", "log_loss", "brier", "calibration_slope")]
    drugs = ", ".join(f"{drug} {count}" for drug, count in record.adcs.items())
    return Document(
        schema_version=SCHEMA_VERSION,
        kind="validation",
        title=f"{record.model} validated on {record.cohort}",
        subtitle=f"Version {record.model_version}, trained on {record.trained_on}. {record.patients} patients, "
        f"{record.events} responded; {drugs}.",
        banner=banner(record.cohort_kind),
        use=USE,
        headline=tuple(headline),
        sections=(
            Section("flow", "Patients", _flow(record)),
            Section("performance", "Performance", _performance(record)),
            calibration_section(record.calibration, "Calibration, as it is"),
            calibration_section(record.calibration_recalibrated, "Calibration, recalibrated"),
            decision_section(record.decision_curve),
            strata_section(record.within, record.subgroups),
            comparator_section(record.comparator),
            Section("limits", "Limits", unsaid_paragraphs(record.unsaid) or (Paragraph("None beyond the intervals."),)),
        ),
    )


def _flow(record: ExternalRecord) -> tuple[Paragraph | Table, ...]:
    rows = [(f"left out: {reason}", f"{count:,}") for reason, count in record.left_out.items()]
    rows += [("judged", f"{record.patients:,}"), ("of them responded", f"{record.events:,}")]
    blocks: list[Paragraph | Table] = [Table("The cohort's flow.", ("", "patients"), tuple(rows))]
    if record.own_cohort:
        told = "The model learned from this very cohort: its held-out predictions are judged. No external validation."
        blocks.append(Paragraph(told, "warning"))
    if record.columns_missing:
        told = f"No patient has {', '.join(record.columns_missing)}: the model goes by the rest."
        blocks.append(Paragraph(told, "warning"))
    return tuple(blocks)


def _performance(record: ExternalRecord) -> tuple[Paragraph | Table, ...]:
    caption = (
        "The model as it is and recalibrated here (fitted on nine tenths, judged on the rest), with 95% intervals. The "
        "difference is that of the row's log loss from the model's as it is."
    )
    return signal_paragraph(record.signal), performance_table((record.as_it_is, *record.recalibrated), caption)
