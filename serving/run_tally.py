"""What is summed up over a scoring run while its batches pass: counts that add up, in memory that does not grow."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from features.cohort_stream import joined_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from features.cohort import Fault

#: Steps of the response probability in which its quartiles are told.
PROBABILITY_STEPS = 100_000


class RunTally(msgspec.Struct):
    """Sums over the batches of a run; two tallies add up.

    Attributes
    ----------
    rows_in, scored, rejected, merged : int
    bands : dict of str to int
    rows_outside, rows_unseen_adc, rows_unseen_setting : int
    missing, outside, measured : list of int
        Per column of the model.
    faults : dict of str to int
        Faults of rows by code.
    noted : list of (str, str)
        Code and column of notes that hold for a whole column.
    met : dict of str to list
        Distinct values of each biomarker; of numbers the smallest and the largest.
    derived : dict of str to tuple of str
    probability : bytes
        Rows by response probability, in steps: numbers of 64 bits; b"" where there are none.
    lowest, highest : float
    histogram : list of list of int
        Per column of the model, rows by the bins of the training record.
    """

    rows_in: int = 0
    scored: int = 0
    rejected: int = 0
    merged: int = 0
    bands: dict[str, int] = msgspec.field(default_factory=dict)
    rows_outside: int = 0
    rows_unseen_adc: int = 0
    rows_unseen_setting: int = 0
    missing: list[int] = msgspec.field(default_factory=list)
    outside: list[int] = msgspec.field(default_factory=list)
    measured: list[int] = msgspec.field(default_factory=list)
    faults: dict[str, int] = msgspec.field(default_factory=dict)
    noted: set[tuple[str, str]] = msgspec.field(default_factory=set)
    met: dict[str, list[str | float]] = msgspec.field(default_factory=dict)
    derived: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    probability: bytes = b""
    lowest: float = 1.0
    highest: float = 0.0
    histogram: list[list[int]] = msgspec.field(default_factory=list)

    def add(self, other: RunTally) -> None:
        """Add the sums of another part of the run, which comes after this one."""
        counts = ("rows_in", "scored", "rejected", "merged", "rows_outside", "rows_unseen_adc", "rows_unseen_setting")
        for name in counts:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("missing", "outside", "measured"):
            setattr(self, name, _summed(getattr(self, name), getattr(other, name)))
        self.probability = _joined(self.probability, other.probability)
        for name in ("bands", "faults"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(getattr(other, name))))
        self.noted |= other.noted
        self.met = joined_values(self.met, other.met)
        self.derived = {**other.derived, **self.derived}
        self.lowest, self.highest = min(self.lowest, other.lowest), max(self.highest, other.highest)
        pairs = zip(self.histogram, other.histogram, strict=True) if self.histogram and other.histogram else ()
        self.histogram = [_summed(*pair) for pair in pairs] or self.histogram or other.histogram

    def add_faults(self, faults: Iterable[Fault]) -> None:
        """Count faults of rows, and remember notes."""
        counts: Counter[str] = Counter(self.faults)
        for fault in faults:
            if fault.row is None:
                self.noted.add((fault.code, fault.column or ""))
            else:
                counts[fault.code] += 1
        self.faults = dict(counts)

    def add_probability(self, probability: NDArray[np.float64]) -> None:
        """Count response probabilities."""
        if len(probability):
            steps = np.rint(probability * PROBABILITY_STEPS).astype(np.int64)
            counts = np.bincount(steps, minlength=PROBABILITY_STEPS + 1)
            self.probability = _joined(self.probability, counts.tobytes())
            self.lowest = min(self.lowest, float(probability.min()))
            self.highest = max(self.highest, float(probability.max()))

    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the response probability, to five decimals."""
        reached = np.cumsum(np.frombuffer(self.probability, dtype=np.int64))
        ranks = [np.searchsorted(reached, share * reached[-1], side="left") for share in (0.25, 0.5, 0.75)]
        lower, middle, upper = (int(rank) / PROBABILITY_STEPS for rank in ranks)
        return lower, middle, upper

    def by_step(self) -> NDArray[np.int64]:
        """Rows by response probability in steps."""
        return np.frombuffer(self.probability, dtype=np.int64)

    def fault_counts(self) -> dict[str, int]:
        """Faults by code; a note counts once for each column."""
        counts = Counter(self.faults)
        counts.update(code for code, _ in self.noted)
        return dict(sorted(counts.items()))


def _joined(first: bytes, second: bytes) -> bytes:
    if not first or not second:
        return first or second
    return (np.frombuffer(first, dtype=np.int64) + np.frombuffer(second, dtype=np.int64)).tobytes()


def _summed(first: list[int], second: list[int]) -> list[int]:
    if not first or not second:
        return first or second
    return [a + b for a, b in zip(first, second, strict=True)]


def counted(values: NDArray[Any]) -> list[int]:
    """Turn counts into plain numbers."""
    return [int(value) for value in values]
