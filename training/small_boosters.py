"""LightGBM for small cohorts: binning, leaf sizes and names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import lightgbm

from features.feature_schema import FeatureColumn

if TYPE_CHECKING:
    from training.metrics import Floats, Integers

#: Fewest patients in a leaf, and the share of the patients that a leaf holds at least. With 100 patients a leaf of
#: fewer than five is one patient's story.
FEWEST_IN_LEAF, SHARE_IN_LEAF = 5, 0.05


def data_set(matrix: Floats, outcome: Integers, columns: tuple[FeatureColumn, ...], *, like: Any = None) -> Any:
    """Bin patients for LightGBM.

    Parameters
    ----------
    matrix : numpy.ndarray of shape (n_patients, n_columns)
    outcome : numpy.ndarray of shape (n_patients,)
    columns : tuple of FeatureColumn
    like : lightgbm.Dataset, optional
        Training part whose bins a held-out part is put into; it must not lend its own.

    Returns
    -------
    lightgbm.Dataset
    """
    return lightgbm.Dataset(
        matrix,
        outcome,
        reference=like,
        feature_name=safe_names(columns),
        categorical_feature=[j for j, c in enumerate(columns) if c.kind == "categorical"],
        params=like.params if like is not None else binning(len(outcome)),
        free_raw_data=False,
    )


def unproven(column: FeatureColumn) -> bool:
    """Whether a column is a biomarker outside the core five whose direction the catalogue does not know.

    Parameters
    ----------
    column : FeatureColumn

    Returns
    -------
    bool
    """
    return column.source == "biomarker" and not column.core and column.monotone == 0


def binning(patients: int) -> dict[str, Any]:
    """Give the settings that belong to the data set: 63 bins cost nothing in accuracy and halve the time.

    Parameters
    ----------
    patients : int

    Returns
    -------
    dict
    """
    in_leaf = max(FEWEST_IN_LEAF, round(SHARE_IN_LEAF * patients))
    return {
        "max_bin": 63,
        "min_data_in_leaf": in_leaf,
        "min_data_per_group": in_leaf,
        "feature_pre_filter": False,
        # One thread per fit: two on one small fit are slower, and sums would depend on their order.
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def train_booster(training: Any, settings: dict[str, Any], rounds: int) -> Any:
    """Train for a number of rounds.

    Parameters
    ----------
    training : lightgbm.Dataset
    settings : dict
    rounds : int

    Returns
    -------
    lightgbm.Booster
    """
    booster = lightgbm.Booster(settings, training)
    for _ in range(rounds):
        if booster.update():
            break
    return booster


def free_columns(count: int) -> tuple[FeatureColumn, ...]:
    """Name columns of which nothing is known: numeric and without a sign.

    Parameters
    ----------
    count : int

    Returns
    -------
    tuple of FeatureColumn
    """
    return tuple(FeatureColumn(f"column_{j}", f"column {j}", "numeric", "", "extra") for j in range(count))


def safe_names(columns: tuple[FeatureColumn, ...]) -> list[str]:
    """Write names without spaces and the signs of JSON, which LightGBM's text cannot hold.

    Parameters
    ----------
    columns : tuple of FeatureColumn

    Returns
    -------
    list of str
        Unlike each other; the schema has the real names.
    """
    names = [re.sub(r"\W", "_", c.name, flags=re.ASCII) for c in columns]
    return [name if names.count(name) == 1 else f"{name}_{j}" for j, name in enumerate(names)]
