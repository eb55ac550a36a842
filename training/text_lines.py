"""Lines of text for a terminal, of 80 columns at most: sentences, and tables of metrics with their intervals."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.estimate import Estimate

_LABELS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_slope": "calibr. slope",
    "calibration_intercept": "calibr. intercept",
}
_NAME_WIDTH = 23
#: Narrower terminals than this are written past; longer lines than this are hard to read.
_FEWEST_COLUMNS, _MOST_COLUMNS = 40, 80
RESEARCH_USE = "Research use only; not a treatment recommendation."


def line_width() -> int:
    """Columns of the terminal that text goes to; 80 where there is none, or where it has more.

    Returns
    -------
    int
    """
    return min(max(shutil.get_terminal_size((_MOST_COLUMNS, 24)).columns, _FEWEST_COLUMNS), _MOST_COLUMNS)


def metrics_table(rows: Sequence[tuple[str, Mapping[str, Estimate]]], metrics: Sequence[str]) -> list[str]:
    """Write metrics side by side, a row per model; those that do not fit into a line go below.

    Parameters
    ----------
    rows : sequence of (str, mapping of str to Estimate)
        Label, and metrics by name.
    metrics : sequence of str

    Returns
    -------
    list of str
    """
    labels = max([_NAME_WIDTH, *(len(label) + 1 for label, _ in rows)])
    widths = {m: max(len(_LABELS[m]), *(len(_cell_of(found, m)) for _, found in rows)) + 2 for m in metrics}
    lines: list[str] = []
    left, most = list(metrics), line_width()
    while left:
        fitting = [m for i, m in enumerate(left) if labels + sum(widths[x] for x in left[: i + 1]) - 2 <= most]
        block = fitting or left[:1]
        left = left[len(block) :]
        lines += [""] if lines else []
        lines.append(" " * labels + "".join(f"{_LABELS[m]:<{widths[m]}}" for m in block))
        lines += [f"{label:<{labels}}" + "".join(f"{_cell_of(f, m):<{widths[m]}}" for m in block) for label, f in rows]
    return [line.rstrip() for line in lines]


def _cell_of(found: Mapping[str, Estimate], metric: str) -> str:
    return cell(found[metric]) if metric in found else "-"


def cell(estimate: Estimate) -> str:
    """Write an estimate with its interval, as short as a table needs it.

    Parameters
    ----------
    estimate : Estimate

    Returns
    -------
    str
        "-" where there is none.
    """
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:z.2f}"
    return f"{estimate.value:z.2f} ({estimate.low:z.2f}, {estimate.high:z.2f})"


def wrapped(text: str, *, hang: int = 0) -> list[str]:
    """Break a sentence at the edge of the terminal, or at 80 columns.

    Parameters
    ----------
    text : str
    hang : int
        Spaces before every line but the first.

    Returns
    -------
    list of str
    """
    from textwrap import wrap

    return wrap(text, line_width(), subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False)
