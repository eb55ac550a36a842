"""Plots of held-out predictions: ROC curves of all candidates, and calibration of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.bootstrap import mean_probability

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from training.cross_validation import CandidateResult
    from training.train import TrainingResult

#: Calibration bins hold about this many patients: a share of fewer has an interval as wide as the plot.
_PATIENTS_PER_BIN = 40
_MOST_BINS = 8
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
    bins = int(np.clip(len(outcome) // _PATIENTS_PER_BIN, 2, _MOST_BINS))
    for rows in np.array_split(np.argsort(predicted, kind="stable"), bins):
        share = float(outcome[rows].mean())
        low, high = wilson_interval(int(outcome[rows].sum()), len(rows))
        axes.errorbar(
            predicted[rows].mean(), share, [[share - low], [high - share]], fmt="o", color=_MODEL_COLOUR, capsize=2
        )
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


def wilson_interval(events: int, patients: int) -> tuple[float, float]:
    """95% interval of a share.

    Parameters
    ----------
    events : int
    patients : int
        At least 1.

    Returns
    -------
    low, high : float

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212.
    """
    z2 = 1.959964**2
    share = events / patients
    centre = (share + z2 / (2 * patients)) / (1 + z2 / patients)
    half = np.sqrt(share * (1 - share) / patients * z2 + (z2 / (2 * patients)) ** 2) / (1 + z2 / patients)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


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
