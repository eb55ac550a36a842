"""Cohort files merged into one file, with the harmonisation report."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import msgspec

from features import fault_rules as rules
from features.cohort import Fault
from features.cohort_file import read_cohort
from features.cohort_writer import check_output, write_cohort_file
from features.harmonisation_report import harmonisation_document
from features.harmonise import merge_cohorts
from features.public.study_archive import unpacked_study
from features.reference_population import UNKNOWN
from features.report.files import HTML_FILE, require_free_report, write_report
from features.tables.table_file import digest
from features.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.cohort import Cohort
    from features.harmonise import Harmonised
    from features.reference_population import ReferenceChoice


def merge_files(
    files: Sequence[Path],
    output: Path,
    *,
    names: Sequence[str] = (),
    reference: ReferenceChoice = "own",
    prefix_ids: bool = False,
    mixed_origins: bool = False,
    report: Path | None = None,
) -> list[str]:
    """Read cohorts, merge them and write the result.

    Parameters
    ----------
    files : sequence of pathlib.Path
        Cohort files, or studies as folders or archives.
    output : pathlib.Path
        Cohort file to write.
    names : sequence of str, optional
        One per file; the files' own names by default.
    reference : {"own", "her2-positive"}
    prefix_ids, mixed_origins : bool
    report : pathlib.Path, optional
        Folder of the harmonisation report.

    Returns
    -------
    list of str
        What was done, line by line.

    Raises
    ------
    InputError
        A file cannot be used, or the cohorts clash.
    OutputError
        A file cannot be written.
    """
    check_output(output, inputs=files)
    if report:
        require_free_report(report)
    records = [_record(path) for path in files]
    with ExitStack() as opened:
        sources = [opened.enter_context(unpacked_study(path)) for path in files]
        cohorts = [_as_imported(read_cohort(path), record) for path, record in zip(sources, records, strict=True)]
    merged = merge_cohorts(
        cohorts,
        names=names or None,
        stated=[_stated(c, record) for c, record in zip(cohorts, records, strict=True)],
        reference=reference,
        prefix_ids=prefix_ids,
        mixed_origins=mixed_origins,
    )
    document = harmonisation_document(merged)
    write_cohort_file(merged.patients, output)
    _write_record(output, merged)
    lines = [
        f"{name}: {len(c.rows):,} of {c.rows_in:,} rows, {len(c.measured())} biomarker columns"
        for name, c in zip(merged.names, merged.cohorts, strict=True)
    ]
    lines += merged.notes
    lines += [f"{title}: {value}" for title, value in document.headline[2:]]
    lines.append(f"wrote {output} ({len(merged.patients):,} rows)")
    if report:
        write_report(report, document)
        lines.append(f"wrote {report / HTML_FILE}")
    return lines


def _record(path: Path) -> dict[str, Any]:
    """Record that `adcr cohort import` or `merge` left beside a file; empty where there is none."""
    try:
        told = json.loads(path.with_name(f"{path.name}.import.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _is_of(record: dict[str, Any], cohort: Cohort) -> bool:
    """Whether a record is of this file as it is now."""
    output = record.get("output")
    return isinstance(output, dict) and output.get("sha256") == cohort.source.sha256


def _as_imported(cohort: Cohort, record: dict[str, Any]) -> Cohort:
    """Name the columns of a file of `adcr cohort import` by those of its source."""
    if not _is_of(record, cohort):
        return cohort
    read_from = {
        entry["column"]: (str(entry["read_from"]), entry["how"])
        for entry in record.get("columns", ())
        if isinstance(entry, dict) and {"column", "read_from", "how"} <= set(entry)
    }
    columns = tuple(
        replace(c, name=read_from[c.column_id][0], how=read_from[c.column_id][1]) if c.column_id in read_from else c
        for c in cohort.columns
    )
    return replace(cohort, columns=columns, faults=(*cohort.faults, *_compared(record)))


def _compared(record: dict[str, Any]) -> list[Fault]:
    """Take what an import counted of HER2 status; in the file, statuses filled in from the assays look stated."""
    of_record = (entry for entry in record.get("faults", ()) if isinstance(entry, dict))
    found = [entry for entry in of_record if entry.get("code") == rules.STATUS_COMPARED.code]
    try:
        return [msgspec.convert(entry, Fault) for entry in found]
    except msgspec.ValidationError:
        return []


def _stated(cohort: Cohort, record: dict[str, Any]) -> dict[str, str]:
    """Tell what z-scores refer to by the record; where its cohorts differ nothing is stated."""
    found: dict[str, set[str]] = {}
    for entry in record.get("references", ()) if _is_of(record, cohort) else ():
        if isinstance(entry, dict) and entry.get("population") not in (None, UNKNOWN):
            found.setdefault(str(entry.get("column")), set()).add(str(entry["population"]))
    return {column: populations.pop() for column, populations in found.items() if len(populations) == 1}


def _write_record(output: Path, merged: Harmonised) -> None:
    """Keep what z-scores refer to beside the file, for the next merge."""
    record = {
        "cohorts": [
            {"name": name, "file": cohort.source.name, "sha256": cohort.source.sha256, "rows": len(cohort.rows)}
            for name, cohort in zip(merged.names, merged.cohorts, strict=True)
        ],
        "references": [asdict(reference) for reference in merged.references],
        "notes": list(merged.notes),
        "output": {"name": output.name, "sha256": digest(output), "rows": len(merged.patients)},
    }
    target = output.with_name(f"{output.name}.import.json")
    write_whole(target, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
