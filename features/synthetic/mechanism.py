"""The ADC's way through the cell, one function per step, and the kill of the tumour that comes of it.

Doses are relative to a HER2 3+ cell with average modifiers (1.0); the drug-to-antibody ratio and the potency of the
payload are common to all patients of an ADC and are absorbed by its calibrated offset (`calibration.py`). Which
biomarker acts on which payload is in `effects.toml`, after the payload x biomarker matrix; the functions here are the
physics that is common to all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.cohort import NO_ADC
from features.synthetic.parameters import COMPARATOR_ROUTE, modelled_adcs

if TYPE_CHECKING:
    from features.synthetic.arrays import FloatArray, Tumours
    from features.synthetic.parameters import Endpoint, Step
    from features.synthetic.worlds import World


#: Steps that act on the tumour as a whole, on the log-odds scale.
_TUMOUR_STEPS: tuple[Step, ...] = ("survival_signalling", "immune_contribution", "treatment_history")


@dataclass(frozen=True, slots=True)
class Cells:
    """Payload dose and log kill of the two cell populations of a tumour, per patient."""

    dose_positive: FloatArray
    dose_negative: FloatArray
    kill: FloatArray


def accessible_antigen(log10_receptors: FloatArray | float, log_modifier: FloatArray | float) -> FloatArray:
    """Step 1: receptors per cell that the antibody can reach.

    Masking by MUC4 and deletion of a gene copy lower it. p95HER2 has no ectodomain, so only full-length receptors are
    counted from the start.

    Parameters
    ----------
    log10_receptors : ndarray, shape (n_patients,), or float
        Full-length receptors per cell.
    log_modifier : ndarray, shape (n_patients,), or float
        Natural log of the change by masking and deletion.

    Returns
    -------
    ndarray, shape (n_patients,)
        Receptors per cell; rises with both arguments.
    """
    receptors: FloatArray = np.exp(np.log(10.0) * np.asarray(log10_receptors) + log_modifier)
    return receptors


def bound_antibody(receptors: FloatArray, half_saturation: float) -> FloatArray:
    """Step 2: antibody taken up through the receptor, relative to the half-saturation level.

    About proportional to the receptors in HER2-low cells, flattening in 3+ cells, where more receptors no longer bring
    proportionally more drug in. Equals 1 at `half_saturation` receptors per cell and stays below 2.

    References
    ----------
    .. [1] HER2 level and T-DM1: objective response 53.8% below and 72.4% above the median mRNA (TDM4450g).
    .. [2] DAISY: T-DXd 70.6, 37.5 and 29.7% by HER2 class, doi:10.1038/s41591-023-02478-2.
    """
    return 2.0 * receptors / (receptors + half_saturation)


def internalised(bound: FloatArray, log_modifier: FloatArray | float) -> FloatArray:
    """Step 3: antibody carried inside; endophilin A2 and RAB5A raise it, caveolin-1 lowers it."""
    return bound * np.exp(log_modifier)


def lysosomal_processing(inside: FloatArray, log_modifier: FloatArray | float) -> FloatArray:
    """Step 4: antibody digested or linker cut in the lysosome; needs acidity, least so for cleavable linkers."""
    return inside * np.exp(log_modifier)


def lysosomal_escape(released: FloatArray, log_modifier: FloatArray | float) -> FloatArray:
    """Step 5: payload out of the lysosome; SLC46A3 exports Lys-MCC-DM1, other payloads cross by themselves."""
    return released * np.exp(log_modifier)


def payload_in_cell(targeted: FloatArray, unspecific: float) -> FloatArray:
    """Payload dose with the part that reaches any cell without its antigen.

    Parameters
    ----------
    targeted : ndarray, shape (n_patients,)
        Dose through the receptor, 1 for a 3+ cell.
    unspecific : float
        Share of that dose that comes without binding, 0 to 1.

    Returns
    -------
    ndarray, shape (n_patients,)
    """
    return (1.0 - unspecific) * targeted + unspecific


def efflux(dose: FloatArray, log_modifier: FloatArray | float) -> FloatArray:
    """Step 6: payload kept in the cell against ABC transporters; which one counts depends on the payload."""
    return dose * np.exp(log_modifier)


def payload_effect(dose: FloatArray, log_modifier: FloatArray | float) -> FloatArray:
    """Step 7: dose that acts, by the cell's sensitivity to tubulin binders or topoisomerase I inhibitors."""
    return dose * np.exp(log_modifier)


def bystander_dose(
    targeted: FloatArray, negative_fraction: FloatArray, permeability: float, neighbours: float
) -> FloatArray:
    """Step 8: dose that antigen-negative cells receive from positive neighbours.

    A permeable payload reaches a negative cell if any of its neighbours is antigen-positive, which in a mixed tumour is
    likely even where most cells are negative; zero for payloads that cannot cross the membrane (Lys-MCC-DM1).

    Parameters
    ----------
    targeted : ndarray, shape (n_patients,)
        Dose through the receptor in antigen-positive cells.
    negative_fraction : ndarray, shape (n_patients,)
        Share of antigen-negative cells, 0 to 1.
    permeability : float
        Share of the neighbour's dose that is passed on, 0 to 1.
    neighbours : float
        Cells within reach.

    Returns
    -------
    ndarray, shape (n_patients,)
        Falls with the negative fraction, to 0 where there is no positive cell.
    """
    reached = 1.0 - np.power(negative_fraction, neighbours)
    return permeability * reached * targeted


