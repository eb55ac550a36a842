"""How large an input may be; checked before a file is opened whole, so that a hostile one costs nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

from features.errors import InputError

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on an input file; each may be raised by an environment variable, `ADCR_MAX_ROWS` for `max_rows`.

    Attributes
    ----------
    max_file_bytes : int
        Size of the file on disk.
    max_expanded_bytes : int
        Size of its content once decompressed (gzip, Parquet column chunks).
    max_workbook_bytes : int
        Size of the members of an xlsx archive once decompressed; reading them takes about ten times as much memory.
    max_expansion : int
        Decompressed bytes per compressed byte beyond which an archive over 64 MiB counts as a bomb. Cohort tables
        compress by a factor of 5 to 50.
    max_rows, max_columns, max_cells : int
        Records, columns and their product.
    max_line_characters : int
        Length of one line of a text file.
    """

    max_file_bytes: int = 2048 * _MIB
    max_expanded_bytes: int = 4096 * _MIB
    max_workbook_bytes: int = 512 * _MIB
    max_expansion: int = 250
    max_rows: int = 20_000_000
    max_columns: int = 30_000
    max_cells: int = 500_000_000
    max_line_characters: int = 4 * _MIB

    @classmethod
    def of_streams(cls) -> Limits:
        """Limits for files that are read block by block, whose rows and bytes cost no memory."""
        endless = 1 << 60
        return cls(max_file_bytes=endless, max_expanded_bytes=endless, max_rows=endless, max_cells=endless)

    @classmethod
    def from_environment(cls, default: Limits | None = None) -> Limits:
        """Limits with the defaults replaced by those that the environment sets.

        Parameters
        ----------
        default : Limits, optional
            What holds where the environment says nothing.

        Raises
        ------
        InputError
            If a variable does not hold a positive whole number.
        """
        given: dict[str, int] = {}
        for field in fields(cls):
            variable = f"ADCR_{field.name.upper()}"
            text = os.environ.get(variable)
            if text is None:
                continue
            if not (text.isascii() and text.isdigit() and int(text) > 0):
                raise InputError(
                    f"'{text}' is not a positive whole number.",
                    where=f"environment variable {variable}",
                    mend=f"Unset it for the default, {field.default}.",
                )
            given[field.name] = int(text)
        return replace(default or cls(), **given)


#: Below this size an archive is never called a bomb, however well it compresses.
SMALL_EXPANSION = 64 * _MIB
