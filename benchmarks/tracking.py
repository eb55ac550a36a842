"""What tracking adds to a training: time inside MLflow's calls, by call.

    python -m benchmarks.tracking --patients 300 --runs 3

The first run of a process pays for MLflow's own imports and, on an empty store, for creating its tables; both are told
apart. Drawing the plots is told apart too: they would be drawn for any report.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from features.synthetic import write_cohort
from training.training_session import TrainingRequest, find_model_script, train_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Calls that draw a picture first.
DRAWING = "log_figure"


class Clock:
    """Adds up the time inside outermost calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._depth = 0

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Time a call, unless another is being timed."""
        self._depth += 1
        started = perf_counter()
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds[name] += perf_counter() - started

    def wrap(self, owner: Any, name: str) -> None:
        """Time every call of a function of `owner`."""
        original: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **named: Any) -> Any:
            with self.timing(name):
                return original(*args, **named)

        setattr(owner, name, timed)


def main() -> None:
    """Train a few times and print each run's share of MLflow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    from mlflow import MlflowClient

    clock = Clock()
    for name in dir(MlflowClient):
        if not name.startswith("_") and callable(getattr(MlflowClient, name)):
            clock.wrap(MlflowClient, name)
    clock.wrap(mlflow.pyfunc, "log_model")
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        cohort = Path("cohort.csv")
        write_cohort(cohort, patients=arguments.patients, seed=7)
        for number in range(1, arguments.runs + 1):
            clock.seconds.clear()
            started = perf_counter()
            train_file(
                TrainingRequest(
                    cohort,
                    "objective_response",
                    model_script=find_model_script(),
                    folds=3,
                    repeats=1,
                    optimism=0,
                )
            )
            whole, drawing = perf_counter() - started, clock.seconds.pop(DRAWING, 0.0)
            most = sorted(clock.seconds.items(), key=lambda item: -item[1])[:4]
            told = ", ".join(f"{name} {seconds:.3f}" for name, seconds in most)
            print(
                f"run {number}: {whole:.1f} s, of it MLflow {sum(clock.seconds.values()):.3f} s ({told}), "
                f"drawing plots {drawing:.2f} s",
                flush=True,
            )
        os.chdir("/")


if __name__ == "__main__":
    main()
