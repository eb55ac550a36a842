"""A comparison of tracked runs as a page: what the MLflow UI shows slowly for hundreds of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Document, Figure, Paragraph, Section, Series, Table
from training.estimate import Estimate
from training.report.parts import SCHEMA_VERSION, USE
from training.report.words import METRIC_LABELS, estimate

if TYPE_CHECKING:
    from training.comparison import ComparedRun, Comparison

#: Runs that the pictures hold; the tables hold all.
_MOST_DRAWN = 40
_SHOWN = ("auroc", "auprc", "brier", "log_loss", "calibration_slope", "auroc_corrected")
_LABELS = {**METRIC_LABELS, "auroc_corrected": "AUROC, corrected"}


def comparison_document(comparison: Comparison) -> Document:
    """Put the comparison of an experiment's runs together.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Document
    """
    runs = comparison.runs
    numbered = {run.run_id: f"{number}. {run.name}" for number, run in enumerate(runs, 1)}
    simulated = [r for r in runs if r.simulated]
    if runs and len(simulated) == len(runs):
        banner = "SIMULATED PATIENTS in all runs: no number here says anything about real ones."
    else:
        banner = "Some runs are of SIMULATED patients: they are marked." if simulated else ""
    return Document(
        schema_version=SCHEMA_VERSION,
        kind="comparison",
        title=f"Runs of the experiment '{comparison.experiment}'",
        subtitle=f"{len(runs)} run{'' if len(runs) == 1 else 's'}, newest first; 95% intervals.",
        banner=banner,
        use=USE,
        headline=(),
        sections=(
            Section("metrics", "Held-out performance", tuple(_metrics(runs, numbered))),
            Section("parameters", "Settings that differ", (_parameters(runs, numbered),)),
            Section("runs", "Runs", (_runs(runs, numbered),)),
        ),
    )


def _metrics(runs: tuple[ComparedRun, ...], numbered: dict[str, str]) -> list[Table | Figure | Paragraph]:
    if not runs:
        return [Paragraph("There are no training runs.")]
    rows = [
        (
            numbered[r.run_id] + (" (simulated)" if r.simulated else ""),
            *(estimate(_estimate(r, m)) or "-" for m in _SHOWN),
        )
        for r in runs
    ]
    blocks: list[Table | Figure | Paragraph] = [
        Table("Compare within one cohort only: another one may be easier.", ("", *_labels(_SHOWN)), tuple(rows))
    ]
    for metric in ("log_loss", "auroc"):
        drawn = [(r, found) for r in runs[:_MOST_DRAWN] if (found := _estimate(r, metric)) and found.low is not None]
        if drawn:
            blocks.append(_picture(metric, drawn, numbered))
    return blocks


def _labels(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_LABELS[m] for m in metrics)


def _estimate(run: ComparedRun, metric: str) -> Estimate | None:
    value = run.metrics.get(metric)
    if value is None:
        return None
    return Estimate(value, run.metrics.get(f"{metric}_low"), run.metrics.get(f"{metric}_high"))


def _picture(metric: str, drawn: list[tuple[ComparedRun, Estimate]], numbered: dict[str, str]) -> Figure:
    label = _LABELS[metric]
    values = tuple(found.value or 0.0 for _, found in drawn)
    told = "; ".join(f"{numbered[r.run_id]} {estimate(found)}" for r, found in drawn[:5])
    return Figure(
        "intervals",
        f"{label} with its 95% interval, by run.",
        f"{label}: {told}.",
        label,
        "",
        (
            Series(
                "",
                values,
                (),
                tuple(found.low or 0.0 for _, found in drawn),
                tuple(found.high or 0.0 for _, found in drawn),
                style="points",
            ),
        ),
        categories=tuple(numbered[r.run_id] for r, _ in drawn),
    )


def _parameters(runs: tuple[ComparedRun, ...], numbered: dict[str, str]) -> Table | Paragraph:
    names = sorted({name for r in runs for name in r.parameters})
    differing = [n for n in names if len({r.parameters.get(n, "-") for r in runs}) > 1]
    if not differing:
        return Paragraph("All runs have the same settings.")
    rows = tuple((numbered[r.run_id], *(r.parameters.get(n, "-") for n in differing)) for r in runs)
    return Table("Settings that are alike in all runs are left out.", ("", *differing), rows, numeric=False)


def _runs(runs: tuple[ComparedRun, ...], numbered: dict[str, str]) -> Table:
    rows = tuple(
        (
            numbered[r.run_id],
            r.started,
            r.cohort,
            f"{r.metrics.get('patients', 0):.0f}, {r.metrics.get('events', 0):.0f}",
            r.endpoint,
            r.model_version,
            "yes" if r.champion == "yes" else "no",
            r.status.lower(),
        )
        for r in runs
    )
    head = ("", "started (UTC)", "cohort", "patients, responders", "endpoint", "model", "champion", "status")
    return Table("Every training run of the experiment.", head, rows, numeric=False)
