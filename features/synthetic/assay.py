"""What the laboratory reports of a tumour: readers, platforms, sampling and missing values.

True biology enters; measures of the cohort file come out. Missing values depend on site, era and HER2 class (reflex
testing), never on the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit, ndtr

from features.synthetic.parameters import HER2_CLASSES
from features.synthetic.population import STAINING_LIMITS

if TYPE_CHECKING:
    from features.synthetic.arrays import BoolArray, FloatArray, IntArray, Tumours
    from features.synthetic.streams import Draws

IHC_LEVELS = ("0", "ultralow", "1+", "2+", "3+")
DELETION_LEVELS = ("none", "hemizygous", "homozygous")
SUBTYPES = ("luminal_a", "luminal_b", "her2_enriched", "basal_like", "normal_like")
#: Inter-observer error of an IHC reading on log10 receptors. Two such readers agree in 73% of a mix of classes, kappa
#: 0.64, and 0.72 with 0 and 1+ taken together (benchmarks/simulator.py). Published: kappa 0.62 of five readers (Eren
#: 2025), agreement 65 to 74% (Karakas 2023), kappa 0.71 between local and central laboratories (PMC3828190).
READER_SD = 0.22
#: A trial's class is the central reading, so what a trial reports repeats it almost always.
CENTRAL_READER_SD = 0.03
#: Spread on the log-odds of the negative fraction that one core shows of the whole tumour.
_CORE_SD = 0.5
#: ASCO/CAP 2018: ISH group 1 needs a ratio of at least 2.0 and 4.0 copies; group 3 at least 6.0 copies.
_RATIO_POSITIVE, _COPIES_POSITIVE, _COPIES_HIGH = 2.0, 4.0, 6.0
#: ASCO/CAP 2020: ER or PR positive from 1% of nuclei.
_RECEPTOR_POSITIVE_PERCENT = 1.0
#: Strict heterogeneity (CAP): 5 to 50% of cells amplified, so at least half are not.
_HETEROGENEOUS_FROM = 0.50


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Conditions under which a cohort was measured.

    Attributes
    ----------
    missing : float
        Mean share of values missing, before reflex testing; 0 to 0.9.
    site_index : ndarray of int, shape (n_patients,)
        Hospital of each patient.
    staining_shift, platform_shift, platform_scale : ndarray, shape (n_sites,)
        Per site: shift of IHC staining (log10 receptors), of expression (z) and its scale; 0, 0 and 1 without a shift.
    missing_shift : ndarray, shape (n_sites,)
        Per site: shift of missingness on the log-odds scale.
    central_review : bool
        IHC read centrally, as in a trial.
    mrna_centre, mrna_spread : ndarray, shape (n_patients,)
        Reference of the ERBB2 mRNA z-score, of the cohort that each patient belongs to.
    """

    missing: float
    site_index: IntArray
    staining_shift: FloatArray
    platform_shift: FloatArray
    platform_scale: FloatArray
    missing_shift: FloatArray
    central_review: bool
    mrna_centre: FloatArray
    mrna_spread: FloatArray


