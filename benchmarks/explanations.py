"""Explanations against the truth: do contributions of models of simulated cohorts find what the simulator did.

    python -m benchmarks.explanations [--cohorts 6] [--patients 1000] [--output explanations.json]

Each cohort is drawn from a world of its own (the first from the best estimates); two models are fitted, with the
literature prior and without. Then CDK12, which is amplified together with ERBB2, in cohorts on ADCs for which the
simulator gives it no effect at all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter

import numpy as np

from features.cohort_file import cohort_from_table
from features.synthetic.cohort import simulate_cohort
from features.synthetic.oracle import patient_effects
from training.candidates import Boosted
from training.explaining.against_truth import TruthCheck, against_truth
from training.train import Plan, prepare_training

SETTINGS = {"metastatic": "objective_response", "neoadjuvant": "pcr"}
#: ADCs on which CDK12 does nothing in any world.
WITHOUT_CDK12 = ("SYD985", "RC48", "ARX788")


def checked(patients: int, seed: int, *, world: int, setting: str, prior: bool, adcs: list[str] | None) -> TruthCheck:
    """Fit a model to one simulated cohort and judge its explanations."""
    drawn = {"world": world, "setting": setting, "adcs": adcs}
    cohort = cohort_from_table(simulate_cohort(patients, seed, **drawn).patients, name="simulated")
    prepared = prepare_training(cohort, SETTINGS[setting], Plan(prior=prior, optimism=0))
    table = prepared.table
    model = Boosted(0, prepared.prior).fit(table).classifier
    true = patient_effects(patients, seed, **drawn).iloc[table.rows].mean(numeric_only=True)
    shap = model.contributions(table.features)[:, :-1]
    return against_truth(table.schema, table.features.to_numpy(), shap, table.adc, true.to_dict())


def measure(cohorts: int, patients: int) -> list[dict[str, object]]:
    """Judge models of cohorts from several worlds and both settings."""
    rows = []
    for number in range(cohorts):
        setting = list(SETTINGS)[number % 2]
        for prior in (True, False):
            found = checked(patients, 100 + number, world=number // 2, setting=setting, prior=prior, adcs=None)
            rows.append(
                {
                    "setting": setting, "world": number // 2, "prior": prior,
                    "sign_agreement": found.sign_agreement,
                    "rank_correlation": found.rank_correlation,
                    "rank_correlation_of_sizes": found.rank_correlation_of_sizes,
                }
            )  # fmt: skip
            print(
                f"{setting:12} world {number // 2}  {'literature' if prior else 'without   '}  "
                f"signs {found.sign_agreement:4.0%}  rank {found.rank_correlation:.2f}  "
                f"rank of sizes {found.rank_correlation_of_sizes:.2f}",
                flush=True,
            )
    return rows


def measure_cdk12(patients: int, cohorts: int) -> list[dict[str, object]]:
    """Credit of CDK12 where it does nothing, beside that of HER2 level."""
    rows = []
    for number in range(cohorts):
        for prior in (True, False):
            found = checked(
                patients, 300 + number, world=number, setting="metastatic", prior=prior, adcs=list(WITHOUT_CDK12)
            )
            cdk12, her2 = found.learned("cdk12_amplified"), found.learned("her2_ihc")
            rows.append({"world": number, "prior": prior, "cdk12": cdk12, "her2_level": her2})
            label = "literature" if prior else "without   "
            print(f"CDK12 true 0  world {number}  {label}  learned {cdk12:+.2f}  HER2 level {her2:+.2f}", flush=True)
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=6)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    started = perf_counter()
    truth = measure(arguments.cohorts, arguments.patients)
    cdk12 = measure_cdk12(arguments.patients, max(1, arguments.cohorts // 2))
    for prior in (True, False):
        own = [row for row in truth if row["prior"] is prior]
        means = {key: float(np.mean([row[key] for row in own])) for key in list(own[0])[3:]}
        credit = float(np.mean([abs(row["cdk12"]) for row in cdk12 if row["prior"] is prior]))
        told = ", ".join(f"{key} {value:.2f}" for key, value in means.items())
        print(
            f"{'with' if prior else 'without'} the literature: {told}; mean |CDK12| where it does nothing {credit:.2f}"
        )
    print(f"{perf_counter() - started:.0f} s")
    if arguments.output:
        arguments.output.write_text(json.dumps({"truth": truth, "cdk12": cdk12}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
