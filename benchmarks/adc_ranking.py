"""The ranking of ADCs on simulated cohorts, where each patient's true best ADC is known.

    python -m benchmarks.adc_ranking

For cohorts of several pairs of ADCs and worlds: how often a model names a first ADC, how often that is the patient's
true best, how often its highest probability would have been right where it abstains, and what is lost on average (true
probability of the best ADC less that of the named one). Half of what a coin would lose is the least to ask for.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

PAIRS = (("T-DM1", "T-DXd"), ("T-DM1", "RC48"), ("SYD985", "ARX788"))


def main() -> None:
    """Train, rank and compare with the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, nargs="+", default=[200, 800], help="patients to learn from")
    parser.add_argument("--worlds", type=int, nargs="+", default=[0, 3])
    options = parser.parse_args()
    print(f"{'ADCs':<18}{'world':>6}{'learned':>9}{'named':>8}{'right':>8}{'else':>8}{'loss':>8}{'coin':>8}")
    for pair in PAIRS:
        for world in options.worlds:
            for patients in options.patients:
                print(_row(pair, world, patients, ranked(pair, world, patients)), flush=True)


def _row(pair: tuple[str, ...], world: int, patients: int, told: dict[str, float]) -> str:
    shares = "".join(f"{told[name]:>8.1%}" for name in ("named", "right", "right_else", "loss", "coin"))
    return f"{' '.join(pair):<18}{world:>6}{patients:>9}{shares}"


def ranked(pair: tuple[str, ...], world: int, patients: int, *, scored: int = 2000) -> dict[str, float]:
    """Learn from a simulated cohort, rank the ADCs of another one, and compare with the truth.

    Parameters
    ----------
    pair : tuple of str
        ADCs.
    world : int
    patients : int
        Patients to learn from.
    scored : int
        Patients to rank the ADCs for.

    Returns
    -------
    dict of str to float
        `named`: share of patients in whom an ADC is ranked first; `right`: share of those in whom it is the best;
        `right_else`: share of the others in whom the highest probability is; `loss`: mean true probability lost where
        one is named; `coin`: lost by a coin in the same patients.
    """
    from features.cohort_file import cohort_from_table
    from features.synthetic.cohort import simulate_cohort
    from serving.score_stream import score_file
    from serving.scoring_plan import ScoringTask
    from training.model_bundle import write_bundle
    from training.train import train

    learned = simulate_cohort(patients, 1 + world, world=world, adcs=pair, setting="metastatic")
    fresh = simulate_cohort(scored, 1000 + world, world=world, adcs=pair, setting="metastatic")
    result = train(cohort_from_table(learned.patients), "objective_response", name="ranking", folds=3, repeats=1)
    with tempfile.TemporaryDirectory(prefix="adcr-ranking-") as place:
        folder = Path(place)
        bundle = write_bundle(folder / "model", result.record, result.model_text)
        fresh.patients.to_csv(folder / "fresh.csv", index=False)
        score_file(
            ScoringTask(folder / "fresh.csv", bundle, folder / "out.parquet", top_reasons=0, rank_adcs=",".join(pair))
        )
        scores = pd.read_parquet(folder / "out.parquet").set_index("patient_id")
    truth = fresh.truth.set_index("patient_id").loc[scores.index, [f"probability_{adc}" for adc in pair]].to_numpy()
    named = (scores["adc_ranked_first"] != "").to_numpy()
    guess = scores[[f"probability_{adc}" for adc in pair]].fillna(0.0).to_numpy().argmax(axis=1)
    best = truth.max(axis=1)
    chosen = truth[np.arange(len(truth)), guess]
    right = chosen == best
    return {
        "named": float(named.mean()),
        "right": float(right[named].mean()) if named.any() else float("nan"),
        "right_else": float(right[~named].mean()) if (~named).any() else float("nan"),
        "loss": float((best - chosen)[named].mean()) if named.any() else float("nan"),
        "coin": float((best - truth.mean(axis=1))[named].mean()) if named.any() else float("nan"),
    }


if __name__ == "__main__":
    main()
