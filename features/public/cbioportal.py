"""A cBioPortal study folder as a table of text: clinical attributes and the catalogue's gene alterations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pyarrow as pa

from features import fault_rules as rules
from features.cohort import NO_ADC, CohortSource
from features.mapping_file import ColumnMapping, TableMapping
from features.public.alterations import read_alterations
from features.public.sampling_time import is_after
from features.public.study_contents import notes_on_contents
from features.public.study_expression import read_study_expression
from features.public.study_folder import open_study, read_clinical, unknown_ids
from features.public.study_mapping import shipped_for
from features.tables.text_table import TextTable, refuse, with_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from features.cohort import Fault
    from features.public.study_folder import StudyFolder

#: Attributes that may say when a sample was taken.
_TIME_COLUMNS = (
    "SAMPLE_TYPE",
    "SAMPLE_SITE",
    "SAMPLE_CLASS",
    "TIMEPOINT",
    "TIME_POINT",
    "TREATMENT_STATUS",
    "BIOPSY_TIME",
)


@dataclass(frozen=True)
class Study:
    """A study ready to be read as a cohort: its table, how to read it, and where it comes from."""

    table: TextTable
    mapping: TableMapping
    source: CohortSource


def read_study(
    folder: Path,
    *,
    mapping: TableMapping | None = None,
    adc: str | None = None,
    per: Literal["patient", "sample"] = "patient",
) -> Study:
    """Read a study folder.

    Parameters
    ----------
    folder : pathlib.Path
    mapping : TableMapping, optional
        How to read the clinical attributes; by default the mapping shipped for the study, else by name.
    adc : str, optional
        ADC of every patient. Most studies name no treatment; their patients then count as without an ADC ("none"),
        and the cohort says so.
    per : {"patient", "sample"}, default "patient"
        One row per patient or per sample. Of several samples of a patient the primary tumour goes before metastases,
        then the sample with more filled cells, then the first by id. Per sample, the sample id is the patient id.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If this is no study folder, a file is missing, a Git LFS pointer, or unreadable.
    """
    study = open_study(folder)
    samples = read_clinical(study.files["samples"])
    for needed in ("PATIENT_ID", "SAMPLE_ID"):
        if needed not in samples.columns:
            fault = {"needed": needed, "hint": "", "meaning": f"the {needed.lower().replace('_', ' ')}"}
            raise refuse(study.files["samples"].name, rules.MISSING_COLUMN, **fault)
    everyone = np.arange(len(samples))
    ids = samples.texts(samples.columns.index("SAMPLE_ID"), everyone)
    alterations = read_alterations(study, ids)
    columns, strangers = _clinical(study, samples)
    columns |= {name: [values.get(sample, "") for sample in ids] for name, values in alterations.columns.items()}
    table = _table(study.study, columns, samples.rows, [*samples.notes, *strangers, *alterations.notes])
    table = _before_treatment(table, keep=per == "sample")
    if per == "patient":
        table = _one_per_patient(table, table.notes)
    # Over the samples that are kept: others are no part of the population that a z-score refers to.
    table, expressed = _with_expression(table, study)
    measured = [*alterations.columns, *expressed]
    found, doubts = (mapping, []) if mapping else shipped_for(study.study, table.columns)
    chosen = _complete(found, study, table.columns, measured, adc=adc, per=per)
    received = chosen.entries().get("adc")
    if adc is None and received is not None and received.constant == NO_ADC:
        doubts = [*doubts, rules.NO_TREATMENT.fault()]
    table = _with_notes(table, [*table.notes, *doubts, *notes_on_contents(table, chosen)])
    source = CohortSource(name=study.study, path=folder, sha256=study.digest())
    return Study(table, chosen, source)


def _clinical(study: StudyFolder, samples: TextTable) -> tuple[dict[str, list[str]], list[Fault]]:
    """Sample attributes, and the patient's attributes beside each of their samples; patients without one are told."""
    everyone = np.arange(len(samples))
    columns = {name: samples.texts(i, everyone) for i, name in enumerate(samples.columns)}
    path = study.files.get("patients")
    doubts = _rows_differ(samples, "SAMPLE_ID", study.files["samples"].name)
    if path is None:
        return columns, doubts
    patients = read_clinical(path)
    if "PATIENT_ID" not in patients.columns:
        fault = {"needed": "PATIENT_ID", "hint": "", "meaning": "the patient id"}
        raise refuse(path.name, rules.MISSING_COLUMN, **fault)
    rows = np.arange(len(patients))
    ids = patients.texts(patients.columns.index("PATIENT_ID"), rows)
    position = {i: n for n, i in reversed(list(enumerate(ids)))}
    for i, name in enumerate(patients.columns):
        if name not in columns:
            texts = patients.texts(i, rows)
            columns[name] = [texts[position[p]] if p in position else "" for p in columns["PATIENT_ID"]]
    doubts += _rows_differ(patients, "PATIENT_ID", path.name)
    return columns, [*doubts, *unknown_ids(study, path, position.keys() - set(columns["PATIENT_ID"]))]


