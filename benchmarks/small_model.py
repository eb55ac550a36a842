"""A model that takes seconds to train, for benchmarks that do something to a model rather than judge it."""

from __future__ import annotations

from pathlib import Path

from features.cohort_file import cohort_from_table
from features.synthetic.cohort import simulate_cohort
from training.model_bundle import write_bundle
from training.train import train

PATIENTS = 200


def small_model(folder: Path) -> Path:
    """Write the bundle of a model of simulated patients, without the literature."""
    cohort = cohort_from_table(simulate_cohort(PATIENTS, seed=1).patients, name="simulated")
    result = train(cohort, "objective_response", folds=2, repeats=1, prior=False)
    return write_bundle(folder, result.record, result.model_text)
