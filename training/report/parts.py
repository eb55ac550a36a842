"""Sections that the report of a training and of a validation share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Figure, Paragraph, Section, Series, Table
from training.metrics import METRICS
from training.report.words import METRIC_LABELS, estimate

if TYPE_CHECKING:
    from training.estimate import Estimate
    from training.validation.records import (
        CalibrationRecord,
        CheckFinding,
        ComparatorRecord,
        Judged,
        NetBenefit,
        Stratum,
        WithinStrata,
    )

SCHEMA_VERSION = 1
USE = (
    "Research use only; never a treatment recommendation. It estimates response to a HER2-targeted antibody-drug "
    "conjugate in a cohort, for research teams; it is not validated for any decision on a patient."
)
#: Net benefit is drawn over thresholds that a clinician might use.
_LARGEST_THRESHOLD = 0.8


def performance_table(judged: tuple[Judged, ...], caption: str) -> Table:
    """Metrics of every candidate with intervals, and the paired difference to the model.

    Parameters
    ----------
    judged : tuple of Judged
    caption : str

    Returns
    -------
    Table
    """
    rows = []
    for j in judged:
        label = f"{j.label} (could not be fitted: {j.reason})" if j.reason else j.label
        difference = estimate(j.difference, digits=3, signed=True) if j.difference else "-"
        cells = (_or_dash(j.metrics.get(m)) for m in METRICS)
        rows.append((label, *cells, difference))
    head = ("", *(METRIC_LABELS[m] for m in METRICS), "difference in log loss")
    return Table(caption, head, tuple(rows))


def _or_dash(found: Estimate | None) -> str:
    """Leave the reason to the row's label and the text: cells of a wide table have no room for it."""
    return "-" if found is None or found.value is None else estimate(found)


def calibration_section(found: CalibrationRecord | None, title: str = "Calibration") -> Section:
    """Predicted beside observed response.

    Parameters
    ----------
    found : CalibrationRecord or None
    title : str

    Returns
    -------
    Section
    """
    name = title.lower().replace(" ", "-").replace(",", "")
    if found is None:
        return Section(name, title, (Paragraph("Calibration could not be judged."),))
    bins = Series(
        "patients in groups of similar prediction, 95% interval",
        tuple(b.predicted for b in found.bins),
        tuple(b.observed for b in found.bins),
        tuple(b.low for b in found.bins),
        tuple(b.high for b in found.bins),
        style="points",
    )
    lines = (Series("smooth curve", tuple(x for x, _ in found.curve), tuple(y for _, y in found.curve)),)
    told = (
        f"Slope {estimate(found.slope)} (1 is ideal; below it predictions are too extreme), intercept "
        f"{estimate(found.intercept)} (0 is ideal), integrated calibration index {_index(found.ici)} "
        f"(mean distance between predicted and observed; 0 is ideal). Recalibration: {found.recalibration}."
    )
    figure = Figure(
        "square",
        f"{title}: observed share of responders against the predicted probability, held-out patients.",
        f"Calibration plot. {told}",
        "predicted probability of response",
        "observed share of responders",
        (bins, *(lines if found.curve else ())),
    )
    return Section(name, title, (Paragraph(told), figure))


def _index(found: Estimate) -> str:
    return f"{found.value:.3f}" if found.value is not None else estimate(found)


def decision_section(points: tuple[NetBenefit, ...]) -> Section:
    """Net benefit over thresholds.

    Parameters
    ----------
    points : tuple of NetBenefit

    Returns
    -------
    Section
    """
    title = "Clinical use: decision curve"
    shown = [p for p in points if p.threshold <= _LARGEST_THRESHOLD]
    if not shown:
        return Section("decision-curve", title, (Paragraph("There is nothing to draw it from."),))
    x = tuple(p.threshold for p in shown)
    series = [
        Series("model", x, tuple(p.model for p in shown), tuple(p.low for p in shown), tuple(p.high for p in shown)),
        Series("treat all", x, tuple(max(p.treat_all, -0.05) for p in shown), style="thin"),
        Series("treat none", x, tuple(0.0 for _ in shown), style="dashed"),
    ]
    if all(p.her2_ihc is not None for p in shown):
        series.append(Series("by HER2 IHC alone", x, tuple(p.her2_ihc or 0.0 for p in shown), style="thin"))
    better = [p.threshold for p in shown if p.low > max(p.treat_all, 0.0, p.her2_ihc or 0.0)]
    told = (
        f"The interval of the model's net benefit lies above every alternative at thresholds of "
        f"{', '.join(f'{t:.2f}' for t in better)}."
        if better
        else "At no threshold does the interval of the model's net benefit lie above every alternative."
    )
    explained = (
        "The threshold is the probability of response from which on a treatment would be given; net benefit counts "
        "responders treated less non-responders treated, weighed by the threshold's odds."
    )
    figure = Figure(
        "lines",
        "Net benefit by threshold probability, with the 95% interval of the model's.",
        f"Decision curve. {told}",
        "threshold probability",
        "net benefit per patient",
        tuple(series),
    )
    return Section("decision-curve", title, (Paragraph(explained), Paragraph(told), figure))


