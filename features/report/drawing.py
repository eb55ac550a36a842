"""Figures of a report as inline SVG: text stays text, colours are told apart without colour too."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from features.report.document import Figure, Series

#: Told apart by people with any colour vision (Okabe and Ito); the model comes first.
_COLOURS = ("#b3261e", "#0072b2", "#009e73", "#8a6d00", "#7f4f9e", "#555555")
_INK, _FAINT = "#333333", "#cccccc"
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "adcr",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(figure: Figure) -> str:
    """SVG of a figure, without anything that differs from run to run.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    str
        An `<svg>` element with its text alternative.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(_SETTINGS):
        height = 0.34 * len(figure.categories) + 0.9 if figure.categories else 4.0
        canvas = Canvas(figsize=(6.4 if figure.kind != "square" else 4.8, height), layout="constrained")
        axes = canvas.add_subplot()
        (_labelled if figure.categories else _lines)(axes, figure)
        axes.set_xlabel(figure.x_label)
        axes.set_ylabel(figure.y_label)
        written = io.StringIO()
        canvas.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Figures of one page must not share the names of their clip paths.
    mark = re.sub(r"\W+", "", figure.caption)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{mark}-", svg)
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'role="img"', svg, count=1)


def _lines(axes: Any, figure: Figure) -> None:
    if figure.kind == "square":
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_aspect("equal")
    for position, series in enumerate(figure.series):
        _one(axes, series, _COLOURS[position % len(_COLOURS)])
    if any(s.label for s in figure.series):
        # Good predictions leave the upper left of the square empty.
        axes.legend(frameon=False, fontsize=9, loc="upper left" if figure.kind == "square" else "best")


def _one(axes: Any, series: Series, colour: str) -> None:
    if series.style == "points":
        spread = [np.subtract(series.y, series.low), np.subtract(series.high, series.y)]
        axes.errorbar(series.x, series.y, spread, fmt="o", color=colour, capsize=2, label=series.label or None)
        return
    style = {"line": ("-", 2.2), "thin": ("-", 1.2), "dashed": ("--", 1.4)}[series.style]
    axes.plot(series.x, series.y, style[0], color=colour, linewidth=style[1], label=series.label or None)
    if series.low:
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.12, linewidth=0)


def _labelled(axes: Any, figure: Figure) -> None:
    series = figure.series[0]
    places = np.arange(len(series.x))[::-1]
    if figure.kind == "bars":
        axes.barh(places, series.x, height=0.62, color=[_COLOURS[1] if v >= 0 else _COLOURS[0] for v in series.x])
        axes.axvline(0, color=_FAINT, linewidth=1)
    else:
        spread = [np.subtract(series.x, series.low), np.subtract(series.high, series.x)]
        axes.errorbar(series.x, places, xerr=spread, fmt="o", color=_COLOURS[1], capsize=2)
        axes.set_ylim(-0.7, len(places) - 0.3)
        if min(series.low, default=1.0) <= 0:
            axes.axvline(0, color=_FAINT, linewidth=1)
    axes.set_yticks(places, figure.categories)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
