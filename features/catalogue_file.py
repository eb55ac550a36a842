"""The catalogue's TOML files, read into typed records or refused in one line."""

from __future__ import annotations

from importlib.resources import files
from typing import TypeVar

import msgspec

from features.errors import InputError

Document = TypeVar("Document")


def read_catalogue(name: str, kind: type[Document]) -> Document:
    """Read a file of the catalogue.

    Parameters
    ----------
    name : str
        "biomarkers.toml".
    kind : type
        Its records.

    Returns
    -------
    Document

    Raises
    ------
    InputError
        Someone has edited the installed file so that it is no catalogue any more.
    """
    return decode_catalogue(files("features").joinpath(name).read_bytes(), name, kind)


def decode_catalogue(content: bytes, name: str, kind: type[Document]) -> Document:
    """Read the content of a catalogue file.

    Parameters
    ----------
    content : bytes
    name : str
        Named in errors.
    kind : type

    Returns
    -------
    Document

    Raises
    ------
    InputError
        It is no catalogue.
    """
    try:
        return msgspec.toml.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = " ".join(str(error).split())[:160]
        raise InputError(
            f"the catalogue is damaged: {told}.", where=name, mend="Undo the last change, or install adcr again."
        ) from error
