"""Shares with their intervals."""

from __future__ import annotations

import numpy as np


def wilson_interval(events: int, patients: int) -> tuple[float, float]:
    """95% interval of a share.

    Parameters
    ----------
    events : int
    patients : int
        At least 1.

    Returns
    -------
    low, high : float

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212.
    """
    z2 = 1.959964**2
    share = events / patients
    centre = (share + z2 / (2 * patients)) / (1 + z2 / patients)
    half = np.sqrt(share * (1 - share) / patients * z2 + (z2 / (2 * patients)) ** 2) / (1 + z2 / patients)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
