"""The tree kernel beside LightGBM, in one run: rows per CPU second on one thread, equality, and what starting costs.

    python benchmarks/tree_kernel.py                     # a million rows, about ten minutes
    python benchmarks/tree_kernel.py --rows 100000       # a look

The two are timed in turns, in CPU time of the process, so that other work on the machine disturbs both alike; what
is printed are medians over the repeats, and for the ratio the smallest and largest too. The data are random: 34
numeric columns, 15% of them missing, and 6 categorical ones with 2 to 20 categories.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import lightgbm
import numba
import numpy as np

from serving.tree_kernel import TreeKernel, read_trees

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NUMERIC, MISSING = 34, 0.15
CATEGORIES = (2, 3, 4, 5, 8, 20)
TRAINING_ROWS = 20_000
CHUNK = 100_000
#: LightGBM explains so few rows a second that it is timed on a part of them.
EXPLAINED_BY_LIGHTGBM = 1_000


@dataclass(frozen=True)
class Shape:
    """A model to measure; a depth of -1 is unlimited."""

    name: str
    trees: int
    leaves: int
    depth: int


SHAPES = (
    Shape("300 trees x 15 leaves, depth 6", 300, 15, 6),
    Shape("300 trees x 15 leaves, any depth", 300, 15, -1),
    Shape("100 trees x 7 leaves", 100, 7, -1),
    Shape("100 trees x 31 leaves, any depth", 100, 31, -1),
)


@dataclass(frozen=True)
class Comparison:
    """Rows per CPU second of both, the ratio with its range over the repeats, and how far the results differ."""

    what: str
    lightgbm: float
    kernel: float
    ratio: float
    ratio_low: float
    ratio_high: float
    rows_compared: int
    rows_identical: int
    largest_difference: float


def simulate(n: int, seed: int) -> NDArray[np.float64]:
    """Random rows; half of the numeric columns are skewed."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, NUMERIC))
    numeric[:, NUMERIC // 2 :] = np.exp(numeric[:, NUMERIC // 2 :])
    numeric[rng.random(numeric.shape) < MISSING] = np.nan
    categories = [rng.integers(0, levels, n) for levels in CATEGORIES]
    return np.column_stack((numeric, *categories)).astype(np.float64)


def train(shape: Shape) -> lightgbm.Booster:
    """Fit a binary model of the given shape."""
    matrix = simulate(TRAINING_ROWS, seed=0)
    rng = np.random.default_rng(0)
    known = np.nan_to_num(matrix)
    score = known[:, :NUMERIC] @ rng.normal(scale=0.3, size=NUMERIC)
    score += np.sin(2 * known[:, 0]) * known[:, 1] + (known[:, 38] == 3) + 0.5 * (known[:, 39] % 3 == 0) * known[:, 2]
    target = rng.random(TRAINING_ROWS) < 1 / (1 + np.exp(0.5 - score))
    categorical = list(range(NUMERIC, NUMERIC + len(CATEGORIES)))
    options = {"objective": "binary", "num_leaves": shape.leaves, "max_depth": shape.depth, "learning_rate": 0.05}
    return lightgbm.train(
        {**options, "feature_fraction": 0.5, "seed": 1, "num_threads": 1, "verbose": -1},
        lightgbm.Dataset(matrix, target, categorical_feature=categorical),
        shape.trees,
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(
    what: str,
    theirs: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ours: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    their_rows: int,
    our_rows: int,
    compared: int,
    repeats: int,
) -> Comparison:
    """Time both in turns, then compare their results on random rows."""
    matrix = simulate(max(their_rows, our_rows), seed=1)
    ours(matrix[:100])
    rates = [
        (
            their_rows / cpu_seconds(lambda: theirs(matrix[:their_rows])),
            our_rows / cpu_seconds(lambda: ours(matrix[:our_rows])),
        )
        for _ in range(repeats)
    ]
    ratios = [mine / other for other, mine in rates]
    identical, largest = 0, 0.0
    for begin in range(0, compared, CHUNK):
        rows = simulate(min(CHUNK, compared - begin), seed=2 + begin)
        expected, result = theirs(rows), ours(rows)
        same = (expected.view(np.int64) == result.view(np.int64)).reshape(len(rows), -1)
        identical += int(same.all(axis=1).sum())
        largest = max(largest, float(np.abs(expected - result).max()))
    rates_of = [median(column) for column in zip(*rates, strict=True)]
    return Comparison(what, *rates_of, median(ratios), min(ratios), max(ratios), compared, identical, largest)


def measure(shape: Shape, rows: int, repeats: int) -> dict[str, object]:
    """Both sides' prediction and contributions, and the cost of building the tables."""
    booster = train(shape)
    text = booster.model_to_string()
    kernel = TreeKernel(read_trees(text))
    kernel.prepare_contributions()
    timed = min(rows, CHUNK)
    prediction = compare(
        "prediction",
        lambda part: booster.predict(part, raw_score=True, num_threads=1),
        kernel.predict,
        timed,
        timed,
        rows,
        repeats,
    )
    contributions = compare(
        "contributions",
        lambda part: booster.predict(part, pred_contrib=True, num_threads=1),
        kernel.contributions,
        EXPLAINED_BY_LIGHTGBM,
        timed,
        min(rows // 50, 20_000),
        repeats,
    )
    ensemble = read_trees(text)
    return {
        "model": shape.name,
        "deepest_leaf": deepest_leaf(booster),
        "comparisons": [asdict(prediction), asdict(contributions)],
        "read_text_seconds": median(cpu_seconds(lambda: read_trees(text)) for _ in range(repeats)),
        "plan_seconds": median(cpu_seconds(lambda: TreeKernel(ensemble)) for _ in range(repeats)),
        "table_seconds": median(time_tables(TreeKernel(ensemble)) for _ in range(repeats)),
        **start_up(text),
    }


def time_tables(kernel: TreeKernel) -> float:
    """CPU time of building the tables."""
    return cpu_seconds(kernel.prepare_contributions)


def deepest_leaf(booster: lightgbm.Booster) -> int:
    """Count the splits above the deepest leaf."""
    return int(booster.trees_to_dataframe()["node_depth"].max()) - 1


START_UP = """
import sys, time
import numpy as np
from serving.tree_kernel import TreeKernel, read_trees
text = open(sys.argv[1], encoding="utf-8").read()
matrix = np.zeros((100, read_trees(text).n_features))
start = time.process_time()
kernel = TreeKernel(read_trees(text))
kernel.predict(matrix)
print(time.process_time() - start)
kernel.contributions(matrix)
print(time.process_time() - start)
"""


def start_up(text: str) -> dict[str, float]:
    """CPU time from nothing to the first hundred rows in a fresh process, with the compiled code in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.txt"
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", START_UP, str(file)]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    return {
        "first_scores_seconds": median(float(run[0]) for run in runs),
        "first_contributions_seconds": median(float(run[1]) for run in runs),
    }


def show(result: dict[str, object]) -> None:
    """Print one model's results."""
    print(f"\n{result['model']} (deepest leaf: {result['deepest_leaf']} splits)")
    print(f"  {'rows per CPU second':<16}{'LightGBM':>14}{'kernel':>14}{'ratio (range)':>24}  equality")
    for row in result["comparisons"]:
        spread = f"{row['ratio']:.0f} ({row['ratio_low']:.0f} to {row['ratio_high']:.0f})"
        same = f"{row['rows_identical']:,} of {row['rows_compared']:,} rows bit-identical"
        if row["what"] == "contributions":
            same = f"largest difference {row['largest_difference']:.1e} on {row['rows_compared']:,} rows"
        print(f"  {row['what']:<19}{row['lightgbm']:>14,.0f}{row['kernel']:>14,.0f}{spread:>24}  {same}")
    print(
        f"  CPU seconds: reading the text {result['read_text_seconds']:.3f}, planning {result['plan_seconds']:.3f}, "
        f"building the tables {result['table_seconds']:.3f}; fresh process to first scores "
        f"{result['first_scores_seconds']:.2f}, to first contributions {result['first_contributions_seconds']:.2f}"
    )


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows whose scores are compared bit by bit")
    parser.add_argument("--repeats", type=int, default=7, help="how often each is timed")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    arguments = parser.parse_args()
    print(
        f"Python {platform.python_version()}, lightgbm {lightgbm.__version__}, numba {numba.__version__}, "
        f"{numba.core.config.NUMBA_NUM_THREADS} cores, {platform.machine()}, "
        f"{NUMERIC} numeric and {len(CATEGORIES)} categorical columns"
    )
    results = []
    for shape in SHAPES:
        results.append(measure(shape, arguments.rows, arguments.repeats))
        show(results[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
