"""Foreign tables and public studies turned into cohort files, with a record of what was read, left out and lost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from features.adcs import adc_names, resolve_adc
from features.cohort import NO_ADC, CohortSource
from features.cohort_file import cohort_from_text
from features.cohort_summary import summarise
from features.cohort_writer import check_output, writable, write_cohort_file
from features.column_names import measure_names, normalise_name
from features.errors import InputError
from features.faults import listed
from features.mapping_file import ColumnMapping, TableMapping, load_mapping, mapping_of_series
from features.public.cbioportal import read_study
from features.public.gene_expression import SCALES, read_matrix, samples_of_patients, z_scores
from features.public.geo import patients_of, read_series, series_files
from features.public.tables_beside import join_beside, with_measures
from features.reference_population import references_of
from features.tables.table_file import digest, read_table
from features.whole_file import whole_file

if TYPE_CHECKING:
    from features.cohort import Cohort
    from features.public.gene_expression import Scale
    from features.tables.text_table import TextTable


def import_cohort(
    source: Path | str,
    output: Path | str,
    *,
    mapping: TableMapping | Path | str | None = None,
    sheet: str | None = None,
    encoding: str | None = None,
    adc: str | None = None,
    per: Literal["patient", "sample"] | str = "patient",
    expression: Path | str | None = None,
    expression_scale: Scale = "log2",
) -> Cohort:
    """Turn a foreign table, a GEO series matrix or a cBioPortal study folder into a cohort file.

    Beside it, `<output>.import.json` records what each column was read from, what was normalised, every fault, and the
    columns and rows that were left out.

    Parameters
    ----------
    source : pathlib.Path or str
        A table, a series matrix (or a folder of one per platform), or a study folder.
    output : pathlib.Path or str
        Cohort file to write; its suffix names the format.
    mapping : TableMapping, pathlib.Path or str, optional
        How to read it: a mapping file, or the name of a mapping shipped with adcr. For a study that a mapping is
        shipped for, that is the default.
    sheet, encoding : str, optional
        As for `read_cohort`.
    adc : str, optional
        ADC of every patient, where the source names none.
    per : {"patient", "sample"}, default "patient"
        One row per patient or per sample of a study.
    expression : pathlib.Path or str, optional
        Gene-level matrix of a table or series: genes in rows, samples or patients in columns. Patients are known by
        their id or a TCGA barcode.
    expression_scale : {"log2", "linear"}
        Scale of that matrix; linear values (TPM, RSEM) are taken to log2(1 + x).

    Returns
    -------
    Cohort
        As written.

    Raises
    ------
    InputError
        If the source or mapping cannot be used.
    OutputError
        If the file cannot be written; nothing half is left behind.
    """
    source, output = Path(source), Path(output)
    check_output(output, inputs=[source, Path(expression) if expression else None])
    chosen = load_mapping(mapping) if isinstance(mapping, str | Path) else mapping
    received = _known_adc(adc) if adc is not None else None
    gene_level = _GeneLevel(Path(expression), expression_scale) if expression is not None else None
    matrices = series_files(source) if source.exists() else []
    if gene_level and source.is_dir() and not matrices:
        raise InputError(
            "--expression belongs to a table or a GEO series; a study folder holds its own.",
            where=source.name,
            mend="Leave it out.",
        )
    if matrices:
        used, cohort = _from_series(matrices, chosen, received, gene_level)
    elif source.is_dir():
        study = read_study(source, mapping=chosen, adc=received, per="sample" if per == "sample" else "patient")
        cohort = cohort_from_text(study.table, mapping=study.mapping, source=study.source)
        used = study.mapping
    else:
        used, cohort = _from_table(source, chosen, received, gene_level, sheet=sheet, encoding=encoding)
    write_cohort_file(writable(cohort), output)
    _write_record(output, cohort, used)
    return cohort


@dataclass(frozen=True)
class _GeneLevel:
    """A gene-level matrix that was named."""

    path: Path
    scale: Scale


def _from_table(
    source: Path,
    chosen: TableMapping | None,
    adc: str | None,
    gene_level: _GeneLevel | None,
    *,
    sheet: str | None,
    encoding: str | None,
) -> tuple[TableMapping | None, Cohort]:
    """Patients of a table, with the tables that its mapping names beside it."""
    table = read_table(source, sheet=sheet or (chosen.sheet if chosen else "") or None, encoding=encoding)
    origin = CohortSource(name=source.name, path=source, sha256=digest(source))
    if chosen and chosen.beside:
        table, chosen = join_beside(table, source, chosen)
    used = _with_adc(chosen, adc, table)
    cohort = cohort_from_text(table, mapping=used, source=origin)
    if gene_level is None:
        return used, cohort
    matrix = read_matrix(gene_level.path)
    places = samples_of_patients(matrix, cohort.patients["patient_id"].tolist())
    if not places:
        raise InputError(
            "no column is a patient of the table.", where=matrix.name, mend="Name its columns by the patient ids."
        )
    scores = z_scores(matrix, places, gene_level.scale)
    there = [m for m in scores.table.columns if m in cohort.patients]
    if there:
        raise InputError(
            f"the table already holds {listed(there)}.",
            where=matrix.name,
            mend="Leave --expression out, or the column.",
        )
    row_of = dict(zip(cohort.patients["patient_id"], cohort.rows, strict=True))
    table = with_measures(table, scores.table.rename(index=row_of))
    linear = ", on log2(1 + x) of the linear values" if gene_level.scale == "linear" else ""
    note = scores.note(matrix.name, f"over the patients of the table that it holds{linear}")
    added: dict[str, str | ColumnMapping] = {str(name): str(name) for name in scores.table.columns}
    base = used or TableMapping(columns={})
    used = msgspec.structs.replace(base, columns={**base.entries(), **added})
    return used, cohort_from_text(replace(table, notes=(*table.notes, note)), mapping=used, source=origin)


def _from_series(
    matrices: list[Path], chosen: TableMapping | None, adc: str | None, gene_level: _GeneLevel | None
) -> tuple[TableMapping | None, Cohort]:
    """Patients of a GEO series by the mapping that is shipped for it, or one that is given."""
    series = read_series(matrices)
    mapping = chosen or mapping_of_series(series.accession)
    matrix, scale = (gene_level.path, gene_level.scale) if gene_level else (None, SCALES[0])
    table = patients_of(series, mapping.keep_rows if mapping else None, matrix, scale)
    if mapping:
        mapping = msgspec.structs.replace(mapping, keep_rows=None)
        if gene_level:
            added = {name: name for name in table.columns if name.endswith("_mrna_z")}
            mapping = msgspec.structs.replace(mapping, columns={**mapping.entries(), **added})
    used = _with_adc(mapping, adc, table)
    origin = CohortSource(name=matrices[0].name, path=matrices[0], sha256=series.sha256)
    return used, cohort_from_text(table, mapping=used, source=origin)


def _known_adc(adc: str) -> str:
    if adc.strip().casefold() == NO_ADC:
        return NO_ADC
    found = resolve_adc(adc)
    if found is None:
        names = ", ".join(sorted(set(adc_names().values()))[:8])
        raise InputError(f"'{adc}' is not an ADC of the catalogue.", where="--adc", mend=f"Use 'none', or {names}...")
    return found[0]


def _with_adc(mapping: TableMapping | None, adc: str | None, table: TextTable) -> TableMapping | None:
    """Add the ADC of every patient to a mapping."""
    if adc is None:
        return mapping
    base = mapping or TableMapping(columns={})
    if "adc" not in base.columns and any(measure_names().get(normalise_name(n)) == ("adc",) for n in table.columns):
        raise InputError("the table has a column of ADCs.", where="--adc", mend="Leave the option out.")
    return msgspec.structs.replace(base, columns={**base.entries(), "adc": ColumnMapping(constant=adc)})


def _write_record(output: Path, cohort: Cohort, mapping: TableMapping | None) -> None:
    summary = summarise(cohort).to_dict()
    record: dict[str, Any] = {
        "source": {"name": cohort.source.name, "sha256": cohort.source.sha256, "origin": cohort.source.kind},
        "mapping": None
        if mapping is None
        else {key: getattr(mapping, key) for key in ("name", "title", "citation", "licence", "note")},
        "references": [asdict(reference) for reference in references_of(cohort.patients, cohort.source.name)],
        "output": {"name": output.name, "sha256": digest(output), "rows": len(cohort.rows)},
        **summary,
    }
    target = output.with_name(f"{output.name}.import.json")
    with whole_file(target) as temporary:
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
