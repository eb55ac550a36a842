"""How many patients a model of response needs, by Riley's criteria."""

from __future__ import annotations

from math import ceil, exp, log

import msgspec

#: Shrinkage that overfitting may cost, and precision of the overall response rate.
_SHRINKAGE, _RATE_MARGIN, _R2_GAP = 0.9, 0.05, 0.05
#: Anticipated share of the largest possible Cox-Snell R2, where nothing better is known.
ANTICIPATED_SHARE = 0.15


class SampleSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patients required for a number of parameters at a response rate.

    Attributes
    ----------
    shrinkage, optimism, rate : int
        By each criterion: shrinkage of 0.9 at most, apparent R2 within 0.05 of the true one, response rate to 0.05.
    """

    parameters: int
    response_rate: float
    r2_share: float
    shrinkage: int
    optimism: int
    rate: int

    @property
    def required(self) -> int:
        """Patients that meet all three criteria."""
        return max(self.shrinkage, self.optimism, self.rate)


def required_patients(parameters: int, response_rate: float, *, r2_share: float = ANTICIPATED_SHARE) -> SampleSize:
    """Patients required to develop a model for a binary outcome.

    Parameters
    ----------
    parameters : int
        Candidate predictor parameters, 1 or more.
    response_rate : float
        Between 0 and 1, exclusive.
    r2_share : float
        Anticipated Cox-Snell R2 as a share of its maximum.

    Returns
    -------
    SampleSize

    References
    ----------
    Riley RD et al. BMJ 2020;368:m441, criteria 1 to 3 for binary outcomes.
    """
    log_null = response_rate * log(response_rate) + (1 - response_rate) * log(1 - response_rate)
    most_r2 = 1 - exp(2 * log_null)
    r2 = r2_share * most_r2
    of_gap = r2 / (r2 + _R2_GAP * most_r2)
    return SampleSize(
        parameters=parameters,
        response_rate=response_rate,
        r2_share=r2_share,
        shrinkage=_patients(parameters, r2, _SHRINKAGE),
        optimism=_patients(parameters, r2, of_gap),
        rate=ceil((1.96 / _RATE_MARGIN) ** 2 * response_rate * (1 - response_rate)),
    )


def _patients(parameters: int, r2: float, shrinkage: float) -> int:
    return ceil(parameters / ((shrinkage - 1) * log(1 - r2 / shrinkage)))
