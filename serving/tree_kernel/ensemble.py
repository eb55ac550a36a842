"""A boosted tree ensemble as plain arrays, and the errors for models that cannot become one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class UnusableModel(ValueError):  # noqa: N818 - the three are named for the model they refuse
    """Base of the two ways in which a model text is refused.

    Parameters
    ----------
    what : str
        What is wrong, as a clause.
    where : str, optional
        The tree and the line of it, or the line of the header.
    """

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.what = what
        self.where = where


class UnsupportedModel(UnusableModel):
    """A sound model beyond what the kernel computes exactly; LightGBM itself can serve it."""


class MalformedModel(UnusableModel):
    """A text that is not a whole and consistent LightGBM model; nothing should read it."""


class Missing(IntEnum):
    """What a numeric split counts as missing. A missing value goes to the split's default side."""

    NONE = 0  # nothing: NaN is read as 0
    ZERO = 1  # NaN and 0
    NAN = 2  # NaN


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Trees as flat arrays: all splits one after another, all leaves one after another, both in tree order.

    The splits of a tree stand in preorder (parent, left subtree, right subtree) and its leaves from left to right.
    Each split then covers an interval of its tree's leaves, cut in two, and these intervals say all that child
    pointers would: a row lies under the split while its leaf is in `[first, last)`, and it went left if its leaf
    is before `middle`.

    Parameters
    ----------
    feature_names : tuple of str
        One per column of the matrix, in order.
    objective : str
        LightGBM's objective line, such as ``binary sigmoid:1``; empty if the model has none.
    split_start, leaf_start : ndarray of int64, shape (trees + 1,)
        Where each tree's splits and leaves begin.
    feature : ndarray of int32, shape (splits,)
        Column that a split looks at.
    first, middle, last : ndarray of int32, shape (splits,)
        Leaves under a split, counted from its tree's first leaf: left ``[first, middle)``, right ``[middle, last)``.
    threshold : ndarray of float64, shape (splits,)
        A value at most this goes left; NaN in categorical splits.
    missing : ndarray of uint8, shape (splits,)
        What counts as missing: a `Missing`.
    default_left : ndarray of bool, shape (splits,)
        Side of the missing values.
    categorical : ndarray of bool, shape (splits,)
        Whether the split asks for membership in a set of categories.
    category_start : ndarray of int64, shape (splits + 1,)
        Where each split's set begins in `category`.
    category : ndarray of int64, shape (categories,)
        Codes that go left, ascending within a split; every other value goes right.
    leaf_value : ndarray of float64, shape (leaves,)
        Contribution to the raw score.
    leaf_count : ndarray of int64, shape (leaves,)
        Training rows in the leaf: the weights of path-dependent Shapley values.
    counts_fault : str
        Why the counts cannot weigh Shapley values; empty if they can.
    """

    feature_names: tuple[str, ...]
    objective: str
    split_start: NDArray[np.int64]
    leaf_start: NDArray[np.int64]
    feature: NDArray[np.int32]
    first: NDArray[np.int32]
    middle: NDArray[np.int32]
    last: NDArray[np.int32]
    threshold: NDArray[np.float64]
    missing: NDArray[np.uint8]
    default_left: NDArray[np.bool_]
    categorical: NDArray[np.bool_]
    category_start: NDArray[np.int64]
    category: NDArray[np.int64]
    leaf_value: NDArray[np.float64]
    leaf_count: NDArray[np.int64]
    counts_fault: str

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.leaf_start) - 1

    @property
    def n_features(self) -> int:
        """Number of columns that the model was trained on, used or not."""
        return len(self.feature_names)
