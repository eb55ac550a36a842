"""The commands `adcr cohort ...` and `adcr catalogue ...`: each parses its options and calls one function."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

_FILE = click.Path(path_type=Path, dir_okay=True)
_map = click.option(
    "--map",
    "mapping",
    metavar="FILE|NAME",
    help="Mapping file (TOML) of a foreign table, or the name of a mapping shipped with adcr.",
)
_sheet = click.option("--sheet", help="Sheet of an Excel file that has several.")
_encoding = click.option("--encoding", help="Text encoding, where the file is not UTF-8 or UTF-16.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of text.")
_output = click.option("-o", "--output", type=_FILE, required=True, help="File to write; its suffix names the format.")


@click.group(no_args_is_help=True)
def cohort() -> None:
    """Check, import, simulate and describe cohort files."""


@cohort.command()
@click.argument("file", type=_FILE)
@_map
@_sheet
@_encoding
@_json
@click.option("--all", "list_all", is_flag=True, help="List every fault, not the first few of each kind.")
@click.pass_context
def check(
    context: click.Context,
    file: Path,
    mapping: str | None,
    sheet: str | None,
    encoding: str | None,
    as_json: bool,
    list_all: bool,
) -> None:
    """Report what FILE holds and everything that is wrong with it.

    FILE is CSV, TSV, Excel or Parquet, one row per treated patient. Exits with 2 if any row or column needs mending.
    """
    from features.cohort_file import read_cohort
    from features.cohort_summary import summarise

    summary = summarise(read_cohort(file, mapping=mapping, sheet=sheet, encoding=encoding))
    click.echo(summary.to_json() if as_json else summary.to_text(list_all=list_all))
    if summary.needs_mending:
        context.exit(2)


@cohort.command()
@click.option("-o", "--output", type=_FILE, default="cohort_template.csv", show_default=True, help="File to write.")
def template(output: Path) -> None:
    """Write an example cohort file and, beside it, a dictionary of every column."""
    from features.cohort_template import write_template

    for path in write_template(output):
        click.echo(f"wrote {path}")


@cohort.command("import")
@click.argument("source", type=_FILE)
@_output
@_map
@_sheet
@_encoding
@click.option("--adc", help="ADC of every patient, where the source names none (default: none received).")
@click.option(
    "--per",
    type=click.Choice(["patient", "sample"]),
    default="patient",
    show_default=True,
    help="One row per patient or per sample of a cBioPortal study.",
)
@click.option(
    "--expression",
    type=_FILE,
    help="Gene-level matrix of a table or GEO series; the catalogue's genes become z-scores.",
)
@click.option(
    "--expression-scale",
    type=click.Choice(["log2", "linear"]),
    default="log2",
    show_default=True,
    help="Scale of that matrix; linear: TPM, RSEM.",
)
def import_(
    source: Path,
    output: Path,
    mapping: str | None,
    sheet: str | None,
    encoding: str | None,
    adc: str | None,
    per: str,
    expression: Path | None,
    expression_scale: Literal["log2", "linear"],
) -> None:
    """Turn SOURCE, a foreign table with a mapping, a GEO series matrix or a cBioPortal study, into a cohort file.

    A study is a folder or an archive: .tar.gz, .tgz, .tar or .zip.
    """
    from features.cohort_import import import_cohort
    from features.cohort_summary import summarise
    from features.public.study_archive import unpacked_study
    from features.stated_status import status_line

    with unpacked_study(source) as opened:
        imported = import_cohort(
            opened,
            output,
            mapping=mapping,
            sheet=sheet,
            encoding=encoding,
            adc=adc,
            per=per,
            expression=expression,
            expression_scale=expression_scale,
        )
    click.echo("\n".join(filter(None, [summarise(imported).to_text(), status_line(imported)])))
    click.echo(f"wrote {output}")


@cohort.command()
@click.argument("files", type=_FILE, nargs=-1, required=True)
@_output
@click.option("--name", "names", multiple=True, help="What to call a cohort; once per file, in their order.")
@click.option(
    "--reference",
    type=click.Choice(["own", "her2-positive"]),
    default="own",
    show_default=True,
    help="Population that z-scores refer to: as each file has them, or each cohort's HER2-positive patients.",
)
@click.option("--prefix-ids", is_flag=True, help="Put the cohort's name before each patient id.")
@click.option("--mixed-origins", is_flag=True, help="Allow simulated patients beside measured ones.")
@click.option("--report", type=_FILE, help="Folder for the harmonisation report (HTML and JSON).")
def merge(
    files: tuple[Path, ...],
    output: Path,
    names: tuple[str, ...],
    reference: Literal["own", "her2-positive"],
    prefix_ids: bool,
    mixed_origins: bool,
    report: Path | None,
) -> None:
    """Put the cohort FILES together, every clash named, with a report of what was mapped, lost and unlike."""
    from features.merged_file import merge_files

    lines = merge_files(
        files,
        output,
        names=names,
        reference=reference,
        prefix_ids=prefix_ids,
        mixed_origins=mixed_origins,
        report=report,
    )
    for line in lines:
        click.echo(line)


@cohort.command("list")
def list_() -> None:
    """List the public cohorts that adcr knows, with what they hold, their licence, and where to apply."""
    from textwrap import indent

    from features.public.registry import public_cohorts

    for entry in public_cohorts():
        click.echo(f"{entry.name}\n{indent(chr(10).join(entry.to_lines()), '  ')}")
    click.echo("cbioportal:STUDY\n  any study of cBioPortal by its id")


@cohort.command()
@click.argument("name")
@_output
@click.option("--expression", is_flag=True, help="Fetch the gene-level matrix too, for the catalogue's genes.")
@click.option(
    "--api", "by_api", is_flag=True, help="Ask cBioPortal for the catalogue's genes only, not the whole archive."
)
@click.option("--offline", is_flag=True, envvar="ADCR_OFFLINE", help="Use what is in the cache, and never the network.")
def fetch(name: str, output: Path, expression: bool, by_api: bool, offline: bool) -> None:
    """Fetch the public cohort NAME and write it as a cohort file, with its licence and citation beside it."""
    from features.cohort_summary import summarise
    from features.progress_bar import LateProgressBar
    from features.public.fetching import fetch_cohort
    from features.stated_status import status_line

    with LateProgressBar(f"fetching {name}", "bytes") as progress:
        found = fetch_cohort(name, output, expression=expression, by_api=by_api, offline=offline, progress=progress)
    click.echo("\n".join(filter(None, [summarise(found).to_text(), status_line(found)])))
    click.echo(f"wrote {output}, and {output.name}.licence.txt beside it")


@cohort.command()
@click.option("--patients", type=int, help="Number of patients; needed without --covariates.")
@click.option(
    "--covariates", type=_FILE, help="Cohort file whose biomarkers are kept as they are; only responses are simulated."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@_output
@click.option("--truth", type=_FILE, help="Also write each patient's true probabilities to this file.")
@click.option("--oracle", type=_FILE, help="Also write the best attainable scores and true effects (JSON).")
@click.option("--world", type=int, default=0, show_default=True, help="World of effect sizes; 0: best estimates.")
@click.option("--adcs", help="ADCs to draw from, with commas between: T-DM1,T-DXd.")
@click.option("--setting", type=click.Choice(["neoadjuvant", "metastatic"]), help="Draw one setting only.")
@click.option("--trial", help="Draw a published trial's population and arms: DESTINY-Breast03.")
@click.option("--missing", type=float, help="Share of biomarker values that are missing, 0 to 0.9.")
@click.option("--sites", type=int, default=1, show_default=True, help="Number of hospitals, each with its assay.")
@click.option("--shift", is_flag=True, help="Shift assay platform and case mix, as another hospital would.")
@click.pass_context
def simulate(
    context: click.Context,
    patients: int | None,
    covariates: Path | None,
    seed: int,
    output: Path,
    truth: Path | None,
    oracle: Path | None,
    world: int,
    adcs: str | None,
    setting: str | None,
    trial: str | None,
    missing: float | None,
    sites: int,
    shift: bool,
) -> None:
    """Simulate a cohort with the mechanism of ADC response, calibrated to published trials."""
    names = [name.strip() for name in adcs.split(",")] if adcs else None
    if covariates:
        given = {"--patients": patients, "--trial": trial, "--missing": missing, "--shift": shift or None}
        given["--sites"] = sites if sites != 1 else None
        _not_with_covariates(context, [option for option, value in given.items() if value is not None])
        written = _simulate_responses(covariates, output, seed, truth, oracle, world, names, setting)
    elif patients is None:
        raise click.UsageError("Missing option '--patients' (or '--covariates').", context)
    else:
        from features.progress_bar import LateProgressBar
        from features.synthetic import write_cohort
        from features.synthetic.oracle import write_oracle

        with LateProgressBar(f"simulating {output.name}", "patients") as progress:
            written = write_cohort(
                output,
                patients=patients,
                seed=seed,
                truth=truth,
                world=world,
                adcs=names,
                setting=setting,
                trial=trial,
                missing=missing,
                sites=sites,
                shift=shift,
                threads=2,
                progress=lambda done: progress(done, patients),
            )
        if oracle:
            written += (
                write_oracle(
                    oracle, patients=patients, seed=seed, world=world, adcs=names, setting=setting, trial=trial
                ),
            )
    for path in written:
        click.echo(f"wrote {path}")


def _not_with_covariates(context: click.Context, given: list[str]) -> None:
    if given:
        raise click.UsageError(f"{' and '.join(given)} cannot be combined with --covariates.", context)


def _simulate_responses(
    covariates: Path,
    output: Path,
    seed: int,
    truth: Path | None,
    oracle: Path | None,
    world: int,
    adcs: list[str] | None,
    setting: str | None,
) -> tuple[Path, ...]:
    from features.cohort_file import read_cohort
    from features.synthetic.semi_synthetic import write_semi_synthetic

    written, doubts = write_semi_synthetic(
        output, read_cohort(covariates), seed, world=world, adcs=adcs, setting=setting, truth=truth, oracle=oracle
    )
    for doubt in doubts:
        click.echo(doubt, err=True)
    return written


@cohort.command("calibrate-report")
@_output
@click.option("--cohorts", type=_FILE, help="Folder of real cohorts whose biomarker shares are compared.")
@click.option("--worlds", type=click.IntRange(1), default=40, show_default=True, help="Worlds behind the intervals.")
def calibrate_report(output: Path, cohorts: Path | None, worlds: int) -> None:
    """Write a page that sets the simulator beside the published trials it was calibrated to, and those held out."""
    from features.progress_bar import LateProgressBar
    from features.synthetic.calibration_report import write_calibration_report

    with LateProgressBar("simulating the trials", "worlds") as progress:
        checks = write_calibration_report(output, cohorts=cohorts, worlds=worlds, progress=progress)
    for fitted, role in ((True, "fitted"), (False, "held-out")):
        inside = [check.inside for check in checks if (check.anchor.role == "fitted") is fitted]
        click.echo(f"{sum(inside)} of {len(inside)} {role} results lie inside the published 95% interval")
    click.echo(f"wrote {output}")


@click.group(no_args_is_help=True)
def catalogue() -> None:
    """Look up biomarkers, ADCs and published trial results, with their sources."""


_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
    help="How to print.",
)


def _table_command(kind: str, what: str) -> None:
    @catalogue.command(kind, help=f"Print {what}.")
    @_format
    def table(output_format: str) -> None:
        from features.catalogue_tables import render_table

        click.echo(render_table(kind, output_format=output_format))


_table_command("biomarkers", "every biomarker with its columns, mechanism step and directions")
_table_command("adcs", "every ADC with payload, linker, drug-to-antibody ratio and bystander effect")
_table_command("trials", "every published result with its verification")


@catalogue.command()
@click.argument("identifier")
@_format
def show(identifier: str, output_format: str) -> None:
    """Print all that is known of IDENTIFIER: a biomarker, column, gene, ADC or trial."""
    from features.catalogue_tables import render_record

    click.echo(render_record(identifier, output_format=output_format))