#: Panel that each measure is reported with, how much more often than average it is missing, and decimals kept.
_PANELS: dict[str, tuple[str, float, int]] = {
    "her2_ihc": ("routine", 0.2, 0),
    "her2_ish_ratio": ("ish", 1.0, 2),
    "her2_ish_positive": ("ish", 1.0, 0),
    "her2_cep17_copies": ("ish", 1.0, 2),
    "erbb2_copy_number": ("ish", 1.0, 2),
    "her2_status": ("routine", 0.2, 0),
    "her2_h_score": ("digital pathology", 1.5, 0),
    "her2_negative_fraction": ("two-core ish", 1.2, 3),
    "her2_heterogeneous": ("two-core ish", 1.2, 0),
    "erbb2_mrna_z": ("rna", 1.3, 3),
    "p95her2_ratio": ("p95", 1.5, 3),
    "p95her2_positive": ("p95", 1.5, 0),
    "cdk12_amplified": ("dna", 1.0, 0),
    "cdk12_copy_number": ("dna", 1.0, 1),
    "erbb2_deletion": ("dna", 1.0, 0),
    "erbb2_amplified": ("dna", 1.0, 0),
    "erbb2_mutated": ("dna", 1.0, 0),
    "pik3ca_mutated": ("dna", 1.0, 0),
    "nf1_loss": ("dna", 1.0, 0),
    "slx4_mutated": ("dna", 1.0, 0),
    "ccne1_amplified": ("dna", 1.0, 0),
    "hr_status": ("routine", 0.2, 0),
    "er_percent": ("routine", 0.2, 0),
    "pr_percent": ("routine", 0.2, 0),
    "er_status": ("routine", 0.2, 0),
    "pr_status": ("routine", 0.2, 0),
    "age_years": ("registry", 0.0, 0),
    "prior_lines": ("history", 0.2, 0),
    "prior_pertuzumab": ("history", 0.2, 0),
    "brain_metastases": ("history", 0.2, 0),
    "node_positive": ("history", 0.2, 0),
    "til_percent": ("microenvironment", 0.8, 0),
    "ki67_percent": ("microenvironment", 0.8, 0),
    "pdl1_positive": ("microenvironment", 0.8, 0),
    "pten_loss": ("special stains", 1.4, 0),
    "pten_h_score": ("special stains", 1.4, 0),
    "muc4_high": ("special stains", 1.4, 0),
    "pam50_subtype": ("rna", 1.3, 0),
    "slc46a3_mrna_z": ("rna", 1.3, 3),
    "abcb1_mrna_z": ("rna", 1.3, 3),
    "abcg2_mrna_z": ("rna", 1.3, 3),
    "abcc1_mrna_z": ("rna", 1.3, 3),
    "abcc2_mrna_z": ("rna", 1.3, 3),
    "cav1_mrna_z": ("rna", 1.3, 3),
    "sh3gl1_mrna_z": ("rna", 1.3, 3),
    "rab5a_mrna_z": ("rna", 1.3, 3),
    "atp6v1a_mrna_z": ("rna", 1.3, 3),
    "plk1_mrna_z": ("rna", 1.3, 3),
    "ccnb1_mrna_z": ("rna", 1.3, 3),
    "tubb3_mrna_z": ("rna", 1.3, 3),
    "ccne1_mrna_z": ("rna", 1.3, 3),
    "ddr_signature_z": ("rna", 1.3, 3),
    "immune_score_z": ("rna", 1.3, 3),
    "proliferation_score_z": ("rna", 1.3, 3),
    "erbb2_py1248_z": ("protein array", 1.5, 3),
    "egfr_py1173_z": ("protein array", 1.5, 3),
}
#: Measures that a simulated cohort holds, in column order.
MEASURES = tuple(_PANELS)
#: Panels that hospitals began to use late: missing more often in earlier patients.
_LATE_PANELS = ("rna", "dna", "p95", "digital pathology", "protein array", "special stains")
#: Share of patients read before ultralow was reported. Assumed.
_ULTRALOW_SINCE = 0.6
#: Share of an expression z-score's variance that is measurement error.
_EXPRESSION_ERROR = 0.08


def measure_tumours(tumours: Tumours, laboratory: Laboratory, draws: Draws) -> dict[str, FloatArray]:
    """Report the measures of a block of tumours as a cohort file would hold them.

    Parameters
    ----------
    tumours : dict of str to ndarray, shape (n_patients,)
        True biology.
    laboratory : Laboratory
        Sites, platforms and missingness.
    draws : Draws
        Named random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_patients,)
        By measure id; levels as their position (`IHC_LEVELS`, `DELETION_LEVELS`, `SUBTYPES`); NaN missing or not
        applicable.
    """
    seen: dict[str, FloatArray] = {}
    _in_situ_hybridisation(seen, tumours, draws)
    _staining(seen, tumours, laboratory, draws)
    _hormone_receptors(seen, tumours)
    _two_core(seen, tumours)
    _expression(seen, tumours, laboratory, draws)
    for name in MEASURES:
        if name not in seen:
            seen[name] = tumours[name].copy()
    _leave_out(seen, tumours, laboratory, draws)
    # Adding zero turns -0.0 into 0.0, which a text file would show.
    return {name: np.round(seen[name], _PANELS[name][2]) + 0.0 for name in MEASURES}


