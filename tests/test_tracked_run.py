"""Training as MLflow holds it: runs, metrics, the model, its champion, and no patient anywhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from features.cohort import Cohort, CohortSource
from features.errors import AdcrError, InputError, TrackingError
from features.synthetic.cohort import simulate_cohort
from training import run_record
from training.bootstrap import Estimate
from training.champion import decide
from training.cli import compare, train
from training.comparison import compare as compare_runs
from training.model_bundle import ModelBundle, read_bundle
from training.run_store import RunStore, default_store, opened
from training.tracked_run import PROCESS_TAG, open_run, process_lives, process_stamp, process_tags, sweep_dead_runs
from training.train import TrainingResult
from training.train import train as train_cohort

Pair = tuple[Cohort, TrainingResult]
SCRIPT = """
import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

class Rows(PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        return model_input.assign(rows=len(model_input))[["rows"]]

mlflow.models.set_model(Rows())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which two models have been trained on the same cohort file."""
    place = tmp_path_factory.mktemp("work")
    table = simulate_cohort(90, 4, setting="metastatic").patients
    table["patient_id"] = [f"SECRET-{i:03d}" for i in range(90)]
    table.to_csv(place / "cohort.csv", index=False)
    (place / "script.py").write_text(SCRIPT)
    for extra in ([], ["--json", "--output", "bundle"]):
        done = adcr_train(place, *extra)
        assert done.exit_code == 0, done.output
        (place / f"printed{len(extra)}").write_text(done.stdout)
    return place


def adcr_train(place: Path, *options: str) -> Any:
    return invoke(
        place, train, "cohort.csv", "--endpoint", "objective_response", "--folds", "2", "--repeats", "1", *options
    )


def invoke(place: Path, command: Any, *arguments: str) -> Any:
    before = Path.cwd()
    os.chdir(place)
    try:
        return CliRunner().invoke(command, arguments, obj=place / "script.py")
    finally:
        os.chdir(before)


@pytest.fixture
def client(folder: Path) -> Any:
    with opened(default_store(folder)):
        from mlflow import MlflowClient

        yield MlflowClient()


def parents(client: Any) -> list[Any]:
    experiment = client.get_experiment_by_name("adcr")
    return list(client.search_runs([experiment.experiment_id], "tags.`adcr.kind` = 'training'"))


# -- what a run holds ----------------------------------------------------------------------------------------


def test_a_parent_run_has_each_metric_with_its_interval_and_one_child_per_candidate(client: Any) -> None:
    run = parents(client)[0]
    assert run.info.status == "FINISHED"
    for metric in ("auroc", "auprc", "brier", "log_loss", "calibration_slope", "calibration_intercept"):
        assert {metric, f"{metric}_low", f"{metric}_high"} <= run.data.metrics.keys()
    assert "log_loss_minus_logistic_core" in run.data.metrics
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {c.data.params["candidate"] for c in children} == {
        "mean_by_adc",
        "mean_by_her2",
        "mean_by_adc_her2",
        "logistic_core",
        "prior_alone",
        "lightgbm",
        "primed",
    }
    assert all(c.info.status == "FINISHED" for c in children)
    folds = client.get_metric_history(children[0].info.run_id, "fold_log_loss")
    assert [m.step for m in folds] == [0, 1]


def test_a_run_of_simulated_patients_says_so_in_name_and_tag(client: Any) -> None:
    run = parents(client)[0]
    assert run.info.run_name.endswith("(simulated)")
    assert run.data.tags["adcr.simulated"] == "true"
    assert len(run.data.tags["adcr.catalogue_sha256"]) == 64
    assert run.data.params["endpoint"] == "objective_response"


def test_the_cohort_is_linked_by_name_and_hash(client: Any) -> None:
    run = parents(client)[0]
    (linked,) = run.inputs.dataset_inputs
    assert linked.dataset.name == "cohort.csv"
    assert run.data.tags["adcr.cohort_sha256"].startswith(linked.dataset.digest)


def test_plots_and_the_shap_table_are_artifacts(client: Any) -> None:
    run = parents(client)[0]
    names = {a.path for f in ("plots", "explanations") for a in client.list_artifacts(run.info.run_id, f)}
    assert names == {
        "plots/roc.png",
        "plots/calibration.png",
        "plots/shap_summary.png",
        "explanations/explanation.json",
        "explanations/mean_abs_shap.json",
    }


def test_no_patient_id_reaches_mlflow_or_the_bundle(folder: Path, client: Any) -> None:
    kept = [folder / "mlflow.db", *(f for f in (folder / "mlartifacts").rglob("*") if f.is_file())]
    kept += list((folder / "bundle").iterdir())
    assert len(kept) > 8
    for file in kept:
        assert b"SECRET-" not in file.read_bytes(), file


def test_no_input_example_is_logged_and_every_number_of_the_signature_is_a_double(folder: Path) -> None:
    for file in (folder / "mlartifacts").rglob("*"):
        assert "input_example" not in file.name
    with opened(default_store(folder)):
        from mlflow.models import get_model_info

        signature = get_model_info("models:/adcr-objective_response/1").signature
    types = {c.name: (c.type.name, c.required) for c in signature.inputs.inputs}
    assert types["adc"] == ("string", True)
    assert types["her2_ihc"] == ("string", False)
    assert types["cdk12_amplified"] == ("double", False)
    assert {t for t, _ in types.values()} == {"string", "double"}
    assert [n for n, (_, required) in types.items() if required] == ["adc"]


def test_the_logged_model_loads_and_its_bundle_is_the_copy_beside_it(folder: Path) -> None:
    with opened(default_store(folder)):
        import mlflow

        model = mlflow.pyfunc.load_model("models:/adcr-objective_response/2")
        assert model.predict(pd.DataFrame({"adc": ["T-DM1", "T-DXd"]}))["rows"].tolist() == [2, 2]
        place = Path(mlflow.artifacts.download_artifacts("models:/adcr-objective_response/2"))
    logged = read_bundle(place / "artifacts" / "bundle")
    copied = read_bundle(folder / "bundle")
    assert logged.record == copied.record
    assert logged.model_text == copied.model_text


def test_the_printed_report_fits_the_screen_and_names_the_next_commands(folder: Path) -> None:
    text = (folder / "printed0").read_text()
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("SIMULATED PATIENTS")
    assert "adcr score FILE --model models:/adcr-objective_response" in text
    assert "Research use only" in text


def test_the_json_report_holds_the_same(folder: Path, client: Any) -> None:
    report = json.loads((folder / "printed3").read_text())
    run = client.get_run(report["run_id"])
    assert report["candidates"]["primed"]["auroc"]["value"] == run.data.metrics["auroc"]
    assert report["simulated"] is True
    assert report["champion"]["reason"] == run.data.tags["adcr.champion_reason"]


def test_training_leaves_the_surroundings_as_they_were(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    with opened(RunStore(f"sqlite:///{folder / 'mlflow.db'}", folder)):
        pass
    assert os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///elsewhere.db"
    assert default_store(folder) == RunStore("sqlite:///elsewhere.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with opened(default_store(folder)):
        pass
    assert "MLFLOW_TRACKING_URI" not in os.environ


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--name", "a/b"], "no name for a model"),
        (["--group", "hospital"], "no column 'hospital'"),
        (["--extra-features", "nonsense"], "column 'nonsense'"),
        (["--output", "script.py"], "something other than a model"),
    ],
)
def test_a_wrong_option_is_refused_before_a_run_is_opened(
    folder: Path, client: Any, options: list[str], told: str
) -> None:
    before = len(parents(client))
    done = adcr_train(folder, *options)
    assert isinstance(done.exception, AdcrError)
    assert told in str(done.exception)
    assert len(parents(client)) == before


def test_a_store_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, and never was one")
    with pytest.raises(TrackingError) as caught, opened(default_store(tmp_path)):
        pass
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


# -- how a run ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_breaks_off_is_closed(folder: Path, error: type[BaseException], status: str) -> None:
    store, experiment = default_store(folder), f"ends {status}"
    with pytest.raises(error), open_run(store, experiment, "run", {}):
        raise error
    with opened(store):
        from mlflow import MlflowClient

        client = MlflowClient()
        (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert run.info.status == status


def test_a_run_says_running_until_all_of_it_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cohort.csv", "script.py"):
        shutil.copy(folder / name, tmp_path)
    states = []
    log_report = run_record.log_report

    def watched(run: Any, document: Any) -> None:
        states.append(run.client.get_run(run.run_id).info.status)
        log_report(run, document)

    monkeypatch.setattr(run_record, "log_report", watched)
    assert adcr_train(tmp_path, "--no-prior", "--optimism", "0").exit_code == 0
    with opened(default_store(tmp_path)):
        import mlflow
        from mlflow import MlflowClient

        assert mlflow.active_run() is None
        states += [run.info.status for run in parents(MlflowClient())]
    assert states == ["RUNNING", "FINISHED"]


def test_a_run_whose_process_was_killed_is_ended_at_the_next_start(folder: Path) -> None:
    code = """
        import os, signal
        from pathlib import Path
        from training.run_store import default_store
        from training.tracked_run import open_run
        with open_run(default_store(Path(os.environ["PLACE"])), "swept", "killed", {}) as run:
            run.client.create_logged_model(run.experiment_id, name="half", source_run_id=run.run_id)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PLACE": str(folder)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    store = default_store(folder)
    with open_run(store, "swept", "next", {}) as run:
        states = {r.info.run_name: r.info.status for r in run.client.search_runs([run.experiment_id])}
        assert states == {"killed": "FAILED", "next": "RUNNING"}
        assert sweep_dead_runs(run.client, run.experiment_id) == []
        (model,) = run.client.search_logged_models([run.experiment_id])
        assert str(model.status) == "FAILED"


def test_a_candidate_that_was_being_written_when_its_process_died_is_ended_too(tmp_path: Path) -> None:
    store = default_store(tmp_path)
    with open_run(store, "children", "killed", {}) as run:
        parent = {"mlflow.parentRunId": run.run_id}
        dead = process_tags() | {PROCESS_TAG: f"{os.getpid()}@1"}
        for name, tags in {"new": dead, "older": {"mlflow.source.name": "adcr train"}, "foreign": {}}.items():
            run.client.create_run(run.experiment_id, run_name=name, tags={**parent, **tags})
    with open_run(store, "children", "next", {}) as run:
        states = {r.info.run_name: r.info.status for r in run.client.search_runs([run.experiment_id])}
    ended = {"killed": "FINISHED", "new": "FAILED", "older": "FAILED"}
    assert states == {**ended, "foreign": "RUNNING", "next": "RUNNING"}


def test_a_process_number_that_is_used_again_is_not_the_same_process() -> None:
    stamp = process_stamp(os.getpid())
    assert process_lives(stamp)
    if "@" in stamp:
        assert not process_lives(f"{os.getpid()}@1")
    assert not process_lives("999999999")


def test_several_processes_may_open_an_empty_store_at_once(tmp_path: Path) -> None:
    code = """
        import os
        from pathlib import Path
        from training.run_store import default_store
        from training.tracked_run import open_run
        with open_run(default_store(Path(os.environ["PLACE"])), "together", "one", {}):
            pass
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    started = [subprocess.Popen(command, env={**os.environ, "PLACE": str(tmp_path)}) for _ in range(3)]
    assert [p.wait() for p in started] == [0, 0, 0]


# -- champion ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair() -> Pair:
    table = simulate_cohort(100, 8, setting="metastatic").patients
    cohort = Cohort(CohortSource("c.csv", None, "d" * 64, "simulated"), table, tuple(range(2, 102)), 100)
    return cohort, train_cohort(cohort, "objective_response", folds=2, repeats=1)


def judged(result: TrainingResult, *, better: bool) -> Any:
    """The result as if it beat the baselines, or as if it did not."""
    difference = Estimate(-0.1, -0.2, -0.05) if better else Estimate(-0.1, -0.2, 0.05)
    return SimpleNamespace(
        **{f: getattr(result, f) for f in ("candidates", "endpoint", "record", "held_out", "table", "model")},
        differences=lambda _: {c.id: difference for c in result.candidates if c.baseline},
    )


def champion(result: TrainingResult, log_odds: np.ndarray, **stamp: Any) -> ModelBundle:
    import msgspec

    cohort = msgspec.structs.replace(result.record.cohort, **stamp)
    record = msgspec.structs.replace(result.record, cohort=cohort, held_out_log_odds=tuple(map(float, log_odds)))
    return ModelBundle(record, result.model_text, Path())


def test_a_model_that_does_not_beat_every_baseline_never_becomes_champion(pair: Pair) -> None:
    cohort, result = pair
    decision = decide(judged(result, better=False), cohort, None)
    assert not decision.moves
    assert "'logistic, core five'" in decision.reason


def test_the_first_model_that_beats_every_baseline_becomes_champion(pair: Pair) -> None:
    cohort, result = pair
    assert decide(judged(result, better=True), cohort, None).moves


def test_a_champion_of_the_same_cohort_is_compared_by_its_held_out_predictions(
    pair: tuple[Cohort, TrainingResult],
) -> None:
    cohort, result = pair
    same = decide(judged(result, better=True), cohort, champion(result, np.asarray(result.record.held_out_log_odds)))
    assert not same.moves
    assert same.difference.value == 0
    terrible = np.where(result.held_out.outcome == 1, -3.0, 3.0)
    beaten = decide(judged(result, better=True), cohort, champion(result, terrible))
    assert beaten.moves
    assert beaten.difference.high < 0
    oracle = decide(judged(result, better=True), cohort, champion(result, -terrible))
    assert not oracle.moves


def test_a_champion_of_another_cohort_is_applied_to_this_one(pair: Pair) -> None:
    cohort, result = pair
    other = champion(result, np.zeros(3), sha256="e" * 64)
    decision = decide(judged(result, better=True), cohort, other)
    assert "external validation" in decision.reason
    # The champion's trees have seen these very patients here, so cross-validation cannot beat them.
    assert not decision.moves


def test_simulated_patients_never_replace_real_ones_and_endpoints_are_never_mixed(
    pair: tuple[Cohort, TrainingResult],
) -> None:
    cohort, result = pair
    real = champion(result, np.zeros(100), kind="measured")
    assert "simulated" in decide(judged(result, better=True), cohort, real).reason
    other = replace(real, record=replace_endpoint(real))
    assert "another endpoint" in decide(judged(result, better=True), cohort, other).reason


def replace_endpoint(bundle: ModelBundle) -> Any:
    import msgspec

    return msgspec.structs.replace(bundle.record, endpoint="pcr")


# -- compare -------------------------------------------------------------------------------------------------


def test_compare_prints_runs_side_by_side_as_text_json_and_csv(folder: Path) -> None:
    text = invoke(folder, compare).output
    assert text.count("adcr-objective_response on cohort.csv (simulated)") == 2
    assert "auroc" in text
    assert "calibration_slope" in text
    content = json.loads(invoke(folder, compare, "--format", "json").output)
    assert len(content["runs"]) == 2
    csv = invoke(folder, compare, "--format", "csv").output.splitlines()
    assert len(csv) == 3
    assert csv[0].startswith("run_id,name,started,status,endpoint,cohort,simulated")


def test_compare_says_which_experiments_and_metrics_there_are(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are: adcr"):
        compare_runs("other", store=default_store(folder))
    with pytest.raises(InputError, match="log_loss_minus_logistic_core"):
        compare_runs("adcr", ["accuracy"], store=default_store(folder))
    with pytest.raises(TrackingError, match="Run 'adcr train' first"):
        compare_runs("adcr", store=default_store(tmp_path))


@pytest.mark.parametrize("command", [train, compare])
def test_every_option_has_help(command: Any) -> None:
    options = [p for p in command.params if p.param_type_name == "option"]
    assert options
    assert all(p.help for p in options)
    assert command.help
