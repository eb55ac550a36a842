"""What a model builds on: mean absolute SHAP contribution of each column, and the SHAP summary plot."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.figure import Figure

    from features.feature_table import FeatureSchema
    from training.metrics import Floats

#: Patients drawn in the summary plot; more hide each other.
MOST_DRAWN = 2000
MOST_COLUMNS = 15


class Influence(msgspec.Struct, frozen=True):
    """How much a column moves the log-odds of response on average, and which way more of it points."""

    name: str
    label: str
    mean_abs_shap: float
    #: correlation of value and contribution among patients with a value; None for categories and constants
    direction: float | None


def influences(schema: FeatureSchema, matrix: Floats, shap: Floats) -> list[Influence]:
    """Columns by the mean absolute contribution to the log-odds, largest first.

    Parameters
    ----------
    schema : FeatureSchema
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    shap : numpy.ndarray of shape (n_patients, n_columns)
        Contributions without the base value.

    Returns
    -------
    list of Influence
    """
    rows = [
        Influence(
            column.name,
            column.label,
            float(np.abs(shap[:, j]).mean()),
            None if column.kind == "categorical" else _correlation(matrix[:, j], shap[:, j]),
        )
        for j, column in enumerate(schema.columns)
    ]
    return sorted(rows, key=lambda row: -row.mean_abs_shap)


def _correlation(values: Floats, shap: Floats) -> float | None:
    known = np.isfinite(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0 or np.ptp(shap[known]) == 0:
        return None
    return float(np.corrcoef(values[known], shap[known])[0, 1])


def summary_plot(schema: FeatureSchema, matrix: Floats, shap: Floats, *, title: str) -> Figure:
    """Draw the SHAP summary (beeswarm): one dot per patient and column, coloured by the column's value.

    Parameters
    ----------
    schema : FeatureSchema
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    shap : numpy.ndarray of shape (n_patients, n_columns)
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    drawn = np.linspace(0, len(matrix) - 1, min(len(matrix), MOST_DRAWN)).astype(int)
    shown = min(MOST_COLUMNS, len(schema.columns))
    # A figure of our own, not pyplot's: nothing of the user's session changes, and threads do not meet.
    figure = Figure(figsize=(8.5, 1.9 + 0.36 * shown), layout="tight")
    axes: Any = figure.add_subplot()
    with warnings.catch_warnings():
        # shap still calls parts of matplotlib that are announced to go.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        from shap import Explanation
        from shap.plots import beeswarm

        explanation = Explanation(
            values=shap[drawn], data=matrix[drawn], feature_names=[_short(c.label, c.name) for c in schema.columns]
        )
        beeswarm(explanation, max_display=shown, ax=axes, show=False, plot_size=None)
    axes.set_xlabel("SHAP contribution to the log-odds of response")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11)
    return figure


def _short(label: str, name: str) -> str:
    return label if len(label) <= 38 else name