def strata_section(within: tuple[WithinStrata, ...], groups: tuple[Stratum, ...]) -> Section:
    """Within ADC and HER2 class, and in subgroups.

    Parameters
    ----------
    within : tuple of WithinStrata
    groups : tuple of Stratum

    Returns
    -------
    Section
    """
    blocks: list[Paragraph | Table] = []
    if within:
        rows = tuple((f"same {w.by}", estimate(w.auroc), estimate(w.pooled)) for w in within)
        caption = "AUROC among patients who are alike in drug or HER2 class, beside the pooled one (95% interval)."
        blocks.append(Table(caption, ("", "within", "pooled"), rows))
        blocks += [Paragraph(w.warning, "warning") for w in within if w.warning]
    if groups:
        caption = "Subgroups with counts and 95% intervals; too few patients give counts only."
        head = ("", "patients", "responders", "AUROC", "Brier score", "predicted rate", "observed rate")
        blocks.append(Table(caption, head, tuple(_group_row(g) for g in groups)))
    else:
        blocks.append(Paragraph("The cohort states nothing by which its patients could be divided."))
    return Section("subgroups", "Within drugs and HER2 classes, and in subgroups", tuple(blocks))


def _group_row(group: Stratum) -> tuple[str, ...]:
    counts = (f"{group.by}: {group.level}", f"{group.patients:,}", f"{group.events:,}")
    if group.reason:
        return (*counts, group.reason, "", "", "")
    told = (estimate(group.metrics.get(m)) for m in ("auroc", "brier", "predicted_rate", "response_rate"))
    return (*counts, *told)


def comparator_section(found: ComparatorRecord | None) -> Section:
    """Predictive, or only prognostic.

    Parameters
    ----------
    found : ComparatorRecord or None

    Returns
    -------
    Section
    """
    title = "Predictive, or only prognostic?"
    if found is None:
        told = (
            "Not asked: without patients who received no ADC it cannot be told whether the score predicts response to "
            "the ADC or to any treatment ('adcr validate MODEL FILE --comparator ARM')."
        )
        return Section("comparator", title, (Paragraph(told),))
    rows = (
        ("ADC arm", f"{found.patients_adc}", f"{found.events_adc}", estimate(found.auroc_adc)),
        (f"comparator: {found.arm}", f"{found.patients_comparator}", f"{found.events_comparator}",
         estimate(found.auroc_comparator)),
        ("difference of AUROC", "", "", estimate(found.difference, signed=True)),
        ("difference of slope (interaction)", "", "", estimate(found.interaction, signed=True)),
    )  # fmt: skip
    caption = f"The same score in both arms; comparator patients scored as if they had received {found.scored_as}."
    table = Table(caption, ("", "patients", "responders", "AUROC (95% interval)"), rows)
    return Section("comparator", title, (Paragraph(found.sentence), table))


def signal_paragraph(sentence: str) -> Paragraph:
    """Set the sentence on the signal apart, by what it says.

    Parameters
    ----------
    sentence : str

    Returns
    -------
    Paragraph
    """
    return Paragraph(sentence, "good" if sentence.startswith("There is a signal") else "warning")


def checks_section(checks: tuple[CheckFinding, ...]) -> Section:
    """Doubts found before training.

    Parameters
    ----------
    checks : tuple of CheckFinding

    Returns
    -------
    Section
    """
    title = "Checks before training"
    if not checks:
        return Section("checks", title, (Paragraph("Nothing was found.", "good"),))
    rows = tuple(
        (f.code, f.severity + (" (ignored by the user)" if f.ignored else ""), f.what, f.remedy) for f in checks
    )
    table = Table(
        "What was found, and what to do about it.", ("code", "severity", "what", "remedy"), rows, numeric=False
    )
    return Section("checks", title, (table,))


def unsaid_paragraphs(unsaid: tuple[str, ...]) -> tuple[Paragraph, ...]:
    """List what cannot be said.

    Parameters
    ----------
    unsaid : tuple of str

    Returns
    -------
    tuple of Paragraph
    """
    if not unsaid:
        return ()
    return (Paragraph("What this cohort cannot say:", "warning"), *(Paragraph(text) for text in unsaid))
