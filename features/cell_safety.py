"""Text cells that no spreadsheet runs as a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
#: Begins like a formula, and is no plain number (RE2).
_RISKY = r"^[=+\-@\t\r]"
_PLAIN_NUMBER = r"^[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?$"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"


def harmless(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run; plain numbers stay.

    Examples
    --------
    >>> harmless("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    >>> harmless("-1.5")
    '-1.5'
    """
    risky = text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(text)
    return f"'{text}" if risky else text


def harmless_column(column: pd.Series[Any]) -> Any:
    """Make every cell of a text column harmless.

    Parameters
    ----------
    column : pandas.Series
        `str` dtype.

    Returns
    -------
    pyarrow.Array
        Text, with null where missing; control characters, which spreadsheets refuse, are taken out.
    """
    cells = pc.replace_substring_regex(pa.array(column, type=pa.large_string()), pattern=_CONTROL, replacement="")
    risky = pc.and_(pc.match_substring_regex(cells, _RISKY), pc.invert(pc.match_substring_regex(cells, _PLAIN_NUMBER)))
    return pc.if_else(
        risky,
        pc.binary_join_element_wise(pa.scalar("'", pa.large_string()), cells, pa.scalar("", pa.large_string())),
        cells,
    )