def _rows_differ(table: TextTable, key: str, file: str) -> list[Fault]:
    """Tell how many ids have several rows of different values."""
    everyone = np.arange(len(table))
    texts = [table.texts(i, everyone) for i in range(len(table.columns))]
    ids = texts[table.columns.index(key)]
    several = {i for i, count in Counter(ids).items() if count > 1}
    different = {row for row in zip(*texts, strict=True) if row[table.columns.index(key)] in several}
    times = Counter(row[table.columns.index(key)] for row in different)
    number = sum(count > 1 for count in times.values())
    return [rules.ROWS_DIFFER.fault(number=number, file=file)] if number else []


def _table(name: str, columns: dict[str, list[str]], rows: NDArray[np.int64], notes: Sequence[Fault]) -> TextTable:
    cells = tuple(pa.chunked_array([pa.array(texts, type=pa.large_string())]) for texts in columns.values())
    return TextTable(name=name, columns=tuple(columns), cells=cells, rows=rows, notes=tuple(notes))


def _with_notes(table: TextTable, notes: Sequence[Fault]) -> TextTable:
    return TextTable(table.name, table.columns, table.cells, table.rows, tuple(notes), table.misshapen)


def _with_expression(table: TextTable, study: StudyFolder) -> tuple[TextTable, list[str]]:
    ids = table.texts(table.columns.index("SAMPLE_ID"), np.arange(len(table)))
    found, notes = read_study_expression(study, ids)
    cells = {name: [values.get(sample, "") for sample in ids] for name, values in found.items()}
    return replace(with_columns(table, cells), notes=(*table.notes, *notes)), list(found)


def _before_treatment(table: TextTable, *, keep: bool) -> TextTable:
    """Leave out samples that the study says were taken on or after treatment: they are no baseline.

    Where every sample is asked for they are kept, and told.
    """
    everyone = np.arange(len(table))
    after = np.zeros(len(table), dtype=bool)
    for position, name in enumerate(table.columns):
        if any(word in name.upper() for word in _TIME_COLUMNS):
            after |= np.array([is_after(text) for text in table.texts(position, everyone)], dtype=bool)
    if not after.any():
        return table
    if after.all():
        return _with_notes(table, [*table.notes, rules.ALL_AFTER_TREATMENT.fault()])
    if keep:
        return _with_notes(table, [*table.notes, rules.POST_TREATMENT_KEPT.fault(number=int(after.sum()))])
    note = rules.AFTER_TREATMENT.fault(number=int(after.sum()))
    return _with_notes(table.take(np.flatnonzero(~after)), [*table.notes, note])


def _one_per_patient(table: TextTable, notes: Sequence[Fault]) -> TextTable:
    everyone = np.arange(len(table))
    texts = [table.texts(i, everyone) for i in range(len(table.columns))]
    by_name = dict(zip(table.columns, texts, strict=True))
    filled = [sum(bool(column[row]) for column in texts) for row in everyone]
    kind = by_name.get("SAMPLE_TYPE", [""] * len(table))
    best: dict[str, tuple[tuple[bool, int, str], int]] = {}
    for row in everyone:
        order = (kind[row].strip().lower() != "primary", -filled[row], by_name["SAMPLE_ID"][row])
        patient = by_name["PATIENT_ID"][row]
        if patient not in best or order < best[patient][0]:
            best[patient] = (order, int(row))
    kept = np.array(sorted(row for _, row in best.values()), dtype=np.intp)
    if len(kept) == len(table):
        return table
    note = rules.ONE_SAMPLE.fault(number=len(table) - len(kept), patients=len(kept))
    return _with_notes(table.take(kept), [*notes, note])


def _complete(
    mapping: TableMapping,
    study: StudyFolder,
    columns: Sequence[str],
    measured: Sequence[str],
    *,
    adc: str | None,
    per: Literal["patient", "sample"],
) -> TableMapping:
    """Add to a mapping what every study has: ids, the study's name, an ADC, and the measures read from its genes."""
    entries = dict(mapping.entries())
    entries["patient_id"] = ColumnMapping(source="PATIENT_ID" if per == "patient" else "SAMPLE_ID")
    entries.setdefault("cohort", ColumnMapping(constant=study.study))
    for column in measured:
        entries.setdefault(column, ColumnMapping(source=column))
    if adc is not None:
        entries["adc"] = ColumnMapping(constant=adc)
    elif "adc" not in entries and not {"ADC", "adc"} & set(columns):
        entries["adc"] = ColumnMapping(constant=NO_ADC)
    return msgspec.structs.replace(mapping, columns=entries)
