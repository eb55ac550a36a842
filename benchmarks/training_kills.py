"""Kill `adcr train` at random moments, start it again, and compare what it ends with to a run that was left alone.

    python -m benchmarks.training_kills --kills 100

Whatever the moment: the folders of model and report are not there or whole; once a start has ended, no run, candidate
or model of the store still counts as going on, nothing lies beside the files of an undisturbed run, and model, report
and metrics are its to the bit. Fits that were done, and with `--tune` trials of a search, are taken over from what a
killed run leaves; how many is told.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.kills import Kills, digest, kill_until_done, life, require

_OUTPUTS = ("model", "report")
_OPTIONS = ("--endpoint", "objective_response", "--folds", "2", "--repeats", "1")
#: Resamples take longest; with a search in each, few do.
_PLAIN, _TUNED = ("--optimism", "30"), ("--optimism", "2", "--tune")
#: States of a run and of a logged model in MLflow's tables.
_RUNNING, _PENDING = "RUNNING", 1
_ENDED_WELL = (
    "SELECT run_uuid FROM runs WHERE status = 'FINISHED'"
    " AND run_uuid NOT IN (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId')"
)
_METRICS = (
    "SELECT name, key, value FROM latest_metrics JOIN runs USING (run_uuid)"
    " WHERE key NOT LIKE '%champion%' AND key != 'training_seconds' AND (run_uuid = :parent OR run_uuid IN"
    " (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = :parent))"
)
#: Line of Optuna's journal that ends a trial as complete or pruned.
_FINISHED_TRIAL = re.compile(r'"op_code":6,.*"state":[12]')


def main() -> None:
    """Kill as often as asked for, over as many trainings as that takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--patients", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tune", action="store_true", help="search settings too")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    place = Path(tempfile.mkdtemp(prefix="adcr-kills-"))
    training = Training(place, options.patients, tune=options.tune)
    while training.kills.number < options.kills:
        training.disturbed(draw)
    print(training.kills.told())
    print(f"{training.fits} fits and {training.trials} trials of broken-off searches taken over;")
    print(f"{training.ended} runs of dead processes ended at the next start; models, reports and metrics identical,")
    print("no partial output")
    shutil.rmtree(place)  # kept where something was found


class Training:
    """One training, left alone first.

    Parameters
    ----------
    folder : Path
        For cohort, caches and store.
    patients : int
        Of the simulated cohort.
    tune : bool
        Whether settings are searched for.
    """

    def __init__(self, folder: Path, patients: int, *, tune: bool) -> None:
        self.options = (*_OPTIONS, *(_TUNED if tune else _PLAIN))
        self.work, self.cache = folder / "work", folder / "cache"
        self.work.mkdir()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "ADCR_"))}
        self.environment = environment | {"XDG_CACHE_HOME": str(self.cache), "PYTHONPATH": str(Path.cwd())}
        self.fits = self.trials = self.ended = 0
        simulate = ("cohort", "simulate", "--patients", str(patients), "--seed", "1", "-o", "cohort.csv")
        for arguments in (simulate, ("prior", "build")):
            require(self._adcr(*arguments).wait() == 0, f"'adcr {arguments[0]} {arguments[1]}' failed")
        life(self._train)
        self._forget()
        self.kills = Kills(life(self._train))
        self.expected = {name: _content(self.work / name) for name in _OUTPUTS}
        (self.metrics,), self.files = self._finished_metrics(), self._names()
        for name in _OUTPUTS:
            shutil.copytree(self.work / name, folder / "undisturbed" / name)
        self._forget()

    def disturbed(self, draw: random.Random) -> None:
        """Kill one training until it ends, and hold what it left against the undisturbed one."""
        kill_until_done(self._train, self.kills, draw, self._look)
        for name in _OUTPUTS:
            self._require_expected(name)
        for metrics in self._finished_metrics():
            other = sorted(n for n in {*metrics, *self.metrics} if metrics.get(n) != self.metrics.get(n))
            told = ", ".join(f"{n} {metrics.get(n)} for {self.metrics.get(n)}" for n in other[:5])
            require(not other, f"{len(other)} metrics that are not those of the undisturbed run: {told}")
        require(self._names() == self.files, f"left behind: {sorted(self._names() ^ self.files)}")
        require(not self._kept(), "fits are kept of a training that has ended")
        self._require_all_ended()
        self._forget()

    def _adcr(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "adcr", *arguments]
        return subprocess.Popen(command, cwd=self.work, env=self.environment, stdout=subprocess.DEVNULL)

    def _train(self) -> subprocess.Popen[bytes]:
        self.fits += len(self._kept())
        self.trials += self._trials()
        outputs = (text for name in _OUTPUTS for text in (f"--{name if name == 'report' else 'output'}", name))
        return self._adcr("train", "cohort.csv", *self.options, *outputs)

    def _look(self) -> None:
        for name in _OUTPUTS:
            if (self.work / name).exists():
                self._require_expected(name)

    def _require_expected(self, name: str) -> None:
        content, expected = _content(self.work / name), self.expected[name]
        other = sorted(n for n in {*content, *expected} if content.get(n) != expected.get(n))
        require(not other, f"{name} is not that of the undisturbed run: {', '.join(other)}; see {self.work.parent}")

    def _kept(self) -> list[Path]:
        return list((self.cache / "adcr" / "trainings").glob("*/*"))

    def _trials(self) -> int:
        """Finished trials in the journals."""
        journals = (self.cache / "adcr" / "tuning").glob("*.journal")
        return sum(len(_FINISHED_TRIAL.findall(journal.read_text(encoding="utf-8"))) for journal in journals)

    def _names(self) -> set[str]:
        return {path.name for path in self.work.iterdir()}

    def _store(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self.work / "mlflow.db"))

    def _finished_metrics(self) -> list[dict[str, float]]:
        """Metrics, candidates' too, of each training that ended well: two, where one was struck on its last step.

        A candidate of a training that was killed later may have ended well too. What is told beside a champion depends
        on whether a killed training had come so far as to make one.
        """
        with self._store() as store:
            parents = [parent for (parent,) in store.execute(_ENDED_WELL)]
            found = [store.execute(_METRICS, {"parent": parent}).fetchall() for parent in parents]
        require(bool(found), "no training ended well")
        return [{f"{name}: {key}": float(value) for name, key, value in rows} for rows in found]

    def _require_all_ended(self) -> None:
        with self._store() as store:
            states = dict(store.execute("SELECT status, count(*) FROM runs GROUP BY status"))
            models = dict(store.execute("SELECT status, count(*) FROM logged_models GROUP BY status"))
        require(not states.get(_RUNNING), f"runs are left going on: {states}")
        require(not models.get(_PENDING), f"models are left half logged: {models}")
        self.ended += states.get("FAILED", 0)

    def _forget(self) -> None:
        """Take away what this training left, so that the next starts as the first did."""
        for path in self.work.iterdir():
            if path.name != "cohort.csv":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.cache / "adcr" / "tuning", ignore_errors=True)


def _content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
