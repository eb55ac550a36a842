"""Mapping files (TOML): how to read a foreign table as a cohort, column by column.

A mapping names, for each column of a cohort, the column of the foreign table that holds it, and where needed a table of
values, a unit, or that numbers are to be standardised. Mappings of public cohorts are shipped in `public/mappings/`.
"""

from __future__ import annotations

import difflib
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from features.columns.cohort_columns import column_notes
from features.columns.units import UNIT_WORDS
from features.errors import InputError
from features.faults import listed, shown
from features.tables.text_column import named_group

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

#: No mapping file is larger; a reader of TOML takes seconds for a mebibyte of nothing but keys.
_LARGEST_BYTES = 256 * 1024
#: Dots in a line, beyond which a key may nest so deep that reading it takes time by the square of its length.
_MOST_DOTS = 250


class ColumnMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """Where one cohort column comes from.

    Attributes
    ----------
    source : str
        Column of the foreign table, as its header writes it (`from` in the file).
    constant : str
        One value for every row, in place of `from`.
    extract : str
        Regular expression (RE2) with one group in brackets: the part of a cell to read. Cells without it are missing.
    values : dict of str to str
        Value in the foreign table to value in the cohort; "" for missing.
    otherwise : str or None
        What values that `values` does not list become; by default they stay as they are.
    unit : str
        Unit of the foreign table, where it differs from the catalogue's.
    standardise : bool
        Turn numbers (log expression) into z-scores over all rows that have one.
    """

    source: str = ""
    extract: str = ""
    constant: str | None = None
    values: dict[str, str] = {}
    otherwise: str | None = None
    unit: str = ""
    standardise: bool = False
    note: str = ""


class RowSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows of the foreign table belong to the cohort: those whose `column` holds one of `holds`."""

    column: str
    holds: tuple[str, ...]


class TableBeside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A further table of the same source: another sheet of the workbook, or another file of the folder.

    Its columns are added to the row of the patient; one with several rows per patient must be a list of mutations.

    Attributes
    ----------
    patient : str
        Its column of patient ids, written as in the first table.
    sheet, file : str
        One of them.
    gene, variant_class, protein_change : str
        Columns of a list of mutations, which become `<gene>_mutated` of the catalogue. Patients without any row count
        as not sequenced.
    """

    patient: str
    sheet: str = ""
    file: str = ""
    gene: str = ""
    variant_class: str = ""
    protein_change: str = ""


class TableMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole mapping.

    Attributes
    ----------
    columns : dict of str to ColumnMapping or str
        By cohort column; a plain string is short for `from`.
    other_columns : {"match", "keep"}
        Whether columns that the mapping does not name are matched by name, or only kept as unused.
    skip_rows_after_header : int
        Further header rows below the first, which are no patients.
    keep_rows : RowSelection or None
    series : str
        GEO series that it reads; its series matrix then needs no `--map`.
    beside : tuple of TableBeside
        Further tables that are joined to the first by patient.
    """

    columns: dict[str, ColumnMapping | str]
    name: str = ""
    title: str = ""
    citation: str = ""
    licence: str = ""
    note: str = ""
    sheet: str = ""
    other_columns: Literal["match", "keep"] = "match"
    skip_rows_after_header: int = 0
    keep_rows: RowSelection | None = None
    series: str = ""
    beside: tuple[TableBeside, ...] = ()

    def entries(self) -> dict[str, ColumnMapping]:
        """Columns with the short form written out."""
        return {
            target: ColumnMapping(source=entry) if isinstance(entry, str) else entry
            for target, entry in self.columns.items()
        }


def shipped_mappings() -> dict[str, Traversable]:
    """List the mappings that come with adcr, by name."""
    folder = files("features").joinpath("public", "mappings")
    found = {item.name.removesuffix(".toml"): item for item in folder.iterdir() if item.name.endswith(".toml")}
    return dict(sorted(found.items()))


def mapping_of_series(accession: str) -> TableMapping | None:
    """Find the shipped mapping of a GEO series.

    Parameters
    ----------
    accession : str
        GSE number.

    Returns
    -------
    TableMapping or None
    """
    for name in shipped_mappings():
        mapping = load_mapping(name)
        if mapping.series == accession:
            return mapping
    return None


def load_mapping(mapping: str | Path) -> TableMapping:
    """Read a mapping file, or one that is shipped.

    Parameters
    ----------
    mapping : str or pathlib.Path
        Path of a TOML file, or the name of a shipped mapping such as "ispy2_wolf2022".

    Returns
    -------
    TableMapping

    Raises
    ------
    InputError
        If there is no such mapping, or it is not well formed: says what, where and how to mend it.
    """
    path = Path(mapping)
    shipped = shipped_mappings()
    if str(mapping) in shipped and not path.is_file():
        return _decode(shipped[str(mapping)].read_bytes(), str(mapping))
    if not path.is_file():
        close = difflib.get_close_matches(str(mapping), shipped, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Shipped with adcr: {listed(shipped, most=20)}."
        raise InputError(f"there is no mapping file '{shown(str(mapping))}'.", where="--map", mend=hint)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError("a mapping file has at most 256 KiB.", where=path.name, mend="Name the TOML file itself.")
        return _decode(path.read_bytes(), path.name)
    except OSError as error:
        raise InputError(
            f"the mapping cannot be read ({error.strerror}).", where=path.name, mend="Check its permissions."
        ) from error


def _decode(content: bytes, name: str) -> TableMapping:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.count(b".") > _MOST_DOTS:
            raise InputError(
                f"line {number} has more than {_MOST_DOTS} dots.", where=name, mend="Write it in several lines."
            )
    try:
        mapping = msgspec.toml.decode(content, type=TableMapping)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = " ".join(str(error).split())[:160]
        raise InputError(f"not a mapping: {told}.", where=name, mend="The README shows a mapping file.") from error
    for target, entry in mapping.entries().items():
        _check(name, target, entry)
    for further in mapping.beside:
        if bool(further.sheet) == bool(further.file) or (further.file and Path(further.file).name != further.file):
            raise InputError(
                "needs `sheet` or `file` (a name without a folder), and not both.",
                where=f"{name}, [[beside]]",
                mend="Remove one, or add one.",
            )
    return mapping


def _check(name: str, target: str, entry: ColumnMapping) -> None:
    where = f"{name}, [columns.{shown(target)}]"
    known = [note.column for note in column_notes()]
    if target not in known:
        close = difflib.get_close_matches(target, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else "`adcr catalogue biomarkers` lists the columns."
        raise InputError(f"'{shown(target)}' is not a column of a cohort file.", where=where, mend=hint)
    if bool(entry.source) == (entry.constant is not None):
        raise InputError("needs `from` or `constant`, and not both.", where=where, mend="Remove one, or add one.")
    if entry.extract:
        _check_pattern(entry.extract, where)
    if entry.unit and entry.unit.casefold() not in UNIT_WORDS:
        units = listed(sorted(set(UNIT_WORDS.values())), conjunction="or", most=20)
        raise InputError(f"'{shown(entry.unit)}' is not a unit.", where=where, mend=f"Use {units}.")


def _check_pattern(pattern: str, where: str) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"`extract` is no regular expression ({error}).", where=where, mend="Correct it.") from error
    if compiled.groups == 1:
        _check_linear(pattern, where)
    else:
        raise InputError("`extract` needs one group in brackets.", where=where, mend='For example "^([0-9.]+)".')


def _check_linear(pattern: str, where: str) -> None:
    """Refuse what RE2, which takes linear time on any text, does not know (look-around) or finds too large."""
    try:
        pc.extract_regex(pa.array([""]), pattern=named_group(pattern))
    except pa.ArrowException as error:
        told = " ".join(str(error).split())[:100]
        raise InputError(
            f"`extract` is beyond RE2 ({told}).", where=where, mend="Do without look-around and large repetitions."
        ) from error
