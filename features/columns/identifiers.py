"""Patient ids: always text, exactly as written; told apart, never interpreted, and never repeated in a message."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from features import fault_rules as rules
from features.columns.coded_column import CodedColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.faults import FaultLog, Rule
    from features.tables.text_column import TextColumn

#: First characters that make a spreadsheet read a cell as a formula.
FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_PATH = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:[/\\]")
#: What an id may look like that it should not be (regular expressions of Arrow's RE2).
_PERSONAL = {
    "names": r"^(?:\pL{2,}(?:-\pL+)?,\s?\pL{2,}.*|\p{Lu}\p{Ll}+ (?:\p{Lu}\.? )?\p{Lu}\p{Ll}+)$",
    "record numbers": r"^(?i:(?:MRN|NHS|SSN|KVNR|NHC|HN)[-:# ]?\d{4,}|\d{3}-\d{2}-\d{4})$",
    "dates": r"^(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2})$",
}
#: Ids of plain characters need no closer look.
_SAFE = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
#: Of these, what plain characters can write: names need a space or a comma.
_PERSONAL_AND_SAFE = f"{_PERSONAL['record numbers']}|{_PERSONAL['dates']}"


def read_ids(column: TextColumn, log: FaultLog) -> CodedColumn:
    """Read the column of patient ids.

    Nothing is a missing value here but a blank cell: "NA", "007", "1E5" and numbers of any length stay as written.

    Parameters
    ----------
    column : TextColumn
    log : FaultLog
        Takes every fault by row; the id itself is never part of a message.

    Returns
    -------
    CodedColumn of n rows
        Ids in Unicode form NFC; missing where blank.
    """
    composed = list(column.distinct)
    found: dict[int, tuple[Rule, str]] = {}
    for position in np.flatnonzero(~_match(column, _SAFE)):
        composed[position] = unicodedata.normalize("NFC", composed[position])
        fault = _fault_of(composed[position])
        if fault is not None:
            found[int(position)] = fault
    blank = np.equal(np.array(composed, dtype=object), "").astype(bool)
    rows = np.flatnonzero((column.codes < 0) | np.append(blank, False)[column.codes])
    log.at(rules.ID_BLANK, rows, column=column.name)
    faulty = np.zeros(len(composed), dtype=bool)
    faulty[list(found)] = True
    for row in column.rows_with(faulty):
        rule, point = found[int(column.codes[row])]
        log.at(rule, [int(row)], column=column.name, point=point)
    _note_forms(column, composed, log)
    texts = np.array(composed, dtype=object)
    texts[blank] = None
    return CodedColumn(column.codes, texts)


def plain_ids(ids: Any) -> bool:
    """Whether every id of an Arrow column is of plain characters and like no personal data, so that none is noted."""
    if ids.null_count or not pc.all(pc.match_substring_regex(ids, _SAFE)).as_py():
        return False
    return not pc.any(pc.match_substring_regex(ids, _PERSONAL_AND_SAFE)).as_py()


def _match(column: TextColumn, pattern: str) -> NDArray[np.bool_]:
    found = pc.match_substring_regex(column.arrow, pattern)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def _note_forms(column: TextColumn, composed: list[str], log: FaultLog) -> None:
    counts = column.counts()
    changed = sum(
        int(n) for old, new, n in zip(column.distinct, composed, counts, strict=True) if old is not new and old != new
    )
    if changed:
        log.note(rules.ID_COMPOSED, column=column.name, number=changed)
    for kind, pattern in _PERSONAL.items():
        number = int(counts[_match(column, pattern)].sum())
        if number:
            log.note(rules.ID_PERSONAL, column=column.name, number=number, kind=kind)


def _fault_of(text: str) -> tuple[Rule, str] | None:
    for character in text:
        # Control, format (zero-width), private, surrogate and line-separator characters cannot be seen.
        if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp"):
            return rules.ID_INVISIBLE, f"{ord(character):04X}"
    if _PATH.search(text):
        return rules.ID_PATH, ""
    if text.startswith(FORMULA_START):
        return rules.ID_FORMULA, ""
    if "<" in text or ">" in text:
        return rules.ID_MARKUP, ""
    return None
