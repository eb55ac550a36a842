"""Biomarkers that go together in a cohort: what the model credits to one of them belongs to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.feature_schema import FeatureSchema
    from training.metrics import Floats

#: Rank correlation from which two columns are taken for one block.
TOGETHER = 0.6
_FEWEST_PAIRS = 20
_NO_SPREAD = 1e-6


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Columns that go together, and what they move as one.

    Attributes
    ----------
    strongest : float
        Largest absolute rank correlation within the block.
    mean_abs_shap : float
        Mean absolute sum of the columns' contributions, log-odds.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    strongest: float
    mean_abs_shap: float


def correlated_blocks(schema: FeatureSchema, matrix: Floats, shap: Floats) -> tuple[Block, ...]:
    """Group the columns whose values go together in these patients.

    Parameters
    ----------
    schema : FeatureSchema
    matrix, shap : numpy.ndarray of shape (n_patients, n_columns)

    Returns
    -------
    tuple of Block
        Of two columns or more, linked by a rank correlation of at least TOGETHER in either direction; by falling
        contribution. Categories have no order and are left out.
    """
    ordered = [j for j, c in enumerate(schema.columns) if c.kind != "categorical" and c.source != "adc_profile"]
    ranks = np.abs(rank_correlations(matrix[:, ordered]))
    np.fill_diagonal(ranks, 0.0)
    blocks = []
    for members in _linked(ranks >= TOGETHER):
        columns = [ordered[m] for m in members]
        blocks.append(
            Block(
                tuple(schema.columns[j].name for j in columns),
                tuple(schema.columns[j].label for j in columns),
                float(ranks[np.ix_(members, members)].max()),
                float(np.abs(shap[:, columns].sum(axis=1)).mean()),
            )
        )
    return tuple(sorted(blocks, key=lambda b: -b.mean_abs_shap))


def rank_correlations(matrix: Floats) -> Floats:
    """Rank correlation of every two columns, over the patients who have both values.

    Parameters
    ----------
    matrix : numpy.ndarray of shape (n_patients, n_columns)
        NaN is missing. Ranks are those among all who have the value.

    Returns
    -------
    numpy.ndarray of shape (n_columns, n_columns)
        0 where too few patients have both, or one of the two does not vary among them.
    """
    ranks = pd.DataFrame(matrix).rank().to_numpy()
    known = np.isfinite(ranks).astype(np.float64)
    ranks = np.nan_to_num(ranks - np.nanmean(np.where(known.any(axis=0), ranks, 0.0), axis=0))
    both = known.T @ known
    sums, squares = ranks.T @ known, (ranks**2).T @ known
    products = both * (ranks.T @ ranks) - sums * sums.T
    spread = both * squares - sums**2
    scale = np.sqrt(np.clip(spread, 0.0, None) * np.clip(spread.T, 0.0, None))
    enough = (both >= _FEWEST_PAIRS) & (scale > _NO_SPREAD * both)
    return np.where(enough, products / np.where(enough, scale, 1.0), 0.0)


def _linked(near: NDArray[np.bool_]) -> list[list[int]]:
    """Find the connected groups of two or more."""
    groups: list[list[int]] = []
    left = set(range(len(near)))
    while left:
        group: set[int] = set()
        waiting = [min(left)]
        while waiting:
            one = waiting.pop()
            if one not in group:
                group.add(one)
                waiting += np.flatnonzero(near[one]).tolist()
        left -= group
        if len(group) > 1:
            groups.append(sorted(group))
    return groups