def read_staining(log10_receptors: FloatArray) -> IntArray:
    """IHC class that a reader gives to a staining intensity: position in `IHC_LEVELS`."""
    return np.searchsorted(np.array(STAINING_LIMITS), log10_receptors, side="right")


def sampled_negative_fraction(tumours: Tumours, draws: Draws) -> FloatArray:
    """Negative fraction that one core shows; a core can miss the positive or the negative area of a tumour."""
    whole = np.clip(tumours["her2_negative_fraction"], 1e-4, 1.0 - 1e-4)
    core: FloatArray = expit(logit(whole) + _CORE_SD * draws.normal("core_negative_fraction"))
    return core


def _in_situ_hybridisation(seen: dict[str, FloatArray], tumours: Tumours, draws: Draws) -> None:
    copies: FloatArray = np.minimum(tumours["erbb2_copy_number"] * np.exp(0.06 * draws.normal("ish_copies")), 60.0)
    centromeres: FloatArray = np.clip(tumours["her2_cep17_copies"] * np.exp(0.04 * draws.normal("ish_cep17")), 1.0, 9.0)
    seen["erbb2_copy_number"] = np.round(copies, 2)
    # The catalogue takes ratios up to 30.
    centromeres = np.maximum(centromeres, copies / 29.0)
    seen["her2_cep17_copies"] = np.round(centromeres, 2)
    # The ratio and the result are computed from the reported counts, as laboratories do.
    seen["her2_ish_ratio"] = seen["erbb2_copy_number"] / seen["her2_cep17_copies"]
    copies = seen["erbb2_copy_number"]
    group_1 = (np.round(seen["her2_ish_ratio"], 2) >= _RATIO_POSITIVE) & (copies >= _COPIES_POSITIVE)
    seen["her2_ish_positive"] = _yes(group_1 | (copies >= _COPIES_HIGH))


def _staining(seen: dict[str, FloatArray], tumours: Tumours, laboratory: Laboratory, draws: Draws) -> None:
    reader = CENTRAL_READER_SD if laboratory.central_review else READER_SD
    shift = laboratory.staining_shift[laboratory.site_index]
    fraction = sampled_negative_fraction(tumours, draws)
    seen["her2_negative_fraction"] = fraction
    intensity = tumours["log10_receptors"] + shift + reader * draws.normal("ihc_reader")
    # ASCO/CAP 2018: fewer than 10% stained cells in the core do not make a positive reading.
    missed = (fraction > 0.90) & (tumours["her2_positive"] > 0)
    intensity = np.where(missed, np.minimum(intensity, STAINING_LIMITS[1] - 0.01), intensity)
    level = read_staining(intensity).astype(np.float64)
    if laboratory.central_review:
        true_level = np.minimum(tumours["class_index"], 3.0) + (tumours["class_index"] == len(HER2_CLASSES) - 1)
        level = np.where(missed, level, true_level)
    else:
        # Ultralow has been reported as such only since DESTINY-Breast06; before, it was a 0.
        unknown_then = (level == IHC_LEVELS.index("ultralow")) & (draws.uniform("era") < _ULTRALOW_SINCE)
        level = np.where(unknown_then, 0.0, level)
    seen["her2_ihc"] = level
    seen["her2_h_score"] = np.clip(300.0 * ndtr((intensity - 5.6) / 0.55) * (1.0 - fraction), 0.0, 300.0)
    is_2, is_3 = level == IHC_LEVELS.index("2+"), level == IHC_LEVELS.index("3+")
    seen["her2_status"] = _yes(is_3 | (is_2 & (seen["her2_ish_positive"] > 0)))


