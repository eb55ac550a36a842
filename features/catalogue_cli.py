"""The commands `adcr catalogue ...`: each parses its options and calls one function."""

from __future__ import annotations

import click


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


def _table_command(kind: str, what: str, short: str) -> None:
    @catalogue.command(kind, help=f"Print {what}.", short_help=short)
    @_format
    def table(output_format: str) -> None:
        from features.catalogue_tables import render_table

        click.echo(render_table(kind, output_format=output_format))


_table_command("biomarkers", "every biomarker with its columns, mechanism step and directions", "Print every biomarker")
_table_command("adcs", "every ADC with payload, linker, drug-to-antibody ratio and bystander effect", "Print every ADC")
_table_command("trials", "every published result with its verification", "Print every published result")


@catalogue.command(short_help="Print all that is known of one entry")
@click.argument("identifier")
@_format
def show(identifier: str, output_format: str) -> None:
    """Print all that is known of IDENTIFIER: a biomarker, column, gene, ADC or trial."""
    from features.catalogue_tables import render_record

    click.echo(render_record(identifier, output_format=output_format))
