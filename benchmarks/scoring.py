"""Batch scoring side by side in one run: `adcr score`, the bare stages, LightGBM, shap and MLflow; speed and memory.

    python -m benchmarks.scoring                              # 10 thousand and 1 million rows
    python -m benchmarks.scoring --rows 10000                 # a look
    python -m benchmarks.scoring --rows 1000000 10000000 --only adcr --only bare

Every contender is a process of its own, so that its peak memory is its own; wall and CPU time hold its start-up too,
as a user waits for it. The data: 34 numeric columns, 15% of them missing, and 6 categorical ones, under names of the
catalogue; the model has 300 trees of 15 leaves. LightGBM's contributions and shap explain 2,200 rows a second, so they
are timed on at most --explained rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NUMERIC, CATEGORICAL, MISSING = 34, 6, 0.15
TRAINING_PATIENTS = 20_000
TREES, LEAVES = 300, 15
_CHUNK = 250_000


@dataclass(frozen=True)
class Measured:
    """What a process took.

    Attributes
    ----------
    seconds, cpu : float
        Wall and CPU time of the process and its children.
    megabytes : float
        Peak resident memory of its largest process.
    """

    seconds: float
    cpu: float
    megabytes: float


def main() -> None:
    """Prepare data and model, and run what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--explained", type=int, default=20_000, help="rows that slow explainers are timed on")
    parser.add_argument("--only", action="append", choices=sorted(CONTENDERS), help="contenders to run; all by default")
    parser.add_argument("--repeats", type=int, default=1, help="of each contender; the fastest counts")
    parser.add_argument("--folder", type=Path, help="where data are kept between runs; temporary by default")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--prepare", nargs=2, metavar=("FOLDER", "ROWS"), help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=3, metavar=("NAME", "FOLDER", "ROWS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        name, folder, rows = options.run
        CONTENDERS[name](Path(folder), int(rows))
        return
    if options.prepare:
        prepare_model(Path(options.prepare[0]))
        prepare_data(Path(options.prepare[0]), int(options.prepare[1]))
        return
    if options.folder:
        options.folder.mkdir(exist_ok=True)
        _compare(options, options.folder)
    else:
        with tempfile.TemporaryDirectory(prefix="adcr-scoring-") as folder:
            _compare(options, Path(folder))


def _compare(options: argparse.Namespace, folder: Path) -> None:
    figures: dict[str, Any] = {"processors": len(os.sched_getaffinity(0)), "start_up": _start_up()}
    for name, milliseconds in figures["start_up"].items():
        print(f"{name:<44}{milliseconds:>9.0f} ms", flush=True)
    for rows in options.rows:
        _prepare(folder, rows)
        print(f"\n{rows:,} rows{'':<24}{'seconds':>9}{'rows/s':>12}{'CPU':>7}{'MB':>7}", flush=True)
        for name in options.only or CONTENDERS:
            done = min(rows, options.explained) if name in _SLOW else rows
            found = min((_run(name, folder, rows, done) for _ in range(options.repeats)), key=lambda m: m.seconds)
            busy = found.cpu / found.seconds / figures["processors"]
            note = "" if done == rows else f"   of {done:,} rows"
            speed = f"{found.seconds:>9.2f}{done / found.seconds:>12,.0f}"
            print(f"  {name:<30}{speed}{busy:>7.0%}{found.megabytes:>7.0f}{note}", flush=True)
            figures[f"{name} {rows}"] = {"rows": done, **found.__dict__, "busy": busy}
    _print_ratios(figures, options.rows)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _prepare(folder: Path, rows: int) -> None:
    """Prepare in another process: on Linux a process begins with its parent's peak memory as its own."""
    command = [sys.executable, "-m", "benchmarks.scoring", "--prepare", str(folder), str(rows)]
    subprocess.run(command, check=True, capture_output=True)


