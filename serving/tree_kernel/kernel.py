"""The kernel's face: a tree ensemble prepared once, then raw scores and contributions of any number of rows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from serving.tree_kernel.contributions import ContributionProgram
    from serving.tree_kernel.ensemble import TreeEnsemble

#: Rows that are binned together. The bins, and the sums of a block, should stay in a core's own cache.
BLOCK_ROWS = 2048
#: Blocks that one call of the compiled code handles; the calls themselves then cost nothing.
BLOCKS_AT_ONCE = 2
#: A block's width is a multiple of the longest vector of bytes.
LANES = 64

#: Rows from which a fresh process that uses the kernel has done so in less CPU time than LightGBM on one core needs.
#: Importing Numba and loading the compiled code takes 0.6 s, the tables 0.1 s; measured with 300 trees of 15 leaves
#: by `benchmarks/tree_kernel.py`, and rounded up because LightGBM uses all cores by itself.
WORTHWHILE_ROWS = 50_000
WORTHWHILE_ROWS_EXPLAINED = 2_000


def worthwhile(rows: int, *, contributions: bool = False) -> bool:
    """Whether a fresh process gains from the kernel, or should call LightGBM.

    Parameters
    ----------
    rows : int
        Rows to score in this process.
    contributions : bool
        Whether contributions are wanted too.

    Returns
    -------
    bool
    """
    return rows >= (WORTHWHILE_ROWS_EXPLAINED if contributions else WORTHWHILE_ROWS)


def largest_contributions(contributions: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Name the features that moved each row's score most.

    Parameters
    ----------
    contributions : ndarray of float64, shape (rows, features + 1)
        From `TreeKernel.contributions`, or laid out like it; the last column is left out.
    count : int
        Features per row; where there are fewer features, all of them.

    Returns
    -------
    ndarray of int64, shape (rows, count)
        Columns, by absolute contribution, the largest first; of equal ones the first column first.
    """
    from serving.tree_kernel.largest import write_largest

    column = np.empty((len(contributions), min(count, contributions.shape[1] - 1)), np.int64)
    if column.size:
        write_largest(np.require(contributions, np.float64, ["C", "A", "W"]), column)
    return column


