"""Versions of the literature's prior that are averaged, and how much each is trusted before a cohort is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Belief:
    """One version of the prior.

    Attributes
    ----------
    worlds : float
        Factor on the covariance of the worlds' effects; 0 for no literature at all.
    free : float
        Standard deviation of an effect of any column, per score, beside the literature's.
    directed : bool
        Whether effects lean towards the catalogue's directions beyond what the simulator has.
    bent : float
        Standard deviation of the departure of an effect from a line.
    added : float
        Standard deviation of an effect of a column that the user added, at least.
    """

    worlds: float
    free: float
    directed: bool = False
    bent: float = 0.0
    added: float = 0.0

    @property
    def literature(self) -> bool:
        """Whether the simulated worlds enter; directions alone are not counted."""
        return self.worlds > 0

    @property
    def log_prior(self) -> float:
        """Log of its probability before the cohort is seen, up to a constant: the literature is trusted first.

        Each departure from what the simulated worlds say (wider, freer, directed, bent) halves it or worse, and so
        does leaving the literature out; ten patients can outweigh any of these.
        """
        departures = _DOUBT_OF_WIDER * (self.worlds > 1) + _DOUBT_OF_DIRECTED * self.directed
        departures += _DOUBT_OF_BENT * (self.bent > 0) + _DOUBT_OF_NONE * (not self.literature)
        freedom = _DOUBT_OF_FREE * np.clip(np.log2(self.free / _LEAST_FREE) / 2, 0, 2)
        return float(-departures - freedom)


#: Log-odds against beliefs that depart from the simulated worlds. Weights half as large or twice as large changed the
#: log loss of learning from 100 patients by less than 0.003 in any family of `benchmarks/learning.py`.
_DOUBT_OF_WIDER, _DOUBT_OF_DIRECTED, _DOUBT_OF_BENT, _DOUBT_OF_FREE, _DOUBT_OF_NONE = 0.7, 0.7, 0.7, 1.0, 1.0
_LEAST_FREE = 0.03
#: What is tried first; then the best of these with bent effects.
STRAIGHT_BELIEFS = (
    *(Belief(w, f, d) for w in (1.0, 3.0) for f in (0.03, 0.15, 0.3) for d in (False, True)),
    *(Belief(0.0, f, d) for f in (0.03, 0.1, 0.2, 0.4) for d in (False, True)),
)
#: How much effects may bend, tried on this many of the best straight beliefs.
BENDS, BEST = (0.15, 0.3), 4
