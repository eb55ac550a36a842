"""The commands `adcr cohort ...`: each parses its options and calls one function."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from features.command_options import PATH, encoding_option, json_option, map_option, output_option, sheet_option
from features.simulator_cli import calibrate_report, simulate


@click.group(no_args_is_help=True)
def cohort() -> None:
    """Check, import, simulate and describe cohort files."""


@cohort.command(short_help="Report what a file holds and all that is wrong with it")
@click.argument("file", type=PATH)
@map_option
@sheet_option
@encoding_option
@json_option
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


@cohort.command(short_help="Write an example file and a dictionary of every column")
@click.option(
    "-o", "--output", type=PATH, metavar="FILE", default="cohort_template.csv", show_default=True, help="File to write."
)
def template(output: Path) -> None:
    """Write an example cohort file and, beside it, a dictionary of every column."""
    from features.cohort_template import write_template

    for path in write_template(output):
        click.echo(f"wrote {path}")


@cohort.command("import", short_help="Turn a foreign table, GEO series or cBioPortal study into a cohort file")
@click.argument("source", type=PATH)
@output_option
@map_option
@sheet_option
@encoding_option
@click.option(
    "--adc", metavar="ADC", help="ADC of every patient, where the source names none (default: none received)."
)
@click.option(
    "--per",
    type=click.Choice(["patient", "sample"]),
    default="patient",
    show_default=True,
    help="One row per patient or per sample of a cBioPortal study.",
)
@click.option(
    "--expression",
    type=PATH,
    metavar="FILE",
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


@cohort.command(short_help="Put cohort files together, every clash named")
@click.argument("files", type=PATH, nargs=-1, required=True)
@output_option
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="What to call a cohort; once per file, in their order."
)
@click.option(
    "--reference",
    type=click.Choice(["own", "her2-positive"]),
    default="own",
    show_default=True,
    help="Population that z-scores refer to: as each file has them, or each cohort's HER2-positive patients.",
)
@click.option("--prefix-ids", is_flag=True, help="Put the cohort's name before each patient id.")
@click.option("--mixed-origins", is_flag=True, help="Allow simulated patients beside measured ones.")
@click.option("--report", type=PATH, metavar="DIR", help="Folder for the harmonisation report (HTML and JSON).")
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


@cohort.command("list", short_help="List the public cohorts that adcr knows")
def list_() -> None:
    """List the public cohorts that adcr knows, with what they hold, their licence, and where to apply."""
    from textwrap import indent

    from features.public.registry import public_cohorts

    for entry in public_cohorts():
        click.echo(f"{entry.name}\n{indent(chr(10).join(entry.to_lines()), '  ')}")
    click.echo("cbioportal:STUDY\n  any study of cBioPortal by its id")


@cohort.command(short_help="Fetch a public cohort as a cohort file")
@click.argument("name")
@output_option
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


cohort.add_command(simulate)
cohort.add_command(calibrate_report)
