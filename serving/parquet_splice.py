"""Row groups written side by side in memory, then joined into one Parquet file without encoding anything twice.

A Parquet file is its row groups, one behind the other, and a footer that says where each begins. Row groups hold no
positions themselves, so one that was written as a small file of its own can be moved: only its footer changes. The
footer is a Thrift structure in the compact protocol; it is taken apart without regard to its meaning but for the
fields that hold positions and counts.

References
----------
Apache Parquet, `parquet.thrift` (FileMetaData, RowGroup, ColumnChunk, ColumnMetaData). Apache Thrift, compact protocol
specification.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"PAR1"
#: Length of the footer's own length and the closing magic.
_TAIL_BYTES = 8
# Kinds of the compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_WHOLE = (4, 5, 6)
_LONG_LIST = 15
# Fields of parquet.thrift.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSET, _CHUNK_META, _OFFSET_INDEX, _COLUMN_INDEX = 2, 3, 4, 6
_PAGE_OFFSETS = (9, 10, 11, 14)

#: A structure as (field, kind, value) in order.
Fields = list[tuple[int, int, Any]]


def split_file(content: bytes) -> tuple[memoryview, bytes]:
    """Take a Parquet file apart.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    body : memoryview
        Its row groups, without the opening magic.
    footer : bytes
    """
    view = memoryview(content)
    length = struct.unpack("<I", view[-_TAIL_BYTES:-4])[0]
    end = len(view) - _TAIL_BYTES - length
    return view[len(MAGIC) : end], bytes(view[end:-_TAIL_BYTES])


def joined_footer(footers: Sequence[bytes], positions: Sequence[int]) -> bytes:
    """Footer of a file made of the bodies of several, with all that stands behind its row groups.

    Parameters
    ----------
    footers : sequence of bytes
        As `split_file` gives them, of files with the same schema.
    positions : sequence of int
        Where in the file the body of each begins.

    Returns
    -------
    bytes
    """
    first = _read_struct(footers[0], 0)[0]
    groups: list[Fields] = []
    rows = 0
    for footer, position in zip(footers, positions, strict=True):
        fields = {field: value for field, _, value in _read_struct(footer, 0)[0]}
        rows += fields[_NUM_ROWS]
        for group in fields[_ROW_GROUPS][1]:
            groups.append(_moved_group(group, position - len(MAGIC), len(groups)))
    whole = {_NUM_ROWS: rows, _ROW_GROUPS: (_STRUCT, groups)}
    out = bytearray()
    _write_struct(out, [(field, kind, whole.get(field, value)) for field, kind, value in first])
    return bytes(out) + struct.pack("<I", len(out)) + MAGIC


def _moved_group(group: Fields, shift: int, ordinal: int) -> Fields:
    def moved(field: int, value: Any) -> Any:
        if field == _COLUMNS:
            return value[0], [_moved_chunk(chunk, shift) for chunk in value[1]]
        # The ordinal has 16 bits; readers do without it, and a file may have more groups than it can count.
        return value + shift if field == _GROUP_OFFSET else min(ordinal, 32_767) if field == _ORDINAL else value

    return [(field, kind, moved(field, value)) for field, kind, value in group]


def _moved_chunk(chunk: Fields, shift: int) -> Fields:
    def moved(field: int, value: Any) -> Any:
        if field == _CHUNK_META:
            return [(f, k, v + shift if f in _PAGE_OFFSETS and v else v) for f, k, v in value]
        return value + shift if field in (_CHUNK_OFFSET, _OFFSET_INDEX, _COLUMN_INDEX) and value else value

    return [(field, kind, moved(field, value)) for field, kind, value in chunk]


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    shift = value = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _read_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in _WHOLE:
        value, at = _read_number(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == _BINARY:
        length, at = _read_number(data, at)
        return data[at : at + length], at + length
    if kind == _STRUCT:
        return _read_struct(data, at)
    if kind in (_LIST, _SET):
        size, inner = data[at] >> 4, data[at] & 15
        at += 1
        if size == _LONG_LIST:
            size, at = _read_number(data, at)
        items = []
        for _ in range(size):
            item, at = (data[at], at + 1) if inner in (_TRUE, _FALSE) else _read_value(data, at, inner)
            items.append(item)
        return (inner, items), at
    if kind == _BYTE:
        return data[at], at + 1
    if kind == _DOUBLE:
        return data[at : at + 8], at + 8
    raise ValueError(f"a Parquet footer with a field of kind {kind}")


def _read_struct(data: bytes, at: int) -> tuple[Fields, int]:
    fields: Fields = []
    field = 0
    while data[at]:
        delta, kind = data[at] >> 4, data[at] & 15
        at += 1
        if delta:
            field += delta
        else:
            value, at = _read_number(data, at)
            field = (value >> 1) ^ -(value & 1)
        if kind in (_TRUE, _FALSE):
            fields.append((field, kind, kind == _TRUE))
        else:
            value, at = _read_value(data, at, kind)
            fields.append((field, kind, value))
    return fields, at + 1


def _write_number(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _WHOLE:
        _write_number(out, (value << 1) ^ (value >> 63))
    elif kind == _BINARY:
        _write_number(out, len(value))
        out += value
    elif kind == _STRUCT:
        _write_struct(out, value)
    elif kind in (_LIST, _SET):
        inner, items = value
        out.append(min(len(items), _LONG_LIST) << 4 | inner)
        if len(items) >= _LONG_LIST:
            _write_number(out, len(items))
        for item in items:
            if inner in (_TRUE, _FALSE, _BYTE):
                out.append(item)
            else:
                _write_value(out, inner, item)
    elif kind == _BYTE:
        out.append(value)
    else:
        out += value


def _write_struct(out: bytearray, fields: Fields) -> None:
    last = 0
    for field, kind, value in fields:
        if 0 < field - last < _LONG_LIST + 1:
            out.append((field - last) << 4 | kind)
        else:
            out.append(kind)
            _write_number(out, (field << 1) ^ (field >> 15))
        if kind not in (_TRUE, _FALSE):
            _write_value(out, kind, value)
        last = field
    out.append(0)
