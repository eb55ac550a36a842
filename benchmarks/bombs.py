"""Give `adcr` files that expand, nest or stretch without end; print what each costs and the line that it is told.

    python -m benchmarks.bombs                         # every bomb
    python -m benchmarks.bombs --only xlsx --only toml # those whose name holds one of these

Each cohort file goes through `adcr cohort check` and `adcr score` as processes of their own, mappings through `check`,
models through `score`. A bomb must be refused (exit code 2) in one line, in under 2 s and 500 MB; what does not keep to
this is marked, and the exit code is 1. The seconds, in brackets those of processors, hold the start of Python and the
loading of libraries; the smaller of both counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bomb_files import COHORTS, MAPPINGS, MODELS

MOST_SECONDS, MOST_MEGABYTES = 2.0, 500.0
#: After these a process is killed.
_GIVEN_UP = 30.0
_SOUND = "sound model"
_GOOD = "patient_id,adc,her2_ihc\nP1,T-DM1,3+\nP2,T-DXd,1+\n"


@dataclass(frozen=True)
class Cost:
    """What a refusal took.

    Attributes
    ----------
    seconds, processor, megabytes : float
        Wall time, processor time, and peak memory of the largest process.
    code : int
        Exit code.
    told : str
        Standard error.
    """

    seconds: float
    processor: float
    megabytes: float
    code: int
    told: str

    @property
    def faults(self) -> list[str]:
        """What it does not keep to."""
        lines = self.told.count("\n")
        # On a machine that others use too, waiting for a processor is no work of ours.
        taken = min(self.seconds, self.processor)
        return [
            what
            for what, is_so in (
                (f"{taken:.1f} s", taken >= MOST_SECONDS),
                (f"{self.megabytes:.0f} MB", self.megabytes >= MOST_MEGABYTES),
                (f"exit code {self.code}", self.code != 2),
                (f"{lines} lines", lines != 1),
                ("a line of more than 1,000 characters", len(self.told) > 1_000),
            )
            if is_so
        ]


def main() -> int:
    """Try every bomb, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    parser.add_argument("--make", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        _make(options.make[0], Path(options.make[1]))
        return 0
    with tempfile.TemporaryDirectory(prefix="adcr-bombs-") as place:
        tried = Bombs(Path(place), tuple(options.only))
        tried.cohorts()
        tried.mappings()
        tried.models()
    print(f"{tried.refused} refused as they must be, {tried.found} not")
    return 1 if tried.found else 0


class Bombs:
    """Bombs, one at a time on the disk.

    Parameters
    ----------
    folder : Path
    only : tuple of str
        Parts of the names of those that are wanted; empty for all.
    """

    def __init__(self, folder: Path, only: tuple[str, ...]) -> None:
        self._folder, self._only = folder, only
        self.refused = self.found = 0
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "ADCR_"))}
        self._environment = kept | {"PYTHONPATH": str(Path.cwd()), "XDG_CACHE_HOME": str(folder / "cache")}
        self._good, self._model = folder / "good.csv", folder / "model"
        self._good.write_text(_GOOD, encoding="utf-8")
        self._made(_SOUND, self._model)
        # Once for the caches of a first run.
        cost = self._cost("score", "good.csv", "--model", "model", "-o", "first.csv")
        if cost.code:
            sys.exit(f"a sound file was not scored: {cost.told}")

    def cohorts(self) -> None:
        """Try cohort files, checked and scored."""
        for name in COHORTS:
            if self._wanted(name):
                path = self._folder / name
                self._made(name, path)
                self._tell(name, "check", self._cost("cohort", "check", name))
                self._tell(name, "score", self._cost("score", name, "--model", "model", "-o", "out.csv"))
                path.unlink()

    def mappings(self) -> None:
        """Try mapping files."""
        for name in MAPPINGS:
            if self._wanted(name):
                path = self._folder / name
                self._made(name, path)
                self._tell(name, "check", self._cost("cohort", "check", "good.csv", "--map", name))
                path.unlink()

    def models(self) -> None:
        """Try models with a bomb in the place of one file."""
        for name, (file, _) in MODELS.items():
            if self._wanted(name):
                path = self._model / file
                whole = path.read_bytes()
                self._made(name, path)
                self._tell(name, "score", self._cost("score", "good.csv", "--model", "model", "-o", "out.csv"))
                path.write_bytes(whole)

    def _made(self, name: str, path: Path) -> None:
        # In a process of its own: the peak of a process that we start counts from what this one holds.
        command = [sys.executable, "-m", "benchmarks.bombs", "--make", name, str(path)]
        subprocess.run(command, check=True)

    def _wanted(self, name: str) -> bool:
        return not self._only or any(text in name for text in self._only)

    def _cost(self, *arguments: str) -> Cost:
        command = [sys.executable, "-m", "adcr", *arguments]
        with (self._folder / "told.txt").open("w+b") as told:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=told
            )
            ender = threading.Timer(_GIVEN_UP, process.kill)
            ender.start()
            _, status, usage = os.wait4(process.pid, 0)
            ender.cancel()
            seconds = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            told.seek(0)
            text = told.read(100_000).decode("utf-8", "replace")
        processor = usage.ru_utime + usage.ru_stime
        return Cost(seconds, processor, usage.ru_maxrss / 1024, process.returncode, text)

    def _tell(self, name: str, command: str, cost: Cost) -> None:
        faults = cost.faults
        self.found, self.refused = self.found + bool(faults), self.refused + (not faults)
        mark = f"  <-- {', '.join(faults)}" if faults else ""
        line = " ".join(cost.told.split())
        shown = line if len(line) < 200 else f"{line[:140]} ... {line[-50:]}"
        print(
            f"{name:24s} {command:6s} {cost.seconds:5.2f} s ({cost.processor:5.2f} s) {cost.megabytes:6.0f} MB  "
            f"{shown}{mark}",
            flush=True,
        )


def _make(name: str, path: Path) -> None:
    if name == _SOUND:
        from benchmarks.small_model import small_model

        small_model(path)
    else:
        makers = COHORTS | MAPPINGS | {key: maker for key, (_, maker) in MODELS.items()}
        makers[name](path)


if __name__ == "__main__":
    sys.exit(main())
