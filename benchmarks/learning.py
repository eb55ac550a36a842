"""Learning curves beside six peers, in worlds whose truth is known.

    python -m benchmarks.learning --quick          five minutes
    python -m benchmarks.learning                  the figures of the documentation, about half an hour on two cores

Every model sees the same patients of the same world, and is judged on 4,000 others by the expected log loss under their
true probabilities (so that no noise of outcomes remains), AUROC and calibration slope. The oracle knows each patient's
true biology; the ceiling is the best that the measured columns allow, learned from 20,000 further patients with their
true probabilities. The sample multiple tells how many patients the best peer needs to match adcr, divided by how many
adcr had; peers' curves are interpolated on the log of the size.

Needs the extra `benchmarks` (xgboost-cpu, catboost, FLAML). `--automl` adds FLAML, 8 seconds a fit.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits

from benchmarks.learning_peers import AUTOML, PEERS
from benchmarks.learning_worlds import (
    CEILING_PATIENTS,
    FAMILIES,
    OTHER,
    SIMULATED,
    TEST_PATIENTS,
    LearningWorld,
    learning_world,
)

if TYPE_CHECKING:
    from features.feature_table import FeatureSchema

SIZES = (50, 100, 200, 400, 800, 1500, 3000)
OWN = ("adcr", "no prior", "prior alone")
Scores = dict[str, tuple[float, float, float]]


def score(world: LearningWorld, rows: slice, log_odds: np.ndarray) -> tuple[float, float, float]:
    """Give expected log loss, AUROC and calibration slope."""
    from sklearn.metrics import roc_auc_score

    truth, outcome = world.truth[rows], world.outcome[rows]
    clipped = np.clip(log_odds, -14, 14)
    loss = truth * np.logaddexp(0, -clipped) + (1 - truth) * np.logaddexp(0, clipped)
    return float(loss.mean()), float(roc_auc_score(outcome, clipped)), slope(truth, clipped)


def slope(truth: np.ndarray, log_odds: np.ndarray) -> float:
    """Calibration slope of log-odds for true probabilities, by Newton's method; NaN where predictions are constant."""
    if np.ptp(log_odds) < 1e-9:
        return float("nan")
    design, line = np.column_stack([np.ones_like(log_odds), log_odds]), np.array([0.0, 1.0])
    for _ in range(30):
        p = expit(design @ line)
        information = (design * np.maximum(p * (1 - p), 1e-9)[:, None]).T @ design
        line = line + np.clip(np.linalg.solve(information, design.T @ (truth - p)), -0.5, 0.5)
    return float(line[1])


def judge(family: str, number: int, sizes: tuple[int, ...]) -> dict[int, Scores]:
    """Score every model at every size in one world."""
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        return _judge(family, number, sizes)


def _judge(family: str, number: int, sizes: tuple[int, ...]) -> dict[int, Scores]:
    world = learning_world(family, number, max(sizes))
    test = slice(max(sizes), max(sizes) + TEST_PATIENTS)
    found: dict[int, Scores] = {}
    for size in sizes:
        schema = world.schema(size)
        X, T, y = world.matrix(schema, slice(size)), world.matrix(schema, test), world.outcome[:size]
        scores = {"oracle": score(world, test, logit(world.truth[test]))}
        for name, log_odds in own_models(world, schema, X, y, T).items():
            scores[name] = score(world, test, log_odds)
        for name, peer in PEERS.items():
            probability = np.clip(peer(schema, X, y, T), 1e-6, 1 - 1e-6)
            scores[name] = score(world, test, logit(probability))
        if size == max(sizes):
            scores["ceiling"] = score(world, test, ceiling(world, schema, T))
        found[size] = scores
    return found


def own_models(
    world: LearningWorld, schema: FeatureSchema, X: np.ndarray, y: np.ndarray, T: np.ndarray
) -> dict[str, np.ndarray]:
    """Log-odds of the literature-primed model, of its trees without a prior, and of the prior alone."""
    import lightgbm

    from training.boosting import AdcResponseClassifier
    from training.prior import literature_prior

    prior = literature_prior().of_cohort(schema, world.patients["adc"].iloc[: len(y)], world.endpoint)
    return {
        "adcr": AdcResponseClassifier(schema, prior).fit(X, y).decision_function(T),
        "no prior": AdcResponseClassifier(schema).fit(X, y).decision_function(T),
        "prior alone": np.asarray(lightgbm.Booster(model_str=prior.trees.text).predict(T, raw_score=True)),
    }


