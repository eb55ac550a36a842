"""Plots of held-out predictions: ROC curves of all candidates, and calibration of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.bootstrap import mean_probability
from training.validation.of_training import binned_rates

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from training.cross_validation import CandidateResult
    from training.training_result import TrainingResult

_MODEL_COLOUR, _BASELINE_COLOURS = "#b3261e", ("#9aa0a6", "#7fb3d5", "#76b39d", "#1f5fa8")


def roc_plot(result: TrainingResult) -> Figure:
    """Draw the ROC curve of every candidate, averaged over folds, with its AUROC.

    Parameters
    ----------
    result : TrainingResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _axes(f"ROC, {_held_out(result)}", "1 - specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=1)
    colours = iter(_BASELINE_COLOURS)
    for candidate in result.candidates:
        if candidate.log_odds is None:
            continue
        grid, sensitivity = _mean_roc(result.held_out.outcome, result.held_out.folds, candidate)
        estimate = candidate.evaluation.estimate("auroc")
        axes.plot(
            grid,
            sensitivity,
            color=next(colours) if candidate.baseline else _MODEL_COLOUR,
            linewidth=1.4 if candidate.baseline else 2.4,
            label=f"{candidate.label}  {_number(estimate.value)} ({_number(estimate.low)}-{_number(estimate.high)})",
        )
    axes.legend(title="AUROC (95% interval)", loc="lower right", fontsize=7.5, title_fontsize=8, frameon=False)
    return figure


def _mean_roc(
    outcome: NDArray[Any], folds: NDArray[Any], candidate: CandidateResult
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average the curves of single folds, whose models have levels of their own."""
    from sklearn.metrics import roc_curve

    assert candidate.log_odds is not None
    grid = np.linspace(0, 1, 101)
    curves = []
    for row, scores in zip(folds, candidate.log_odds, strict=True):
        for fold in np.unique(row):
            rows = row == fold
            if len(np.unique(outcome[rows])) == 2:
                false_positive, true_positive, _ = roc_curve(outcome[rows], scores[rows])
                curves.append(np.interp(grid, false_positive, true_positive))
    return grid, np.mean(curves, axis=0) if curves else grid


def calibration_plot(result: TrainingResult) -> Figure:
    """Draw observed against predicted response rates of the model, with 95% intervals and the patients' histogram.

    Parameters
    ----------
    result : TrainingResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _axes(f"Calibration, {_held_out(result)}", "predicted probability of response", "observed share")
    axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=1)
    log_odds = result.model.log_odds
    assert log_odds is not None
    predicted, outcome = mean_probability(log_odds), result.held_out.outcome
    for b in binned_rates(outcome, predicted):
        spread = [[b.observed - b.low], [b.high - b.observed]]
        axes.errorbar(b.predicted, b.observed, spread, fmt="o", color=_MODEL_COLOUR, capsize=2)
    slope, intercept = (result.model.evaluation.estimate(m) for m in ("calibration_slope", "calibration_intercept"))
    axes.text(
        0.03,
        0.97,
        "\n".join(
            f"{label} {_number(e.value)} ({_number(e.low)} to {_number(e.high)})"
            for label, e in (("slope", slope), ("intercept", intercept))
        ),
        va="top",
        fontsize=8,
    )
    counts, edges = np.histogram(predicted, bins=25, range=(0, 1))
    axes.bar(edges[:-1], counts / counts.max() * 0.1, width=0.04, align="edge", color="#d9d9d9", zorder=0)
    return figure


def _held_out(result: TrainingResult) -> str:
    kind = f" {result.record.cohort.kind.upper()}" if result.record.simulated else ""
    return f"held-out{kind} patients"


def _axes(title: str, x: str, y: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x, ylabel=y)
    axes.set_title(title, fontsize=11, loc="left")
    return figure, axes


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
