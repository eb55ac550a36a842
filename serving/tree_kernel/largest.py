"""The features that moved each row's score most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serving.tree_kernel.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray


@compiled
def write_largest(contributions: NDArray[np.float64], column: NDArray[np.int64]) -> None:
    """Write the columns with the largest absolute contributions, the largest first, ties in column order.

    Parameters
    ----------
    contributions : ndarray of float64, shape (rows, features + 1)
        The last column is the expected value, which is no contribution.
    column : ndarray of int64, shape (rows, count)
        Overwritten; `count` is at most the number of features.
    """
    count = column.shape[1]
    size = np.empty(count)
    for row in range(contributions.shape[0]):
        met = 0
        for feature in range(contributions.shape[1] - 1):
            value = abs(contributions[row, feature])
            if met == count and value <= size[count - 1]:
                continue
            at = min(met, count - 1)
            while at > 0 and size[at - 1] < value:
                size[at] = size[at - 1]
                column[row, at] = column[row, at - 1]
                at -= 1
            size[at] = value
            column[row, at] = feature
            met = min(met + 1, count)