def _print_ratios(figures: dict[str, Any], sizes: list[int]) -> None:
    def ratio(what: str, slow: str, fast: str, rows: int) -> None:
        if f"{slow} {rows}" in figures and f"{fast} {rows}" in figures:
            a, b = figures[f"{slow} {rows}"], figures[f"{fast} {rows}"]
            times = (a["seconds"] / a["rows"]) / (b["seconds"] / b["rows"])
            print(f"  {what:<60}{times:>8.1f} times at {rows:,}")

    print()
    for rows in sizes:
        ratio("adcr without reasons beside mlflow models predict", "mlflow models predict", "adcr", rows)
        ratio("adcr with three reasons beside mlflow models predict", "mlflow models predict", "adcr reasons", rows)
        ratio("adcr beside the bare stages (1 is as fast)", "bare", "adcr", rows)
    for name in ("adcr", "adcr reasons"):
        peaks = [figures[f"{name} {rows}"]["megabytes"] for rows in sizes if f"{name} {rows}" in figures]
        if len(peaks) > 1:
            grown = f"{peaks[-1] / peaks[-2]:.2f} times from {sizes[-2]:,} to {sizes[-1]:,} rows"
            print(f"  {name}: peak memory grows {grown}")


def _run(name: str, folder: Path, rows: int, done: int) -> Measured:
    """Run a contender in a process of its own."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.scoring", "--run", name, str(folder), str(rows)]
    environment = {**os.environ, "ADCR_BENCHMARK_ROWS": str(done)}
    # The child tells its own peak: what the parent knows is the largest of all its children so far.
    told = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, float(told.strip().splitlines()[-1]))


def _tell_peak() -> None:
    import resource

    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(max(peaks) / 1024)


# -- data and model ----------------------------------------------------------------------------------------------


def _columns() -> tuple[list[Any], list[Any]]:
    """Numeric and categorical measures of the catalogue that any value of a range may be written for."""
    from features.biomarkers import measures

    numeric = [m for m in measures().values() if m.kind == "numeric" and m.unit == "z-score"][:NUMERIC]
    categorical = [m for m in measures().values() if m.levels and len(m.levels) > 2]
    return numeric, categorical[:CATEGORICAL]


def _draw(rows: int, seed: int, first: int) -> Any:
    import pandas as pd

    rng = np.random.default_rng(seed)
    numeric, categorical = _columns()
    adc = rng.choice(["T-DM1", "T-DXd"], rows)
    table: dict[str, Any] = {"patient_id": [f"B{first + i:09d}" for i in range(rows)], "adc": adc}
    for measure in numeric:
        values = np.round(rng.normal(size=rows), 3)
        values[rng.random(rows) < MISSING] = np.nan
        table[measure.id] = values
    for measure in categorical:
        levels = np.array(measure.levels, dtype=object)[rng.integers(len(measure.levels), size=rows)]
        levels[rng.random(rows) < MISSING] = None
        table[measure.id] = levels
    return pd.DataFrame(table)


def prepare_data(folder: Path, rows: int) -> None:
    """Write a cohort file of so many rows."""
    path = folder / f"{rows}.csv"
    if path.exists():
        return
    new = path.with_suffix(".new")
    for number, first in enumerate(range(0, rows, _CHUNK)):
        part = _draw(min(_CHUNK, rows - first), 100 + number, first)
        part.to_csv(new, index=False, mode="a" if number else "w", header=number == 0)
    new.rename(path)


def prepare_model(folder: Path) -> None:
    """Train a bundle of 300 trees, and an MLflow model of as many that takes the same file."""
    if (folder / "bundle").exists():
        return
    import lightgbm
    import msgspec

    from features.cohort import Cohort, CohortSource
    from features.feature_table import build_schema, encode
    from training.bundle_record import training_ranges
    from training.literature_model import literature_folder
    from training.model_bundle import read_bundle, seal, write_bundle
    from training.small_boosters import safe_names

    patients = _draw(TRAINING_PATIENTS, 1, 0)
    texts = [name for name in patients if patients[name].dtype == object]
    patients = patients.astype(dict.fromkeys(texts, "str"))
    source = CohortSource("benchmark.csv", None, "0" * 64)
    cohort = Cohort(source, patients, tuple(range(len(patients))), len(patients))
    schema = build_schema(cohort)
    matrix = encode(patients, schema)
    signal = np.nan_to_num(matrix.to_numpy()) @ np.random.default_rng(2).normal(size=matrix.shape[1]) / 4
    outcome = np.random.default_rng(3).random(len(matrix)) < 1 / (1 + np.exp(-signal))
    nominal = [j for j, column in enumerate(schema.columns) if column.kind == "categorical"]
    names = safe_names(schema.columns)
    data = lightgbm.Dataset(matrix.to_numpy(), outcome, categorical_feature=nominal, feature_name=names)
    settings = {"objective": "binary", "num_leaves": LEAVES, "max_depth": 6, "verbose": -1, "num_threads": 2}
    booster = lightgbm.train(settings, data, TREES)
    text = booster.model_to_string()
    base = read_bundle(literature_folder("objective_response")).record
    record = msgspec.structs.replace(
        base,
        model_name="benchmark",
        schema=schema,
        training_ranges=training_ranges(matrix, schema),
        cohort=msgspec.structs.replace(base.cohort, kind="measured", adcs={"T-DM1": 10_000, "T-DXd": 10_000}),
    )
    write_bundle(folder / "bundle", seal(record, text), text)
    _write_mlflow(folder, patients, outcome)


def _write_mlflow(folder: Path, patients: Any, outcome: Any) -> None:
    """Write the scikit-learn pipeline that takes the same file: texts to codes, then as many such trees."""
    import mlflow.sklearn
    from lightgbm import LGBMClassifier
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    texts = [name for name in patients if patients[name].dtype == "str" and name != "patient_id"]
    numbers = [name for name in patients if name not in (*texts, "patient_id")]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((codes, texts), ("passthrough", numbers))
    classifier = LGBMClassifier(n_estimators=TREES, num_leaves=LEAVES, max_depth=6, verbose=-1, n_jobs=2)
    pipeline = make_pipeline(columns, classifier)
    pipeline.fit(patients, outcome, lgbmclassifier__categorical_feature=list(range(len(texts))))
    kept = {"pip_requirements": ["lightgbm", "scikit-learn"], "serialization_format": "cloudpickle"}
    mlflow.sklearn.save_model(pipeline, folder / "mlflow", **kept)


def _bundle(folder: Path) -> Any:
    from training.model_bundle import read_bundle

    return read_bundle(folder / "bundle")


def _encoded(folder: Path, rows: int) -> Any:
    """Encode the first rows of a file; not streamed."""
    from features.cohort_opening import open_cohort
    from features.feature_table import encode_columns

    most = int(os.environ.get("ADCR_BENCHMARK_ROWS", str(rows)))
    record = _bundle(folder).record
    stream = open_cohort(folder / f"{rows}.csv")
    parts, met = [], 0
    for block in stream.blocks():
        for batch in stream.read(block):
            parts.append(encode_columns(batch.columns, len(batch), record.schema))
            met += len(batch)
        if met >= most:
            break
    return np.ascontiguousarray(np.concatenate(parts)[:most])


# -- contenders --------------------------------------------------------------------------------------------------


def _adcr(folder: Path, rows: int, *options: str) -> None:
    import adcr

    out = folder / "out.parquet"
    file = str(folder / f"{rows}.csv")
    assert adcr.main(["score", file, "--model", str(folder / "bundle"), "-o", str(out), "--quiet", *options]) == 0
    _tell_peak()


def adcr_score(folder: Path, rows: int) -> None:
    """`adcr score --no-reasons`."""
    _adcr(folder, rows, "--no-reasons")


def adcr_reasons(folder: Path, rows: int) -> None:
    """`adcr score` with three reasons."""
    _adcr(folder, rows)


def bare(folder: Path, rows: int) -> None:
    """PyArrow reads, the kernel predicts, PyArrow writes; nothing is checked, and all threads are used."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    from features.in_order import in_order, processors
    from serving.tree_kernel import TreeKernel, read_trees

    record = _bundle(folder).record
    kernel = TreeKernel(read_trees(_bundle(folder).model_text))
    kernel.predict(np.full((1, len(record.schema.columns)), np.nan))
    # Told what the columns hold: to find out takes Arrow as long as to read them.
    read = [c for c in record.schema.columns if c.source == "biomarker"]
    told = csv.ConvertOptions(column_types={c.name: pa.string() if c.levels else pa.float64() for c in read})
    reader = csv.open_csv(folder / f"{rows}.csv", csv.ReadOptions(block_size=8 * 2**20), convert_options=told)

    def predicted(batch: Any) -> Any:
        matrix = np.full((batch.num_rows, len(record.schema.columns)), np.nan, order="F")
        for j, column in enumerate(record.schema.columns):
            if column.source == "biomarker":
                cells = batch.column(column.name)
                if pa.types.is_floating(cells.type):
                    matrix[:, j] = cells.to_numpy(zero_copy_only=False)
                else:
                    codes = cells.dictionary_encode()
                    places = {level: float(i) for i, level in enumerate(column.levels)}
                    lookup = np.array([*(places.get(t, np.nan) for t in codes.dictionary.to_pylist()), np.nan])
                    matrix[:, j] = lookup[codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
        return pa.table([batch.column("patient_id"), pa.array(kernel.predict(matrix))], names=["patient_id", "score"])

    schema = pa.schema([("patient_id", pa.string()), ("score", pa.float64())])
    with parquet.ParquetWriter(folder / "bare.parquet", schema, compression="zstd") as writer:
        for table in in_order(predicted, reader, threads=processors()):
            writer.write_table(table)
    _tell_peak()


def lightgbm_predict(folder: Path, rows: int) -> None:
    """`Booster.predict` on the encoded matrix, both threads."""
    matrix = _encoded(folder, rows)
    import lightgbm

    lightgbm.Booster(model_str=_bundle(folder).model_text).predict(matrix, raw_score=True, num_threads=2)
    _tell_peak()


def lightgbm_contributions(folder: Path, rows: int) -> None:
    """`Booster.predict(pred_contrib=True)`, both threads."""
    matrix = _encoded(folder, rows)
    import lightgbm

    lightgbm.Booster(model_str=_bundle(folder).model_text).predict(matrix, pred_contrib=True, num_threads=2)
    _tell_peak()


def shap_tree_explainer(folder: Path, rows: int) -> None:
    """`shap.TreeExplainer`."""
    matrix = _encoded(folder, rows)
    import lightgbm
    import shap

    shap.TreeExplainer(lightgbm.Booster(model_str=_bundle(folder).model_text)).shap_values(matrix)
    _tell_peak()


def mlflow_models_predict(folder: Path, rows: int) -> None:
    """`mlflow models predict`, CSV to JSON."""
    script = Path(sys.executable).with_name("mlflow")
    command = [str(script), "models", "predict", "-m", str(folder / "mlflow"), "--env-manager", "local"]
    paths = ["-i", str(folder / f"{rows}.csv"), "-o", str(folder / "out.json"), "-t", "csv"]
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}
    subprocess.run([*command, *paths], check=True, capture_output=True, env=environment)
    _tell_peak()