class TreeKernel:
    """Raw scores and path-dependent TreeSHAP contributions of a tree ensemble, as LightGBM computes them.

    Scores are LightGBM's to the last bit. Contributions differ from its `pred_contrib` by rounding only. Neither
    depends on the other rows of the matrix, on its memory order, or on the number of threads. All methods may be
    called from several threads at once.

    Parameters
    ----------
    ensemble : TreeEnsemble
        From `read_trees`.

    Raises
    ------
    UnsupportedModel
        If a tree has more than 256 leaves, a column more than 32,767 thresholds or a category code above 1,000,000,
        or all columns together need more than 8,192 binned channels.
    """

    def __init__(self, ensemble: TreeEnsemble) -> None:
        # Numba takes a third of a second to import; reading a model should not wait for it.
        from serving.tree_kernel.binning_plan import plan_binning
        from serving.tree_kernel.prediction import plan_prediction

        self.ensemble = ensemble
        self._binning = plan_binning(ensemble)
        self._prediction = plan_prediction(ensemble, self._binning)
        self._contributions: ContributionProgram | None = None
        self._lock = threading.Lock()

    def predict(self, matrix: ArrayLike, *, threads: int = 1) -> NDArray[np.float64]:
        """Raw scores (log odds for a binary objective), bit-identical to `Booster.predict(..., raw_score=True)`.

        Parameters
        ----------
        matrix : array_like of float, shape (rows, features)
            NaN is missing; categorical columns hold their integer codes. Row-major and column-major matrices of
            float64 are read as they are, anything else is copied.
        threads : int
            Threads to share the rows among.

        Returns
        -------
        ndarray of float64, shape (rows,)

        Raises
        ------
        ValueError
            If the matrix does not have one column per feature.
        """
        from serving.tree_kernel.prediction import add_scores

        values = self._checked(matrix)
        score = np.zeros(len(values))

        def predict_rows(first: int, last: int, channels: NDArray[np.uint8]) -> None:
            add_scores(self._prediction, channels, score[first:last])

        self._for_blocks(values, threads, predict_rows)
        return score

    def contributions(self, matrix: ArrayLike, *, threads: int = 1) -> NDArray[np.float64]:
        """Contributions of the features to the raw scores, as `Booster.predict(..., pred_contrib=True)` lays them out.

        Parameters
        ----------
        matrix : array_like of float, shape (rows, features)
            As for `predict`.
        threads : int
            Threads to share the rows among.

        Returns
        -------
        ndarray of float64, shape (rows, features + 1)
            In units of the raw score; positive raises it. The last column is the expected value. Each row sums to
            its raw score, up to rounding.

        Raises
        ------
        UnsupportedModel
            If a tree has more than 64 leaves, the tables would take more than 256 MB, or the model's counts of
            training rows do not add up. Scores are not affected.
        ValueError
            If the matrix does not have one column per feature.
        """
        from serving.tree_kernel.contributions import write_contributions

        values = self._checked(matrix)
        self.prepare_contributions()
        program = self._contributions
        assert program is not None
        result = np.empty((len(values), self.ensemble.n_features + 1))

        def explain_rows(first: int, last: int, channels: NDArray[np.uint8]) -> None:
            write_contributions(program, channels, result[first:last])

        self._for_blocks(values, threads, explain_rows)
        return result

    def explain(self, matrix: ArrayLike, *, threads: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Raw scores and contributions together, for which each row is binned once.

        Parameters
        ----------
        matrix : array_like of float, shape (rows, features)
            As for `predict`.
        threads : int
            Threads to share the rows among.

        Returns
        -------
        scores : ndarray of float64, shape (rows,)
            To the bit those of `predict`.
        contributions : ndarray of float64, shape (rows, features + 1)
            To the bit those of `contributions`.

        Raises
        ------
        UnsupportedModel, ValueError
            As `contributions`.
        """
        from serving.tree_kernel.contributions import write_contributions
        from serving.tree_kernel.prediction import add_scores

        values = self._checked(matrix)
        self.prepare_contributions()
        program = self._contributions
        assert program is not None
        score = np.zeros(len(values))
        result = np.empty((len(values), self.ensemble.n_features + 1))

        def explain_rows(first: int, last: int, channels: NDArray[np.uint8]) -> None:
            add_scores(self._prediction, channels, score[first:last])
            write_contributions(program, channels, result[first:last])

        self._for_blocks(values, threads, explain_rows)
        return score, result

    def prepare_contributions(self) -> None:
        """Build the tables that `contributions` needs, once; it does so itself at its first call.

        Raises
        ------
        UnsupportedModel
            As `contributions`.
        """
        from serving.tree_kernel.contributions import plan_contributions

        with self._lock:
            if self._contributions is None:
                self._contributions = plan_contributions(self.ensemble, self._binning)

    def _checked(self, matrix: ArrayLike) -> NDArray[np.float64]:
        values = np.require(matrix, np.float64, ["ALIGNED"])
        if values.ndim != 2 or values.shape[1] != self.ensemble.n_features:
            shape = " x ".join(map(str, values.shape))
            raise ValueError(f"the matrix is {shape}; the model has {self.ensemble.n_features} features")
        if not (values.flags.c_contiguous or values.flags.f_contiguous):
            values = np.ascontiguousarray(values)
        return values

    def _for_blocks(
        self,
        values: NDArray[np.float64],
        threads: int,
        work: Callable[[int, int, NDArray[np.uint8]], None],
    ) -> None:
        """Bin the rows block by block and hand the bins to `work`, with the rows' first and last index."""
        from serving.tree_kernel.binning import bin_rows

        n_rows, n_features = values.shape
        strides = (n_features, 1) if values.flags.c_contiguous else (1, n_rows)
        flat = values.ravel(order="K")
        # The compiled code is typed for read-only input, whatever the caller's array is.
        flat.flags.writeable = False
        plan = self._binning
        # Blocks of equal width leave few idle lanes in the last one.
        width = -(-n_rows // max(1, -(-n_rows // BLOCK_ROWS)) // LANES) * LANES
        step = BLOCKS_AT_ONCE * width

        def work_through(begin: int, end: int) -> None:
            buffer = np.empty((BLOCKS_AT_ONCE, plan.n_channels, width), np.uint8)
            for first in range(begin, end, step):
                last = min(first + step, end)
                channels = buffer[: -(-(last - first) // width)]
                bin_rows(flat, strides, (first, last), plan.numeric, plan.categories, channels)
                work(first, last, channels)

        if n_rows == 0:
            return
        steps = -(-n_rows // step)
        parts = max(1, min(threads, steps))
        bounds = [min(n_rows, steps * part // parts * step) for part in range(parts + 1)]
        if parts == 1:
            work_through(0, n_rows)
            return
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(work_through, bounds[:-1], bounds[1:]))
