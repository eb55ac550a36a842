"""Kill a scoring run at random moments, go on with it, and compare what it ends with to a run that was left alone.

    python -m benchmarks.scoring_kills --kills 200

Never may a score file be there that is not whole, and the last one must be that of the undisturbed run to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.scoring import prepare_data, prepare_model

_RUN = """
import sys
from pathlib import Path
from serving import unfinished_run
from serving.score_stream import score_file
from serving.scoring_plan import ScoringTask
unfinished_run.CHECKPOINT_SECONDS = 0.05
file, bundle, out = map(Path, sys.argv[1:4])
score_file(ScoringTask(file, bundle, out, block_bytes=200_000, resume=True))
"""


def main() -> None:
    """Kill as often as asked for, over as many runs as that takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=15_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="adcr-kills-") as place:
        folder = Path(place)
        prepare_model(folder)
        prepare_data(folder, options.rows)
        for suffix in ("csv", "parquet"):
            kills = finished = 0
            expected = _left_alone(folder, options.rows, suffix)
            while kills < options.kills // 2:
                killed = _killed_until_done(folder, options.rows, suffix, expected, draw)
                kills, finished = kills + killed, finished + 1
            print(f"{suffix}: {kills} kills over {finished} runs, every one byte-identical, no partial file")


def _command(folder: Path, rows: int, out: Path) -> list[str]:
    return [sys.executable, "-c", _RUN, str(folder / f"{rows}.csv"), str(folder / "bundle"), str(out)]


def _left_alone(folder: Path, rows: int, suffix: str) -> str:
    out = folder / f"alone.{suffix}"
    subprocess.run(_command(folder, rows, out), check=True)
    return _digest(out)


def _killed_until_done(folder: Path, rows: int, suffix: str, expected: str, draw: random.Random) -> int:
    out = folder / f"out.{suffix}"
    for path in (out, out.with_suffix(".manifest.json")):
        path.unlink(missing_ok=True)
    kills = 0
    while True:
        run = subprocess.Popen(_command(folder, rows, out))
        # Most of a run's first half second is spent on loading libraries.
        deadline = time.monotonic() + draw.uniform(0.3, 3.0)
        while run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
        code = run.wait()
        if out.exists() and _digest(out) != expected:
            raise SystemExit(f"{out.name} differs after {kills} kills")
        if code == 0:
            return kills
        if code != -signal.SIGKILL:
            raise SystemExit(f"a run ended with {code}")
        kills += 1


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
