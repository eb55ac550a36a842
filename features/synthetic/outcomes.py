"""From a patient's true probability to what a trial records: pCR, RECIST best response, progression-free time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit

if TYPE_CHECKING:
    from features.synthetic.arrays import BoolArray, FloatArray, IntArray
    from features.synthetic.streams import Draws

#: RECIST 1.1 categories, best first.
BEST_RESPONSES = ("CR", "PR", "SD", "PD")
#: Share of responders with a complete response at a probability of one half. DESTINY-Breast03: 16.1 of 79.7%.
_COMPLETE_SHARE = 0.17
#: Share of non-responders that progress at once, at a probability of one half. DESTINY-Breast03: 17.5 of 65.8% on T-DM1
#: and 1.1 of 20.3% on T-DXd.
_PROGRESSION_SHARE = 0.20
#: Weibull shape of progression-free time given the response; above 1, since scans find progression late. Assumed.
PFS_SHAPE = 1.3
#: ln of the ratio of progression-free times, responders to non-responders, and per log-odds. Assumed.
PFS_LOG_RATIO_RESPONSE, PFS_LOG_RATIO_INDEX = 0.9, 0.25
#: Scale of progression-free time in months where no trial reports a median for a regimen. Assumed.
PFS_START_MONTHS = 7.0
#: Follow-up in months: enrolment spread evenly between these.
_FOLLOW_UP = (6.0, 42.0)
#: Progression found at the first scan, in months.
_FIRST_SCAN = (1.2, 2.9)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Simulated outcomes of a block of patients."""

    responded: BoolArray
    #: index in BEST_RESPONSES
    best_response: IntArray
    pfs_months: FloatArray
    pfs_event: BoolArray


def draw_outcomes(probability: FloatArray, pfs_scale: FloatArray, draws: Draws) -> Outcomes:
    """Draw the recorded outcomes.

    Parameters
    ----------
    probability : ndarray, shape (n_patients,)
        True probability of response.
    pfs_scale : ndarray, shape (n_patients,)
        Scale of progression-free time in months: about the median of a non-responder with an even chance.
    draws : Draws
        Named random numbers.

    Returns
    -------
    Outcomes
    """
    responded, best = best_responses(probability, draws)
    event_time = progression_free_time(probability, responded, best == 3, pfs_scale, draws)
    low, high = _FOLLOW_UP
    follow_up = low + (high - low) * draws.uniform("follow_up")
    return Outcomes(responded, best, np.minimum(np.maximum(event_time, 0.5), follow_up), event_time <= follow_up)


def best_responses(probability: FloatArray, draws: Draws) -> tuple[BoolArray, IntArray]:
    """Draw response and RECIST category; complete responses and progressions follow the probability.

    Parameters
    ----------
    probability : ndarray, shape (n_patients,)
        True probability of response.
    draws : Draws
        Named random numbers.

    Returns
    -------
    tuple of ndarray, shape (n_patients,)
        Whether a patient responded, and the index in `BEST_RESPONSES`.
    """
    responded = draws.uniform("responded") < probability
    depth = draws.uniform("best_response")
    complete = depth < 2.0 * _COMPLETE_SHARE * probability
    progressed = depth < 2.0 * _PROGRESSION_SHARE * (1.0 - probability)
    return responded, np.where(responded, np.where(complete, 0, 1), np.where(progressed, 3, 2))


def progression_free_time(
    probability: FloatArray, responded: BoolArray, progressed: BoolArray, pfs_scale: FloatArray, draws: Draws
) -> FloatArray:
    """Months to progression: longer for responders and for a higher probability; the first scan for a PD.

    Parameters
    ----------
    probability, pfs_scale : ndarray, shape (n_patients,)
        As for `draw_outcomes`.
    responded, progressed : ndarray of bool, shape (n_patients,)
        CR or PR; best response PD.
    draws : Draws
        Named random numbers.

    Returns
    -------
    ndarray, shape (n_patients,)
    """
    chance = draws.uniform("pfs")
    hazard_free = (-np.log1p(-chance) / np.log(2.0)) ** (1.0 / PFS_SHAPE)
    log_ratio = PFS_LOG_RATIO_RESPONSE * responded + PFS_LOG_RATIO_INDEX * logit(probability)
    low, high = _FIRST_SCAN
    return np.where(progressed, low + (high - low) * chance, pfs_scale * np.exp(log_ratio) * hazard_free)
