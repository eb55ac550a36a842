"""How the kernel's functions are compiled, and where the compiled code is kept."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import numba
from numba.core.caching import FunctionCache

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")


class ForgivingCache(FunctionCache):
    """Numba's cache of compiled code; one that cannot be read or written costs time, but is no error.

    Numba's own raises where a file was cut short by a crash or a full disk, or names a class that has moved since.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load compiled code, or nothing; what cannot be read is discarded."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save compiled code, if it can be."""
        with suppress(OSError):
            super().save_overload(sig, data)


def compiled(function: Function) -> Function:
    """Compile at the first call, without the interpreter lock, and keep the machine code for the next process.

    Numba keeps it beside the source, or where that cannot be written in the user's cache folder, or where
    `NUMBA_CACHE_DIR` says. Where none of them can be written, every process compiles anew, for some seconds.

    A compiled function may only call others of its own file: a change of another file would go unnoticed.

    Parameters
    ----------
    function : callable
        A function of arrays and numbers that Numba can compile.

    Returns
    -------
    callable
        The same function, compiled.
    """
    # With numpy's error model no division is checked for zero; no divisor here can be zero.
    fast: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # what Numba raises where there is no folder for a cache
        fast._cache = ForgivingCache(function)
    result: Function = fast
    return result
