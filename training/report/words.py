"""Numbers as a report writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.words import kept_together

if TYPE_CHECKING:
    from training.estimate import Estimate

METRIC_LABELS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
}


def estimate(found: Estimate | None, *, digits: int = 2, signed: bool = False) -> str:
    """Write an estimate with its interval, or why there is none.

    Parameters
    ----------
    found : Estimate or None
    digits : int
    signed : bool
        With a plus sign too, for differences.

    Returns
    -------
    str
    """
    if found is None:
        return ""
    if found.value is None:
        return f"not computed: {found.reason}" if found.reason else "not computed"
    form = f"{'+' if signed else ''}z.{digits}f"
    if found.low is None or found.high is None:
        return f"{found.value:{form}} ({found.reason or 'no interval'})"
    return kept_together(f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})")
