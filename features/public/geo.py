"""GEO series matrices: the samples of a trial as a table, one row per patient, with expression from a gene-level file.

A series matrix has one line per fact and one column per sample. Characteristics are `key: value` cells whose key may
differ from sample to sample within a line, so each cell is read by itself. A series on several platforms has one file
for each.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features import fault_rules as rules
from features.errors import InputError
from features.faults import shown
from features.limits import Limits
from features.public.gene_expression import read_matrix, z_scores
from features.public.matrix_columns import places_in_series
from features.public.sampling_time import no_baseline
from features.tables.packed_file import open_bytes
from features.tables.text_column import is_missing_word
from features.tables.text_table import frame_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from features.cohort import Fault
    from features.mapping_file import RowSelection
    from features.public.gene_expression import Scale
    from features.tables.text_table import TextTable

_FIRST_LINE = b"!Series_"
#: What spreadsheets put before the first line.
_MARKS = b'\xef\xbb\xbf"'
#: A line whose cells are no longer between tabs.
_RESAVED = re.compile(r'"?!\w+"?[;,]')
_CHARACTERISTICS = "!Sample_characteristics_ch"
#: Facts of a sample that say something of the patient or where the sample came from.
_FACTS = {
    "!Sample_title": "title",
    "!Sample_geo_accession": "geo_accession",
    "!Sample_source_name_ch1": "source_name",
    "!Sample_platform_id": "platform",
}
#: Keys by which samples of one patient are known, as submitters spell them.
_PATIENT_KEY = re.compile(r"^(?:patient|subject|individual|participant|case)[ _.-]*(?:id|identifier|number|no)?$", re.I)


@dataclass(frozen=True)
class GeoSeries:
    """Samples of a series.

    Attributes
    ----------
    accession : str
        GSE number.
    samples : pandas.DataFrame of shape (n_samples, any)
        Text; one column per fact and per characteristic.
    sha256 : str
        Over all files.
    """

    accession: str
    samples: pd.DataFrame
    sha256: str


def is_series_matrix(path: Path) -> bool:
    """Whether a file, packed or not, begins as a series matrix does.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    bool
    """
    try:
        with closing(open_bytes(path, Limits.from_environment())) as stream:
            return stream.read(len(_MARKS) + len(_FIRST_LINE)).lstrip(_MARKS).startswith(_FIRST_LINE)
    except (OSError, EOFError, InputError):
        # Whatever it is, it is told by the reader of tables.
        return False


def series_files(source: Path) -> list[Path]:
    """Series matrices of a file or folder.

    Parameters
    ----------
    source : pathlib.Path

    Returns
    -------
    list of pathlib.Path
        Empty where there are none.
    """
    if source.is_file():
        return [source] if is_series_matrix(source) else []
    return sorted(p for p in source.iterdir() if "series_matrix" in p.name and p.is_file() and is_series_matrix(p))


def read_series(paths: Sequence[Path]) -> GeoSeries:
    """Read the samples of a series, platform after platform.

    Parameters
    ----------
    paths : sequence of pathlib.Path

    Returns
    -------
    GeoSeries

    Raises
    ------
    InputError
        A file is cut off, its lines do not fit each other, or the files are of different series.
    """
    digest, parts, names = hashlib.sha256(), [], set()
    for path in paths:
        accession, samples = _read_one(path, digest)
        names.add(accession)
        parts.append(samples)
    if len(names) > 1:
        raise InputError(
            f"the files are of different series: {', '.join(sorted(names))}.",
            where=paths[0].parent.name,
            mend="Keep one series in a folder.",
        )
    return GeoSeries(names.pop(), pd.concat(parts, ignore_index=True), digest.hexdigest())


def _read_one(path: Path, digest: hashlib._Hash) -> tuple[str, pd.DataFrame]:
    accession, columns, counts = "", {}, set()
    for key, cells in _lines(path, digest):
        if key == "!Series_geo_accession" and cells:
            accession = cells[0]
        elif key in _FACTS:
            columns[_FACTS[key]] = cells
            counts.add(len(cells))
        elif key.startswith(_CHARACTERISTICS):
            counts.add(len(cells))
            for position, cell in enumerate(cells):
                name, separator, value = cell.partition(":")
                if separator:
                    _put(columns, name.strip(), position, value.strip(), len(cells))
    if len(counts) != 1 or not accession:
        raise InputError(
            "the lines on its samples do not fit each other." if counts else "it tells of no sample.",
            where=path.name,
            mend="Download the series matrix again.",
        )
    count = counts.pop()
    return accession, pd.DataFrame({k: (v + [""] * count)[:count] for k, v in columns.items()}, dtype="str")


def _put(columns: dict[str, list[str]], name: str, position: int, value: str, count: int) -> None:
    cells = columns.setdefault(name, [""] * count)
    # A key that a sample has twice keeps both values.
    cells[position] = f"{cells[position]}; {value}" if cells[position] and cells[position] != value else value


def _lines(path: Path, digest: hashlib._Hash) -> Iterator[tuple[str, list[str]]]:
    """Keys and cells of the lines before the table of expression."""
    try:
        with closing(open_bytes(path, Limits.from_environment())) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
            for line in text:
                digest.update(line.encode())
                told = line.lstrip('"')
                if told.startswith("!series_matrix_table_begin"):
                    return
                if "\t" not in line and _RESAVED.match(line):
                    raise InputError(
                        "its cells are not separated by tabs, as after saving it from a spreadsheet.",
                        where=path.name,
                        mend="Use the series matrix as GEO hands it out.",
                    )
                if told.startswith("!"):
                    key, *cells = next(csv.reader([line.rstrip("\r\n")], delimiter="\t"))
                    yield key, [cell.strip() for cell in cells]
    except (EOFError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read ({error}).", where=path.name, mend="Download it again.") from error


def patients_of(
    series: GeoSeries, keep: RowSelection | None, expression: Path | None = None, scale: Scale = "log2"
) -> TextTable:
    """One row per patient: samples selected, then those of one patient put together.

    Where the samples of a patient differ in a fact, the cell holds each value once, with "; " between.

    Parameters
    ----------
    series : GeoSeries
    keep : RowSelection, optional
        Samples that belong to the cohort: those before treatment.
    expression : pathlib.Path, optional
        Gene-level matrix of the series.
    scale : {"log2", "linear"}
        Of that matrix.

    Returns
    -------
    TextTable

    Raises
    ------
    InputError
        The selection names a column that the series does not have, or no sample is left.
    """
    samples = series.samples
    if keep is not None:
        if keep.column not in samples:
            columns = ", ".join(map(shown, samples.columns[:12]))
            raise InputError(
                f"the series has no characteristic '{keep.column}'.", where=series.accession, mend=f"It has {columns}."
            )
        wanted = {value.casefold() for value in keep.holds}
        samples = samples[samples[keep.column].str.casefold().isin(wanted)]
    if samples.empty:
        raise InputError("no sample is left.", where=series.accession, mend="Look at keep_rows of the mapping.")
    samples = samples.reset_index(drop=True)
    key = next((c for c in samples.columns.astype(str) if _PATIENT_KEY.match(c)), "geo_accession")
    notes: list[Fault] = []
    if keep is None:
        samples = _baseline(samples, key, notes)
    # Samples without a patient are not one patient: each is told by itself.
    nobody = samples[key].map(is_missing_word)
    own = [f"\0{i}" for i in range(len(samples))]
    together = samples.groupby(samples[key].where(~nobody, own).to_numpy(), sort=False).agg(_joined)
    if expression is not None:
        together = together.join(_expression(expression, samples, key, scale, notes))
    if key == "geo_accession":
        # Nothing tells the patients apart but the samples.
        together.insert(0, "patient_id", together.index.astype("str"))
    table = frame_table(together.reset_index(drop=True), series.accession)
    return replace(table, notes=(*table.notes, *notes))


def _baseline(samples: pd.DataFrame, key: str, notes: list[Fault]) -> pd.DataFrame:
    """Leave out samples that a characteristic tells to be of a later time."""
    later = np.zeros(len(samples), dtype=bool)
    for name in samples.columns:
        if name not in (key, "title", "geo_accession", "platform"):
            later |= np.array(no_baseline(samples[name].tolist(), samples[key].tolist()), dtype=bool)
    if later.all():
        notes.append(rules.ALL_AFTER_TREATMENT.fault())
        return samples
    if later.any():
        notes.append(rules.AFTER_TREATMENT.fault(number=int(later.sum())))
    return samples[~later].reset_index(drop=True)


def _expression(path: Path, samples: pd.DataFrame, key: str, scale: Scale, notes: list[Fault]) -> pd.DataFrame:
    matrix = read_matrix(path)
    rows = places_in_series(matrix, samples, samples[key])
    patients = samples[key].astype("str").tolist()
    rows = {position: row for position, row in rows.items() if not is_missing_word(patients[row])}
    patient_of = {position: patients[row] for position, row in rows.items()}
    platforms = samples["platform"] if "platform" in samples else pd.Series([""] * len(samples))
    platform_of = {position: str(platforms.iloc[row]) for position, row in rows.items()}
    scores = z_scores(matrix, patient_of, scale, platform_of=platform_of)
    several = len(set(platform_of.values()))
    where = "over the patients of the series" + (f", within each of {several} platforms" if several > 1 else "")
    notes.append(scores.note(matrix.name, where))
    return scores.table


def _joined(cells: pd.Series) -> str:
    known = [c for c in dict.fromkeys(cells) if not is_missing_word(c)]
    return "; ".join(known)
