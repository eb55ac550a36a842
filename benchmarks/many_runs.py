"""Train the same cohort again and again, with 1 to 8 threads, and open runs from many processes in one empty store.

    python -m benchmarks.many_runs --trainings 50 --processes 16 --runs 20

Every training must end with the same model, and that model with the same file of scores, to the bit. No run may be
lost: each is there, FINISHED, with what was logged to it.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.kills import digest, require

_TRAIN = ("--endpoint", "objective_response", "--folds", "2", "--repeats", "1", "--optimism", "10")
#: Linear algebra, OpenMP and Numba read their number of threads from these.
_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
_MOST_THREADS = 8
_RUNS = """
import sys
from training.run_store import default_store
from training.tracked_run import open_run
name, runs = sys.argv[1], int(sys.argv[2])
for number in range(runs):
    with open_run(default_store(), "adcr", f"{name}-{number}", {}) as run:
        run.client.log_metric(run.run_id, "number", number)
"""
_FINISHED = (
    "SELECT name, value FROM runs JOIN latest_metrics USING (run_uuid) WHERE status = 'FINISHED' AND key = 'number'"
)


def main() -> None:
    """Do both, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=50)
    parser.add_argument("--patients", type=int, default=120)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adcr-many-") as place:
        for name in ("trainings", "store"):
            (Path(place) / name).mkdir()
        started = time.monotonic()
        if options.processes:
            kept = _kept_runs(Path(place) / "store", options.processes, options.runs)
            wanted = options.processes * options.runs
            took = time.monotonic() - started
            print(f"{kept} of {wanted} runs of {options.processes} processes kept, {took:.0f} s", flush=True)
            require(kept == wanted, "runs are lost")
        started = time.monotonic()
        if options.trainings:
            models, scores = _repeated(Path(place) / "trainings", options.trainings, options.patients)
            took = time.monotonic() - started
            told = f"{len(models)} model(s) and {len(scores)} file(s) of scores, {took:.0f} s"
            print(f"{options.trainings} trainings with 1 to {_MOST_THREADS} threads: {told}")
            require(len(models) == len(scores) == 1, "trainings differ")


def _kept_runs(folder: Path, processes: int, runs: int) -> int:
    """Count the runs of processes that begin together in an empty store."""
    command = [sys.executable, "-c", _RUNS]
    started = [
        subprocess.Popen([*command, str(number), str(runs)], cwd=folder, env=_environment(folder))
        for number in range(processes)
    ]
    codes = [process.wait() for process in started]
    require(not any(codes), "a process could not keep its runs")
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        found = store.execute(_FINISHED).fetchall()
    return len({name for name, number in found if name.endswith(f"-{number:.0f}")})


def _repeated(folder: Path, trainings: int, patients: int) -> tuple[set[str], set[str]]:
    """Hashes of the models, and of the scores by each."""
    _adcr(folder, 1, "cohort", "simulate", "--patients", str(patients), "--seed", "1", "-o", "cohort.csv")
    models, scores = set(), set()
    for number in range(trainings):
        threads = 1 + number % _MOST_THREADS
        model, out = f"model{number}", f"scores{number}.csv"
        _adcr(folder, threads, "train", "cohort.csv", *_TRAIN, "-o", model)
        _adcr(folder, threads, "score", "cohort.csv", "--model", model, "-o", out)
        files = sorted((folder / model).iterdir())
        models.add(digest(b"".join(path.name.encode() + path.read_bytes() for path in files)))
        scores.add(digest((folder / out).read_bytes()))
    return models, scores


def _adcr(folder: Path, threads: int, *arguments: str) -> None:
    environment = _environment(folder) | dict.fromkeys(_THREADS, str(threads))
    command = [sys.executable, "-m", "adcr", *arguments]
    code = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
    require(code == 0, f"'adcr {arguments[0]}' ended with {code}")


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "ADCR_"))}
    # A cache of its own: what a user's holds of such a training may have been made with another number of threads.
    own = {"PYTHONPATH": str(Path.cwd()), "MLFLOW_DISABLE_TELEMETRY": "true", "XDG_CACHE_HOME": str(folder / "cache")}
    return kept | own


if __name__ == "__main__":
    main()
