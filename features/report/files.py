"""Reports as files: report.html and report.json, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from features.errors import OutputError
from features.report.document import Document
from features.report.page import page
from features.whole_file import write_whole

if TYPE_CHECKING:
    from pathlib import Path

HTML_FILE, JSON_FILE = "report.html", "report.json"


def report_files(document: Document) -> dict[str, str]:
    """Give both files of a report, the page made from the JSON alone.

    Parameters
    ----------
    document : Document

    Returns
    -------
    dict of str to str
        Content by file name.
    """
    content = msgspec.json.encode(document)
    read_back = msgspec.json.decode(content, type=Document)
    return {JSON_FILE: msgspec.json.format(content, indent=2).decode(), HTML_FILE: page(read_back)}


def require_free_report(folder: Path) -> None:
    """Refuse a folder that holds something else, before any work.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    OutputError
        It is a file, or holds other files than those of a report.
    """
    if folder.is_file():
        raise OutputError("This is a file.", where=str(folder), mend="Name a folder with --report.")
    others = [f.name for f in folder.iterdir() if f.name not in (HTML_FILE, JSON_FILE)] if folder.is_dir() else []
    if others:
        raise OutputError(
            f"The folder holds other files, such as '{others[0]}'.", where=str(folder), mend="Name a new folder."
        )


def write_report(folder: Path, document: Document) -> None:
    """Write both files into a folder, which is made where it does not exist.

    Parameters
    ----------
    folder : Path
    document : Document

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    contents = report_files(document)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder cannot be made ({error.strerror}).", where=str(folder)) from error
    for name, text in contents.items():
        write_whole(folder / name, text)
