"""Contradictions within a patient: put aside where one value must be wrong, flagged where both may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features import fault_rules as rules
from features.columns.coded_column import CodedColumn, among
from features.her2_status import her2_status, ish_group, ish_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from features.faults import FaultLog, Rule

#: Largest relative difference between a stated ratio and HER2 over CEP17 copies that rounding explains.
RATIO_TOLERANCE = 0.05
#: ASCO/CAP 2020: share of stained cells, in percent, from which a hormone receptor is positive.
RECEPTOR_POSITIVE_PERCENT = 1.0
_RESPONSES = ("CR", "PR")


@dataclass(frozen=True)
class ReadColumns:
    """Columns of a cohort as read, before rows are put aside.

    Attributes
    ----------
    by_column : dict of str to numpy.ndarray
        Numbers and yes/no as float64, levels and text as object or coded, by cohort column.
    names : mapping of str to str
        Header in the file of each column.
    size : int
        Number of rows.
    """

    by_column: dict[str, Any]
    names: Mapping[str, str]
    size: int

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Values of a numeric or yes/no column; NaN throughout where the file has none."""
        found = self.by_column.get(column)
        return np.full(self.size, np.nan) if found is None else found

    def levels(self, column: str) -> Any:
        """Levels of a column, coded or of objects; none throughout where the file has none."""
        found = self.by_column.get(column)
        empty = CodedColumn(np.full(self.size, -1), np.array([], dtype=object))
        return empty if found is None else found

    def texts(self, column: str) -> NDArray[np.object_]:
        """Levels of a column as text; None where missing."""
        found = self.levels(column)
        return found.objects() if isinstance(found, CodedColumn) else found


def check_contradictions(read: ReadColumns, log: FaultLog) -> None:
    """Record every contradiction between the columns of a cohort.

    Parameters
    ----------
    read : ReadColumns
    log : FaultLog
    """
    _check_her2(read, log)
    _check_ratio(read, log)
    _check_receptor(read, log, "er")
    _check_receptor(read, log, "pr")
    _check_response(read, log)


def _check_her2(read: ReadColumns, log: FaultLog) -> None:
    ihc = read.levels("her2_ihc")
    ratio, copies = read.numbers("her2_ish_ratio"), read.numbers("erbb2_copy_number")
    stated = read.numbers("her2_ish_positive")
    group = ish_group(ratio, copies)
    weak, strong = among(ihc, ("0", "ultralow", "1+")) & (group == 1), among(ihc, ("3+",))
    if weak.any():
        told = read.texts("her2_ihc")
        _report(read, log, rules.IHC_LOW_ISH_POSITIVE, weak, "her2_ihc", lambda i: {"value": told[i]})
    _report(read, log, rules.IHC_HIGH_ISH_NEGATIVE, strong & (group == 5), "her2_ihc")
    # Without IHC, groups 2 to 4 have no result of their own to differ from.
    computed = np.where(np.isnan(group), np.nan, ish_result(ratio, copies, ihc))
    _report(
        read,
        log,
        rules.ISH_DIFFERS,
        _differ(stated, computed),
        "her2_ish_positive",
        lambda i: {"stated": _sign(stated[i]), "computed": _sign(computed[i]), "group": int(group[i])},
    )
    low = among(read.levels("her2_class"), ("low",))
    _report(read, log, rules.LOW_LABEL_IHC_HIGH, low & strong, "her2_class")
    status = read.numbers("her2_status")
    by_rule = her2_status(ihc, ratio, copies, stated)
    _report(
        read,
        log,
        rules.STATUS_DIFFERS,
        _differ(status, by_rule),
        "her2_status",
        lambda i: {"stated": _sign(status[i]), "computed": _sign(by_rule[i])},
    )


def _check_ratio(read: ReadColumns, log: FaultLog) -> None:
    ratio = read.numbers("her2_ish_ratio")
    quotient = read.numbers("erbb2_copy_number") / read.numbers("her2_cep17_copies")
    # The last bit of a quotient is no difference.
    differs = np.abs(ratio - quotient) > RATIO_TOLERANCE * quotient * (1.0 + 1e-9)
    _report(
        read,
        log,
        rules.RATIO_DIFFERS,
        differs,
        "her2_ish_ratio",
        lambda i: {"value": f"{ratio[i]:g}", "quotient": f"{quotient[i]:.2f}"},
    )


def _check_receptor(read: ReadColumns, log: FaultLog, receptor: str) -> None:
    status, percent = read.numbers(f"{receptor}_status"), read.numbers(f"{receptor}_percent")
    computed = receptor_status(percent)
    _report(
        read,
        log,
        rules.ER_DIFFERS,
        _differ(status, computed),
        f"{receptor}_status",
        lambda i: {"stated": _sign(status[i]), "percent": f"{percent[i]:g}"},
    )


def _check_response(read: ReadColumns, log: FaultLog) -> None:
    if not {"objective_response", "best_response"} <= set(read.by_column):
        return
    stated, best = read.numbers("objective_response"), read.texts("best_response")
    expected = response_of(best)
    _report(
        read,
        log,
        rules.RESPONSE_DIFFERS,
        _differ(stated, expected),
        "objective_response",
        lambda i: {"value": f"{stated[i]:g}", "best": best[i]},
    )


def receptor_status(percent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hormone-receptor status by ASCO/CAP 2020 from the share of stained cells in percent: 1% or more is positive."""
    return np.where(np.isnan(percent), np.nan, (percent >= RECEPTOR_POSITIVE_PERCENT).astype(np.float64))


def response_of(best: NDArray[np.object_]) -> NDArray[np.float64]:
    """Objective response of a best response by RECIST 1.1: CR and PR 1.0, SD and PD 0.0, NE and missing NaN."""
    return np.select([np.isin(best, _RESPONSES), np.isin(best, ["SD", "PD"])], [1.0, 0.0], np.nan)


def _report(
    read: ReadColumns,
    log: FaultLog,
    rule: Rule,
    chosen: NDArray[np.bool_],
    column: str,
    details: Callable[[int], dict[str, Any]] | None = None,
) -> None:
    # Few combinations of values occur among many rows: each is told once.
    groups: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for position in np.flatnonzero(chosen).tolist():
        told = details(position) if details else {}
        groups.setdefault(tuple(told.items()), []).append(position)
    for told_items, positions in groups.items():
        told = dict(told_items)
        value = told.pop("value", None)
        log.at(rule, positions, column=read.names.get(column, column), values=[value] * len(positions), **told)


def _differ(stated: NDArray[np.float64], computed: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(stated) & ~np.isnan(computed) & (stated != computed))


def _sign(value: float) -> str:
    return "positive" if value else "negative"
