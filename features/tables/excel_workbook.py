"""Excel workbooks (.xlsx) as text: one sheet, no formula guessed, no archive unpacked before its size is known."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from typing import IO, TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from features import fault_rules as rules
from features.faults import CohortRejectedError, listed
from features.tables.text_table import check_shape, refuse, text_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from features.cohort import Fault
    from features.limits import Limits
    from features.tables.text_table import TextTable

#: First bytes of the container of old .xls files and of password-protected .xlsx files.
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
#: Below this size, once unpacked, a workbook is never called a bomb, however well it compresses; no workbook holds more
#: files, and a sheet of more cells that are nearly all empty is no table.
_SMALL_WORKBOOK, _MOST_MEMBERS, _FEW_CELLS = 16 * 1024 * 1024, 5_000, 4_000_000
#: Bytes of markup looked at together, and levels of it that no workbook has.
_PIECE, _DEEP = 64 * 1024, 256
#: Parts that are read of any workbook, beside the one sheet; pictures, drawings and the like are not.
_READ = re.compile(r"\[Content_Types\]\.xml|(xl/)?_rels/.*\.rels|docProps/.*\.xml|xl/[^/]+\.xml")
#: Memory of an empty cell.
_CELL_BYTES = 8
_CELL = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")


def read_workbook(path: Path, *, limits: Limits, sheet: str | None = None) -> TextTable:
    """Read one sheet of an xlsx workbook.

    Parameters
    ----------
    path : pathlib.Path
    limits : Limits
    sheet : str, optional
        Which sheet; needed only where several hold anything.

    Returns
    -------
    TextTable
        Numbers in their shortest exact form, dates as ISO text; rows as the spreadsheet numbers them.

    Raises
    ------
    CohortRejectedError
        If the workbook is corrupt, expands beyond the limits, has several sheets and none is named, or holds formulas
        without a stored value.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path.name, archive, limits)
            _check_markup(archive, (name for name in archive.namelist() if _READ.fullmatch(name)))
            title = _choose(path.name, _sheets(archive), sheet)
            member = _sheets(archive)[title]
            _check_markup(archive, [member])
            merged = _merged_ranges(archive, member)
            _check_formulas(path.name, archive, member)
        return _read_sheet(path, title, merged, limits)
    except CohortRejectedError:
        raise
    except Exception as error:
        # Corrupt archives make zipfile, expat and openpyxl raise a dozen unrelated types.
        raise refuse(path.name, rules.EXCEL_BROKEN, reason=_reason(error)) from error


def _reason(error: Exception) -> str:
    told = " ".join(str(error).split())
    return f"{type(error).__name__}: {told[:80]}" if told else type(error).__name__


def _check_sizes(name: str, archive: zipfile.ZipFile, limits: Limits) -> None:
    members = archive.infolist()
    expanded = sum(member.file_size for member in members)
    packed = max(sum(member.compress_size for member in members), 1)
    size = expanded // (1024 * 1024)
    ratio = expanded // packed
    if expanded > limits.max_workbook_bytes:
        raise refuse(name, rules.BOMB, ratio=ratio, size=size, setting="ADCR_MAX_WORKBOOK_BYTES")
    if expanded > _SMALL_WORKBOOK and ratio > limits.max_expansion:
        raise refuse(name, rules.BOMB, ratio=ratio, size=size, setting="ADCR_MAX_EXPANSION")
    if len(members) > _MOST_MEMBERS:
        raise ValueError(f"it holds {len(members):,} files")


def _check_markup(archive: zipfile.ZipFile, members: Iterable[str]) -> None:
    """Refuse XML such as no spreadsheet program writes, before a tree is made of it.

    Declared entities can expand without end; markup within markup takes memory and time for every level.
    """
    for name in members:
        depth = 0

        def opened(_tag: str, _attributes: object, name: str = name) -> None:
            nonlocal depth
            depth += 1
            if depth > _DEEP:
                raise ValueError(f"{name} nests more than {_DEEP} deep")

        def closed(_tag: str) -> None:
            nonlocal depth
            depth -= 1

        def declared(*_: object, name: str = name) -> None:
            raise ValueError(f"{name} declares a document type")

        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = opened, closed
        parser.StartDoctypeDeclHandler = declared
        with archive.open(name) as stream:
            while piece := stream.read(_PIECE):
                parser.Parse(piece)


def _sheets(archive: zipfile.ZipFile) -> dict[str, str]:
    """Archive member of each worksheet by its title."""
    relations = {
        relation.get("Id"): str(relation.get("Target"))
        for relation in _root(archive, "xl/_rels/workbook.xml.rels")
        if str(relation.get("Type")).endswith("/worksheet")
    }
    found = {}
    for sheet in _root(archive, "xl/workbook.xml").iter(f"{_MAIN}sheet"):
        target = relations.get(sheet.get(_RELATION))
        if target is not None:
            found[str(sheet.get("name"))] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return found


def _root(archive: zipfile.ZipFile, member: str) -> ElementTree.Element:
    return ElementTree.fromstring(archive.read(member))  # noqa: S314 - document types are refused above


