"""Names that are nearly a known one: typing slips, and letters of other alphabets that only look Latin."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from features.biomarkers import measures
from features.column_names import measure_names, normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Cyrillic and Greek letters that are drawn like a Latin one.
_LOOKALIKES = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406\u0408\u0405\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u043d"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd",
    "ABEKMHOPCTXIJSaeopcyxijshABEZHIKMNOPTYXov",
)
#: Shorter names are too often near to one another by chance.
_SHORTEST = 6


def lookalike(name: str) -> tuple[str, str] | None:
    """Tell a known name that is written with letters of another alphabet.

    Parameters
    ----------
    name : str
        Header as written.

    Returns
    -------
    tuple of (str, str) or None
        The strange characters by their Unicode names, and the column that the name looks like.
    """
    plain = name.translate(_LOOKALIKES)
    if plain == name:
        return None
    meant = measure_names().get(normalise_name(plain))
    if meant is None:
        return None
    strange = [c for c, p in zip(name, plain, strict=True) if c != p]
    return ", ".join(dict.fromkeys(unicodedata.name(c).title() for c in strange)), meant[0]


def near_name(name: str) -> str | None:
    """Tell the column whose name differs from this one by a typing slip.

    A slip is one letter left out, doubled or put in, or two neighbours swapped ("her2_ich"). One letter for another
    counts only in names that hold no gene but HER2: CCND1 is not a misspelt CCNE1. Digits never slip.

    Parameters
    ----------
    name : str
        Header as written.

    Returns
    -------
    str or None
        Column id.
    """
    text = normalise_name(name)
    if len(text) < _SHORTEST:
        return None
    index = _index()
    digits = re.sub(r"[^0-9]", "", text)
    for variant in (text, *_shortened(text)):
        for known in index.get(variant, ()):
            if re.sub(r"[^0-9]", "", known) == digits and _is_slip(text, known):
                return measure_names()[known][0]
    return None


def _is_slip(text: str, known: str) -> bool:
    if len(text) != len(known):
        return abs(len(text) - len(known)) == 1
    differing = [i for i, (a, b) in enumerate(zip(text, known, strict=True)) if a != b]
    if len(differing) == 1:
        return _may_substitute(known)
    return (
        len(differing) == 2
        and differing[1] == differing[0] + 1
        and (text[differing[0]], text[differing[1]]) == (known[differing[1]], known[differing[0]])
    )


def _may_substitute(known: str) -> bool:
    column = measure_names()[known][0]
    measure = measures().get(column)
    return measure is None or measure.core


@cache
def _index() -> Mapping[str, tuple[str, ...]]:
    """Known names by each of their forms with one character left out, and by themselves."""
    index: dict[str, list[str]] = {}
    for known in measure_names():
        if len(known) >= _SHORTEST:
            for variant in (known, *_shortened(known)):
                index.setdefault(variant, []).append(known)
    return {variant: tuple(names) for variant, names in index.items()}


def _shortened(text: str) -> Iterator[str]:
    return (text[:i] + text[i + 1 :] for i in range(len(text)))
