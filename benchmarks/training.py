"""Tuned, nested training of 500 patients: time and held-out log loss beside scikit-learn's cross-validation.

    python -m benchmarks.training [--trials 20] [--worlds 6]

Both search the same settings of LightGBM with Optuna, the same number of trials, inside the same five outer folds, each
trial on five inner folds. scikit-learn's way fits an `LGBMClassifier` per trial and inner fold with `cross_val_score`
on two jobs; adcr bins each inner fold once, stops rounds early over all folds together, gives hopeless trials up, and
runs two outer folds side by side. Then adcr's search is broken off and resumed: it must end with the same model.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.progress import track
from scipy.special import expit

from benchmarks.learning_worlds import LearningWorld, learning_world
from training.boosting import AdcResponseClassifier
from training.splits import assign_folds
from training.tuning import TuningPlan, searched_settings, tune

PATIENTS, FOLDS = 500, 5


def adcr_search(
    world: LearningWorld, X: np.ndarray, y: np.ndarray, folds: np.ndarray, trials: int, journal: Path | None
) -> tuple[np.ndarray, list[str]]:
    """Held-out log-odds and the model text of each outer fold."""
    schema = world.schema(PATIENTS)

    def one(fold: int) -> tuple[int, np.ndarray, str]:
        rest = folds != fold
        classifier = AdcResponseClassifier(schema)
        inner = classifier.inner_folds_of(y[rest], np.flatnonzero(rest))
        start, plan = classifier.tree_settings(), TuningPlan(trials, seconds=600.0)
        found = tune(X[rest], y[rest], inner, schema.columns, start, plan, journal=journal)
        fitted = classifier.set_params(**found.settings).fit(X[rest], y[rest])
        return fold, fitted.decision_function(X[~rest]), fitted.model_text_

    held_out, texts = np.zeros(len(y)), [""] * FOLDS
    with ThreadPoolExecutor(2) as pool:
        for fold, log_odds, text in track(pool.map(one, range(FOLDS)), "adcr, tuned and nested", total=FOLDS):
            held_out[folds == fold], texts[fold] = log_odds, text
    return held_out, texts


def sklearn_search(world: LearningWorld, X: np.ndarray, y: np.ndarray, folds: np.ndarray, trials: int) -> np.ndarray:
    """Held-out log-odds of the same search through scikit-learn."""
    import optuna
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    schema = world.schema(PATIENTS)
    signs = [c.monotone for c in schema.columns]

    def model(settings: dict[str, float | int], rounds: int) -> LGBMClassifier:
        return LGBMClassifier(
            n_estimators=rounds, num_leaves=settings["leaves"], learning_rate=settings["learning_rate"],
            colsample_bytree=settings["column_share"], subsample=settings["patient_share"], subsample_freq=1,
            reg_lambda=settings["l2"], min_child_samples=25, max_bin=63, monotone_constraints=signs,
            monotone_constraints_method="basic", n_jobs=1, verbosity=-1, random_state=0,
        )  # fmt: skip

    held_out = np.zeros(len(y))
    for fold in track(range(FOLDS), "scikit-learn, tuned and nested"):
        rest = folds != fold

        def objective(trial: optuna.Trial, rows: np.ndarray = rest) -> float:
            settings, rounds = searched_settings(trial), trial.suggest_int("rounds", 20, 200)
            inner = StratifiedKFold(5, shuffle=True, random_state=0)
            scores = cross_val_score(
                model(settings, rounds), X[rows], y[rows], scoring="neg_log_loss", cv=inner, n_jobs=2
            )
            return -float(scores.mean())

        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(objective, n_trials=trials)
        best = dict(study.best_params)
        fitted = model(best, int(best["rounds"])).fit(X[rest], y[rest])
        held_out[~rest] = fitted.predict(X[~rest], raw_score=True)
    return held_out


def log_loss(y: np.ndarray, log_odds: np.ndarray) -> float:
    """Mean log loss."""
    p = np.clip(expit(log_odds), 1e-9, 1 - 1e-9)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def resumes_to_the_same(
    world: LearningWorld, X: np.ndarray, y: np.ndarray, folds: np.ndarray, trials: int, texts: list[str]
) -> bool:
    """Whether a search of which a part is in the journal ends with the same models as an unbroken one."""
    with tempfile.TemporaryDirectory() as place:
        adcr_search(world, X, y, folds, trials // 2, Path(place))
        return adcr_search(world, X, y, folds, trials, Path(place))[1] == texts


def compare(number: int, trials: int) -> tuple[float, float, float, float, bool]:
    """Seconds and held-out log loss of both searches in one world, and whether a broken-off search resumes to the same.

    Parameters
    ----------
    number : int
        World; even ones let adcr go first, odd ones scikit-learn.
    trials : int

    Returns
    -------
    tuple
        adcr's seconds, scikit-learn's seconds, adcr's loss, scikit-learn's loss, same models after resuming.
    """
    world = learning_world("simulator", number, PATIENTS)
    X, y = world.matrix(world.schema(PATIENTS), slice(PATIENTS)), world.outcome[:PATIENTS]
    folds = assign_folds(y, np.arange(PATIENTS), folds=FOLDS, repeats=1, seed=0)[0]
    seconds, loss, texts = {}, {}, []
    for name in ("adcr", "scikit-learn") if number % 2 == 0 else ("scikit-learn", "adcr"):
        started = perf_counter()
        if name == "adcr":
            held_out, texts = adcr_search(world, X, y, folds, trials, None)
        else:
            held_out = sklearn_search(world, X, y, folds, trials)
        seconds[name], loss[name] = perf_counter() - started, log_loss(y, held_out)
    same = resumes_to_the_same(world, X, y, folds, trials, texts)
    return seconds["adcr"], seconds["scikit-learn"], loss["adcr"], loss["scikit-learn"], same


def main() -> None:
    """Run both searches in a few worlds and print their times and losses."""
    import optuna

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="trials of each search")
    parser.add_argument("--worlds", type=int, default=6, help="worlds, of one cohort each")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    found = np.array([compare(number, options.trials) for number in range(options.worlds)])
    middle = np.median(found, axis=0)
    ratios = found[:, 1] / found[:, 0]
    print(f"{PATIENTS} patients, {FOLDS} outer x 5 inner folds, {options.trials} trials each, {options.worlds} worlds")
    print(f"{'':<16}{'seconds, median':>16}{'log loss, mean':>16}")
    print(f"{'adcr':<16}{middle[0]:>16.1f}{found[:, 2].mean():>16.4f}")
    print(f"{'scikit-learn':<16}{middle[1]:>16.1f}{found[:, 3].mean():>16.4f}")
    print(f"{np.median(ratios):.1f} times as fast ({ratios.min():.1f} to {ratios.max():.1f})")
    print(f"broken off and resumed: {'the same models' if found[:, 4].all() else 'OTHER MODELS'}")


if __name__ == "__main__":
    main()
