"""Is what a training says of its model true? Simulated cohorts of 200, and 100,000 fresh patients for each.

    python -m benchmarks.validation              twenty cohorts and ten of pure noise, some five minutes on two cores

Each cohort comes from a world of its own; the model trained on it is judged on fresh patients of the same world.
Printed: the mean difference of the corrected and the cross-validated figures from the model's true ones, how many of
the 95% intervals hold the truth, and, by tenths of the predicted probability, whether the interval of a score holds the
share of fresh patients of that score who respond. On pure noise the corrected AUROC should be 0.5.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from features.cohort import Cohort, CohortSource
from features.feature_table import encode
from features.synthetic.cohort import simulate_cohort
from training.model_bundle import ModelBundle
from training.train import TrainingResult, train

PATIENTS, FRESH, BINS = 200, 100_000, 10
#: Far from the worlds and patients of the prior and of the other benchmarks.
_FIRST_SEED, _FIRST_WORLD = 1_500_000, 800_000
METRICS = ("auroc", "brier")


def cohort_of(number: int, count: int, *, fresh: bool = False) -> Cohort:
    """Patients of one world: those to learn from, or others."""
    seed = _FIRST_SEED + 2 * number + fresh
    patients = simulate_cohort(count, seed, world=_FIRST_WORLD + number, setting="metastatic").patients
    return Cohort(CohortSource(f"world {number}", None, f"{number:064d}", kind="simulated"), patients, (), count)


def trained(number: int, *, noise: bool = False) -> TrainingResult:
    """Train on a cohort of one world, or on outcomes dealt at random."""
    cohort = cohort_of(number, PATIENTS)
    if noise:
        outcome = np.random.default_rng(number).integers(0, 2, PATIENTS).astype(float)
        cohort = replace(cohort, patients=cohort.patients.assign(objective_response=outcome))
    cohort = replace(cohort, rows=tuple(range(PATIENTS)))
    return train(cohort, "objective_response", repeats=3, resamples=40)


def judge(number: int) -> dict[str, object]:
    """Compare what a training says with the truth."""
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        result = trained(number)
    fresh = cohort_of(number, FRESH, fresh=True).patients
    known = fresh["objective_response"].notna().to_numpy()
    fresh = fresh[known]
    outcome = fresh["objective_response"].to_numpy(dtype=float)
    bundle = ModelBundle(result.record, result.model_text, Path())
    log_odds = bundle.predict_log_odds(encode(fresh, result.record.schema).to_numpy())
    p = bundle.probability(log_odds)
    truth = {"auroc": float(roc_auc_score(outcome, p)), "brier": float(np.mean((p - outcome) ** 2))}
    corrected = {o.metric: o for o in result.validation.optimism.metrics}
    low, high = bundle.interval(log_odds)
    inside = [
        low[rows].mean() <= outcome[rows].mean() <= high[rows].mean()
        for rows in np.array_split(np.argsort(p, kind="stable"), BINS)
    ]
    return {
        "truth": truth,
        "corrected": {m: corrected[m].corrected for m in METRICS},
        "harrell": {m: corrected[m].harrell for m in METRICS},
        "apparent": {m: corrected[m].apparent for m in METRICS},
        "held out": {m: result.model.evaluation.estimate(m) for m in METRICS},
        "inside": inside,
    }


def judge_noise(number: int) -> tuple[float, float, float, bool]:
    """Apparent, Harrell's and corrected AUROC on pure noise, and whether the report says that there is no signal."""
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        result = trained(number, noise=True)
    found = next(o for o in result.validation.optimism.metrics if o.metric == "auroc")
    assert found.corrected.value is not None
    return found.apparent, found.harrell, found.corrected.value, result.validation.signal.startswith("No signal")


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--noise", type=int, default=10, help="cohorts of pure noise")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    started = perf_counter()
    from training.prior import literature_prior

    literature_prior()
    found, noise = [], []
    with ProcessPoolExecutor(options.workers) as pool:
        for done, result in enumerate(pool.map(judge, range(options.cohorts)), 1):
            found.append(result)
            print(f"{done} of {options.cohorts} cohorts, {perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        noise = np.array(list(pool.map(judge_noise, range(1000, 1000 + options.noise))), dtype=float)
    print(f"{options.cohorts} cohorts of {PATIENTS}, {FRESH:,} fresh patients each")
    print(f"{'':<34}{'difference from the truth':>26}{'intervals with the truth':>27}")
    for metric in METRICS:
        truth = np.array([f["truth"][metric] for f in found])
        for name in ("apparent", "harrell", "corrected", "held out"):
            told = [f[name][metric] for f in found]
            numbers = np.array([t if isinstance(t, float) else t.value for t in told])
            difference = f"{(numbers - truth).mean():+.3f} (SD {(numbers - truth).std():.3f})"
            share = "-" if isinstance(told[0], float) else f"{_coverage(told, truth):.0%}"
            print(f"{metric + ', ' + name:<34}{difference:>26}{share:>27}")
        print(f"{metric + ', truth':<34}{truth.mean():>26.3f}")
    inside = np.array([f["inside"] for f in found])
    print(f"interval of a score holds its share of responders: {inside.mean():.0%} of all tenths;")
    print("  by tenth of the prediction: " + " ".join(f"{share:.0%}" for share in inside.mean(axis=0)))
    if len(noise):
        apparent, harrell, corrected, silent = noise.mean(axis=0)
        print(f"pure noise, {len(noise)} cohorts: AUROC apparent {apparent:.3f}, Harrell {harrell:.3f}, ", end="")
        print(f"corrected {corrected:.3f} ({noise[:, 2].min():.3f} to {noise[:, 2].max():.3f});", end=" ")
        print(f"'no signal' said in {silent:.0%}")


def _coverage(told: list[object], truth: np.ndarray) -> float:
    return float(np.mean([t.low <= value <= t.high for t, value in zip(told, truth, strict=True)]))


if __name__ == "__main__":
    main()
