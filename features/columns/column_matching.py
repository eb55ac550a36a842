"""Which column of a file is which column of a cohort: by id, by the catalogue's synonyms, or by a user's mapping.

An ambiguous match is a fault, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from features import fault_rules as rules
from features.adcs import resolve_adc
from features.biomarkers import measures
from features.cohort import ColumnMatch
from features.column_names import measure_names, normalise_name
from features.columns.cohort_columns import CORE_GROUPS, ORIGIN_COLUMN, REQUIRED_COLUMNS, column_notes
from features.columns.near_names import lookalike, near_name
from features.faults import listed
from features.tables.text_column import collapse_spaces

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from features.faults import FaultLog
    from features.mapping_file import ColumnMapping, TableMapping

_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?")


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How one column of the cohort is read.

    Attributes
    ----------
    target : str
        Column of the cohort.
    position : int or None
        Column of the file; None for a constant of the mapping.
    name : str
        Header as written, for messages.
    how : {"id", "synonym", "mapping"}
    entry : ColumnMapping or None
        Values, unit and standardisation that a mapping asks for.
    """

    target: str
    position: int | None
    name: str
    how: Literal["id", "synonym", "mapping"]
    entry: ColumnMapping | None = None


def match_columns(header: Sequence[str], mapping: TableMapping | None, log: FaultLog) -> tuple[ColumnPlan, ...]:
    """Find the meaning of every column of a file.

    Parameters
    ----------
    header : sequence of str
        Names as written.
    mapping : TableMapping or None
    log : FaultLog
        Takes duplicate, ambiguous, missing and misspelt names.

    Returns
    -------
    tuple of ColumnPlan
        In the order of the file; columns without a meaning have none.
    """
    names = [collapse_spaces(name) for name in header]
    if _is_no_header(names, mapping):
        # A number may be a patient's id, so only a drug is named.
        drugs = [name for name in names if resolve_adc(name)]
        log.note(rules.NO_HEADER, held=f"such as '{drugs[0]}'" if drugs else "numbers among them")
        return ()
    _check_names(header, names, log)
    plans = _mapped(names, mapping, log) if mapping else []
    if mapping is None or mapping.other_columns == "match":
        plans += _matched(names, plans, log)
    else:
        plans += [ColumnPlan(ORIGIN_COLUMN, i, name, "id") for i, name in enumerate(names) if name == ORIGIN_COLUMN]
    _check_targets(names, plans, log)
    return tuple(sorted(plans, key=lambda plan: len(names) if plan.position is None else plan.position))


def column_matches(header: Sequence[str], plans: Sequence[ColumnPlan]) -> tuple[ColumnMatch, ...]:
    """Say of every column of the file what it was read as, in order; then the constants of the mapping."""
    by_position: dict[int, list[ColumnPlan]] = {}
    for plan in plans:
        if plan.position is not None:
            by_position.setdefault(plan.position, []).append(plan)
    matches = []
    for position, name in enumerate(header):
        read = [p for p in by_position.get(position, []) if p.target != ORIGIN_COLUMN]
        matches += [ColumnMatch(name, plan.target, plan.how) for plan in read]
        if position not in by_position:
            matches.append(ColumnMatch(name, None, "unused"))
    constants = [p for p in plans if p.position is None]
    return (*matches, *(ColumnMatch(f"constant of the mapping for {p.target}", p.target, p.how) for p in constants))


def _is_no_header(names: Sequence[str], mapping: TableMapping | None) -> bool:
    """Whether the first row holds a patient: no known name, but numbers or an ADC."""
    if mapping is not None or any(normalise_name(name) in measure_names() for name in names):
        return False
    return any(_NUMBER.fullmatch(name) or resolve_adc(name) for name in names)


