"""Compares the simulated joint distribution of biomarkers with real cohorts, where their files are at hand.

Nothing is tuned to these cohorts: they show where the published numbers that the simulator is built on, or the choices
made where there are none, differ from a hospital's or a consortium's data. Conditional shares are compared, since the
mix of HER2 classes differs by design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.synthetic.anchors import clopper_pearson
from features.synthetic.parameters import HER2_CLASSES, Population
from features.synthetic.population import draw_tumours
from features.synthetic.population_tables import population_tables
from features.synthetic.streams import StratifiedDraws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from features.synthetic.arrays import BoolArray, FloatArray, Tumours

#: HER2 classes of the reference population; what is compared is conditional on the class or on HER2 status.
_CLASSES = {"0": 0.15, "ultralow": 0.10, "1+": 0.25, "2+/ISH-": 0.15, "2+/ISH+": 0.05, "3+": 0.30}
#: Patients of the reference population, and its seed.
_PATIENTS, _SEED = 60_000, 5
_TRUNCATING = ("Nonsense_Mutation", "Frame_Shift_Del", "Frame_Shift_Ins", "Splice_Site")
#: Classes of variants that change no protein; the portal leaves them out too.
_SILENT = ("Silent", "Intron", "3'UTR", "5'UTR", "3'Flank", "5'Flank", "IGR", "Splice_Region")
#: Smallest group of real patients that is compared.
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class MarginalCheck:
    """One share (or difference of means) in a real cohort and in the simulator."""

    cohort: str
    quantity: str
    real: float
    low: float
    high: float
    n: int
    simulated: float
    #: "share", or the unit of a difference
    unit: str = "share"

    @property
    def inside(self) -> bool:
        """Whether the simulated value lies within the real one's 95% interval."""
        return self.low <= self.simulated <= self.high


def compare_marginals(folder: Path) -> tuple[MarginalCheck, ...]:
    """Compare with every real cohort that `folder` holds.

    Parameters
    ----------
    folder : Path
        Folder with any of `msk_breast_2018`, `tcga_brca` and `metabric`.

    Returns
    -------
    tuple of MarginalCheck
        Empty where none is there.
    """
    tumours = reference_tumours()
    checks: list[MarginalCheck] = []
    for name, compare in (("msk_breast_2018", _msk), ("tcga_brca", _tcga), ("metabric", _metabric)):
        if (folder / name).is_dir():
            checks += compare(folder / name, tumours)
    return tuple(checks)


def reference_tumours() -> Tumours:
    """Draw the reference population: all HER2 classes, one setting."""
    every = Population(
        "reference",
        "reference",
        "metastatic",
        _CLASSES,
        "all HER2 classes",
        prior_lines=(0, 1.0),
    )
    which = np.zeros(_PATIENTS, dtype=np.intp)
    return draw_tumours(population_tables([every]), which, StratifiedDraws(_SEED, _PATIENTS))


def _class(tumours: Tumours, *names: str) -> BoolArray:
    return np.isin(tumours["class_index"], [HER2_CLASSES.index(n) for n in names])


def _share(
    cohort: str, quantity: str, real: pd.Series[bool], simulated: FloatArray, among: BoolArray
) -> Iterator[MarginalCheck]:
    """One share with its exact interval; nothing for a group that is too small."""
    events, n = int(real.sum()), len(real)
    if n >= _FEWEST:
        low, high = clopper_pearson(events, n)
        yield MarginalCheck(cohort, quantity, events / n, low, high, n, float(simulated[among].mean()))


def _msk(folder: Path, tumours: Tumours) -> Iterator[MarginalCheck]:
    samples = pd.read_csv(folder / "data_clinical_sample.txt", sep="\t", skiprows=4, dtype=str, index_col="SAMPLE_ID")
    samples = samples[~samples["PATIENT_ID"].duplicated()]
    copies = pd.read_csv(folder / "data_cna.txt", sep="\t", index_col=0).T.reindex(samples.index)
    mutations = pd.read_csv(folder / "data_mutations.txt", sep="\t", comment="#", low_memory=False)
    mutations = mutations[~mutations["Variant_Classification"].isin(_SILENT)]
    truncating = mutations["Variant_Classification"].isin(_TRUNCATING)
    cohort = "MSK 2018"
    level = samples["HER2_IHC_SCORE"]
    hr = samples["HR_STATUS"]
    for ihc, classes in (("3+", ("3+",)), ("1+", ("1+",))):
        own = (level == ihc) & hr.isin(["Positive", "Negative"])
        quantity = f"HR-positive, given IHC {ihc}"
        yield from _share(cohort, quantity, hr[own] == "Positive", tumours["hr_status"], _class(tumours, *classes))
    amplified = copies["ERBB2"] == 2
    is_amplified = tumours["erbb2_amplified"] > 0
    yield from _share(
        cohort,
        "ERBB2 amplified, given IHC 3+",
        amplified[level == "3+"],
        tumours["erbb2_amplified"],
        _class(tumours, "3+"),
    )
    for label, rows, among in (("amplified", amplified, is_amplified), ("not amplified", ~amplified, ~is_amplified)):
        quantity = f"CDK12 amplified, given ERBB2 {label}"
        yield from _share(cohort, quantity, copies["CDK12"][rows] == 2, tumours["cdk12_amplified"], among)
        quantity = f"ERBB2 mutated, given ERBB2 {label}"
        mutated = _mutated(samples.index, mutations, "ERBB2")
        yield from _share(cohort, quantity, mutated[rows], tumours["erbb2_mutated"], among)
    yield from _msk_mutations(samples, mutations, truncating, tumours)
    yield from _share(
        cohort, "CCNE1 amplified", copies["CCNE1"] == 2, tumours["ccne1_amplified"], _class(tumours, *HER2_CLASSES)
    )


