"""How a fault of a cohort file is declared, collected and told: one rule per kind, one line per fault.

The rules themselves stand in `fault_rules.py`. A rule knows its code, its severity and two sentences, what is wrong
and how to mend it; the readers only say which rule, where, and with which value.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.cohort import Fault
from features.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from features.cohort import Severity

#: Characters of a cell, and of a file's or column's name, that a message shows; longer ones are cut.
SHOWN_CHARACTERS = 40
NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of fault.

    Attributes
    ----------
    code : str
        Stable code, listed in the README: "COH080".
    severity : {"reject", "quarantine", "normalised", "flag"}
        What becomes of it: the file is refused, the row is put aside, the value is read in its usual form, or the
        row is kept and the doubt is told.
    what, mend : str
        Sentences with `{column}`, `{value}` and the rule's own details to fill in.
    """

    code: str
    severity: Severity
    what: str
    mend: str = ""

    def fault(
        self,
        *,
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
        **details: Any,
    ) -> Fault:
        """Fill in the sentences. The value of an identifier is never passed: the row number tells which."""
        told = None if value is None else shown(value)
        fields: dict[str, Any] = {
            "column": shown(column or "", NAME_CHARACTERS),
            "value": "the value" if told is None else f"'{told}'",
        }
        fields |= {name: _Count(d) if isinstance(d, int) else printable(str(d)) for name, d in details.items()}
        return Fault(
            code=self.code,
            severity=self.severity,
            what=self.what.format(**fields),
            mend=self.mend.format(**fields),
            row=row,
            column=column,
            value=told,
        )


class _Count(int):
    """A number that a sentence may count a noun with: `{number:row}` gives "1 row" or "2,000 rows"."""

    def __format__(self, spec: str) -> str:
        if len(spec) < 2 or not spec[0].isalpha():
            return int.__format__(self, spec)
        return f"{int(self):,} {spec}{'' if self == 1 else 's'}"


class FaultLog:
    """Collects every fault of one table.

    Parameters
    ----------
    rows : numpy.ndarray of int, shape (n,)
        Row in the file of each row of the table.
    """

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self._rows = rows
        self.faults: list[Fault] = []
        #: positions in the table that are put aside
        self.quarantined = np.zeros(len(rows), dtype=bool)

    def note(self, rule: Rule, *, column: str | None = None, value: str | None = None, **details: Any) -> None:
        """Record a fault of the whole file or of a whole column."""
        self.faults.append(rule.fault(column=column, value=value, **details))

    def at(
        self,
        rule: Rule,
        positions: NDArray[np.intp] | Sequence[int],
        *,
        column: str | None = None,
        values: Iterable[str | None] | None = None,
        **details: Any,
    ) -> None:
        """Record one fault per row of the table, with the value of each."""
        told: Iterable[str | None] = [None] * len(positions) if values is None else values
        # Many rows share a value; its sentences are filled in once.
        filled: dict[str | None, Fault] = {}
        for position, value in zip(positions, told, strict=True):
            if value not in filled:
                filled[value] = rule.fault(column=column, value=value, **details)
            fault, row = filled[value], int(self._rows[position])
            self.faults.append(
                Fault(fault.code, fault.severity, fault.what, fault.mend, row, fault.column, fault.value)
            )
        if rule.severity == "quarantine":
            self.quarantined[positions] = True

    def rejections(self) -> list[Fault]:
        """Faults for which the whole file is refused."""
        return [fault for fault in self.faults if fault.severity == "reject"]

    def in_order(self) -> tuple[Fault, ...]:
        """Faults of the file first, then by row, code and column."""
        return tuple(sorted(self.faults, key=lambda f: (f.row or 0, f.code, f.column or "")))


class CohortRejectedError(InputError):
    """A cohort file that cannot be used at all; tells every reason at once, one line each.

    Attributes
    ----------
    faults : tuple of Fault
        The reasons, each of severity "reject".
    """

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(first.what, where=_place(name, first), mend=first.mend)
        self._lines = [describe(fault, name) for fault in self.faults]

    def __str__(self) -> str:
        return "\n".join(self._lines)


def describe(fault: Fault, name: str) -> str:
    """One line: file, row, column, what is wrong, and how to mend it. Without a name, the file is left out.

    Examples
    --------
    site_a.csv, row 14, column 'her2_ihc': '4+' is not a level. Use 0, ultralow, 1+, 2+ or 3+, or leave it empty.
    """
    place = _place(name, fault)
    return f"{place}{': ' if place else ''}{fault.what} {fault.mend}".strip()


def _place(name: str, fault: Fault) -> str:
    parts = [shown(name, NAME_CHARACTERS)] if name else []
    if fault.row is not None:
        parts.append(f"row {fault.row}")
    if fault.column is not None:
        parts.append(f"column '{shown(fault.column, NAME_CHARACTERS)}'")
    return ", ".join(parts)


def shown(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Text safe to print: control and invisible characters escaped, long text cut.

    A cell may hold terminal escape sequences or line breaks; neither may reach a message.
    """
    return printable(text if len(text) <= most else f"{text[:most]}...")


def printable(text: str) -> str:
    """Text with control and invisible characters escaped."""
    return "".join(c if _is_printable(c) else f"\\u{ord(c):04x}" for c in text)


def _is_printable(character: str) -> bool:
    return character == " " or not unicodedata.category(character).startswith(("C", "Z"))


def listed(values: Iterable[str], *, conjunction: str = "and", most: int = 6) -> str:
    """Text of a list: "a, b and c", cut after `most` with the number left out."""
    texts = [shown(v) for v in values]
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {conjunction} {texts[-1]}"


def by_code(faults: Iterable[Fault]) -> dict[str, list[Fault]]:
    """Faults grouped by code, codes in order."""
    groups: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        groups[fault.code].append(fault)
    return {code: groups[code] for code in sorted(groups)}
