"""Options that several commands share, so that one name means the same everywhere."""

from __future__ import annotations

from pathlib import Path

import click

#: A file or folder as the user names it; whether it can be used is told by what reads or writes it.
PATH = click.Path(path_type=Path, dir_okay=True)

map_option = click.option(
    "--map",
    "mapping",
    metavar="FILE|NAME",
    help="Mapping file (TOML) of a foreign table, or the name of a mapping shipped with adcr.",
)
sheet_option = click.option("--sheet", metavar="SHEET", help="Sheet of an Excel file that has several.")
encoding_option = click.option(
    "--encoding", metavar="ENCODING", help="Text encoding, where the file is not UTF-8 or UTF-16."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of text.")
output_option = click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    required=True,
    help="File to write; its suffix names the format.",
)
