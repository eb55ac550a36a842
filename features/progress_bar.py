"""A progress bar for whatever takes more than a second, where someone is looking."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import Progress, TaskID

#: Work that is done sooner needs no bar.
PATIENCE_SECONDS = 1.0


class LateProgressBar:
    """Bar on standard error that appears after a second and is gone when the block is left.

    Parameters
    ----------
    label : str
        What is being done.
    unit : str
        What is counted.
    enabled : bool
        False, or a standard error that is no terminal, gives no bar.
    """

    def __init__(self, label: str, unit: str = "rows", *, enabled: bool = True) -> None:
        self._label, self._unit = label, unit
        self._enabled = enabled and sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._timer: threading.Timer | None = None
        self._shown = (label, unit)

    def __enter__(self) -> Self:
        if self._enabled:
            from rich import progress
            from rich.console import Console
            from rich.text import Text

            class _Rate(progress.ProgressColumn):
                def render(self, task: progress.Task) -> Text:
                    return Text(f"{task.speed:,.0f}/s" if task.speed else "")

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[unit]}"),
                _Rate(),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(self._label, total=None, unit=self._unit)
            self._timer = threading.Timer(PATIENCE_SECONDS, self._bar.start)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer and self._bar:
            self._timer.cancel()
            self._timer.join()
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is.

        Parameters
        ----------
        done, total : int
        """
        self._show(self._label, self._unit, done, total)

    def stage(self, label: str, unit: str) -> Callable[[int, int], None]:
        """Another part of the work on the same bar.

        Parameters
        ----------
        label, unit : str
            As for the bar itself.

        Returns
        -------
        callable
            Shows how far this part is; what is told to the bar itself is its own part again.
        """
        return lambda done, total: self._show(label, unit, done, total)

    def _show(self, label: str, unit: str, done: int, total: int) -> None:
        if self._bar is None or self._task is None:
            return
        if (label, unit) != self._shown:
            # Rate and time left are those of this part alone.
            self._shown = (label, unit)
            self._bar.reset(self._task, description=label, unit=unit, total=total)
        self._bar.update(self._task, completed=done, total=total)
