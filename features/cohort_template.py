"""An example cohort file, and a data dictionary of every column that a cohort file may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from features.cohort_writer import check_output, write_cohort_file
from features.columns.cohort_columns import column_notes
from features.errors import InputError
from features.tables.table_file import suffix_of

if TYPE_CHECKING:
    from pathlib import Path

#: Invented patients; every id says so.
_EXAMPLE: dict[str, list[Any]] = {
    "patient_id": ["EXAMPLE-1", "EXAMPLE-2", "EXAMPLE-3", "EXAMPLE-4"],
    "adc": ["T-DM1", "T-DXd", "T-DXd", "none"],
    "partner_drugs": ["pertuzumab", None, None, "paclitaxel + trastuzumab"],
    "arm": ["experimental", "experimental", "experimental", "control"],
    "cohort": ["invented example"] * 4,
    "site": ["A", "A", "B", "B"],
    "setting": ["neoadjuvant", "metastatic", "metastatic", "neoadjuvant"],
    "pcr": [1.0, None, None, 0.0],
    "best_response": [None, "PR", "NE", None],
    "her2_ihc": ["3+", "2+", "1+", "3+"],
    "her2_ish_ratio": [5.2, 1.6, None, 4.1],
    "erbb2_copy_number": [12.4, 3.1, None, 9.0],
    "her2_heterogeneous": [0.0, 1.0, None, 0.0],
    "p95her2_positive": [0.0, None, 1.0, 0.0],
    "cdk12_amplified": [1.0, 0.0, None, 1.0],
    "erbb2_deletion": ["none", "none", "hemizygous", "none"],
    "er_percent": [90.0, 0.0, 60.0, 10.0],
    "pik3ca_mutated": [0.0, 1.0, None, 0.0],
    "til_percent": [25.0, None, 5.0, 40.0],
    "age_years": [52.0, 47.0, 66.0, 58.0],
}


def write_template(path: Path) -> tuple[Path, Path]:
    """Write an example cohort file and, beside it, its data dictionary.

    Parameters
    ----------
    path : pathlib.Path
        Example file to write; its suffix names the format.

    Returns
    -------
    tuple of pathlib.Path
        The example, and `<stem>_dictionary.csv`: every column with its meaning, unit, allowed values, and whether it is
        required.

    Raises
    ------
    InputError
        If the suffix names no format, or a file is there already.
    OutputError
        If a file cannot be written.
    """
    check_output(path)
    stem = path.name[: len(path.name) - len(suffix_of(path))]
    dictionary = path.with_name(f"{stem}_dictionary.csv")
    for target in (path, dictionary):
        if target.exists():
            raise InputError("there is such a file already.", where=str(target), mend="Name another with -o.")
    write_cohort_file(_frame(_EXAMPLE), path)
    write_cohort_file(_dictionary(), dictionary)
    return path, dictionary


def _dictionary() -> pd.DataFrame:
    notes = column_notes()
    return _frame(
        {
            "column": [note.column for note in notes],
            "kind": [note.group for note in notes],
            "meaning": [note.meaning for note in notes],
            "unit": [note.unit or None for note in notes],
            "allowed_values": [note.allowed for note in notes],
            "required": ["yes" if note.required else "no" for note in notes],
            "core_biomarker": ["yes" if note.core else "no" for note in notes],
        }
    )


def _frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    texts = {name for name, cells in columns.items() if any(isinstance(cell, str) for cell in cells)}
    return pd.DataFrame(
        {name: pd.Series(cells, dtype="str" if name in texts else "float64") for name, cells in columns.items()}
    )
