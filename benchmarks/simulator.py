"""The simulator's numbers: anchors inside their intervals, reproducible bytes, speed and memory; `--refit` calibrates.

`python -m benchmarks.simulator` prints everything; with `--refit` it fits the calibration anew and writes
features/synthetic/calibration.toml; with `--report FILE --cohorts FOLDER` it writes the calibration report.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
CALIBRATION = PROJECT / "features" / "synthetic" / "calibration.toml"


def main() -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refit", action="store_true", help="fit the calibration anew and write it")
    parser.add_argument("--report", type=Path, help="write the calibration report to this file")
    parser.add_argument("--cohorts", type=Path, help="folder of real cohorts for the report")
    parser.add_argument("--patients", type=int, default=1_000_000, help="patients of the timed cohort")
    parser.add_argument("--write-only", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=2, help="threads of the timed cohort")
    options = parser.parse_args()
    if options.write_only:
        _write(options.write_only, options.patients, options.threads)
    elif options.refit:
        refit()
    elif options.report:
        report(options.report, options.cohorts)
    else:
        anchors()
        readers()
        best_scores()
        worlds()
        timing(options.patients, options.threads)


def refit() -> None:
    """Fit the calibration and write calibration.toml."""
    from features.synthetic.fit import calibration_text, fit_calibration

    start = time.perf_counter()
    CALIBRATION.write_text(calibration_text(fit_calibration()), encoding="utf-8")
    print(f"wrote {CALIBRATION.relative_to(PROJECT)} in {time.perf_counter() - start:.1f} s")


def report(path: Path, cohorts: Path | None) -> None:
    """Write the calibration report."""
    from features.synthetic.calibration_report import calibration_summary, write_calibration_report

    print(calibration_summary(write_calibration_report(path, cohorts=cohorts)))
    print(f"wrote {path}")


def anchors() -> None:
    """Print how many published results lie within their intervals, and those that do not."""
    from features.synthetic.anchor_check import check_anchors
    from features.synthetic.calibration_report import calibration_summary
    from features.synthetic.findings import key_findings

    checks = check_anchors()
    print(calibration_summary(checks))
    for check in (c for c in checks if not c.inside):
        target = check.published
        print(
            f"  outside: {check.anchor.result} {check.anchor.arm}, {check.anchor.role}, {check.anchor.quantity}: "
            f"published {target.value:.3f} ({target.low:.3f}-{target.high:.3f}), simulated {check.simulated:.3f}"
        )
    for finding in key_findings():
        print(f"  {finding['what']}: published {finding['published']}, simulated {finding['simulated']}")


def readers() -> None:
    """Print the agreement of two IHC readers on a mix of HER2 classes (published kappa about 0.6)."""
    from sklearn.metrics import cohen_kappa_score

    from features.synthetic.assay import READER_SD, read_staining
    from features.synthetic.real_marginals import reference_tumours

    level = reference_tumours()["log10_receptors"]
    rng = np.random.default_rng(1)
    first, second = (read_staining(level + READER_SD * rng.standard_normal(len(level))) for _ in range(2))
    four = [np.maximum(read - 1, 0) for read in (first, second)]
    print(
        f"two IHC readers, classes 0 (with ultralow), 1+, 2+, 3+: kappa {cohen_kappa_score(*four):.2f}, "
        f"agreement {np.mean(four[0] == four[1]):.2f}"
    )


def best_scores() -> None:
    """Print what the best possible model reaches on the default cohort."""
    from features.synthetic import simulate_cohort
    from features.synthetic.oracle import bayes_optimal

    print("best attainable on the default cohort:")
    print(bayes_optimal(simulate_cohort(100_000, 1).truth).round(3).to_string(index=False))


def worlds() -> None:
    """Print the time of what the literature prior needs: 60 worlds of 1,500 patients."""
    from features.synthetic import simulate_cohort

    start = time.perf_counter()
    for world in range(1, 61):
        simulate_cohort(1_500, world, world=world)
    print(f"60 worlds x 1,500 patients: {time.perf_counter() - start:.1f} s")


def timing(patients: int, threads: int) -> None:
    """Print time, peak memory and digest of large files, each written by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [(patients // 10, threads), (patients, 1), (patients, threads)]
        for suffix in (".csv", ".parquet"):
            for count, workers in runs:
                target = Path(folder) / f"cohort{suffix}"
                command = [sys.executable, "-m", "benchmarks.simulator", "--write-only", str(target)]
                subprocess.run([*command, "--patients", str(count), "--threads", str(workers)], check=True, cwd=PROJECT)


def _write(target: Path, patients: int, threads: int) -> None:
    from features.synthetic import write_cohort

    start = time.perf_counter()
    write_cohort(target, patients=patients, seed=1, threads=threads)
    seconds = time.perf_counter() - start
    peak = _peak_megabytes()
    digest = hashlib.sha256(target.read_bytes()).hexdigest()[:16]
    print(f"{patients:>9,} patients, {target.suffix}, {threads} threads: {seconds:5.1f} s, {peak:.0f} MB, {digest}")


def _peak_megabytes() -> float:
    """Return the peak memory of this process alone; `getrusage` would count what its parent held at the fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