def _choose(name: str, sheets: dict[str, str], asked: str | None) -> str:
    if asked is not None:
        if asked not in sheets:
            raise refuse(name, rules.NO_SUCH_SHEET, sheet=asked, sheets=listed(sheets))
        return asked
    if len(sheets) > 1:
        raise refuse(name, rules.SEVERAL_SHEETS, number=len(sheets), sheets=listed(sheets))
    return next(iter(sheets))


def _merged_ranges(archive: zipfile.ZipFile, member: str) -> list[tuple[str, int, int]]:
    """List the merged cells of a sheet: the range as written, its first and its last row."""
    found = []
    for reference in re.findall(rb'<(?:\w+:)?mergeCell\s+ref="([A-Z0-9:]+)"', archive.read(member)):
        text = reference.decode("ascii")
        rows = [int(row) for _, row in _CELL.findall(text)]
        if rows:
            found.append((text, min(rows), max(rows)))
    return found


def _check_formulas(name: str, archive: zipfile.ZipFile, member: str) -> None:
    """Refuse formulas without a stored value: openpyxl would give an empty cell, other readers 0."""
    content = archive.read(member)
    if b"<f" not in content and b":f>" not in content:
        return
    uncomputed = []
    with archive.open(member) as stream:
        for cell in _cells(stream):
            value = cell.find(f"{_MAIN}v")
            if cell.find(f"{_MAIN}f") is not None and (value is None or not value.text):
                uncomputed.append(str(cell.get("r")))
    if uncomputed:
        raise refuse(name, rules.FORMULA_UNCOMPUTED, number=len(uncomputed), cell=uncomputed[0])


def _cells(stream: IO[bytes]) -> Iterator[ElementTree.Element]:
    for _, element in ElementTree.iterparse(stream):  # noqa: S314 - document types are refused above
        if element.tag == f"{_MAIN}c":
            yield element
        elif element.tag == f"{_MAIN}row":
            element.clear()


def _read_sheet(path: Path, title: str, merged: list[tuple[str, int, int]], limits: Limits) -> TextTable:
    import openpyxl

    # The stream is closed here whatever happens; openpyxl leaves its own open when it fails.
    with warnings.catch_warnings(), path.open("rb") as stream:
        # openpyxl warns of styles and extensions that it does not keep; they hold no values.
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        try:
            sheet = book[title]
            # The stated dimension may be wrong or missing; the rows themselves tell.
            sheet.reset_dimensions()
            return _table(path.name, sheet.iter_rows(values_only=True), merged, limits)
        finally:
            book.close()


def _table(
    name: str, records: Iterator[tuple[Any, ...]], merged: list[tuple[str, int, int]], limits: Limits
) -> TextTable:
    above = 0
    header: tuple[Any, ...] = ()
    for record in records:
        above += 1
        if any(cell is not None and str(cell).strip() for cell in record):
            header = record
            break
    if not header:
        raise refuse(name, rules.EMPTY_FILE)
    at_header = [text for text, first, last in merged if first <= above <= last]
    if at_header:
        raise refuse(name, rules.MERGED_HEADER, cells=listed(at_header))
    rows, body, blank = _body(name, records, above, limits)
    if not rows:
        raise refuse(name, rules.NO_ROWS)
    width = max(len(header), *map(len, body))
    titles = [_cell_text(cell) or "" for cell in header] + [""] * (width - len(header))
    filled = [texts + [None] * (width - len(texts)) for texts in body]
    columns = [pa.array(cells, type=pa.string()) for cells in zip(*filled, strict=True)]
    notes = [rules.BLANK_ROWS.fault(number=blank)] if blank else []
    return text_table(
        name, titles, columns, np.array(rows, dtype=np.int64), notes=notes, misshapen=_in_merged(rows, merged)
    )


def _body(
    name: str, records: Iterator[tuple[Any, ...]], above: int, limits: Limits
) -> tuple[list[int], list[list[str | None]], int]:
    """Row numbers and cells of every row below the header that holds anything, and the number of blank rows."""
    rows: list[int] = []
    body: list[list[str | None]] = []
    blank = spanned = held = 0
    for number, record in enumerate(records, start=above + 1):
        texts = [_cell_text(cell) for cell in record]
        # A row reaches as far as its last cell: a single one may span thousands of times itself.
        spanned, held = spanned + len(texts), held + len(texts) - texts.count(None)
        if spanned > _FEW_CELLS and spanned // max(held, 1) > limits.max_expansion:
            size = spanned * _CELL_BYTES // (1024 * 1024)
            raise refuse(name, rules.BOMB, ratio=spanned // max(held, 1), size=size, setting="ADCR_MAX_EXPANSION")
        if not any(text and text.strip() for text in texts):
            blank += 1
            continue
        rows.append(number)
        body.append(texts)
        check_shape(name, rows=len(rows), columns=len(texts), limits=limits)
    return rows, body, blank


def _in_merged(rows: list[int], merged: list[tuple[str, int, int]]) -> dict[int, Fault]:
    faults = {}
    for position, row in enumerate(rows):
        touching = [text for text, first, last in merged if first <= row <= last]
        if touching:
            faults[position] = rules.MERGED_CELL.fault(row=row, cells=listed(touching))
    return faults


def _cell_text(cell: object) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        # A spreadsheet keeps every number as a float; 3.0 was typed as 3.
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)
