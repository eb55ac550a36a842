"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from features.cohort import Cohort
    from training.train import TrainingResult

PROJECT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("ADCR_SHARED_DATA", PROJECT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Root of this repository."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real cohorts, which are never committed; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real cohorts are not here (set ADCR_SHARED_DATA)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def learned_cohort() -> Cohort:
    """300 made-up patients on two ADCs whose response follows HER2 and CDK12, for models that need no training run."""
    import numpy as np
    import pandas as pd

    from features.cohort import Cohort, CohortSource

    draw = np.random.default_rng(7)
    n = 300
    her2 = draw.integers(0, 5, n)
    patients = pd.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(n)],
            "adc": np.where(draw.random(n) < 0.5, "T-DM1", "T-DXd"),
            "setting": np.where(draw.random(n) < 0.5, "neoadjuvant", "metastatic"),
            "her2_ihc": np.array(["0", "ultralow", "1+", "2+", "3+"])[her2],
            "erbb2_mrna_z": draw.normal(her2 - 2.0, 1.0),
            "erbb2_copy_number": np.round(draw.gamma(2.0, 2.0, n) + her2, 1),
            "cdk12_amplified": (draw.random(n) < 0.4).astype(float),
            "p95her2_ratio": np.round(draw.beta(2, 8, n), 3),
            "til_percent": np.round(100 * draw.beta(1, 4, n)),
        }
    ).astype({"patient_id": "str", "adc": "str", "setting": "str", "her2_ihc": "str"})
    log_odds = 0.9 * (her2 - 2) - 0.8 * patients["cdk12_amplified"] + 0.5 * (patients["adc"] == "T-DXd")
    patients["pcr"] = (draw.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
    for name in ("her2_ihc", "erbb2_mrna_z", "erbb2_copy_number", "p95her2_ratio", "til_percent"):
        patients.loc[draw.random(n) < 0.15, name] = np.nan
    source = CohortSource(name="learned.csv", path=None, sha256="0" * 64)
    return Cohort(source=source, patients=patients, rows=tuple(range(2, n + 2)), rows_in=n)


@pytest.fixture(scope="session")
def trained(learned_cohort: Cohort) -> TrainingResult:
    """A small model of `learned_cohort`, judged as briefly as may be."""
    from training.train import train

    return train(learned_cohort, "pcr", name="test-model", folds=2, repeats=1)


@pytest.fixture(scope="session")
def bundle_folder(trained: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the model in `trained`; not to be written to."""
    from training.model_bundle import write_bundle

    return write_bundle(tmp_path_factory.mktemp("models") / "test-model", trained.record, trained.model_text)


@dataclass(frozen=True)
class Tracked:
    """A working folder whose store holds one run and one registered model, which is champion."""

    folder: Path
    run_id: str
    uri: str


@pytest.fixture(scope="session")
def tracked(trained: TrainingResult, learned_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """The model in `trained` as `adcr train` leaves it: logged, registered as test-model, version 1."""
    with warnings.catch_warnings():
        # MLflow warns of type hints in its own code while it is imported.
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType", category=UserWarning)
        import mlflow.pyfunc  # noqa: F401  (loaded here for every test that loads a model)
    from training.model_registry import register
    from training.run_metrics import run_tags
    from training.run_store import default_store
    from training.tracked_run import open_run

    folder = tmp_path_factory.mktemp("tracked")
    script = PROJECT / "serving" / "pyfunc_model.py"
    tags = run_tags(learned_cohort, "pcr", "test-model")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with open_run(default_store(folder), "adcr", "test-model", tags) as run:
            registered = register(run, trained, learned_cohort, script=script)
            run.client.set_registered_model_alias("test-model", "champion", registered.version)
    return Tracked(folder, run.run_id, registered.uri)
