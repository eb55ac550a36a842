"""Kill a process at moments drawn evenly over its life, go on with it, and look at what is there each time.

Shared by `benchmarks.scoring_kills` and `benchmarks.training_kills`. A run that is left alone tells how long a life is;
the first kill of each further run falls evenly within it, later ones within what is left at most, so that nearly all
strike a living process. After `MOST_KILLS` a run is left to end.
"""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_KILLS = 3
#: Share of a whole life that even a run which is nearly done still takes: it loads its libraries.
_LOADING = 0.25
#: A run that was told to go on may wait for another to end; beyond this many lives it hangs.
_HUNG = 20.0

Start = Callable[[], subprocess.Popen[bytes]]


@dataclass
class Kills:
    """What was struck, and when.

    Attributes
    ----------
    seconds : float
        Life of a run that was left alone.
    struck : collections.Counter
        Kills of a living process by tenth of that life.
    missed, runs : int
        Kills that came after the end, and runs that ended.
    longest : float
        Seconds of the slowest start of all.
    """

    seconds: float
    struck: Counter[int] = field(default_factory=Counter)
    missed: int = 0
    runs: int = 0
    longest: float = 0.0

    @property
    def number(self) -> int:
        """Kills that struck a living process."""
        return self.struck.total()

    def told(self) -> str:
        """One line of figures."""
        tenths = " ".join(str(self.struck[tenth]) for tenth in range(10))
        return (
            f"{self.number} kills of a living process over {self.runs} runs, {self.missed} came too late; "
            f"by tenth of {self.seconds:.1f} s: {tenths}; slowest start {self.longest:.1f} s"
        )


def life(start: Start) -> float:
    """Seconds of a run that is left alone."""
    started = time.monotonic()
    require(start().wait() == 0, "the run that was left alone failed")
    return time.monotonic() - started


def kill_until_done(start: Start, kills: Kills, draw: random.Random, look: Callable[[], None]) -> None:
    """Start a run, kill it up to `MOST_KILLS` times, starting it again each time, and let it end; `look` after each."""
    worked, times = 0.0, draw.randint(1, MOST_KILLS)
    while True:
        began = time.monotonic()
        process = start()
        moment = None
        if times:
            moment = draw.uniform(0.0, max(kills.seconds - worked, _LOADING * kills.seconds))
        code = _ended(process, moment, kills.seconds * _HUNG)
        took = time.monotonic() - began
        kills.longest = max(kills.longest, took)
        look()
        if code == 0:
            kills.missed += moment is not None
            kills.runs += 1
            return
        require(code == -signal.SIGKILL and moment is not None, f"a run ended with {code}")
        kills.struck[min(9, int(10 * took / kills.seconds))] += 1
        worked, times = worked + took, times - 1


def _ended(process: subprocess.Popen[bytes], moment: float | None, patience: float) -> int:
    """Wait for the end, or bring it about at a moment."""
    try:
        return process.wait(patience if moment is None else moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        code = process.wait()
    require(moment is not None, f"a run that was started again did not end in {patience:.0f} s")
    return code


def require(holds: bool, otherwise: str) -> None:
    """End the benchmark where something does not hold."""
    if not holds:
        sys.exit(f"FOUND: {otherwise}")


def digest(content: bytes) -> str:
    """Hash that files are compared by."""
    return hashlib.sha256(content).hexdigest()