def mlflow_pyfunc(folder: Path, rows: int) -> None:
    """`mlflow.pyfunc.load_model(...).predict` on a data frame, read by pandas and written as Parquet."""
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    import mlflow.pyfunc
    import pandas as pd

    frame = pd.read_csv(folder / f"{rows}.csv")
    model = mlflow.pyfunc.load_model(str(folder / "mlflow"))
    pd.DataFrame({"score": model.predict(frame)}).to_parquet(folder / "pyfunc.parquet")
    _tell_peak()


CONTENDERS = {
    "adcr": adcr_score,
    "adcr reasons": adcr_reasons,
    "bare": bare,
    "lightgbm predict": lightgbm_predict,
    "lightgbm contributions": lightgbm_contributions,
    "shap TreeExplainer": shap_tree_explainer,
    "mlflow models predict": mlflow_models_predict,
    "mlflow pyfunc": mlflow_pyfunc,
}
_SLOW = ("lightgbm contributions", "shap TreeExplainer")


# -- start-up ----------------------------------------------------------------------------------------------------


def _start_up() -> dict[str, float]:
    """Milliseconds until a process is done, the fastest of five."""

    def milliseconds(*command: str) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            times.append((time.perf_counter() - start) * 1000)
        return min(times)

    program = str(Path(__file__).resolve().parent.parent / "adcr.py")
    with tempfile.TemporaryDirectory(prefix="adcr-start-") as folder:
        _prepare(Path(folder), 100)
        score = ("score", f"{folder}/100.csv", "--model", f"{folder}/bundle", "-o", f"{folder}/o.csv")
        return {
            "python -c pass": milliseconds("-c", "pass"),
            "adcr --help": milliseconds(program, "--help"),
            "adcr score, 100 rows with reasons": milliseconds(program, *score),
        }


if __name__ == "__main__":
    main()
