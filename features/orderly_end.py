"""A request to terminate, or a closed terminal, ends the work as orderly as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def ending_orderly() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP while the block runs, so that it can tidy up.

    Outside the main thread, where Python lets no signal be handled, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored stays so: `nohup` ignores the hang-up of the terminal.
    heeded = [kind for kind in kinds if signal.getsignal(kind) is not signal.SIG_IGN]
    previous = {kind: signal.signal(kind, interrupt) for kind in heeded}
    try:
        yield
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
