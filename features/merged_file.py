"""Cohort files merged into one file, with the harmonisation report."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from features.cohort_file import read_cohort
from features.cohort_writer import check_output, write_cohort_file
from features.harmonisation_report import harmonisation_document
from features.harmonise import merge_cohorts
from features.report.files import HTML_FILE, require_free_report, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.cohort import Cohort
    from features.harmonise import ReferenceChoice


def merge_files(
    files: Sequence[Path],
    output: Path,
    *,
    names: Sequence[str] = (),
    reference: ReferenceChoice = "own",
    prefix_ids: bool = False,
    report: Path | None = None,
) -> list[str]:
    """Read cohorts, merge them and write the result.

    Parameters
    ----------
    files : sequence of pathlib.Path
        Cohort files or study folders.
    output : pathlib.Path
        Cohort file to write.
    names : sequence of str, optional
        One per file; the files' own names by default.
    reference : {"own", "her2-positive"}
    prefix_ids : bool
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
    check_output(output)
    if report:
        require_free_report(report)
    cohorts = [_as_imported(read_cohort(path), path) for path in files]
    merged = merge_cohorts(cohorts, names=names or None, reference=reference, prefix_ids=prefix_ids)
    document = harmonisation_document(merged)
    write_cohort_file(merged.patients, output)
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


def _as_imported(cohort: Cohort, path: Path) -> Cohort:
    """Name the columns of a file of `adcr cohort import` by those of its source, if the record lies beside it."""
    record = path.with_name(f"{path.name}.import.json")
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        if told["output"]["sha256"] != cohort.source.sha256:
            return cohort
        read_from = {entry["column"]: (str(entry["read_from"]), entry["how"]) for entry in told["columns"]}
    except (OSError, ValueError, KeyError, TypeError):
        # A record that is absent or no longer of this file tells nothing.
        return cohort
    columns = tuple(
        replace(c, name=read_from[c.column_id][0], how=read_from[c.column_id][1]) if c.column_id in read_from else c
        for c in cohort.columns
    )
    return replace(cohort, columns=columns)
