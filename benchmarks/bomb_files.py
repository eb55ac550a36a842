"""Files that are small, or cheap to make, and cost whoever opens them without looking first; for `benchmarks.bombs`."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

_MIB = 1024 * 1024
_HEADER = b"patient_id,adc,her2_ihc\n"
_ROWS = b"P1,T-DM1,3+\n" * (_MIB // 12)
_CELL = b'<row r="2"><c r="A2" t="inlineStr"><is><t>P1</t></is></c></row>'

Maker = Callable[[Path], None]


def _gzip(parts: Iterator[bytes]) -> Maker:
    def make(path: Path) -> None:
        with gzip.open(path, "wb", compresslevel=6) as stream:
            for part in parts:
                stream.write(part)

    return make


def _plain(*parts: tuple[bytes, int]) -> Maker:
    def make(path: Path) -> None:
        with path.open("wb") as stream:
            for part, times in parts:
                for _ in range(times):
                    stream.write(part)

    return make


def _many_members(path: Path) -> None:
    """One gzip file of very many members, each of a mebibyte."""
    one = gzip.compress(b"P1,T-DM1,3+\n" * (_MIB // 12))
    with path.open("wb") as stream:
        stream.write(gzip.compress(_HEADER))
        for _ in range(2_000):
            stream.write(one)


def _workbook(sheet: Callable[[], Iterator[bytes]], *, declare: bytes = b"") -> Maker:
    """Make a workbook of this sheet, and everything else as openpyxl writes it."""

    def make(path: Path) -> None:
        import openpyxl

        whole = io.BytesIO()
        book = openpyxl.Workbook()
        book.active.append(["patient_id", "adc", "her2_ihc"])
        book.save(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as new:
            for member in old.namelist():
                if member.endswith("sheet1.xml"):
                    with new.open(member, "w", force_zip64=True) as stream:
                        stream.write(declare)
                        stream.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">')
                        stream.write(b"<sheetData>")
                        for part in sheet():
                            stream.write(part)
                        stream.write(b"</sheetData></worksheet>")
                else:
                    new.writestr(member, old.read(member))

    return make


def _head() -> bytes:
    cells = (
        f'<c r="{c}1" t="inlineStr"><is><t>{n}</t></is></c>'
        for c, n in zip("ABC", ("patient_id", "adc", "x"), strict=True)
    )
    return f'<row r="1">{"".join(cells)}</row>'.encode()


def _times(part: bytes, times: int) -> Callable[[], Iterator[bytes]]:
    def parts() -> Iterator[bytes]:
        yield _head()
        for _ in range(times):
            yield part

    return parts


def _far_cells() -> Iterator[bytes]:
    """Each row holds one cell, in the last column that a sheet may have."""
    yield _head()
    for row in range(2, 60_000):
        yield f'<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>'.encode()


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]>'.encode()


def _hidden_laughs() -> bytes:
    """Put the same behind a comment, beyond what a quick look at the beginning sees."""
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!--{"x" * 5000}--><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]>'.encode()


def _laughing() -> Iterator[bytes]:
    yield _head()
    yield b'<row r="2"><c r="A2" t="inlineStr"><is><t>&l9;</t></is></c></row>'


def _deep_rows() -> Iterator[bytes]:
    yield b"<row>" * 1_000_000


def _many_files(path: Path) -> None:
    _workbook(_times(_CELL, 1))(path)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(100_000):
            archive.writestr(f"xl/media/{number}.xml", b"")


def _parquet(rows: int, text: str) -> Maker:
    """Few values, each stored once and meant very often."""

    def make(path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        size = min(rows, 1_000_000)
        first = pa.nulls(size, pa.int32()).fill_null(0)
        values = {"patient_id": "P1", "adc": "T-DM1", "her2_ihc": "3+", "note": text}
        columns = {name: pa.DictionaryArray.from_arrays(first, pa.array([value])) for name, value in values.items()}
        table = pa.table(columns)
        with parquet.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
            for _ in range(rows // size):
                writer.write_table(table, row_group_size=size)

    return make


def _wide_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({f"c{i}": pa.array([1.0]) for i in range(60_000)}), path)


#: Cohort files by name; the suffix is the name's.
COHORTS: dict[str, Maker] = {
    "one-line.csv": _plain((_HEADER, 1), (b"P1,T-DM1," + b"a" * (_MIB - 9), 1500)),
    "zeros.csv": _plain((_HEADER, 1), (bytes(_MIB), 1500)),
    "open-quote.csv": _plain((_HEADER, 1), (b'P1,T-DM1,"', 1), (b"a,b\n" * (_MIB // 4), 1500)),
    "delimiters.csv": _plain((_HEADER, 1), (b"," * _MIB, 1500)),
    "huge-header.csv": _plain((b"patient_id,adc,her2_ihc", 1), (b",x" * (_MIB // 2), 300), (b"\n", 1), (_ROWS, 1)),
    "long-header-name.csv": _plain((b"patient_id,adc,", 1), (b"x" * _MIB, 300), (b"\nP1,T-DM1,1\n", 1)),
    "columns-30001.csv": _plain(
        (b"patient_id,adc" + b"".join(b",c%d" % i for i in range(30_000)) + b"\n", 1),
        (b"P1,T-DM1" + b",1" * 30_000 + b"\n", 2_000),
    ),
    "zeros.csv.gz": _gzip(bytes(_MIB) for _ in range(4_000)),
    "line-ends.csv.gz": _gzip(b"\n" * _MIB for _ in range(4_000)),
    "one-line.csv.gz": _gzip(_HEADER + b"a" * _MIB if i == 0 else b"a" * _MIB for i in range(4_000)),
    "rows.csv.gz": _gzip(_HEADER + _ROWS if i == 0 else _ROWS for i in range(2_000)),
    "members.csv.gz": _many_members,
    "blanks.xlsx": _workbook(_times(b" " * _MIB, 10_000)),
    "blanks-below-cap.xlsx": _workbook(_times(b" " * _MIB, 500)),
    "cells-below-cap.xlsx": _workbook(_times(_CELL * (_MIB // len(_CELL)), 500)),
    "far-cells.xlsx": _workbook(_far_cells),
    "laughs.xlsx": _workbook(_laughing, declare=_laughs()),
    "hidden-laughs.xlsx": _workbook(_laughing, declare=_hidden_laughs()),
    "deep.xlsx": _workbook(_deep_rows),
    "many-files.xlsx": _many_files,
    "long-text.parquet": _parquet(1_000_000, "x" * 100_000),
    "many-rows.parquet": _parquet(400_000_000, "x"),
    "wide.parquet": _wide_parquet,
}

#: Mapping files.
MAPPINGS: dict[str, Maker] = {
    "deep.toml": _plain((b"a = " + b"[" * 200_000, 1)),
    "deep-tables.toml": _plain((b"a = " + b"{a=" * 80_000, 1)),
    "dotted.toml": _plain((b"a." * 120_000 + b"a = 1", 1)),
    "deep-head.toml": _plain((b"[" + b"a." * 120_000 + b"a]", 1)),
    "many-dotted.toml": _plain((b"".join(b"a.b%d.c.d.e.f = 1\n" % i for i in range(12_000)), 1)),
    "dotted-lines.toml": _plain((b"".join(b"b%d." % i + b"a." * 245 + b"a = 1\n" for i in range(500)), 1)),
    "huge.toml": _plain((b"# " + b"x" * _MIB, 1500)),
    "slow-pattern.toml": _plain(
        (b'[columns]\npatient_id = "patient_id"\nadc = "adc"\n', 1),
        (b'her2_ihc = { from = "her2_ihc", extract = "(' + b"(x{500}){500}" * 20 + b')" }\n', 1),
    ),
}

#: Files put in the place of a model's, by name.
MODELS: dict[str, tuple[str, Maker]] = {
    "deep bundle.json": ("bundle.json", _plain((b"[" * _MIB, 40))),
    "deep known key": ("bundle.json", _plain((b'{"schema_version":2,"x":', 1), (b"[" * _MIB, 40))),
    "huge bundle.json": ("bundle.json", _plain((b" " * _MIB, 1500))),
    "large bundle.json": ("bundle.json", _plain((b'{"x":[', 1), (b"0," * (_MIB // 2), 60), (b"0]}", 1))),
    "long number": ("bundle.json", _plain((b'{"schema_version":', 1), (b"9" * _MIB, 40), (b"}", 1))),
    "huge model.txt": ("model.txt", _plain((b"tree\n" * (_MIB // 5), 1500))),
    "large model.txt": ("model.txt", _plain((b"Tree=0\n" * (_MIB // 7), 60))),
}
