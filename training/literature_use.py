"""What a fitted model kept of the literature, by mechanism step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from training.metrics import Floats


class StepWeight(msgspec.Struct, frozen=True):
    """What a fitted model kept of one mechanism step of the literature.

    Attributes
    ----------
    step : str
        As in the catalogue, or `treatment` for drug and setting.
    weight : float
        1 as the simulator has it, 0 for nothing.
    spread : float
        Standard deviation among the cohort's patients of what the step says, in log-odds at a weight of 1.
    """

    step: str
    weight: float
    spread: float


class LiteratureUse(msgspec.Struct, frozen=True):
    """What a fitted model kept of the literature.

    Attributes
    ----------
    belief : float
        Probability, given the cohort, of the priors that hold the literature; 0 to 1.
    steps : tuple of StepWeight
        What each mechanism step of the prior kept, before the share of the cohort's trees.
    cohort_share : float
        Share of the trees that know the cohort alone, 0 to 1.
    contradicted : tuple of str
        Columns whose sign by the catalogue the cohort contradicts.
    """

    belief: float
    steps: tuple[StepWeight, ...]
    cohort_share: float
    contradicted: tuple[str, ...]

    @property
    def weight(self) -> float:
        """Weight of the prior's trees in the model, 0 for none; steps count by how much they tell patients apart."""
        spread = sum(s.spread for s in self.steps)
        kept = sum(s.spread * s.weight for s in self.steps) / spread if spread > 0 else 0.0
        return kept * (1.0 - self.cohort_share)

    @property
    def doubted(self) -> tuple[StepWeight, ...]:
        """Steps of which less than half is kept, among those that say something of this cohort's patients."""
        spread = sum(s.spread for s in self.steps)
        return tuple(s for s in self.steps if s.weight < 0.5 and s.spread > 0.05 * spread)


def steps_kept(steps: tuple[str, ...], parts: Floats, weights: Floats) -> tuple[StepWeight, ...]:
    """List the steps with their weights; a step that says the same of all patients is left out.

    Parameters
    ----------
    steps : tuple of str
    parts : numpy.ndarray of shape (n_patients, n_steps)
        Log-odds of each step's trees.
    weights : numpy.ndarray of shape (n_steps,)

    Returns
    -------
    tuple of StepWeight
    """
    spreads = parts.std(axis=0)
    told = zip(steps, weights.tolist(), spreads.tolist(), strict=True)
    return tuple(StepWeight(step, weight, spread) for step, weight, spread in told if spread > 1e-9)
