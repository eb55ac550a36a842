"""True biology of simulated tumours: the joint distribution of biomarkers by HER2 class, setting and hormone receptor.

A tumour is drawn from its HER2 class downwards: receptors per cell given the class, gene copies and mRNA given the
receptors, heterogeneity, p95HER2 and CDK12 given amplification, mutations and subtype given HER2 and hormone receptor,
expression of the genes of the mechanism around shared factors. Numbers and sources: `marginals.toml`.

Keys of the returned arrays that are not measures of the catalogue:

- `class_index`: position in `HER2_CLASSES`; `her2_positive`: 1 for the last two.
- `log10_receptors`: full-length HER2 receptors per cell of the antigen-positive part.
- `her2_level_z`: HER2 level in standard deviations of HER2-positive tumours, cut at 3 below their mean.
- `log10_mrna`: ERBB2 mRNA, not yet standardised within a platform.
- `her3_log10_receptors`: HER3 receptors per cell.
- `her2_variable`: 1 where heterogeneity is of the loose definition only.
- `immune_factor`, `proliferation_factor`: shared factors, standard normal.
- `subtype_place`: where in its group of PAM50 subtypes a tumour lies, uniform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from features.synthetic.parameters import FIRST_POSITIVE_CLASS, HER2_CLASSES, marginal

if TYPE_CHECKING:
    from features.synthetic.arrays import BoolArray, FloatArray, IntArray, Tumours
    from features.synthetic.population_tables import PopulationTables
    from features.synthetic.streams import Draws

#: Limits of the staining classes on log10 receptors per cell: 0 | ultralow | 1+ | 2+ | 3+.
STAINING_LIMITS = (4.45, 4.75, 5.30, 5.85)
#: Limits of each true class on the same scale (2+ occurs with and without amplification).
_CLASS_LIMITS = (
    (-np.inf, STAINING_LIMITS[0]),
    (STAINING_LIMITS[0], STAINING_LIMITS[1]),
    (STAINING_LIMITS[1], STAINING_LIMITS[2]),
    (STAINING_LIMITS[2], STAINING_LIMITS[3]),
    (STAINING_LIMITS[2], STAINING_LIMITS[3]),
    (STAINING_LIMITS[3], np.inf),
)
#: Centre and spread of log10 receptors over HER2-positive tumours; the unit of the dependencies on HER2 level.
_POSITIVE_CENTRE, _POSITIVE_SPREAD = 6.18, 0.34
_TRANSPORTERS = ("abcb1_mrna_z", "abcg2_mrna_z", "abcc1_mrna_z", "abcc2_mrna_z")
_INDEPENDENT_GENES = (
    "cav1_mrna_z",
    "sh3gl1_mrna_z",
    "rab5a_mrna_z",
    "atp6v1a_mrna_z",
    "slc46a3_mrna_z",
    "tubb3_mrna_z",
    "ddr_signature_z",
)


def draw_tumours(tables: PopulationTables, which: IntArray, draws: Draws) -> Tumours:
    """Draw the true biology of a block of tumours.

    Parameters
    ----------
    tables : PopulationTables
        Populations that the patients come from.
    which : ndarray of int, shape (n_patients,)
        Row of `tables` of each patient's population.
    draws : Draws
        Named random numbers for `n_patients` patients.

    Returns
    -------
    dict of str to ndarray, shape (n_patients,)
        See the module docstring.
    """
    tumours: Tumours = {}
    _her2_level(tumours, tables, which, draws)
    _hormone_receptor(tumours, tables, which, draws)
    _gene_copies(tumours, draws)
    _heterogeneity(tumours, draws)
    _truncated_receptor(tumours, draws)
    _mutations(tumours, draws)
    _shared_factors(tumours, draws)
    _expression(tumours, draws)
    _subtype(tumours, draws)
    _clinical(tumours, tables, which, draws)
    return tumours


def _her2_level(tumours: Tumours, tables: PopulationTables, which: IntArray, draws: Draws) -> None:
    chosen = (draws.uniform("her2_class")[:, None] > tables.class_cumulative[which][:, :-1]).sum(axis=1)
    mean = np.array([marginal(f"receptors_mean_{c}") for c in HER2_CLASSES])[chosen]
    spread = np.where(chosen == len(HER2_CLASSES) - 1, marginal("receptors_sd_3+"), marginal("receptors_sd"))
    low, high = np.array(_CLASS_LIMITS)[chosen].T
    share_low, share_high = ndtr((low - mean) / spread), ndtr((high - mean) / spread)
    within = share_low + draws.uniform("receptors") * (share_high - share_low)
    central_reading = mean + spread * ndtri(within)
    reading_error = marginal("receptors_central_error_sd") * draws.normal("receptors_central_error")
    tumours["class_index"] = chosen.astype(np.float64)
    tumours["her2_positive"] = (chosen >= FIRST_POSITIVE_CLASS).astype(np.float64)
    tumours["log10_receptors"] = central_reading + reading_error
    tumours["her2_level_z"] = np.maximum((tumours["log10_receptors"] - _POSITIVE_CENTRE) / _POSITIVE_SPREAD, -3.0)
    tumours["log10_mrna"] = tumours["log10_receptors"] + marginal("mrna_residual_sd") * draws.normal("erbb2_mrna")


def _hormone_receptor(tumours: Tumours, tables: PopulationTables, which: IntArray, draws: Draws) -> None:
    probability = tables.hr_positive[which, tumours["class_index"].astype(np.intp)]
    positive = draws.uniform("hr_status") < probability
    tumours["hr_status"] = positive.astype(np.float64)
    spread = draws.uniform("er_percent")
    tumours["er_percent"] = np.where(positive, np.maximum(100.0 * spread**0.25, 1.0), 0.0)
    tumours["pr_percent"] = np.where(positive, 100.0 * draws.uniform("pr_percent") ** 1.5, 0.0)


def _gene_copies(tumours: Tumours, draws: Draws) -> None:
    chosen = tumours["class_index"]
    is_3 = chosen == len(HER2_CLASSES) - 1
    amplified = is_3 & (draws.uniform("erbb2_amplified") < marginal("amplified_given_3+"))
    amplified |= chosen == FIRST_POSITIVE_CLASS
    median = np.where(is_3, marginal("copies_median_3+"), marginal("copies_median_2+/ISH+"))
    noise = draws.normal("erbb2_copies")
    # Copies and receptors rise together inside the amplified tumours.
    level = 0.5 * tumours["her2_level_z"] + np.sqrt(0.75) * noise
    many = np.maximum(median * np.exp(marginal("copies_log_sd") * level), 4.2)
    deleted = ~amplified & (draws.uniform("erbb2_deletion") < marginal("hemizygous_given_not_amplified"))
    few = np.clip(2.3 * np.exp(0.18 * noise), 1.4, 3.9) * np.where(deleted, 0.55, 1.0)
    copies = np.where(amplified, many, few)
    centromeres = 1.95 * np.exp(0.15 * draws.normal("cep17"))
    centromeres = np.where(amplified, np.minimum(centromeres, copies / 2.05), np.maximum(centromeres, copies / 1.9))
    tumours["erbb2_amplified"] = amplified.astype(np.float64)
    tumours["erbb2_deletion"] = deleted.astype(np.float64)
    tumours["erbb2_copy_number"] = copies
    tumours["her2_cep17_copies"] = centromeres
    _cdk12(tumours, amplified, draws)


def _cdk12(tumours: Tumours, erbb2_amplified: BoolArray, draws: Draws) -> None:
    share = np.where(erbb2_amplified, marginal("cdk12_given_erbb2_amplified"), marginal("cdk12_given_not_amplified"))
    amplified = draws.uniform("cdk12_amplified") < share
    noise = np.exp(0.25 * draws.normal("cdk12_copies"))
    # The amplicon is shared, so the copies are; a separate CDK12 amplification is usually lower.
    shared = np.maximum(np.where(erbb2_amplified, 0.85 * tumours["erbb2_copy_number"], 7.0) * noise, 4.0)
    tumours["cdk12_amplified"] = amplified.astype(np.float64)
    tumours["cdk12_copy_number"] = np.where(amplified, shared, np.clip(2.2 * noise, 1.0, 3.9))


def _heterogeneity(tumours: Tumours, draws: Draws) -> None:
    positive = tumours["her2_positive"] > 0
    is_3 = tumours["class_index"] == len(HER2_CLASSES) - 1
    strict = np.where(is_3, marginal("heterogeneous_strict_given_3+"), marginal("heterogeneous_strict_given_2+/ISH+"))
    loose = np.where(is_3, marginal("heterogeneous_loose_given_3+"), marginal("heterogeneous_loose_given_2+/ISH+"))
    chance = draws.uniform("her2_heterogeneous")
    focal = positive & (chance < strict)
    variable = positive & ~focal & (chance < strict + loose)
    place = draws.uniform("her2_negative_fraction")
    homogeneous = 1.0 - (1.0 - place) ** (1.0 / marginal("negative_fraction_homogeneous_b"))
    # CAP: 5 to 50% of cells amplified, so 50 to 95% are not.
    fraction = np.where(focal, 0.50 + 0.45 * place, np.where(variable, 0.15 + 0.35 * place, homogeneous))
    tumours["her2_heterogeneous"] = focal.astype(np.float64)
    tumours["her2_variable"] = variable.astype(np.float64)
    # HER2-negative tumours have one cell population at their own, low level.
    tumours["her2_negative_fraction"] = np.where(positive, fraction, 0.0)


def _truncated_receptor(tumours: Tumours, draws: Draws) -> None:
    shared = marginal("p95_her2_correlation")
    level = tumours["her2_level_z"]
    p95 = shared * level + np.sqrt(1.0 - shared**2) * draws.normal("p95")
    cut = ndtri(1.0 - marginal("p95_positive"))
    tumours["p95her2_positive"] = ((p95 > cut) & (tumours["her2_positive"] > 0)).astype(np.float64)
    # Typical ratio 0.1: the truncated form as a share of HER2 on one scale of spread (0.7 in ln units).
    tumours["p95her2_ratio"] = np.where(tumours["her2_positive"] > 0, 0.1 * np.exp(0.7 * (p95 - level)), 0.1)


def _binary(draws: Draws, name: str, probability: float | FloatArray) -> FloatArray:
    return (draws.uniform(name) < probability).astype(np.float64)


def _mutations(tumours: Tumours, draws: Draws) -> None:
    amplified = tumours["erbb2_amplified"] > 0
    positive = tumours["her2_positive"] > 0
    by_focus = np.where(
        tumours["her2_heterogeneous"] > 0,
        marginal("pik3ca_given_focal"),
        np.where(tumours["her2_variable"] > 0, marginal("pik3ca_given_variable"), marginal("pik3ca_given_homogeneous")),
    )
    by_level = marginal("pik3ca_log_odds_per_mrna_sd") * np.clip(
        (tumours["log10_mrna"] - _POSITIVE_CENTRE) / _POSITIVE_SPREAD, -2.5, 2.5
    )
    in_low = np.where(
        tumours["hr_status"] > 0, marginal("pik3ca_given_low_hr_positive"), marginal("pik3ca_given_low_hr_negative")
    )
    tumours["pik3ca_mutated"] = _binary(
        draws,
        "pik3ca_mutated",
        np.where(positive, expit(logit(by_focus) + marginal("pik3ca_log_odds_at_mean_mrna") + by_level), in_low),
    )
    tumours["erbb2_mutated"] = _binary(
        draws,
        "erbb2_mutated",
        np.where(amplified, marginal("erbb2_mutated_given_amplified"), marginal("erbb2_mutated_given_not_amplified")),
    )
    for name in ("pten_loss", "nf1_loss", "slx4_mutated", "ccne1_amplified", "muc4_high"):
        tumours[name] = _binary(draws, name, marginal(name))
    score = draws.uniform("pten_h_score")
    tumours["pten_h_score"] = np.where(tumours["pten_loss"] > 0, 40.0 * score, 60.0 + 240.0 * score)


def _shared_factors(tumours: Tumours, draws: Draws) -> None:
    hr_negative = 1.0 - tumours["hr_status"]
    # HR-negative tumours proliferate more and hold more lymphocytes.
    tumours["immune_factor"] = draws.normal("immune_factor") + 0.4 * (hr_negative - 0.4)
    tumours["proliferation_factor"] = draws.normal("proliferation_factor") + 0.4 * (hr_negative - 0.4)
    immune, proliferation = tumours["immune_factor"], tumours["proliferation_factor"]
    til = 0.8 * immune + 0.6 * draws.normal("til_percent")
    tumours["til_percent"] = np.clip(marginal("til_median_percent") * np.exp(0.8 * til), 0.0, 95.0)
    ki67 = 0.75 * proliferation + 0.66 * draws.normal("ki67_percent")
    tumours["ki67_percent"] = np.clip(marginal("ki67_median_percent") * np.exp(0.5 * ki67), 1.0, 95.0)
    cut = ndtri(1.0 - marginal("pdl1_positive"))
    tumours["pdl1_positive"] = (0.7 * immune + 0.71 * draws.normal("pdl1_positive") > cut).astype(np.float64)
    tumours["immune_score_z"] = 0.9 * immune + 0.44 * draws.normal("immune_score_z")
    tumours["proliferation_score_z"] = 0.9 * proliferation + 0.44 * draws.normal("proliferation_score_z")


def _expression(tumours: Tumours, draws: Draws) -> None:
    for gene in _INDEPENDENT_GENES:
        tumours[gene] = draws.normal(gene)
    shared = np.sqrt(marginal("transporter_correlation"))
    factor = draws.normal("transporter_factor")
    for gene in _TRANSPORTERS:
        tumours[gene] = shared * factor + np.sqrt(1.0 - shared**2) * draws.normal(gene)
    shared = np.sqrt(marginal("cell_cycle_correlation"))
    for gene in ("ccnb1_mrna_z", "plk1_mrna_z"):
        tumours[gene] = shared * tumours["proliferation_factor"] + np.sqrt(1.0 - shared**2) * draws.normal(gene)
    # Amplified tumours express cyclin E1 about two standard deviations higher; the rest of the scale gives way.
    lift = 2.0 * (tumours["ccne1_amplified"] - marginal("ccne1_amplified"))
    tumours["ccne1_mrna_z"] = lift + 0.92 * draws.normal("ccne1_mrna_z")
    level = np.clip(tumours["her2_level_z"], -3.0, 3.0)
    tumours["erbb2_py1248_z"] = 0.8 * level + 0.6 * draws.normal("erbb2_py1248_z")
    tumours["egfr_py1173_z"] = 0.5 * level + 0.87 * draws.normal("egfr_py1173_z")
    tumours["her3_log10_receptors"] = 4.6 + 0.3 * draws.normal("erbb3_receptors")


def _subtype(tumours: Tumours, draws: Draws) -> None:
    hr_positive = tumours["hr_status"] > 0
    share = np.where(
        hr_positive,
        marginal("her2_enriched_given_hr_positive"),
        marginal("her2_enriched_given_hr_negative"),
    )
    # Within HER2-positive disease the subtype follows the HER2 level; HER2-negative disease is rarely HER2-enriched.
    lifted = expit(logit(share) + 0.6 * tumours["her2_level_z"])
    share = np.where(tumours["her2_positive"] > 0, lifted, np.where(hr_positive, 0.03, 0.12))
    tumours["pam50_her2_enriched"] = _binary(draws, "pam50_her2_enriched", share)
    tumours["subtype_place"] = draws.uniform("pam50_subtype")


def _clinical(tumours: Tumours, tables: PopulationTables, which: IntArray, draws: Draws) -> None:
    lines = tables.lines_cumulative[which]
    tumours["prior_lines"] = (draws.uniform("prior_lines")[:, None] > lines).sum(axis=1).astype(np.float64)
    tumours["prior_pertuzumab"] = _binary(draws, "prior_pertuzumab", tables.prior_pertuzumab[which])
    tumours["brain_metastases"] = _binary(draws, "brain_metastases", tables.brain_metastases[which])
    age = marginal("age_mean_years") + marginal("age_sd_years") * draws.normal("age_years")
    tumours["age_years"] = np.clip(np.round(age), 22.0, 92.0)
    tumours["node_positive"] = _binary(draws, "node_positive", marginal("node_positive_early"))