def tumour_kill(
    dose_positive: FloatArray, dose_negative: FloatArray, negative_fraction: FloatArray, kill_scale: float
) -> FloatArray:
    """Log kill of a tumour of two cell populations.

    Minus the natural log of the surviving fraction. Antigen-negative cells that no payload reaches bound it: with half
    of the cells untouched it cannot exceed ln 2, whatever happens to the other half. That is why heterogeneous tumours
    have no pathological complete response on T-DM1 [1]_.

    Parameters
    ----------
    dose_positive, dose_negative : ndarray, shape (n_patients,)
        Acting dose in antigen-positive and antigen-negative cells.
    negative_fraction : ndarray, shape (n_patients,)
        Share of antigen-negative cells, 0 to 1.
    kill_scale : float
        Log kill at dose 1.

    Returns
    -------
    ndarray, shape (n_patients,)
        Greater than 0; rises with both doses.

    References
    ----------
    .. [1] Metzger Filho et al. 2021, PMC8598376: pCR 0 of 16 heterogeneous, 55% of the others.
    """
    surviving = (1.0 - negative_fraction) * np.exp(-kill_scale * dose_positive)
    surviving += negative_fraction * np.exp(-kill_scale * dose_negative)
    # A floor keeps the log finite for absurd doses.
    return -np.log(np.maximum(surviving, 1e-300))


def cells(tumours: Tumours, adc: str, world: World, endpoint: Endpoint) -> Cells:
    """Run steps 1 to 8 for one ADC: doses in both cell populations and the tumour's log kill."""
    profile = modelled_adcs()[adc]
    route = profile.route
    constant = world.constants
    is_her3 = profile.target == "HER3"
    level = tumours["her3_log10_receptors"] if is_her3 else tumours["log10_receptors"]
    negative = np.zeros_like(level) if is_her3 else tumours["her2_negative_fraction"]
    half = 10.0 ** constant["half_saturation_HER3_log10" if is_her3 else "half_saturation_log10"]
    unspecific, permeability = constant[f"unspecific_{adc}"], constant[f"bystander_{adc}"]

    # What masks or deletes HER2 leaves HER3 as it is.
    masking = 0.0 if is_her3 else world.modifier("accessible_antigen", tumours, route, endpoint)
    inward = world.modifier("internalised", tumours, route, endpoint)
    lysosome = world.modifier("lysosomal_processing", tumours, route, endpoint)
    escape = world.modifier("lysosomal_escape", tumours, route, endpoint)
    pumps = world.modifier("efflux", tumours, route, endpoint)
    sensitivity = world.modifier("payload_effect", tumours, route, endpoint)

    def targeted(log10_receptors: FloatArray | float) -> FloatArray:
        bound = bound_antibody(accessible_antigen(log10_receptors, masking), half)
        return lysosomal_escape(lysosomal_processing(internalised(bound, inward), lysosome), escape)

    def acting(dose: FloatArray) -> FloatArray:
        return payload_effect(efflux(dose, pumps), sensitivity)

    through_receptor = targeted(level)
    dose_positive = acting(payload_in_cell(through_receptor, unspecific))
    own = payload_in_cell(targeted(constant["negative_cell_receptors_log10"]), unspecific)
    reach = constant["bystander_neighbours"]
    from_neighbours = bystander_dose((1.0 - unspecific) * through_receptor, negative, permeability, reach)
    dose_negative = acting(own + from_neighbours)
    return Cells(
        dose_positive, dose_negative, tumour_kill(dose_positive, dose_negative, negative, constant["kill_scale"])
    )


def response_index(tumours: Tumours, adc: str, world: World, endpoint: Endpoint) -> FloatArray:
    """Log-odds of response on an ADC, up to the offset that calibration adds.

    Tumour kill (steps 1 to 8) on the endpoint's slope, then survival signalling, immune contribution and treatment
    history on the log-odds scale. A pathological complete response needs the last cells killed, so its slope is
    steeper. A comparator arm has no ADC and only the last three.

    Parameters
    ----------
    tumours : dict of str to ndarray, shape (n_patients,)
        True biology.
    adc : str
        Canonical short name, or "none" for a comparator arm.
    world : World
        Effect sizes.
    endpoint : {"objective_response", "pcr"}

    Returns
    -------
    ndarray, shape (n_patients,)
    """
    if adc == NO_ADC:
        route, index = COMPARATOR_ROUTE, np.zeros_like(tumours["class_index"])
    else:
        route = modelled_adcs()[adc].route
        slope = world.constants[f"slope_{endpoint}"]
        index = slope * np.log(cells(tumours, adc, world, endpoint).kill)
    for step in _TUMOUR_STEPS:
        index = index + world.modifier(step, tumours, route, endpoint)
    return index
