"""What `adcr train` says of the literature: whether it helped, what it kept, and where the cohort contradicts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from training.bootstrap import Estimate
    from training.learning_curve import CurvePoint
    from training.training_result import TrainingResult


def literature_sentence(result: TrainingResult) -> str:
    """Say whether the literature helped on this cohort, how much weight it kept, and what contradicts it.

    Helped is only what has an interval of the paired difference in log loss, against the same procedure without the
    literature, that excludes zero.

    Parameters
    ----------
    result : TrainingResult

    Returns
    -------
    str
        Empty where the literature was left out.
    """
    use = result.literature
    if use is None:
        return ""
    difference = result.differences_of_models("log_loss").get("lightgbm")
    told = [
        f"The literature {_helped(difference)}; it kept {_kept(use.weight)} of its weight",
        f"and {use.cohort_share:.0%} of the model is trees of this cohort alone.",
    ]
    doubted = ", ".join(f"{s.step.replace('_', ' ')} ({s.weight:.0%})" for s in use.doubted)
    if doubted:
        told.append(f"It keeps little of it on {doubted}.")
    if use.contradicted:
        names = ", ".join(use.contradicted)
        told.append(f"The cohort contradicts the catalogue's direction of {names}: no sign is held there.")
    else:
        told.append("The cohort contradicts no direction of the catalogue.")
    return " ".join(told)


def _kept(weight: float) -> str:
    """Write a weight; a cohort may bear the literature out more strongly than the simulator has it."""
    return "all" if weight >= 1 else f"{weight:.0%}"


def _helped(difference: Estimate | None) -> str:
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return "could not be compared with a model without it"
    verb = "is not shown to have helped"
    if difference.excludes_zero:
        verb = "helped" if difference.value < 0 else "did harm"
    span = f"95% interval {difference.low:+z.3f} to {difference.high:+z.3f}"
    return f"{verb} (log loss {difference.value:+z.3f} against the cohort's trees alone, {span})"


def learning_curve_lines(points: tuple[CurvePoint, ...]) -> list[str]:
    """Write a learning curve as a table: log loss by number of patients learned from.

    Parameters
    ----------
    points : tuple of CurvePoint

    Returns
    -------
    list of str
        Empty where there are no points.
    """
    if not points:
        return []
    sizes = sorted({p.patients for p in points})
    losses = {(p.label, p.patients): p.log_loss for p in points}
    rows = [f"{'log loss learning from':<26}" + "".join(f"{size:>8}" for size in sizes) + "  patients"]
    for label in dict.fromkeys(p.label for p in points):
        cells = [losses[label, size] for size in sizes]
        rows.append(f"  {label:<24}" + "".join(f"{c:>8.3f}" if np.isfinite(c) else f"{'-':>8}" for c in cells))
    return rows
