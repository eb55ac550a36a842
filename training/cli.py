"""The commands `adcr train` and `adcr compare`: each parses its options and calls one function."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from features.command_options import PATH, encoding_option, json_option, map_option, sheet_option

_EXPERIMENT = click.option(
    "--experiment", default="adcr", show_default=True, metavar="NAME", help="MLflow experiment that holds the runs."
)


@click.command()
@click.argument("file", type=PATH)
@click.option(
    "--endpoint",
    type=click.Choice(["pcr", "objective_response"]),
    required=True,
    help="Outcome to predict: pathological complete response, or objective response (RECIST).",
)
@click.option("--group", metavar="COLUMN", help="Column whose patients are never split, such as site or cohort.")
@click.option("--name", metavar="NAME", help="Name that the model is registered by (default: adcr-<endpoint>).")
@click.option(
    "--extra-features",
    metavar="COLUMN,...",
    default="",
    help="Columns outside the catalogue to learn from too, as plain numbers or categories.",
)
@_EXPERIMENT
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Equal seeds give equal models."
)
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    metavar="N",
    default=5,
    show_default=True,
    help="Parts of the cross-validation.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 50),
    metavar="N",
    default=5,
    show_default=True,
    help="Repeats with other splits.",
)
@map_option
@sheet_option
@encoding_option
@click.option("--no-prior", is_flag=True, help="Learn from the cohort alone, without what the literature expects.")
@click.option("--tune", is_flag=True, help="Search the settings of the trees inside every training part (minutes).")
@click.option("--learning-curve", is_flag=True, help="Refit on growing parts: how good with fewer patients?")
@click.option(
    "--leave-out", is_flag=True, help="Refit without each mechanism step and core biomarker: what is lost (minutes)?"
)
@click.option(
    "--question",
    type=click.Choice(["new-patients", "new-cohort", "new-site", "new-adc"]),
    default="new-patients",
    show_default=True,
    help="Whom the held-out patients stand for; all but the first hold out one cohort, site or drug at a time.",
)
@click.option(
    "--optimism",
    type=click.IntRange(0, 1000),
    metavar="N",
    default=None,
    help="Refits on resamples by which apparent performance is corrected; 0 for none (default: 30, tuned 15).",
)
@click.option("--ignore", multiple=True, metavar="CODE", help="Check to silence (ADC002); repeat it for several.")
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Folder for a copy of the model, beside MLflow's.")
@click.option("--report", type=PATH, metavar="DIR", help="Folder for a copy of report.html and report.json.")
@click.option(
    "--engine",
    type=click.Choice(["threads", "dask"]),
    default="threads",
    show_default=True,
    help="Where folds, resamples and searches run: threads of this machine, or workers of a Dask cluster.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler (default: a cluster of this machine).")
@json_option
@click.pass_obj
def train(
    model_script: Path | None,
    file: Path,
    endpoint: Literal["pcr", "objective_response"],
    group: str | None,
    name: str | None,
    extra_features: str,
    experiment: str,
    seed: int,
    folds: int,
    repeats: int,
    mapping: str | None,
    sheet: str | None,
    encoding: str | None,
    no_prior: bool,
    tune: bool,
    learning_curve: bool,
    leave_out: bool,
    question: Literal["new-patients", "new-cohort", "new-site", "new-adc"],
    optimism: int | None,
    ignore: tuple[str, ...],
    output: Path | None,
    report: Path | None,
    engine: Literal["threads", "dask"],
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Train a model of response on the cohort FILE, compare it with naive baselines, and track everything in MLflow.

    FILE is CSV, TSV, Excel or Parquet, one row per treated patient. Runs go to mlflow.db and mlartifacts/ in this
    folder, or to MLFLOW_TRACKING_URI. Research use only; never a treatment recommendation.
    """
    from training.training_session import TrainingRequest, find_model_script, train_file
    from training.training_text import session_json, session_text

    request = TrainingRequest(
        file=file,
        endpoint=endpoint,
        model_script=model_script or find_model_script(),
        group=group,
        name=name,
        extra_features=tuple(part.strip() for part in extra_features.split(",") if part.strip()),
        experiment=experiment,
        seed=seed,
        folds=folds,
        repeats=repeats,
        mapping=mapping,
        sheet=sheet,
        encoding=encoding,
        output=output,
        report=report,
        prior=not no_prior,
        tune=tune,
        learning_curve=learning_curve,
        leave_out=leave_out,
        question=question,
        optimism=optimism,
        ignore=ignore,
        engine="dask" if scheduler else engine,
        scheduler=scheduler,
    )
    session = train_file(request)
    click.echo(session_json(session) if as_json else session_text(session))


@click.command()
@_EXPERIMENT
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Metric to show, such as auroc or log_loss_minus_logistic_core; repeat it for several.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="JSON and CSV hold every metric.",
)
@click.option("--html", type=PATH, metavar="FILE", help="Page to write too, with settings that differ and pictures.")
def compare(experiment: str, metrics: tuple[str, ...], form: Literal["text", "json", "csv"], html: Path | None) -> None:
    """Print the tracked training runs of an experiment side by side, newest first."""
    from training.comparison import compare as compare_runs

    found = compare_runs(experiment, metrics)
    if html:
        from features.report.page import page
        from features.whole_file import write_whole
        from training.report.of_comparison import comparison_document

        write_whole(html, page(comparison_document(found)))
    click.echo(found.render(form))