def _check_names(header: Sequence[str], names: Sequence[str], log: FaultLog) -> None:
    seen: dict[str, int] = {}
    for position, (written, name) in enumerate(zip(header, names, strict=True)):
        if name and written != name:
            log.note(rules.NAME_TRIMMED, column=name)
        first = seen.setdefault(name.casefold(), position)
        if not name or first == position:
            continue
        if names[first] == name:
            log.note(rules.DUPLICATE_COLUMN, column=name, first=first + 1, second=position + 1)
        else:
            log.note(rules.DUPLICATE_BUT_CASE, column=name, other=names[first])


def _mapped(names: Sequence[str], mapping: TableMapping, log: FaultLog) -> list[ColumnPlan]:
    plans = []
    exact = {name: position for position, name in reversed(list(enumerate(names)))}
    folded = {name.casefold(): position for name, position in exact.items()}
    for target, entry in mapping.entries().items():
        if entry.constant is not None:
            plans.append(ColumnPlan(target, None, target, "mapping", entry))
            continue
        source = collapse_spaces(entry.source)
        position = exact.get(source, folded.get(source.casefold()))
        if position is None:
            log.note(rules.MAPPED_COLUMN_ABSENT, column=entry.source, needed=target, hint=_near(source, names))
        else:
            plans.append(ColumnPlan(target, position, names[position], "mapping", entry))
    return plans


def _matched(names: Sequence[str], mapped: Sequence[ColumnPlan], log: FaultLog) -> list[ColumnPlan]:
    taken = {plan.position for plan in mapped}
    sources = {plan.target: plan.name for plan in mapped}
    ids = {note.column for note in column_notes()}
    plans: list[ColumnPlan] = []
    unknown: list[str] = []
    for position, name in enumerate(names):
        if position in taken or not name:
            continue
        targets = (name.casefold(),) if name.casefold() in ids else measure_names().get(normalise_name(name), ())
        if len(targets) > 1:
            log.note(rules.AMBIGUOUS_NAME, column=name, meanings=listed(targets, conjunction="or"))
        elif targets and targets[0] in sources:
            log.note(rules.MAPPING_PASSED_OVER, column=name, measure=targets[0], other=sources[targets[0]])
        elif targets:
            plans.append(ColumnPlan(targets[0], position, name, "id" if name.casefold() in ids else "synonym"))
        else:
            unknown.append(name)
    taken_targets = {*sources, *(plan.target for plan in plans)}
    for name in unknown:
        _doubt_name(name, taken_targets, log)
    return plans


def _doubt_name(name: str, taken: Container[str], log: FaultLog) -> None:
    strange = lookalike(name)
    if strange is not None:
        log.note(rules.LOOKALIKE_NAME, column=name, characters=strange[0], meant=strange[1])
        return
    near = near_name(name)
    if near is not None and near not in taken:
        log.note(rules.NEAR_NAME, column=name, near=near)


def _check_targets(names: Sequence[str], plans: Sequence[ColumnPlan], log: FaultLog) -> None:
    first: dict[str, ColumnPlan] = {}
    for plan in plans:
        other = first.setdefault(plan.target, plan)
        if other is not plan and other.name != plan.name:
            log.note(rules.SAME_MEASURE_TWICE, column=plan.name, measure=plan.target, other=other.name)
    meanings = {note.column: note.meaning for note in column_notes()}
    for needed in REQUIRED_COLUMNS:
        if needed not in first:
            log.note(rules.MISSING_COLUMN, needed=needed, meaning=f"the {meanings[needed]}", hint=_near(needed, names))
    known = [target for target in first if target in measures()]
    if not known:
        log.note(rules.NO_BIOMARKER)
        return
    for group, columns in CORE_GROUPS.items():
        if not set(columns) & set(known):
            log.note(rules.CORE_MISSING, biomarker=group, measures=listed(columns, conjunction="or"))


def _near(needed: str, names: Sequence[str]) -> str:
    import difflib

    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(needed.casefold(), list(folded)[:2000], n=1, cutoff=0.7)
    return f" Column {listed([folded[close[0]]])!r} looks close." if close else ""
