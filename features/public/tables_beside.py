"""Further sheets or files of one source, joined to its first table by patient: supplements and exports of papers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features import fault_rules as rules
from features.errors import InputError
from features.public.alterations import mutated, read_variant
from features.public.copy_number_calls import Calls
from features.tables.table_file import read_table
from features.tables.text_table import refuse, with_columns

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from features.cohort import Fault
    from features.mapping_file import ColumnMapping, TableBeside, TableMapping
    from features.tables.text_table import TextTable


def join_beside(table: TextTable, source: Path, mapping: TableMapping) -> tuple[TextTable, TableMapping]:
    """Add the columns of the tables that a mapping names beside the first.

    Parameters
    ----------
    table : TextTable
        First table.
    source : pathlib.Path
        Its file.
    mapping : TableMapping

    Returns
    -------
    table : TextTable
        With the columns added; of a name that is there already the first table's counts.
    mapping : TableMapping
        With the mutations that were found.

    Raises
    ------
    InputError
        A table or column is not there, or a patient has several rows in a table that is no list of mutations.
    """
    id_column = mapping.entries()["patient_id"].source
    if id_column not in table.columns:
        raise refuse(table.name, rules.MISSING_COLUMN, needed=id_column, hint="", meaning="the patient id")
    ids = table.texts(table.columns.index(id_column), np.arange(len(table)))
    columns: dict[str, list[str]] = {}
    notes: list[Fault] = []
    known = set(ids)
    entries: dict[str, str | ColumnMapping] = dict(mapping.columns)
    for beside in mapping.beside:
        path = source if beside.sheet else source.with_name(beside.file)
        further = read_table(path, sheet=beside.sheet or None)
        strangers = sum(key not in known for key in _texts(further, beside.patient))
        if strangers:
            notes.append(rules.UNMATCHED.fault(number=strangers, table=beside.sheet or beside.file))
        if beside.gene:
            found = _mutations(further, beside)
            columns |= {measure: [values.get(i, "") for i in ids] for measure, values in found.items()}
            entries = {**{measure: measure for measure in found}, **entries}
        else:
            columns |= _columns(further, beside, ids)
    added = {name: cells for name, cells in columns.items() if name not in table.columns}
    table = replace(with_columns(table, added), notes=(*table.notes, *notes))
    return table, msgspec.structs.replace(mapping, columns=entries)


def with_measures(table: TextTable, values: pd.DataFrame) -> TextTable:
    """Add columns of numbers to a table.

    Parameters
    ----------
    table : TextTable
    values : pandas.DataFrame
        One column per measure; the index holds row numbers of the file.

    Returns
    -------
    TextTable
    """
    by_row = values.reindex(table.rows)
    texts = {str(m): ["" if np.isnan(v) else repr(float(v)) for v in by_row[m]] for m in values.columns}
    return with_columns(table, texts)


def _texts(table: TextTable, column: str) -> list[str]:
    if column not in table.columns:
        raise refuse(table.name, rules.MISSING_COLUMN, needed=column, hint="", meaning=column)
    return table.texts(table.columns.index(column), np.arange(len(table)))


def _columns(further: TextTable, beside: TableBeside, ids: list[str]) -> dict[str, list[str]]:
    keys = _texts(further, beside.patient)
    position = {key: i for i, key in enumerate(keys)}
    if len(position) < len(keys):
        raise InputError(
            f"a patient has several rows in '{beside.sheet or beside.file}'.",
            where=further.name,
            mend="Name `gene` if it is a list of mutations.",
        )
    found = {}
    for name in further.columns:
        if name != beside.patient:
            texts = _texts(further, name)
            found[name] = [texts[position[i]] if i in position else "" for i in ids]
    return found


def _mutations(further: TextTable, beside: TableBeside) -> dict[str, dict[str, str]]:
    """Measures of mutations by patient; only patients with any row were sequenced, as far as a list can tell."""
    keys, genes = _texts(further, beside.patient), _texts(further, beside.gene)
    blank = [""] * len(keys)
    classes = _texts(further, beside.variant_class) if beside.variant_class else blank
    changes = _texts(further, beside.protein_change) if beside.protein_change else blank
    calls: dict[str, Calls] = {}
    for key, gene, kind, change in zip(keys, genes, classes, changes, strict=True):
        read_variant(calls.setdefault(gene, Calls()), gene, key, kind, change)
    return mutated(calls, frozenset(keys))
