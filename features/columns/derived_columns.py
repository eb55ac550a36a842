"""Columns that follow from others by a guideline; filled in only where the file states nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from features.cohort import OUTCOME_COLUMNS
from features.columns.coded_column import CodedColumn, absent
from features.columns.contradictions import receptor_status, response_of
from features.her2_status import her2_class, her2_class_codes, her2_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.columns.contradictions import ReadColumns


class Derivation(NamedTuple):
    """A column, what it may follow from, and how.

    Attributes
    ----------
    target : str
    needs : tuple of str
        Columns that the file must have, whatever they hold: the same patient must be read alike in any company. A
        status that could only ever be positive, for want of the column that would make it negative, is not derived.
    helps : tuple of str
        Columns that are used where the file has them.
    compute : callable
    """

    target: str
    needs: tuple[str, ...]
    helps: tuple[str, ...]
    compute: Callable[[ReadColumns], Any]


def _ratio(read: ReadColumns) -> NDArray[np.float64]:
    return np.asarray(read.numbers("erbb2_copy_number") / read.numbers("her2_cep17_copies"))


def _her2_status(read: ReadColumns) -> NDArray[np.float64]:
    return her2_status(
        read.levels("her2_ihc"),
        read.numbers("her2_ish_ratio"),
        read.numbers("erbb2_copy_number"),
        read.numbers("her2_ish_positive"),
    )


def _her2_class(read: ReadColumns) -> Any:
    levels, status = read.levels("her2_ihc"), read.numbers("her2_status")
    return her2_class_codes(levels, status) if isinstance(levels, CodedColumn) else her2_class(levels, status)


def _receptor(receptor: str) -> Callable[[ReadColumns], NDArray[np.float64]]:
    return lambda read: receptor_status(read.numbers(f"{receptor}_percent"))


def _hr_status(read: ReadColumns) -> NDArray[np.float64]:
    """Positive where either receptor is, negative only where both are known to be."""
    er, pr = read.numbers("er_status"), read.numbers("pr_status")
    return np.select([(er == 1.0) | (pr == 1.0), (er == 0.0) & (pr == 0.0)], [1.0, 0.0], np.nan)


def _objective_response(read: ReadColumns) -> NDArray[np.float64]:
    return response_of(read.texts("best_response"))


#: In this order, since later ones may use earlier ones.
DERIVATIONS = (
    Derivation("her2_ish_ratio", ("erbb2_copy_number", "her2_cep17_copies"), (), _ratio),
    Derivation(
        "her2_status", ("her2_ihc",), ("her2_ish_ratio", "erbb2_copy_number", "her2_ish_positive"), _her2_status
    ),
    Derivation("her2_status", ("her2_ish_ratio",), ("erbb2_copy_number", "her2_ish_positive"), _her2_status),
    Derivation("her2_status", ("her2_ish_positive",), (), _her2_status),
    Derivation("her2_class", ("her2_ihc", "her2_status"), (), _her2_class),
    Derivation("er_status", ("er_percent",), (), _receptor("er")),
    Derivation("pr_status", ("pr_percent",), (), _receptor("pr")),
    Derivation("hr_status", ("er_status", "pr_status"), (), _hr_status),
    Derivation("objective_response", ("best_response",), (), _objective_response),
)


def derive_columns(read: ReadColumns, *, outcomes: bool = True) -> dict[str, tuple[str, ...]]:
    """Fill in, row by row, what a file does not state but what follows from it.

    Parameters
    ----------
    read : ReadColumns
        Changed in place: new columns, and values where a stated column is empty.
    outcomes : bool, default True
        Whether to derive the objective response from the best response.

    Returns
    -------
    dict of str to tuple of str
        Each column that was filled in, with the columns it follows from.
    """
    filled: dict[str, tuple[str, ...]] = {}
    for target, needs, helps, compute in DERIVATIONS:
        if not set(needs) <= set(read.by_column) or (target in OUTCOME_COLUMNS and not outcomes):
            continue
        computed = compute(read)
        stated = read.by_column.get(target)
        if stated is None or (absent(stated) & ~absent(computed)).any():
            filled.setdefault(target, (*needs, *(column for column in helps if column in read.by_column)))
        read.by_column[target] = computed if stated is None else _filled(stated, computed)
    return filled


def _filled(stated: Any, computed: Any) -> Any:
    if isinstance(stated, CodedColumn):
        return stated.filled(computed)
    return np.where(absent(stated), computed, stated)
