"""Rows of a gene-level matrix by their gene, and what to do where no row is a gene that is looked for."""

from __future__ import annotations

import csv
import io
import re
from contextlib import closing
from typing import TYPE_CHECKING

from features.errors import InputError
from features.limits import Limits
from features.tables.packed_file import open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: Headers of the column of gene symbols, where it is not the first.
_SYMBOLS = frozenset({"hugosymbol", "genesymbol", "hgncsymbol", "symbol", "genename", "gene"})
#: Names of rows that are no symbols: how they look, what they are, and what to do.
_OTHER_NAMES = (
    (re.compile(r"ENS[A-Z]*G\d{6,}"), "Ensembl ids", "Put HGNC symbols before them, in a column named gene_name"),
    (re.compile(r"\d+$"), "numbers, such as Entrez ids", "Put HGNC symbols before them, in a column named gene_name"),
    (re.compile(r"(?:\w+_at|A_\d+_P\d+|ILMN_\d+|AFFX)", re.I), "probes of an array", "Name the matrix by gene"),
)
#: Rows whose names are looked at to tell what they are.
_LOOKED_AT = 200


def matrix_rows(path: Path, wanted: Mapping[str, str]) -> tuple[list[str], dict[str, list[list[str]]], list[str]]:
    """Read the rows of the genes that are wanted.

    Parameters
    ----------
    path : pathlib.Path
        Cells between tabs, commas or semicolons, whichever the header has most of; packed or not.
    wanted : mapping of str to str
        Measure by symbol in capitals.

    Returns
    -------
    header : list of str
        Names of the columns but for that of the genes.
    rows : dict of str to list of list of str
        Cells by measure; several rows where a gene is given more than once.
    names : list of str
        What the first rows are called.

    Raises
    ------
    InputError
        The file is not there, cut off or ragged.
    """
    rows: dict[str, list[list[str]]] = {}
    names: list[str] = []
    try:
        with closing(open_bytes(path, Limits.from_environment())) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            head = next((line for line in text if line.strip() and not line.startswith("#")), "")
            delimiter = _delimiter(head, comma=".csv" in path.suffixes)
            first = _cells(head, delimiter)
            # Symbols stand in the first column, or in one that is named so.
            places = [0, *(i for i, name in enumerate(first) if _plain(name) in _SYMBOLS)]
            for cells in csv.reader(text, delimiter=delimiter):
                found = [cells[i].partition("|")[0].strip() for i in places if i < len(cells)]
                if len(names) < _LOOKED_AT and found and found[0]:
                    names.append(found[0])
                measure = next((wanted[name.upper()] for name in found if name.upper() in wanted), None)
                if measure:
                    rows.setdefault(measure, []).append(cells[1:])
    except FileNotFoundError as error:
        raise InputError("there is no such file.", where=str(path), mend="Check the name.") from error
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read ({error}).", where=path.name, mend="Download it again.") from error
    width = {len(cells) for found in rows.values() for cells in found}
    # R leaves the name of the first column out.
    header = first if width == {len(first)} else first[1:]
    if rows and width != {len(header)}:
        raise InputError("its rows differ in length.", where=path.name, mend="Download it again.")
    return header, rows, names


def _delimiter(head: str, *, comma: bool) -> str:
    """Tell what stands between the cells; names of samples may hold commas, so that a tab settles it."""
    if "\t" in head and not comma:
        return "\t"
    return max(",;\t" if comma else ";,", key=lambda sign: len(_cells(head, sign)))


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def no_gene(file: str, header: Iterable[str], names: list[str], wanted: Mapping[str, str]) -> InputError:
    """Make the error of a matrix in which no row is a gene that is looked for.

    Parameters
    ----------
    file : str
    header : iterable of str
        Names of its columns.
    names : list of str
        What its first rows are called.
    wanted : mapping of str to str
        By symbol in capitals.

    Returns
    -------
    InputError
    """
    mend = "Rows must be HGNC symbols, columns samples."
    if any(name.partition("|")[0].strip().upper() in wanted for name in header):
        mend = "Turn it round: it has genes in columns."
        names = []
    for look, what, remedy in _OTHER_NAMES:
        # No row is named: in a matrix that was turned round they are patients.
        if names and sum(bool(look.match(name)) for name in names) > len(names) / 2:
            mend = f"Its rows are {what}. {remedy}."
    return InputError("no row is a gene of the catalogue.", where=file, mend=mend)
