"""TRIPOD+AI and PROBAST+AI filled from a run; what only a person can fill is marked."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from features.report.document import Checklist, ChecklistItem

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from"}):
    number: str
    title: str
    source: str = ""
    person: str = ""


class _Standards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tripod: tuple[_Item, ...]
    probast: tuple[_Item, ...]


@cache
def _standards() -> _Standards:
    content = files("training.report").joinpath("standards.toml").read_bytes()
    return msgspec.toml.decode(content, type=_Standards)


def checklists(answers: Mapping[str, str]) -> tuple[Checklist, Checklist]:
    """Fill both standards.

    Parameters
    ----------
    answers : mapping of str to str
        What the run can say, by the names that `standards.toml` asks for.

    Returns
    -------
    tuple of Checklist
    """
    found = _standards()
    tripod = Checklist("TRIPOD+AI, 27 items.", tuple(_filled(i, answers) for i in found.tripod))
    probast = Checklist("PROBAST+AI, four domains.", tuple(_filled(i, answers) for i in found.probast))
    return tripod, probast


def _filled(item: _Item, answers: Mapping[str, str]) -> ChecklistItem:
    parts = [answers.get(item.source, ""), item.person]
    return ChecklistItem(item.number, item.title, " ".join(p for p in parts if p), bool(item.person))
