"""Published findings that the simulator must show, and the published shares that its population was built on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
from scipy.special import expit

from features.synthetic.anchors import Subgroup, arm_tumours, members
from features.synthetic.calibration import regimen_offsets
from features.synthetic.fitted_parameters import arm_calibration
from features.synthetic.mechanism import response_index
from features.synthetic.parameters import arms, populations
from features.synthetic.worlds import draw_world

if TYPE_CHECKING:
    from features.synthetic.arrays import BoolArray, FloatArray

#: Patients of the reference populations used here: large, since some subgroups are rare.
_PATIENTS = 16_384


class Finding(TypedDict):
    """One line of the report."""

    what: str
    published: str
    simulated: str


class Share(TypedDict):
    """One published share with its source."""

    what: str
    source: str
    published: str
    simulated: str


def arm_probability(arm: str, world: int = 0, *, regimen: str | None = None) -> FloatArray:
    """Compute the true probability of response of an arm's reference population.

    Parameters
    ----------
    arm : str
        Id of the arm.
    world : int, default 0
        World of effect sizes.
    regimen : str, optional
        Another regimen for the same patients, without the arm's remainder.

    Returns
    -------
    ndarray, shape (n_patients,)
    """
    record = arms()[arm]
    endpoint = populations()[record.population].endpoint
    given = regimen or record.regimen
    index = response_index(arm_tumours(arm, _PATIENTS), given.partition("+")[0], draw_world(world), endpoint)
    residual = arm_calibration(arm).residual if regimen is None else 0.0
    probability: FloatArray = expit(index + regimen_offsets(world)[given, endpoint] + residual)
    return probability


def key_findings() -> list[Finding]:
    """Heterogeneity, response by HER2 class, and the hemizygous deletion."""
    early, late = "Metzger Filho T-DM1+pertuzumab", "DAISY T-DXd"
    focal = _members(early, Subgroup(her2_heterogeneous=1))
    on_tdm1, on_tdxd = arm_probability(early), arm_probability(early, regimen="T-DXd")
    daisy = arm_probability(late)
    deleted = arm_tumours(late, _PATIENTS)["erbb2_deletion"] > 0
    lines: list[tuple[str, str, float]] = [
        ("pCR on T-DM1+pertuzumab, heterogeneous HER2", "0% (0 of 16)", on_tdm1[focal].mean()),
        ("pCR on T-DM1+pertuzumab, the others", "55%", on_tdm1[~focal].mean()),
        ("pCR on T-DXd, heterogeneous HER2, same patients", "not published", on_tdxd[focal].mean()),
        ("pCR on T-DXd, the others, same patients", "not published", on_tdxd[~focal].mean()),
        ("T-DXd in DAISY, HER2-positive", "70.6%", daisy[_members(late, Subgroup(her2_positive=1))].mean()),
        ("T-DXd in DAISY, HER2-low", "37.5%", daisy[_members(late, Subgroup(classes=("1+", "2+/ISH-")))].mean()),
        ("T-DXd in DAISY, HER2 0", "29.7%", daisy[_members(late, Subgroup(classes=("0", "ultralow")))].mean()),
        ("T-DXd in DAISY, hemizygous ERBB2 deletion", "1 of 5 responded", daisy[deleted].mean()),
    ]
    return [{"what": w, "published": p, "simulated": f"{100 * float(s):.1f}%"} for w, p, s in lines]


def _members(arm: str, subgroup: Subgroup) -> BoolArray:
    return members(subgroup, arm_tumours(arm, _PATIENTS))


def published_shares() -> list[Share]:
    """Shares of the joint distribution (contradictions C1) with their simulated counterparts."""
    kristine = arm_tumours("KRISTINE T-DM1+pertuzumab", _PATIENTS)
    metzger = arm_tumours("Metzger Filho T-DM1+pertuzumab", _PATIENTS)
    emilia = arm_tumours("EMILIA T-DM1", _PATIENTS)
    daisy = arm_tumours("DAISY T-DXd", _PATIENTS)
    third = arm_tumours("DESTINY-Breast03 T-DXd", _PATIENTS)
    low = kristine["log10_mrna"] <= np.median(kristine["log10_mrna"])
    focal, variable = kristine["her2_heterogeneous"] > 0, kristine["her2_variable"] > 0
    is_3, hr = kristine["class_index"] == kristine["class_index"].max(), kristine["hr_status"] > 0
    pik3ca, enriched = kristine["pik3ca_mutated"], kristine["pam50_her2_enriched"]
    p95 = np.log(kristine["p95her2_ratio"]) + 0.7 * kristine["her2_level_z"]
    lines = (
        ("PIK3CA mutated, HER2 mRNA at or below the median", "KRISTINE", "38%", pik3ca[low].mean()),
        ("PIK3CA mutated, HER2 mRNA above the median", "KRISTINE", "16%", pik3ca[~low].mean()),
        ("PIK3CA mutated, focal HER2", "KRISTINE", "53%", pik3ca[focal].mean()),
        ("PIK3CA mutated, variable HER2", "KRISTINE", "41%", pik3ca[variable].mean()),
        ("PIK3CA mutated, homogeneous HER2", "KRISTINE", "24%", pik3ca[~focal & ~variable].mean()),
        ("PIK3CA mutated", "EMILIA, 79 of 259", "30.5%", emilia["pik3ca_mutated"].mean()),
        ("HR-positive, given IHC 2+", "KRISTINE", "81%", kristine["hr_status"][~is_3].mean()),
        ("HR-positive, given IHC 3+", "KRISTINE", "55%", kristine["hr_status"][is_3].mean()),
        ("HER2-enriched", "KRISTINE", "54.8%", enriched.mean()),
        ("HER2-enriched, given HR-positive", "KRISTINE", "32%", enriched[hr].mean()),
        ("heterogeneous HER2, strict", "Metzger Filho 2021, 16 of 157", "10%", metzger["her2_heterogeneous"].mean()),
        (
            "heterogeneous HER2, any definition",
            "tapia2023 s2.4",
            "16-36%",
            (metzger["her2_heterogeneous"] + metzger["her2_variable"]).mean(),
        ),
        (
            "CDK12 amplified, given ERBB2 amplified",
            "wang2022 s3.1.1",
            "90%",
            kristine["cdk12_amplified"][kristine["erbb2_amplified"] > 0].mean(),
        ),
        ("p95HER2-positive", "wang2022 s2.3", "30%", kristine["p95her2_positive"].mean()),
        ("R2 of p95HER2 and HER2", "PMC6314664", "48%", np.corrcoef(p95, kristine["her2_level_z"])[0, 1] ** 2),
        ("hemizygous ERBB2 deletion", "DAISY, 5 of 88", "5.7%", daisy["erbb2_deletion"].mean()),
        ("NF1 loss", "guidi2023 s6", "8%", daisy["nf1_loss"].mean()),
        ("ERBB2 mutated", "wang2022 s2.1", "3%", daisy["erbb2_mutated"].mean()),
        ("IHC 3+", "DESTINY-Breast03", "89.7%", (third["class_index"] == third["class_index"].max()).mean()),
        ("HR-positive", "DESTINY-Breast03", "50.2%", third["hr_status"].mean()),
        ("PD-L1 positive", "KATE2", "40%", kristine["pdl1_positive"].mean()),
    )
    return [{"what": w, "source": s, "published": p, "simulated": f"{100 * float(v):.1f}%"} for w, s, p, v in lines]
