"""Text cells that no spreadsheet runs as a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
#: A cell that begins with one of these runs as a formula; full-width forms do in East Asian spreadsheets.
_OPENERS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_RISKY = rf"^[{re.escape(_OPENERS)}]"
_PLAIN_NUMBER = r"^[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?$"
#: Steers a terminal or turns the reading direction; spreadsheets refuse the first of them.
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run; plain numbers stay.

    Control characters, which would steer a terminal, are taken out.

    Examples
    --------
    >>> harmless("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    >>> harmless("-1.5")
    '-1.5'
    """
    text = _STEERING.sub("", text)
    risky = text.startswith(tuple(_OPENERS)) and not _NUMBER.fullmatch(text)
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