def _msk_mutations(
    samples: pd.DataFrame, mutations: pd.DataFrame, truncating: pd.Series[bool], tumours: Tumours
) -> Iterator[MarginalCheck]:
    cohort, status, hr = "MSK 2018", samples["OVERALL_HER2_STATUS"], samples["HR_STATUS"]
    pik3ca = _mutated(samples.index, mutations, "PIK3CA")
    positive = tumours["her2_positive"] > 0
    hr_positive = tumours["hr_status"] > 0
    groups = (
        ("HER2-positive", status == "Positive", positive),
        ("HER2-negative, HR-positive", (status == "Negative") & (hr == "Positive"), ~positive & hr_positive),
        ("HER2-negative, HR-negative", (status == "Negative") & (hr == "Negative"), ~positive & ~hr_positive),
    )
    for label, rows, among in groups:
        quantity = f"PIK3CA mutated, given {label}"
        yield from _share(cohort, quantity, pik3ca[rows], tumours["pik3ca_mutated"], among)
    metastasis = samples["SAMPLE_TYPE"] == "Metastasis"
    nf1 = _mutated(samples.index, mutations[truncating], "NF1")
    everyone = _class(tumours, *HER2_CLASSES)
    yield from _share(cohort, "NF1 truncating mutation, metastases", nf1[metastasis], tumours["nf1_loss"], everyone)


def _mutated(samples: pd.Index, mutations: pd.DataFrame, gene: str) -> pd.Series[bool]:
    carriers = mutations.loc[mutations["Hugo_Symbol"] == gene, "Tumor_Sample_Barcode"]
    return pd.Series(samples.isin(carriers), index=samples)


def _tcga(folder: Path, tumours: Tumours) -> Iterator[MarginalCheck]:
    patients = pd.read_csv(
        folder / "nationwidechildrens.org_clinical_patient_brca.txt", sep="\t", skiprows=[1, 2], dtype=str
    ).set_index("bcr_patient_barcode")
    cohort, level = "TCGA BRCA", patients["her2_ihc_score"]
    known = patients["er_status_by_ihc"].isin(["Positive", "Negative"])
    hr = (patients["er_status_by_ihc"] == "Positive") | (patients["pr_status_by_ihc"] == "Positive")
    for ihc in ("3+", "1+", "0"):
        among = _class(tumours, "0", "ultralow") if ihc == "0" else _class(tumours, ihc)
        quantity = f"HR-positive, given IHC {ihc}"
        yield from _share(cohort, quantity, hr[known & (level == ihc)], tumours["hr_status"], among)
    expression = pd.read_csv(folder / "tcga_rna_subset_47genes.csv", index_col=0).loc["ERBB2|2064"]
    expression = expression[[str(c)[13:15] == "01" for c in expression.index]]
    expression.index = pd.Index([str(c)[:12] for c in expression.index])
    once = expression[~expression.index.duplicated()].astype(float)
    measured = pd.Series(np.log10(once.to_numpy() + 1.0), index=once.index)
    by_level = measured.groupby(level.reindex(measured.index))
    for high, low, among_high, among_low in (
        ("3+", "1+", _class(tumours, "3+"), _class(tumours, "1+")),
        ("1+", "0", _class(tumours, "1+"), _class(tumours, "0", "ultralow")),
    ):
        above, below = by_level.get_group(high), by_level.get_group(low)
        error = 1.96 * float(np.sqrt(above.var() / len(above) + below.var() / len(below)))
        difference = float(above.mean() - below.mean())
        level_sim = tumours["log10_mrna"]
        simulated = float(level_sim[among_high].mean() - level_sim[among_low].mean())
        yield MarginalCheck(
            cohort,
            f"ERBB2 mRNA, mean of IHC {high} less IHC {low}",
            difference,
            difference - error,
            difference + error,
            len(above) + len(below),
            simulated,
            "log10",
        )


def _metabric(folder: Path, tumours: Tumours) -> Iterator[MarginalCheck]:
    patients = pd.read_csv(folder / "metabric_clinical.tsv", sep="\t", dtype=str).set_index("patientId")
    mutations = pd.read_csv(folder / "metabric_mutations.tsv", sep="\t", dtype=str)
    cohort = "METABRIC"
    group = patients["THREEGENE"]
    positive = group == "HER2+"
    enriched = patients["CLAUDIN_SUBTYPE"] == "Her2"
    is_positive = tumours["her2_positive"] > 0
    carriers = mutations.loc[mutations["hugoGeneSymbol"] == "PIK3CA", "patientId"]
    pik3ca = pd.Series(patients.index.isin(carriers), index=patients.index)
    quantity = "PAM50 HER2-enriched, given HER2-positive"
    yield from _share(cohort, quantity, enriched[positive], tumours["pam50_her2_enriched"], is_positive)
    quantity = "PIK3CA mutated, given HER2-positive"
    yield from _share(cohort, quantity, pik3ca[positive], tumours["pik3ca_mutated"], is_positive)
    luminal = group.fillna("").str.startswith("ER+/HER2-")
    low_luminal = ~is_positive & (tumours["hr_status"] > 0)
    quantity = "PIK3CA mutated, given HER2-negative, HR-positive"
    yield from _share(cohort, quantity, pik3ca[luminal], tumours["pik3ca_mutated"], low_luminal)
    state = patients["HER2_SNP6"]
    without_gain = state.isin(["NEUTRAL", "LOSS"])
    quantity = "single-copy loss of ERBB2, given no gain"
    not_amplified = tumours["erbb2_amplified"] == 0
    yield from _share(cohort, quantity, state[without_gain] == "LOSS", tumours["erbb2_deletion"], not_amplified)
