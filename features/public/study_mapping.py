"""The shipped mapping of a cBioPortal study: by the study's id, else by its columns where their names leave doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features import fault_rules as rules
from features.columns.column_matching import match_columns
from features.faults import FaultLog
from features.mapping_file import TableMapping, load_mapping, shipped_mappings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.cohort import Fault

#: Faults of names that a mapping settles.
_DOUBTS = frozenset({rules.AMBIGUOUS_NAME.code, rules.SAME_MEASURE_TWICE.code})


def shipped_for(study: str, columns: Sequence[str]) -> tuple[TableMapping, list[Fault]]:
    """Find the mapping that is shipped for a study.

    Parameters
    ----------
    study : str
        Its id, or the folder's name where no file tells the id.
    columns : sequence of str
        Clinical attributes of the study.

    Returns
    -------
    mapping : TableMapping
        Without columns where none is shipped: the attributes are then matched by name.
    notes : list of Fault
        A doubt where the mapping was found by its columns only.
    """
    if study in shipped_mappings():
        return load_mapping(study), []
    log = FaultLog(np.array([], dtype=np.int64))
    match_columns(columns, None, log)
    if not any(fault.code in _DOUBTS for fault in log.rejections()):
        # Its own names say enough; a mapping would leave columns unused that it does not know.
        return TableMapping(columns={}), []
    fitting = [name for name, mapping in _of_studies().items() if _sources(mapping) <= set(columns)]
    if len(fitting) != 1:
        return TableMapping(columns={}), []
    return load_mapping(fitting[0]), [rules.SHIPPED_MAPPING.fault(mapping=fitting[0])]


def _of_studies() -> dict[str, TableMapping]:
    """Give the mappings of study folders: they leave the patient's id, alike in all studies, to the reader."""
    found = {name: load_mapping(name) for name in shipped_mappings()}
    return {name: mapping for name, mapping in found.items() if "patient_id" not in mapping.columns}


def _sources(mapping: TableMapping) -> set[str]:
    return {entry.source for entry in mapping.entries().values() if entry.source}