def ceiling(world: LearningWorld, schema: FeatureSchema, T: np.ndarray) -> np.ndarray:
    """Best log-odds from the measured columns: learned from many patients whose true probability is told."""
    import lightgbm

    rows = slice(len(world.outcome) - CEILING_PATIENTS, None)
    X, truth = world.matrix(schema, rows), world.truth[rows]
    categories = [j for j, c in enumerate(schema.columns) if c.kind == "categorical"]
    settings = {"objective": "cross_entropy", "num_leaves": 15, "learning_rate": 0.06, "lambda_l2": 5.0}
    settings |= {"feature_fraction": 0.5, "min_data_in_leaf": 20, "num_threads": 1, "verbosity": -1, "seed": 1}
    data = lightgbm.Dataset(X, truth, categorical_feature=categories, params=settings)
    return np.asarray(lightgbm.train(settings, data, num_boost_round=500).predict(T, raw_score=True, num_threads=1))


def run(
    sizes: tuple[int, ...], worlds: int, workers: int, output: Path | None = None
) -> dict[str, dict[int, list[Scores]]]:
    """Judge all worlds, side by side; what is done is kept, so that a run broken off is not lost."""
    from training.prior import literature_prior

    literature_prior()
    jobs = [(family, number) for number in range(worlds) for family in FAMILIES]
    started, found = perf_counter(), {}
    with ProcessPoolExecutor(workers, initializer=PEERS.update, initargs=(dict(PEERS),)) as pool:
        futures = {pool.submit(judge, *job, sizes): job for job in jobs}
        for done, future in enumerate(as_completed(futures), 1):
            found[futures[future]] = future.result()
            print(f"{done} of {len(jobs)} worlds, {perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            if output:
                output.write_text(json.dumps(_by_family(jobs, found, sizes), indent=1), encoding="utf-8")
    return _by_family(jobs, found, sizes)


def _by_family(
    jobs: list[tuple[str, int]], found: dict[tuple[str, int], dict[int, Scores]], sizes: tuple[int, ...]
) -> dict[str, dict[int, list[Scores]]]:
    return {f: {n: [found[job][n] for job in jobs if job[0] == f and job in found] for n in sizes} for f in FAMILIES}


def mean_curves(results: dict[str, dict[int, list[Scores]]], families: tuple[str, ...]) -> dict[int, Scores]:
    """Mean of each score over the worlds of some families, by size and model."""
    sizes = list(next(iter(results.values())))
    curves: dict[int, Scores] = {}
    for size in sizes:
        pooled = [scores for family in families for scores in results[family][size]]
        curves[size] = {m: tuple(np.nanmean([s[m] for s in pooled], axis=0).tolist()) for m in pooled[0]}
    return curves


def sample_multiple(curves: dict[int, Scores], size: int) -> str:
    """Patients that the best peer needs for adcr's log loss at a size, divided by the size."""
    sizes = sorted(curves)
    best = np.minimum.accumulate([min(curves[n][p][0] for p in PEERS) for n in sizes])
    own = curves[size]["adcr"][0]
    if own < best[-1]:
        return f">{sizes[-1] / size:.1f}"
    at = int(np.argmax(best <= own))
    if at == 0:
        return f"<{sizes[0] / size:.1f}" if sizes[0] < size else "1.0"
    share = (best[at - 1] - own) / max(best[at - 1] - best[at], 1e-12)
    needed = np.exp(np.log(sizes[at - 1]) + share * np.log(sizes[at] / sizes[at - 1]))
    return f"{needed / size:.1f}"


def tables(results: dict[str, dict[int, list[Scores]]]) -> str:
    """Print-outs of all families and groups of families."""
    groups = {
        "simulator's worlds (as drawn, altered, unknown effects)": SIMULATED,
        "other structures (additive, threshold, unlisted)": OTHER,
        **{f"family {family}": (family,) for family in FAMILIES},
    }
    return "\n".join(_table(title, mean_curves(results, families)) for title, families in groups.items())


def _table(title: str, curves: dict[int, Scores]) -> str:
    sizes = sorted(curves)
    models = ["oracle", "ceiling", *OWN, *PEERS]
    lines = [f"\n== {title}"]
    for position, metric in enumerate(("log loss", "AUROC", "calibration slope")):
        lines.append(f"{metric:<22}" + "".join(f"{n:>9,}" for n in sizes))
        for model in models:
            cells = [curves[n][model][position] if model in curves[n] else np.nan for n in sizes]
            lines.append(f"  {model:<20}" + "".join(f"{c:>9.3f}" if np.isfinite(c) else f"{'':>9}" for c in cells))
    lines.append(f"{'sample multiple':<22}" + "".join(f"{sample_multiple(curves, n):>9}" for n in sizes))
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two worlds per family, sizes 100, 400 and 1,500")
    parser.add_argument("--worlds", type=int, default=5, help="worlds per family")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="patients to learn from")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    parser.add_argument("--automl", action="store_true", help="judge FLAML too")
    parser.add_argument("--output", type=Path, help="keep every score as JSON")
    options = parser.parse_args()
    if options.automl:
        PEERS.update(AUTOML)
    sizes = (100, 400, 1500) if options.quick else tuple(int(n) for n in options.sizes.split(","))
    results = run(sizes, 2 if options.quick else options.worlds, options.workers, options.output)
    print(tables(results))


if __name__ == "__main__":
    main()
