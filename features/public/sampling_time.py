"""When a sample was taken, by the words of a study: what is no baseline is kept out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEFORE = re.compile(
    r"\b(?:pre[- _]?(?:treatment|treated|therapy|nac\w*|chemo\w*|dose|op\w*)|pretreatment|baseline|before|screening|"
    r"at diagnosis|untreated|treatment[- ]naive|day 0|t0)\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\b(?:post[- _]?(?:treatment|treated|therapy|nac\w*|neo\w*|chemo\w*|op\w*)|posttreatment|"
    r"on[- _]?(?:treatment|therapy|rx)|during|after\b|residual|at progression)\b",
    re.IGNORECASE,
)
_NOT = re.compile(r"\b(?:not?|non|never|without|none)\b", re.IGNORECASE)


def is_before(text: str) -> bool:
    """Whether a value says that a sample was taken before treatment.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool
    """
    return bool(_BEFORE.search(text)) and not _NOT.search(text)


def is_after(text: str) -> bool:
    """Whether a value says that a sample was taken on or after treatment; a negation says nothing.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool
    """
    return bool(_AFTER.search(text)) and not _NOT.search(text) and not _BEFORE.search(text)


def no_baseline(values: Sequence[str], patients: Sequence[str]) -> list[bool]:
    """Tell the samples of a series that are no baseline, by one of its characteristics.

    Where some patient has samples of before treatment and others, every sample with another value than one of before
    counts as later; elsewhere only one whose value says so. A value that is missing tells nothing.

    Parameters
    ----------
    values : sequence of str
        One per sample.
    patients : sequence of str
        Patient of each.

    Returns
    -------
    list of bool
    """
    before = {p for value, p in zip(values, patients, strict=True) if is_before(value)}
    later = [bool(value.strip()) and not is_before(value) for value in values]
    if not before & {p for p, flag in zip(patients, later, strict=True) if flag}:
        return [is_after(value) for value in values]
    return later
