"""Linear algebra on one thread: its sums depend on how many there are, and models shall be the same on every machine.

The number is one for the whole process. Were every fit to set and restore it for itself, of two that run side by side
the first to end would give the other its threads back in the middle. threadpoolctl lets only the thread restore it that
changed it, while that lives: `train_prepared` therefore holds the limit around all its fits.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: F401 - a limit holds for the libraries that are loaded
import scipy.linalg  # noqa: F401 - it brings one of its own
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Limit:
    """Set by the first who asks for it, restored by the last."""

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._limit: Any = None

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = threadpool_limits(1, user_api="blas")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


_LIMIT = _Limit()


@contextmanager
def linear_algebra_on_one_thread() -> Iterator[None]:
    """Keep linear algebra to one thread, in this and all other threads of the process, until the last such block ends.

    Products as small as those of a cohort gain nothing from several, which on a busy machine wait for each other.

    Yields
    ------
    None
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
