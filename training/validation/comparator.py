"""Predictive or only prognostic: whether a score tells who responds to the ADC, or who responds to anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from training.estimate import Estimate
from training.validation.accuracy import delong, placements
from training.validation.records import ComparatorRecord

if TYPE_CHECKING:
    from training.metrics import Floats, Integers

_Z95 = 1.959964
_STEPS, _LARGEST_SLOPE = 50, 50.0
FEWEST_IN_ARM, FEWEST_OF_OUTCOME = 20, 5


def comparator_test(
    arm: str, scored_as: str, adc: tuple[Integers, Floats], comparator: tuple[Integers, Floats]
) -> ComparatorRecord:
    """Compare how a score separates responders in the arm with the ADC and in an arm without it.

    Parameters
    ----------
    arm : str
        Name of the comparator arm.
    scored_as : str
        ADC that the comparator's patients were scored as if they had received.
    adc, comparator : tuple of (numpy.ndarray of int, numpy.ndarray of float)
        Outcome, and log-odds by a model that did not see the patient.

    Returns
    -------
    ComparatorRecord
        `interaction` above 0: the score matters more for patients on the ADC.

    References
    ----------
    Ballman KV. J Clin Oncol 2015;33:3968-3971 (predictive or prognostic); DeLong et al. 1988 for the variances.
    """
    short = [n for n, (y, _) in (("ADC", adc), (arm, comparator)) if _too_few(y)]
    auroc_adc, auroc_comparator = delong(*adc), delong(*comparator)
    if short:
        why = f"too few patients or outcomes in {' and '.join(short)}"
        difference = interaction = Estimate(None, reason=why)
    else:
        difference, interaction = _difference(adc, comparator), _interaction(adc, comparator)
    return ComparatorRecord(
        arm=arm,
        scored_as=scored_as,
        patients_adc=len(adc[0]),
        events_adc=int(adc[0].sum()),
        patients_comparator=len(comparator[0]),
        events_comparator=int(comparator[0].sum()),
        auroc_adc=auroc_adc,
        auroc_comparator=auroc_comparator,
        difference=difference,
        interaction=interaction,
        sentence=_sentence(arm, difference, interaction),
    )


def _too_few(outcome: Integers) -> bool:
    rarer = min(int(outcome.sum()), len(outcome) - int(outcome.sum()))
    return len(outcome) < FEWEST_IN_ARM or rarer < FEWEST_OF_OUTCOME


def _difference(adc: tuple[Integers, Floats], comparator: tuple[Integers, Floats]) -> Estimate:
    areas, variances = zip(*(_area(y, z) for y, z in (adc, comparator)), strict=True)
    half = _Z95 * float(np.sqrt(sum(variances)))
    value = areas[0] - areas[1]
    return Estimate(value, value - half, value + half)


def _area(outcome: Integers, scores: Floats) -> tuple[float, float]:
    of_responder, of_other = placements(scores[outcome == 1], scores[outcome == 0])
    variance = of_responder.var(ddof=1) / len(of_responder) + of_other.var(ddof=1) / len(of_other)
    return float(of_responder.mean()), float(variance)


def _interaction(adc: tuple[Integers, Floats], comparator: tuple[Integers, Floats]) -> Estimate:
    lines = [slope_with_error(y, z) for y, z in (adc, comparator)]
    if any(line is None for line in lines):
        return Estimate(None, reason="the score separates the outcomes completely in one arm")
    (first, first_error), (second, second_error) = (line for line in lines if line is not None)
    half = _Z95 * float(np.hypot(first_error, second_error))
    return Estimate(first - second, first - second - half, first - second + half)


def slope_with_error(outcome: Integers, log_odds: Floats) -> tuple[float, float] | None:
    """Maximum-likelihood slope of the outcome's log-odds on a score, and its standard error.

    Parameters
    ----------
    outcome : numpy.ndarray of shape (n_patients,)
    log_odds : numpy.ndarray of shape (n_patients,)

    Returns
    -------
    tuple of (float, float), or None
        None where the slope is infinite or the score does not differ.
    """
    design = np.column_stack([np.ones_like(log_odds), log_odds])
    line = np.zeros(2)
    for _ in range(_STEPS):
        p = expit(design @ line)
        information = (design * (p * (1 - p))[:, None]).T @ design
        if np.linalg.cond(information) > 1e12:
            return None
        step = np.clip(np.linalg.solve(information, design.T @ (outcome - p)), -3, 3)
        line = line + step
        if np.abs(step).max() < 1e-9:
            return float(line[1]), float(np.sqrt(np.linalg.inv(information)[1, 1]))
        if abs(line[1]) > _LARGEST_SLOPE:
            return None
    return None


def _sentence(arm: str, difference: Estimate, interaction: Estimate) -> str:
    if difference.value is None:
        return f"Whether the score is specific to the ADC cannot be said: {difference.reason}."
    if difference.excludes_zero or interaction.excludes_zero:
        more = (difference.value if difference.excludes_zero else (interaction.value or 0.0)) > 0
        if more:
            return (
                f"The score separates responders to the ADC more than those of '{arm}': that speaks for a predictive "
                "score, as far as the arms' patients are alike."
            )
        return f"The score separates responders of '{arm}' more than those to the ADC: it is not specific to the ADC."
    return (
        f"The score is not shown to separate responders to the ADC more than those of '{arm}': "
        "it may be prognostic only."
    )