def _hormone_receptors(seen: dict[str, FloatArray], tumours: Tumours) -> None:
    seen["er_status"] = _yes(np.round(tumours["er_percent"]) >= _RECEPTOR_POSITIVE_PERCENT)
    seen["pr_status"] = _yes(np.round(tumours["pr_percent"]) >= _RECEPTOR_POSITIVE_PERCENT)
    seen["hr_status"] = np.maximum(seen["er_status"], seen["pr_status"])


def _yes(condition: BoolArray) -> FloatArray:
    return condition.astype(np.float64)


def _two_core(seen: dict[str, FloatArray], tumours: Tumours) -> None:
    # Heterogeneity and p95HER2 are looked for in HER2-positive tumours only.
    positive = tumours["her2_positive"] > 0
    fraction = seen["her2_negative_fraction"]
    seen["her2_heterogeneous"] = np.where(positive, _yes(fraction >= _HETEROGENEOUS_FROM), np.nan)
    seen["her2_negative_fraction"] = np.where(positive, fraction, np.nan)
    seen["p95her2_ratio"] = np.where(positive, np.clip(tumours["p95her2_ratio"], 0.0, 1.0), np.nan)
    seen["p95her2_positive"] = np.where(positive, tumours["p95her2_positive"], np.nan)


def _expression(seen: dict[str, FloatArray], tumours: Tumours, laboratory: Laboratory, draws: Draws) -> None:
    site = laboratory.site_index
    shift, scale = laboratory.platform_shift[site], laboratory.platform_scale[site]
    erbb2 = (tumours["log10_mrna"] - laboratory.mrna_centre) / laboratory.mrna_spread
    for name in MEASURES:
        if not name.endswith("_z"):
            continue
        true_z = erbb2 if name == "erbb2_mrna_z" else tumours[name]
        error = draws.normal(f"measurement of {name}")
        measured = np.sqrt(1.0 - _EXPRESSION_ERROR) * true_z + np.sqrt(_EXPRESSION_ERROR) * error
        seen[name] = shift + scale * measured
    seen["pam50_subtype"] = _subtype(tumours)


def _subtype(tumours: Tumours) -> FloatArray:
    place = tumours["subtype_place"]
    luminal = np.where(place < 0.55, 0.0, np.where(place < 0.95, 1.0, 4.0))
    other = np.where(place < 0.75, 3.0, np.where(place < 0.85, 1.0, 4.0))
    rest = np.where(tumours["hr_status"] > 0, luminal, other)
    return np.where(tumours["pam50_her2_enriched"] > 0, float(SUBTYPES.index("her2_enriched")), rest)


def _leave_out(seen: dict[str, FloatArray], tumours: Tumours, laboratory: Laboratory, draws: Draws) -> None:
    if laboratory.missing <= 0.0:
        return
    earlier = 0.5 - draws.uniform("era")
    at_site = laboratory.missing_shift[laboratory.site_index]
    read_low = seen["her2_ihc"] < IHC_LEVELS.index("2+")
    for panel in dict.fromkeys(p for p, _, _ in _PANELS.values()):
        weight = next(w for p, w, _ in _PANELS.values() if p == panel)
        if weight == 0.0:
            continue
        share = min(laboratory.missing * weight, 0.95)
        odds = logit(share) + at_site + (1.5 * earlier if panel in _LATE_PANELS else 0.0)
        # Reflex testing: ISH follows an IHC 2+ or 3+; below that few tumours get one.
        odds = odds + np.where(read_low, 2.5, 0.0) if panel == "ish" else odds
        absent: BoolArray = draws.uniform(f"missing {panel}") < expit(odds)
        for name in (m for m, (p, _, _) in _PANELS.items() if p == panel):
            seen[name] = np.where(absent, np.nan, seen[name])
