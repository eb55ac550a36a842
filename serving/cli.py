"""The commands `adcr score`, `explain`, `validate` and `ui`: each parses its options and calls one function."""

from __future__ import annotations

from pathlib import Path

import click

from features.command_options import PATH, encoding_option, json_option, map_option, sheet_option


class ModelFirst(click.Command):
    """A command `MODEL FILE` that also takes `FILE --model MODEL`, the way of `adcr score`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the model first, and refuse a file in its place."""
        if "--model" in args[:-1]:
            at = args.index("--model")
            args = [args[at + 1], *args[:at], *args[at + 2 :]]
        rest = super().parse_args(ctx, args)
        model, file = ctx.params.get("model"), ctx.params.get("file")
        if model and file and Path(model).is_file() and file.is_dir():
            raise click.UsageError(f"MODEL comes before FILE: {ctx.command_path} {file} {model}", ctx)
        return rest


_PSEUDONYMISE = click.option(
    "--pseudonymise", is_flag=True, help="Write a keyed hash in place of each id; the key is in ADCR_PSEUDONYM_KEY."
)
#: Parameter of glibc's mallopt, and the bytes from which an array gets memory of its own.
_MMAP_THRESHOLD, _LARGE_ARRAY = -3, 4_000_000


@click.command()
@click.argument("file")
@click.option(
    "--model",
    required=True,
    metavar="MODEL",
    help="Folder of a model, id of a run, models:/NAME@champion, models:/NAME/VERSION, or literature for the prior "
    "alone.",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="Score file, .csv or .parquet, or a folder of Parquet files; replaced if it is there (default: FILE's name "
    "with .scores, working folder).",
)
@click.option(
    "--top-reasons", type=int, metavar="N", default=3, show_default=True, help="Reasons per patient, 20 at most."
)
@click.option("--no-reasons", is_flag=True, help="Leave the reasons out; a run then takes two thirds of the time.")
@click.option("--contributions", is_flag=True, help="Write every SHAP contribution, a column for each.")
@click.option(
    "--rank-adcs",
    default="",
    metavar="ADC,ADC",
    help="Also score each patient under each of these ADCs, hypothesis-generating only: probability, interval, "
    "difference to the best, and why the model abstains.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the same run where it was killed, and leave its work behind where this one is; the result is the "
    "same to the byte.",
)
@map_option
@sheet_option
@encoding_option
@_PSEUDONYMISE
@click.option(
    "--engine",
    type=click.Choice(["threads", "dask"]),
    default="threads",
    show_default=True,
    help="Compute in this process, or on a Dask cluster, which writes a folder.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler; by default one is started on this machine.")
