"""The tracked runs of an experiment side by side, as text, JSON or CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from features.errors import InputError, TrackingError
from training.run_store import RunStore, default_store, opened, store_exists
from training.text_lines import line_width
from training.tracked_run import KIND_TAG, sweep_dead_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

Format = Literal["text", "json", "csv"]
#: Shown unless the user names others; all that training logs are in the JSON and CSV.
DEFAULT_METRICS = ("auroc", "log_loss", "brier", "calibration_slope")
#: Runs are read in pages of this many, and no more than this many in all.
_PAGE, _MOST_RUNS = 500, 5000
#: What MLflow calls the end of a run that Ctrl-C or the machine broke off.
_STATUS = {"KILLED": "broken off"}


class ComparedRun(msgspec.Struct, frozen=True):
    """One parent run."""

    run_id: str
    name: str
    #: UTC, to the minute
    started: str
    status: str
    endpoint: str
    cohort: str
    simulated: bool
    model_version: str
    champion: str
    metrics: dict[str, float]
    parameters: dict[str, str] = {}


@dataclass(frozen=True)
class Comparison:
    """Runs of an experiment, newest first."""

    experiment: str
    runs: tuple[ComparedRun, ...]
    metrics: tuple[str, ...]

    def render(self, form: Format) -> str:
        """Write the runs side by side.

        Parameters
        ----------
        form : {"text", "json", "csv"}

        Returns
        -------
        str
        """
        return {"text": _text, "json": _json, "csv": _csv}[form](self)


def compare(experiment: str, metrics: Sequence[str] = (), *, store: RunStore | None = None) -> Comparison:
    """Read the runs of an experiment.

    Parameters
    ----------
    experiment : str
    metrics : sequence of str, optional
        Metrics to show; `DEFAULT_METRICS` by default.
    store : RunStore, optional
        That of the working folder by default.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        There is no such experiment, or no run has such a metric.
    TrackingError
        There is no store, or it cannot be used.
    """
    store = store or default_store()
    if not store_exists(store):
        raise TrackingError(
            "There are no tracked runs in this folder.",
            where=str(store.folder),
            mend="Run 'adcr train' first, go to the folder it ran in, or set MLFLOW_TRACKING_URI.",
        )
    with opened(store):
        from mlflow import MlflowClient

        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(sorted(e.name for e in client.search_experiments() if e.name != "Default"))
            mend = f"There are: {names}." if names else "Run 'adcr train' first."
            raise InputError(f"There is no experiment '{experiment}'.", where="--experiment", mend=mend)
        sweep_dead_runs(client, found.experiment_id)
        runs = tuple(_compared(run) for run in _parents(client, found.experiment_id))
    _require_metrics(runs, metrics)
    return Comparison(experiment, runs, tuple(metrics) or DEFAULT_METRICS)


def _parents(client: Any, experiment_id: str) -> list[Any]:
    runs: list[Any] = []
    token = None
    while len(runs) < _MOST_RUNS:
        page = client.search_runs(
            [experiment_id], f"tags.`{KIND_TAG}` = 'training'", max_results=_PAGE, page_token=token
        )
        runs += page
        token = page.token
        if not token:
            break
    return runs


def _compared(run: Any) -> ComparedRun:
    tags = run.data.tags
    started = datetime.fromtimestamp(run.info.start_time / 1000, tz=UTC)
    return ComparedRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        started=started.strftime("%Y-%m-%d %H:%M"),
        status=run.info.status,
        endpoint=tags.get("adcr.endpoint", ""),
        cohort=tags.get("adcr.cohort", ""),
        simulated=tags.get("adcr.simulated") == "true",
        model_version=tags.get("adcr.model_version", ""),
        champion=tags.get("adcr.champion", ""),
        metrics=dict(sorted(run.data.metrics.items())),
        parameters=dict(sorted(run.data.params.items())),
    )


def _require_metrics(runs: tuple[ComparedRun, ...], metrics: Sequence[str]) -> None:
    known = {m for run in runs for m in run.metrics if not m.endswith(("_low", "_high"))}
    for metric in metrics:
        if runs and metric not in known:
            raise InputError(
                f"No run has a metric '{metric}'.", where="--metric", mend=f"There are: {', '.join(sorted(known))}."
            )


def _text(comparison: Comparison) -> str:
    """Blocks of as many metrics as fit beside each other."""
    if not comparison.runs:
        return f"Experiment '{comparison.experiment}' has no training runs."
    runs = f"{len(comparison.runs)} run{'' if len(comparison.runs) == 1 else 's'}"
    lines = [f"Experiment '{comparison.experiment}', {runs}, newest first, times in UTC. 95% intervals.", ""]
    for number, run in enumerate(comparison.runs, 1):
        marks = [_STATUS.get(run.status, run.status.lower())] if run.status != "FINISHED" else []
        marks += ["SIMULATED"] if run.simulated else []
        marks += ["became champion"] if run.champion == "yes" else []
        patients, events = run.metrics.get("patients"), run.metrics.get("events")
        counts = "" if patients is None else f", {patients:.0f} patients, {events or 0:.0f} events"
        lines.append(f"{number:>3}  {run.started}  {run.name}{counts}")
        lines.append(f"     {'; '.join([run.model_version or 'no model', *marks])}; run {run.run_id}")
    width = 21
    shown = max(1, (line_width() - 5) // width)
    for start in range(0, len(comparison.metrics), shown):
        block = comparison.metrics[start : start + shown]
        lines += ["", " " * 5 + "".join(f"{m:<{width}}" for m in block).rstrip()]
        for number, run in enumerate(comparison.runs, 1):
            lines.append(f"{number:>3}  " + "".join(f"{_cell(run, m):<{width}}" for m in block).rstrip())
    return "\n".join(lines)


def _cell(run: ComparedRun, metric: str) -> str:
    value, low, high = (run.metrics.get(metric + end) for end in ("", "_low", "_high"))
    if value is None:
        return "-"
    return f"{value:z.3f}" if low is None or high is None else f"{value:z.3f} ({low:z.2f}, {high:z.2f})"


def _json(comparison: Comparison) -> str:
    content = {"experiment": comparison.experiment, "runs": comparison.runs}
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _csv(comparison: Comparison) -> str:
    import csv
    import io

    metrics = sorted({m for run in comparison.runs for m in run.metrics})
    fixed = [f for f in ComparedRun.__struct_fields__ if f not in ("metrics", "parameters")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*fixed, *metrics])
    for run in comparison.runs:
        cells = [_harmless(getattr(run, f)) for f in fixed]
        writer.writerow([*cells, *(run.metrics.get(m, "") for m in metrics)])
    return out.getvalue().rstrip("\n")


def _harmless(value: object) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
