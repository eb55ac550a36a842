"""Table 1: the patients, all and by response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.report.document import Table
from features.report.words import kept_together, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.feature_schema import FeatureColumn
    from training.metrics import Integers
    from training.training_table import TrainingTable

#: More columns than this are summed up in a line.
MOST_COLUMNS = 40


def table_one(table: TrainingTable) -> Table:
    """Describe the patients learned from by the model's columns, core biomarkers first.

    Parameters
    ----------
    table : TrainingTable

    Returns
    -------
    Table
        Numbers as median and quartiles, levels as counts; unknown values are counted.
    """
    outcome = table.outcome
    rows = [
        ("patients", f"{len(outcome):,}", f"{int(outcome.sum()):,}", f"{int((1 - outcome).sum()):,}", ""),
        *_drugs(table),
    ]
    described = [c for c in table.schema.columns if c.source != "adc_profile"]
    described.sort(key=lambda c: not c.core)
    for column in described[:MOST_COLUMNS]:
        rows += _rows(column, table.features[column.name].to_numpy(), outcome)
    left = len(described) - MOST_COLUMNS
    caption = "Patients, all and by response. Numbers: median (quartiles); levels: count (share of those known)."
    if left > 0:
        caption += f" {left} further columns are not shown."
    return Table(caption, ("", "all", "responded", "did not respond", "not known"), tuple(rows))


def _drugs(table: TrainingTable) -> Iterator[tuple[str, ...]]:
    drugs, counts = np.unique(table.adc.astype(str), return_counts=True)
    for drug in drugs[np.argsort(-counts, kind="stable")]:
        yield (f"ADC: {drug}", *_counts(table.adc.astype(str) == drug, table.outcome), "")


def _rows(column: FeatureColumn, values: np.ndarray, outcome: Integers) -> list[tuple[str, ...]]:
    known = np.isfinite(values)
    unknown = share(int((~known).sum()), len(values))
    # A label such as "HER2 H-score" or "HER2/CEP17 ratio" ends in its unit.
    unit = f", {column.unit}" if column.unit and not column.label.endswith(column.unit) else ""
    if column.kind == "numeric":
        parts = [known, known & (outcome == 1), known & (outcome == 0)]
        return [(f"{column.label}{unit}", *(_quartiles(values[part]) for part in parts), unknown)]
    if column.kind == "binary":
        return [(f"{column.label}: yes", *_counts(values[known] == 1, outcome[known]), unknown)]
    found: list[tuple[str, ...]] = []
    for position, level in enumerate(column.levels):
        told = unknown if not found else ""
        if (values == position).any():
            found.append((f"{column.label}: {level}", *_counts(values[known] == position, outcome[known]), told))
    return found


def _counts(chosen: np.ndarray, outcome: Integers) -> tuple[str, str, str]:
    of_all = share(int(chosen.sum()), len(outcome))
    yes, no = (share(int(chosen[outcome == o].sum()), int((outcome == o).sum())) for o in (1, 0))
    return of_all, yes, no


def _quartiles(values: np.ndarray) -> str:
    if not len(values):
        return "-"
    low, middle, high = np.percentile(values, [25, 50, 75])
    return kept_together(f"{middle:.3g} ({low:.3g} to {high:.3g})")