@click.option(
    "--track",
    is_flag=True,
    help="Also record counts, score distribution and shift as a run in MLflow; no patient is in it.",
)
@click.option(
    "--experiment", default="adcr-scoring", show_default=True, metavar="NAME", help="MLflow experiment for --track."
)
@json_option
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def score(
    file: str,
    model: str,
    output: str | None,
    top_reasons: int,
    no_reasons: bool,
    contributions: bool,
    rank_adcs: str,
    resume: bool,
    mapping: str | None,
    sheet: str | None,
    encoding: str | None,
    pseudonymise: bool,
    engine: str,
    scheduler: str | None,
    track: bool,
    experiment: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score the patients of FILE: response probability with interval, and the reasons for it.

    FILE is CSV, TSV, Excel or Parquet, one row per patient, or a folder of such files. Beside the scores,
    OUT.manifest.json counts and hashes everything, and OUT.rejected.csv keeps each row that could not be scored, with
    its fault and how to mend it. FILE and PATH may lie in an object store: s3://, gs:// or az://.
    Research use only; never a treatment recommendation.
    """
    from features.errors import InputError
    from features.faults import shown
    from features.orderly_end import ending_orderly
    from features.progress_bar import LateProgressBar
    from serving.model_location import model_folder
    from serving.pseudonyms import pseudonyms_from_environment
    from serving.score_stream import score_file
    from serving.scoring_plan import ScoringTask
    from serving.staged_run import staged

    pseudonyms = pseudonyms_from_environment() if pseudonymise else None
    _spare_memory()
    name = shown(Path(file).name)
    bar = LateProgressBar(f"scoring {name}", enabled=not quiet)
    with (
        ending_orderly(),
        model_folder(model) as folder,
        staged(file, output, resume=resume, shared=scheduler is not None) as (source, target),
        bar as progress,
    ):
        task = ScoringTask(
            file=source,
            bundle_folder=folder,
            output=target,
            top_reasons=0 if no_reasons else top_reasons,
            mapping=mapping,
            sheet=sheet,
            encoding=encoding,
            pseudonyms=pseudonyms,
            contributions=contributions,
            rank_adcs=rank_adcs,
            resume=resume,
            engine=engine,
            scheduler=scheduler,
        )
        manifest = score_file(task, progress=progress, reading=bar.stage(f"checking {name}", "MB"))
    if as_json:
        click.echo(manifest.to_json(), nl=False)
    elif not quiet:
        click.echo(manifest.to_text())
    if track:
        from serving.tracked_scores import track_scores

        track_scores(manifest, experiment)
        if not (quiet or as_json):
            click.echo(f"tracked     as a run of experiment {experiment}")
    if manifest.rejected and not manifest.rows.scored:
        raise InputError(
            "none of its rows could be scored.",
            where=name,
            mend=f"{manifest.rejected.file} tells what to mend in each.",
        )


def _spare_memory() -> None:
    """Let Arrow and the C library give back to the system what a batch no longer needs; their own pools keep it."""
    import contextlib
    import ctypes
    import os

    import pyarrow

    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    # glibc raises this threshold by itself, up to arrays as large as a batch, which then stay with the process.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_ARRAY)


@click.command(cls=ModelFirst)
@click.argument("model")
@click.argument("file", type=PATH)
@click.option("--patient", metavar="ID", help="Write the page of this patient instead of the cohort's.")
@click.option("--adc", metavar="ADC", help="Which of the patient's rows, where there are several.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    help="Page to write, .html, replaced if it is there (default: FILE's name with .explained or .patient).",
)
@map_option
@sheet_option
@encoding_option
@_PSEUDONYMISE
@click.option("--json", "as_json", is_flag=True, help="Also print what the page holds as JSON for machines.")
def explain(
    model: str,
    file: Path,
    patient: str | None,
    adc: str | None,
    output: Path | None,
    mapping: str | None,
    sheet: str | None,
    encoding: str | None,
    pseudonymise: bool,
    as_json: bool,
) -> None:
    """Write a page on why the patients of FILE, or one of them, have the scores that MODEL gives them.

    MODEL is named as for `adcr score`, also by --model. The page is one file that opens in any browser, without a
    network; its numbers are those of `adcr score`. Research use only; never a treatment recommendation.
    """
    import msgspec

    from features.orderly_end import ending_orderly
    from serving.explaining.explain_file import ExplainTask, default_page, explain_file
    from serving.model_location import model_folder
    from serving.pseudonyms import pseudonyms_from_environment

    pseudonyms = pseudonyms_from_environment() if pseudonymise else None
    place = output or default_page(file, of_patient=patient is not None)
    with ending_orderly(), model_folder(model) as folder:
        document = explain_file(ExplainTask(file, folder, place, patient, adc, mapping, sheet, encoding, pseudonyms))
    click.echo(msgspec.json.encode(document).decode() if as_json else f"wrote {place}")


@click.command(cls=ModelFirst)
@click.argument("model")
@click.argument("file", type=PATH)
@click.option(
    "--comparator",
    metavar="ARM",
    help="Arm without an ADC: does the score separate responders to the ADC more than those of this arm?",
)
@click.option("--report", type=PATH, metavar="DIR", help="Folder for report.html and report.json.")
@map_option
@sheet_option
@encoding_option
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="Equal seeds give equal intervals.",
)
@json_option
def validate(
    model: str,
    file: Path,
    comparator: str | None,
    report: Path | None,
    mapping: str | None,
    sheet: str | None,
    encoding: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Judge MODEL on the cohort FILE, whose outcomes are known: as it is, and recalibrated.

    MODEL is named as for `adcr score`, also by --model. Where FILE is the cohort that the model learned from, its
    held-out predictions are judged and the output says so. Research use only; never a treatment recommendation.
    """
    from features.cohort_file import read_cohort
    from features.orderly_end import ending_orderly
    from features.report.files import HTML_FILE, require_free_report, write_report
    from serving.model_location import model_folder
    from training.model_trust import trusted_bundle
    from training.report.of_validation import validation_document
    from training.validation.external import validate_model
    from training.validation.text import external_json, external_text

    with ending_orderly(), model_folder(model) as folder:
        if report:
            require_free_report(report)
        cohort = read_cohort(file, mapping=mapping, sheet=sheet, encoding=encoding)
        found = validate_model(trusted_bundle(folder), cohort, comparator=comparator, seed=seed)
        if report:
            write_report(report, validation_document(found))
    click.echo(external_json(found) if as_json else external_text(found))
    if report and not as_json:
        click.echo(f"wrote {report / HTML_FILE}")


@click.command()
@click.option(
    "--port", type=int, metavar="N", default=5000, show_default=True, help="Port; the next free one if it is taken."
)
@click.option(
    "--host-name",
    "host_names",
    multiple=True,
    metavar="NAME:PORT",
    help="Another exact name under which a browser reaches the UI, such as the near end of an SSH tunnel.",
)
@click.option("--open", "open_browser", is_flag=True, help="Also open it in the browser.")
def ui(port: int, host_names: tuple[str, ...], open_browser: bool) -> None:
    """Open the MLflow UI of this folder's runs, for this machine only; Ctrl-C ends it.

    Shows the store that `adcr train` writes to: MLFLOW_TRACKING_URI, or mlflow.db in the working folder.
    """
    from serving.tracking_ui import show_ui

    show_ui(port=port, host_names=host_names, open_browser=open_browser, tell=click.echo)
