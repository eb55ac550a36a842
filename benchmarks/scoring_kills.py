"""Kill a scoring run at random moments, go on with it, and compare what it ends with to a run that was left alone.

    python -m benchmarks.scoring_kills --kills 200

Never may a score file be there that is not whole, and the last one must be that of the undisturbed run to the byte;
nothing else may be left behind. The moments are drawn evenly over the life of a run, its loading of libraries too.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.kills import Kills, digest, kill_until_done, life, require
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
    """Kill as often as asked for, over as many runs as that takes; half of them each for CSV and Parquet."""
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
        for suffix, number in (("csv", options.kills - options.kills // 2), ("parquet", options.kills // 2)):
            kills = _killed(folder, options.rows, suffix, number, draw)
            print(f"{suffix}: {kills.told()}; every one byte-identical, no partial file", flush=True)


def _killed(folder: Path, rows: int, suffix: str, number: int, draw: random.Random) -> Kills:
    places = folder / suffix
    places.mkdir()
    alone, out = places / f"alone.{suffix}", places / f"out.{suffix}"

    def start(to: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, str(folder / f"{rows}.csv"), str(folder / "bundle"), str(to)]
        )

    # Once for the caches of a first run, once for the time.
    life(lambda: start(alone))
    kills = Kills(life(lambda: start(alone)))
    expected, files = digest(alone.read_bytes()), len(list(places.iterdir()))

    def look() -> None:
        require(not out.exists() or digest(out.read_bytes()) == expected, f"{out.name} differs after {kills.number}")

    while kills.number < number:
        kill_until_done(lambda: start(out), kills, draw, look)
        require(out.exists(), "a run ended without scores")
        left = {path.name for path in places.iterdir()}
        require(len(left) == 2 * files, f"something is left behind: {sorted(left)}")
        for path in places.glob("out.*"):
            path.unlink()
    return kills


if __name__ == "__main__":
    main()
