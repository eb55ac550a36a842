"""One column of text by its distinct values: each spelling is judged once, however often it stands in the file."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import fault_rules as rules
from features.column_names import normalise_level
from features.faults import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from features.faults import FaultLog, Rule

#: Ways in which files say that a value is missing (after `normalise_level`).
MISSING_WORDS = frozenset(
    {
        *("", ".", "-", "--", "---", "?", "*", "/", "#n/a", "#n/a n/a", "<na>", "n/a", "na", "nan", "-nan"),
        *(
            "n.a.",
            "n.a",
            "null",
            "none",
            "nil",
            "missing",
            "unknown",
            "unk",
            "unk/nd",
            "unknown/not done",
            "nd",
            "n.d.",
            "n/d",
            "nk",
        ),
        *("not available", "not applicable", "not done", "not evaluated", "not performed", "not tested", "not known"),
        *("not reported", "not recorded", "not determined", "not assessed", "not examined", "not collected", "pending"),
        *("[not available]", "[not applicable]", "[not evaluated]", "[unknown]", "[discrepancy]"),
        *("test failure", "failed", "insufficient", "insufficient tissue", "no data", "no value", "blank", "empty"),
    }
)
#: Cells that hold nothing at all, which needs no mention.
_SILENT = frozenset({""})
_SPACE = re.compile(r"[\s\u00a0\u2007\u202f\ufeff]+")


class TextColumn:
    """Cells of one column.

    Parameters
    ----------
    name : str
        Header as written, for messages.
    codes : numpy.ndarray of int, shape (n,)
        Which distinct text each row holds; -1 where the cell is absent.
    arrow : pyarrow.Array
        Each text once, without spaces around it.
    """

    def __init__(self, name: str, codes: NDArray[np.intp], arrow: Any) -> None:
        self.name, self.codes, self.arrow = name, codes, arrow

    @classmethod
    def of(cls, name: str, cells: Any) -> TextColumn:
        """Take an Arrow column of text apart."""
        encoded = pa.chunked_array(cells).combine_chunks().dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.intp)
        return cls(name, codes, pc.utf8_trim_whitespace(encoded.dictionary))

    @classmethod
    def constant(cls, name: str, text: str, length: int) -> TextColumn:
        """Column that holds one text in every row."""
        return cls(name, np.zeros(length, dtype=np.intp), pa.array([text], type=pa.large_string()))

    @cached_property
    def distinct(self) -> tuple[str, ...]:
        """Each text once, as Python text; most numbers are read without it."""
        return tuple(self.arrow.to_pylist())

    def __len__(self) -> int:
        return len(self.codes)

    def counts(self) -> NDArray[np.int64]:
        """Rows that hold each distinct text."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.arrow)).astype(np.int64)

    def rows_with(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Positions of the rows whose text is chosen."""
        return np.flatnonzero(np.append(chosen, False)[self.codes])

    def spread(self, values: NDArray[Any], missing: object) -> NDArray[Any]:
        """Values of the distinct texts, laid out by row."""
        padded = np.append(values, np.array([missing], dtype=values.dtype))
        return padded[self.codes]

    def texts(self) -> NDArray[np.object_]:
        """Text of every row; None where the cell is absent."""
        return self.spread(np.array(self.distinct, dtype=object), None)

    def report(self, rule: Rule, chosen: NDArray[np.bool_], log: FaultLog, **details: object) -> None:
        """Record one fault for each row whose text is chosen."""
        rows = self.rows_with(chosen)
        if len(rows):
            log.at(rule, rows, column=self.name, values=[self.distinct[c] for c in self.codes[rows]], **details)

    def extracted(self, pattern: str) -> TextColumn:
        """Take the part of each text that a pattern with one group names; texts without it become empty."""
        # RE2 takes linear time on any text, which Python's own engine does not.
        parts = pc.struct_field(pc.extract_regex(self.arrow, pattern=named_group(pattern)), "part")
        return TextColumn(self.name, self.codes, pc.utf8_trim_whitespace(pc.fill_null(parts, "")))

    def translated(self, values: Mapping[str, str], otherwise: str | None) -> TextColumn:
        """Replace each text by a mapping's value for it; others stay, or become `otherwise`."""
        keyed = {normalise_level(text): new for text, new in values.items()}
        fallback: Callable[[str], str] = (lambda text: text) if otherwise is None else (lambda _: otherwise)
        return TextColumn(
            self.name,
            self.codes,
            pa.array(
                [values.get(t, keyed.get(normalise_level(t), fallback(t) if t else t)) for t in self.distinct],
                type=pa.large_string(),
            ),
        )


def is_missing_word(text: str) -> bool:
    """Whether a text is one of the ways to say that a value is missing."""
    return normalise_level(text) in MISSING_WORDS


def note_missing_words(column: TextColumn, missing: Sequence[bool] | NDArray[np.bool_], log: FaultLog) -> None:
    """Say which words of a column were read as missing, and how often."""
    positions = [p for p in np.flatnonzero(missing) if column.distinct[p] not in _SILENT]
    if not positions:
        return
    counts = column.counts()
    told = {column.distinct[p]: int(counts[p]) for p in positions if counts[p]}
    if told:
        log.note(rules.MISSING_WORD, column=column.name, number=sum(told.values()), words=tally(told))


def tally(counts: Mapping[str, int], *, most: int = 5) -> str:
    """Text of counted words, most frequent first: "'NA' (12), 'unknown' (3)"."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    told = [f"'{shown(word)}' ({count})" for word, count in ordered[:most]]
    rest = len(ordered) - most
    return ", ".join(told) + (f" and {rest} more" if rest > 0 else "")


def collapse_spaces(text: str) -> str:
    """Text with every run of white space, non-breaking ones too, as one space."""
    return _SPACE.sub(" ", text).strip()


#: An escaped character or a set of characters, in which a bracket opens nothing; or a bracket that opens a group.
_OPENING = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?P<\w+>", flags=re.DOTALL)


def named_group(pattern: str) -> str:
    """Name the one group of a pattern "part", as RE2 needs it; brackets that are escaped or in a set open none.

    Parameters
    ----------
    pattern : str

    Returns
    -------
    str
    """
    return _OPENING.sub(lambda found: "(?P<part>" if found[0].startswith("(") else found[0], pattern)
