"""The shipped mapping of a cBioPortal study: by the study's id, else by its columns where no file names the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features import fault_rules as rules
from features.mapping_file import TableMapping, load_mapping, shipped_mappings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.cohort import Fault


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
