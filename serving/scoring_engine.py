"""Which code computes the scores of a file: LightGBM for a few rows, the tree kernel for many, checked against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.errors import ModelError
from features.feature_table import encode
from serving.tree_kernel import TreeKernel, UnusableModel, read_trees, worthwhile
from training.model_bundle import ModelBundle

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Rows from which explanations by the kernel pay even where its code must be compiled first (some 11 s, once per
#: machine); LightGBM explains about 2,000 rows a second on each core.
_ROWS_EXPLAINED = 20_000
#: Rows that are computed both ways before the kernel is trusted with a file.
_SAMPLE = 256
#: Contributions of both differ by rounding, some 1e-14; a hundred times that is no rounding any more.
_TOLERANCE = 1e-12

LIGHTGBM, KERNEL = "LightGBM", "tree kernel"


@dataclass(frozen=True)
class KernelBundle(ModelBundle):
    """A model whose trees the kernel computes; everything else is the bundle's."""

    kernel: TreeKernel

    def predict_log_odds(self, matrix: Floats) -> Floats:
        """Calibrated log-odds of response, LightGBM's to the last bit.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients,)
        """
        return self.kernel.predict(matrix)

    def contributions(self, matrix: Floats) -> Floats:
        """SHAP contributions to the log-odds, the last column being the model's average log-odds.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        numpy.ndarray of shape (n_patients, n_columns + 1)
        """
        return self.kernel.contributions(matrix)


def fastest(bundle: ModelBundle, patients: pd.DataFrame, *, reasons: bool) -> tuple[ModelBundle, str]:
    """Choose what computes the scores of some patients.

    Parameters
    ----------
    bundle : ModelBundle
    patients : pandas.DataFrame of shape (n_patients, any)
        All that are to be scored in this process.
    reasons : bool
        Whether contributions are wanted.

    Returns
    -------
    ModelBundle
        With the same scores, whichever it is.
    str
        "LightGBM" or "tree kernel".

    Raises
    ------
    ModelError
        Kernel and LightGBM give different numbers for a sample of the patients.
    """
    rows = len(patients)
    if not (rows >= _ROWS_EXPLAINED if reasons else worthwhile(rows)):
        return bundle, LIGHTGBM
    try:
        kernel = TreeKernel(read_trees(bundle.model_text))
        if reasons:
            kernel.prepare_contributions()
    except UnusableModel:
        # Beyond the kernel's limits, not wrong: LightGBM serves.
        return bundle, LIGHTGBM
    found = KernelBundle(bundle.record, bundle.model_text, bundle.folder, kernel)
    # Rows from all over the file: what only later ones hold must be met too.
    sample = patients.iloc[np.unique(np.linspace(0, rows - 1, _SAMPLE).astype(int))]
    _require_same(bundle, found, encode(sample, bundle.record.schema).to_numpy(), reasons=reasons)
    return found, KERNEL


def _require_same(bundle: ModelBundle, kernel: KernelBundle, matrix: Floats, *, reasons: bool) -> None:
    same = np.array_equal(bundle.predict_log_odds(matrix), kernel.predict_log_odds(matrix))
    if same and reasons:
        apart = np.abs(bundle.contributions(matrix) - kernel.contributions(matrix))
        same = bool(np.all(apart <= _TOLERANCE))
    if not same:
        raise ModelError(
            "The tree kernel and LightGBM give different numbers for this model.",
            where=str(bundle.folder),
            mend="Please report it with the model; nothing was written.",
        )
