"""Model and cohort file to a page, of the cohort or of one patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.cohort_file import read_cohort
from features.errors import InputError, OutputError
from features.faults import listed, shown
from features.report.page import page
from features.whole_file import require_folder, write_whole
from serving.explaining.cohort_document import cohort_document
from serving.explaining.explained_cohort import explain_patients
from serving.explaining.patient_document import patient_document
from serving.output_files import default_output
from training.model_trust import trusted_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.cohort import Cohort
    from features.report.document import Document
    from serving.pseudonyms import Pseudonyms


@dataclass(frozen=True)
class ExplainTask:
    """A file, a model, and whom to explain.

    Attributes
    ----------
    file, bundle_folder : Path
    output : Path
        HTML, replaced if it is there.
    patient, adc : str or None
        Id of the patient whose page is wanted, and the ADC where the patient has several rows.
    mapping, sheet, encoding : str or None
        How to read the file.
    pseudonyms : Pseudonyms, optional
        Replaces ids on the page.
    """

    file: Path
    bundle_folder: Path
    output: Path
    patient: str | None = None
    adc: str | None = None
    mapping: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    pseudonyms: Pseudonyms | None = None


def default_page(file: Path, *, of_patient: bool) -> Path:
    """Where a page goes if the user names no output: the working folder; no patient's id is in its name.

    Parameters
    ----------
    file : Path
    of_patient : bool

    Returns
    -------
    Path
    """
    stem = default_output(file).name.rpartition(".scores")[0]
    return Path(f"{stem}.{'patient' if of_patient else 'explained'}.html")


def explain_file(task: ExplainTask) -> Document:
    """Write the page of a cohort or of one patient.

    Parameters
    ----------
    task : ExplainTask

    Returns
    -------
    Document
        What the page was made from.

    Raises
    ------
    InputError
        The file, an option or the patient cannot be used as given.
    ModelError
        The model cannot be read.
    OutputError
        The page cannot be written.
    """
    _check_output(task)
    bundle = trusted_bundle(task.bundle_folder)
    cohort = read_cohort(task.file, mapping=task.mapping, sheet=task.sheet, encoding=task.encoding, for_scoring=True)
    hidden = task.pseudonyms.of if task.pseudonyms else str.strip
    cohort = replace(cohort, patients=cohort.patients.assign(patient_id=cohort.patients["patient_id"].map(hidden)))
    row = None if task.patient is None else _row_of(cohort, task.patient, task.adc, hidden)
    explained = explain_patients(bundle, cohort)
    document = cohort_document(explained) if row is None else patient_document(explained, row)
    write_whole(task.output, page(document))
    return document


def _check_output(task: ExplainTask) -> None:
    output = task.output
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"'{output.name}' is no page.", where="--output", mend="End it in .html.")
    require_folder(output)
    if output.is_dir():
        raise OutputError("this is a folder.", where=str(output), mend="Name a file in it.")
    if output.exists() and task.file.exists() and output.samefile(task.file):
        raise InputError("the page would overwrite the input.", where=str(output), mend="Name another output.")
    if task.adc is not None and task.patient is None:
        raise InputError("--adc chooses among the rows of one patient.", where="--adc", mend="Name one with --patient.")


def _row_of(cohort: Cohort, patient: str, adc: str | None, hidden: Callable[[str], str]) -> int:
    """Row of a patient, named by the id in the file or by its pseudonym."""
    rows = np.flatnonzero((cohort.patients["patient_id"] == hidden(patient)).to_numpy())
    if adc is not None:
        rows = rows[(cohort.patients["adc"].iloc[rows] == adc).to_numpy()]
    if len(rows) == 1:
        return int(rows[0])
    where = cohort.source.name
    if len(rows):
        drugs = listed([str(a) for a in cohort.patients["adc"].iloc[rows]], conjunction="or")
        raise InputError(f"this patient has {len(rows)} rows.", where=where, mend=f"Choose with --adc {drugs}.")
    put_aside = [r for r, cells in cohort.raw_rejected.items() if hidden(patient) in map(hidden, cells.values())]
    if put_aside:
        raise InputError(
            "this patient cannot be scored: the row has a fault.",
            where=f"{where}, row {put_aside[0]}",
            mend="'adcr cohort check' tells what to mend.",
        )
    # Ids stay out of messages, which end up in logs.
    what = f"this patient has no row with '{shown(adc)}'." if adc else "there is no such patient."
    raise InputError(what, where=where, mend="Give the id as the file writes it.")
