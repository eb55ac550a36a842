"""Public cohorts under the literature prior, and a model of one cohort judged in another.

    python -m benchmarks.public_cohorts FOLDER

FOLDER holds the original files as `adcr cohort list` names them. No patient of TCGA, MSK or TransNEO received an ADC:
each is scored as if treated with it, which tells whether the prior orders HER2 classes as published trials do, and
nothing of these patients. The second part trains on HER2-positive patients of I-SPY2, read as if all had received T-DM1
(52 did, with pertuzumab), and judges the model in TransNEO and its external cohort, whose patients received trastuzumab
with chemotherapy.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import adcr
from features.cohort_import import import_cohort
from features.harmonise import merge_cohorts
from training.model_bundle import ModelBundle
from training.report.words import estimate
from training.train import train
from training.validation.external import validate_model

if TYPE_CHECKING:
    from features.cohort import Cohort

ADCS = ("T-DM1", "T-DXd")
CLASSES = ("zero", "low", "positive")


def tcga(folder: Path, output: Path, adc: str) -> Cohort:
    """TCGA with the expression of its tumours."""
    place = folder / "tcga_brca"
    return import_cohort(
        place / "nationwidechildrens.org_clinical_patient_brca.txt",
        output,
        mapping="tcga_brca_clinical",
        adc=adc,
        expression=place / "tcga_rna_subset_47genes.csv",
        expression_scale="linear",
    )


def msk(folder: Path, output: Path, adc: str) -> Cohort:
    """MSK metastatic breast cancer."""
    return import_cohort(folder / "msk_breast_2018", output, adc=adc)


def by_class(folder: Path, place: Path) -> pd.DataFrame:
    """Predicted response by cohort, ADC and HER2 class of patients with IHC, with the share of each class."""
    rows = []
    for name, read in (("TCGA", tcga), ("MSK", msk)):
        for adc in ADCS:
            cohort = read(folder, place / f"{name}.csv", adc)
            scores = place / "scores.csv"
            scored = adcr.main(
                ["score", str(place / f"{name}.csv"), "--model", "literature", "-o", str(scores), "--quiet"]
            )
            assert scored == 0
            found = pd.read_csv(scores).set_index("patient_id")["response_probability"]
            # Without IHC only a positive ISH tells the class: with such patients, positive ones would be too many.
            tested = cohort.patients[cohort.patients["her2_ihc"].notna()]
            her2 = tested.set_index("patient_id")["her2_class"]
            known = her2.isin(CLASSES).sum()
            for level in CLASSES:
                own = found[her2[her2 == level].index]
                rows.append(
                    (name, adc, level, len(own), len(own) / known, own.mean(), own.quantile(0.25), own.quantile(0.75))
                )
    return pd.DataFrame(rows, columns=["cohort", "adc", "her2", "patients", "share", "mean", "low", "high"])


def positive_as_on_tdm1(cohort: Cohort) -> Cohort:
    """HER2-positive patients, read as if on T-DM1."""
    rows = np.flatnonzero((cohort.patients["her2_status"] == 1).to_numpy())
    patients = cohort.patients.iloc[rows].reset_index(drop=True).assign(adc="T-DM1")
    return replace(cohort, patients=patients, rows=tuple(cohort.rows[r] for r in rows), rows_in=len(rows))


def across(folder: Path, place: Path) -> None:
    """Train in I-SPY2, judge in TransNEO and its external cohort."""
    names = {"ispy2_wolf2022": "combined_clin_radiogenomic.csv", "transneo_sammut2022": "training_df.csv"}
    parts = []
    for mapping, file in names.items():
        parts.append(import_cohort(folder / mapping / file, place / f"{mapping}.csv", mapping=mapping))
    mapping = "transneo_sammut2022"
    parts.append(import_cohort(folder / mapping / "testing_her2pos_df.csv", place / "external.csv", mapping=mapping))
    labels = ("I-SPY2", "TransNEO", "TransNEO external")
    # One reference for every z-score, or the model would take an average HER2-positive tumour for an average one.
    merged = merge_cohorts(parts, names=labels, reference="her2-positive", prefix_ids=True)
    first, cohorts = 0, []
    for part in parts:
        rows = slice(first, first + len(part.patients))
        first += len(part.patients)
        cohorts.append(positive_as_on_tdm1(replace(part, patients=merged.patients.iloc[rows].reset_index(drop=True))))
    result = train(cohorts[0], "pcr", resamples=0)
    bundle = ModelBundle(result.record, result.model_text, Path())
    print(f"\nTrained on I-SPY2, {result.table.patients} HER2-positive patients, {result.table.events} with pCR")
    # The external cohort alone is too small to say anything.
    both = replace(
        cohorts[1],
        patients=pd.concat([c.patients for c in cohorts[1:]], ignore_index=True),
        rows=(*cohorts[1].rows, *cohorts[2].rows),
    )
    for label, cohort in (("TransNEO", cohorts[1]), ("TransNEO with its external cohort", both)):
        found = validate_model(bundle, cohort)
        metrics = found.as_it_is.metrics
        told = ", ".join(f"{m} {estimate(metrics[m])}" for m in ("auroc", "log_loss", "calibration_slope"))
        print(f"  {label}: {found.patients} patients, {found.events} with pCR; {told}")


def main() -> None:
    """Print both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the original files")
    folder = parser.parse_args().folder
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        table = by_class(folder, Path(temporary))
        print("Predicted objective response by the literature, as if treated, of patients with IHC (mean, quartiles)")
        for row in table.itertuples():
            print(
                f"  {row.cohort:<5}{row.adc:<7}{row.her2:<9}{row.patients:>5} ({row.share:.0%})  "
                f"{row.mean:.3f} ({row.low:.3f} to {row.high:.3f})"
            )
        across(folder, Path(temporary))


if __name__ == "__main__":
    main()
