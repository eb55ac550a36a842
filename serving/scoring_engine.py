"""Which code computes the scores of a file: LightGBM for a few rows, the tree kernel for many, checked against it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from features.errors import ModelError
from serving.tree_kernel import TreeKernel, UnusableModel, largest_contributions, read_trees, worthwhile
from training.model_bundle import ModelBundle

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Rows from which the kernel explains. LightGBM explains about 2,000 rows a second on each core; the kernel's code is
#: compiled once per machine, which takes some 11 s, and read in 0.5 s from then on.
_ROWS_EXPLAINED = 8_000
#: Bytes of a row of a cohort file, roughly: a smaller file than so many rows take hardly needs the kernel.
_ROW_BYTES = 250
#: Rows that are computed both ways before the kernel is trusted with a file.
_SAMPLE = 256
#: ... and of each batch at least.
_FEWEST = 4
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

    def explain(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Log-odds and contributions together, which takes less time than one after the other.

        Parameters
        ----------
        matrix : numpy.ndarray of shape (n_patients, n_columns)

        Returns
        -------
        log_odds : numpy.ndarray of shape (n_patients,)
        contributions : numpy.ndarray of shape (n_patients, n_columns + 1)
        """
        return self.kernel.explain(matrix)

    def largest(self, contributions: Floats, count: int) -> NDArray[np.int64]:
        """Columns of the largest contributions, the largest first.

        Parameters
        ----------
        contributions : numpy.ndarray of shape (n_patients, n_columns + 1)
        count : int

        Returns
        -------
        numpy.ndarray of int, shape (n_patients, count)
        """
        return largest_contributions(contributions, count)


class ComingKernel:
    """The tree kernel, made ready while a file that is likely to need it is read for the first time.

    Parameters
    ----------
    bundle : ModelBundle
    file : Path
        One too small to need the kernel has none made ready.
    reasons : bool
        Whether contributions are wanted.
    """

    def __init__(self, bundle: ModelBundle, file: Path, *, reasons: bool) -> None:
        self._bundle, self._reasons = bundle, reasons
        self._likely = file.is_file() and _kernel_pays(file.stat().st_size // _ROW_BYTES, reasons=reasons)
        self._found: Future[ModelBundle] | None = None

    def start(self) -> None:
        """Begin, unless it has begun; once some rows could be read, since many a file is refused before."""
        if self._likely and self._found is None:
            pool = ThreadPoolExecutor(1)
            self._found = pool.submit(_ready, self._bundle, reasons=self._reasons)
            pool.shutdown(wait=False)

    def result(self) -> ModelBundle | None:
        """Wait for what was made ready, if anything was."""
        return self._found.result() if self._found else None


def fastest(
    bundle: ModelBundle, rows: int, *, reasons: bool, coming: ComingKernel | None = None
) -> tuple[ModelBundle, str]:
    """Choose what computes the scores of a file.

    Parameters
    ----------
    bundle : ModelBundle
    rows : int
        All that are to be scored in this process.
    reasons : bool
        Whether contributions are wanted.
    coming : ComingKernel, optional
        Of the same model.

    Returns
    -------
    ModelBundle
        With the same scores, whichever it is.
    str
        "LightGBM" or "tree kernel"; `SampleCheck` sees to it that both agree.
    """
    # The kernel may still be loading: nothing else may load or compute meanwhile.
    ready = coming.result() if coming else None
    if not _kernel_pays(rows, reasons=reasons):
        return bundle, LIGHTGBM
    engine = ready or _ready(bundle, reasons=reasons)
    return engine, KERNEL if isinstance(engine, KernelBundle) else LIGHTGBM


def _kernel_pays(rows: int, *, reasons: bool) -> bool:
    return rows >= _ROWS_EXPLAINED if reasons else worthwhile(rows)


def _ready(bundle: ModelBundle, *, reasons: bool) -> ModelBundle:
    """Load the kernel, with LightGBM that it is checked against."""
    try:
        kernel = TreeKernel(read_trees(bundle.model_text))
        if reasons:
            kernel.prepare_contributions()
    except UnusableModel:
        # Beyond the kernel's limits, not wrong: LightGBM serves.
        return bundle
    engine = KernelBundle(bundle.record, bundle.model_text, bundle.folder, kernel)
    nobody = np.full((1, len(bundle.record.schema.columns)), np.nan)
    bundle.predict_log_odds(nobody)
    engine.predict_log_odds(nobody)
    return engine


class SampleCheck:
    """Computes a sample of each batch both ways, so that no file is scored by a kernel that parts from LightGBM.

    Parameters
    ----------
    bundle : ModelBundle
        LightGBM's.
    engine : ModelBundle
        As `fastest` gives it.
    rows : int
        Rows of the file.
    reasons : bool
        Whether contributions are compared too.
    """

    def __init__(self, bundle: ModelBundle, engine: ModelBundle, rows: int, *, reasons: bool) -> None:
        self._bundle, self._engine, self._rows, self._reasons = bundle, engine, rows, reasons
        # LightGBM does not promise that one booster predicts in several threads at once.
        self._one_at_a_time = Lock()

    def __call__(self, matrix: Floats) -> None:
        """Compare rows from all over a batch: what only later ones hold must be met too.

        Raises
        ------
        ModelError
            Kernel and LightGBM give different numbers.
        """
        engine = self._engine
        if not isinstance(engine, KernelBundle) or not len(matrix):
            return
        number = max(_FEWEST, -(-_SAMPLE * len(matrix) // self._rows))
        chosen = np.unique(np.linspace(0, len(matrix) - 1, number).astype(int))
        with self._one_at_a_time:
            _require_same(self._bundle, engine, np.ascontiguousarray(matrix[chosen]), reasons=self._reasons)


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
