"""I-SPY2, from its file: comparator arms, and every HER2-positive arm held out in turn.

    python -m benchmarks.ispy2 combined_clin_radiogenomic.csv

First the model of the T-DM1 and pertuzumab arm, its held-out score against each arm without an ADC that has
HER2-positive patients. Then all HER2-positive patients of all arms as if they had received T-DM1, each arm held out in
turn: only one arm did receive an ADC, so this tells how far a score of response to HER2-targeted treatment carries from
arm to arm, and nothing of the ADC itself.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from features.cohort_file import read_cohort
from features.cohort_import import import_cohort
from training.model_bundle import ModelBundle
from training.report.words import estimate
from training.train import TrainingResult, train
from training.validation.external import validate_model

FEWEST = 20


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="the clinical and radiogenomic table of Wolf et al. 2022")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        own = Path(place) / "ispy2.csv"
        import_cohort(parser.parse_args().file, own, mapping="ispy2_wolf2022")
        cohort = read_cohort(own)
    result = train(cohort, "pcr", resamples=40)
    print(f"T-DM1 arm, {result.table.patients} patients, {result.table.events} with pCR; held-out AUROC and log loss")
    _candidates(result)
    bundle = ModelBundle(result.record, result.model_text, Path())
    positive = cohort.patients["her2_status"] == 1
    arms = cohort.patients.loc[positive & (cohort.patients["adc"] == "none"), "arm"].value_counts()
    for arm in arms.index[arms >= FEWEST]:
        kept = np.flatnonzero((positive | (cohort.patients["adc"] != "none")).to_numpy())
        some = replace(
            cohort, patients=cohort.patients.iloc[kept].reset_index(drop=True), rows=tuple(cohort.rows[k] for k in kept)
        )
        found = validate_model(bundle, some, comparator=str(arm)).comparator
        assert found is not None
        print(
            f"against {arm} (HER2-positive, {found.events_comparator} of {found.patients_comparator}): AUROC "
            f"{estimate(found.auroc_adc)} and {estimate(found.auroc_comparator)}, difference "
            f"{estimate(found.difference, signed=True)}, interaction {estimate(found.interaction, signed=True)}"
        )
    rows = np.flatnonzero((positive & cohort.patients["arm"].isin([*arms.index[arms >= FEWEST], "TDM1/P"])).to_numpy())
    patients = cohort.patients.iloc[rows].reset_index(drop=True)
    together = replace(
        cohort,
        patients=patients.assign(adc="T-DM1", cohort=patients["arm"]),
        rows=tuple(cohort.rows[r] for r in rows),
    )
    held_out = train(together, "pcr", question="new-cohort", resamples=0)
    print(f"\n{held_out.table.patients} HER2-positive patients, arms held out: {held_out.validation.split.held_out}")
    _candidates(held_out)
    for group in held_out.validation.subgroups:
        if group.by == "cohort":
            told = estimate(group.metrics.get("auroc")) if group.metrics else group.reason
            print(f"  {group.level:<12} {group.events:>3} of {group.patients:>3}  AUROC {told}")


def _candidates(result: TrainingResult) -> None:
    for c in result.candidates:
        told = (estimate(c.evaluation.estimate(m)) for m in ("auroc", "log_loss"))
        print(f"  {c.label:<24}" + "  ".join(told))


if __name__ == "__main__":
    main()
