"""Lines `key=value` of a model text, and the numbers in them, read strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.tree_kernel.ensemble import MalformedModel, UnsupportedModel

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST_COUNT = 2**31 - 1

#: `int` and `float` would also take underscores, tabs, and the digits of other scripts.
NUMBER_CHARACTERS = frozenset("0123456789+-.eE infaINFAty")


def read_lines(text: str, where: str, known: frozenset[str], required: Iterable[str]) -> dict[str, str]:
    """Read lines `key=value`; empty lines may only end them.

    Parameters
    ----------
    text : str
    where : str
        Named in errors.
    known : frozenset of str
        Keys that may be there.
    required : iterable of str
        Keys that must be there.

    Returns
    -------
    dict
        Values by key.

    Raises
    ------
    MalformedModel
        If a line has no key, stands twice, or is missing.
    UnsupportedModel
        If a key is unknown.
    """
    lines: dict[str, str] = {}
    body = text.rstrip("\n")
    for line in body.split("\n") if body else []:
        key, _, value = line.partition("=")
        if not key:
            raise MalformedModel("a line has no key", where)
        if key not in known:
            raise UnsupportedModel(f"the line {key[:40]!r} is unknown to this reader", where)
        if key in lines:
            raise MalformedModel(f"the line {key!r} stands twice", where)
        lines[key] = value
    missing = sorted(set(required) - lines.keys())
    if missing:
        raise MalformedModel(f"the line {missing[0]!r} is missing", where)
    return lines


def read_integers(value: str, where: str, low: int, high: int) -> list[int]:
    """Read integers separated by single spaces.

    Parameters
    ----------
    value : str
    where : str
        Named in errors.
    low, high : int
        Smallest and largest that is allowed.

    Returns
    -------
    list of int

    Raises
    ------
    MalformedModel
        If one of them is no integer or out of range.
    """
    try:
        numbers = list(map(int, _tokens(value)))
    except ValueError:
        raise MalformedModel("it holds something that is not an integer", where) from None
    if numbers and (min(numbers) < low or max(numbers) > high):
        at = next(i for i, number in enumerate(numbers) if not low <= number <= high)
        raise MalformedModel(f"entry {at} is outside {low} to {high}", where)
    return numbers


def _tokens(value: str) -> list[str]:
    if not NUMBER_CHARACTERS.issuperset(value):
        raise ValueError
    return value.split(" ") if value else []


class TreeLines:
    """The lines of one tree, read as numbers of a stated length and range.

    Parameters
    ----------
    lines : dict
        Values by key.
    where : str
        The tree, named in errors.
    """

    def __init__(self, lines: dict[str, str], where: str) -> None:
        self.lines = lines
        self.where = where
        self.n_leaves = self.integers("num_leaves", 1, 1, LARGEST_COUNT)[0]

    def integers(self, key: str, length: int, low: int, high: int, *, optional: bool = False) -> list[int]:
        """Read the integers of a line, from `low` to `high`; where it is `optional`, the line may be empty."""
        where = f"{self.where}, {key}"
        values = read_integers(self.lines.get(key, ""), where, low, high)
        self._check_length(len(values), length, where, optional=optional)
        return values

    def numbers(self, key: str, length: int, *, optional: bool = False) -> list[float]:
        """Read the numbers of a line, of which there may be none at all; where `optional`, it may be empty."""
        if key not in self.lines:
            return []
        where = f"{self.where}, {key}"
        try:
            values = list(map(float, _tokens(self.lines[key])))
        except ValueError:
            raise MalformedModel("it holds something that is not a number", where) from None
        self._check_length(len(values), length, where, optional=optional)
        return values

    def _check_length(self, met: int, length: int, where: str, *, optional: bool) -> None:
        if met != length and not (optional and met == 0):
            raise MalformedModel(f"it has {met} entries instead of {length}", where)
