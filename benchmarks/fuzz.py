"""Mutate files by the thousand, to see that each is refused in one line or read with nothing lost.

    make fuzz                                    3,000 cohort files, 1,000 mappings, 400 catalogues, 2,000 bundles
    python -m benchmarks.fuzz --cohorts 300      one kind alone
    python -m benchmarks.fuzz --seed 10000       other files

Seeds are fixed: equal numbers give equal files. A finding is a traceback, a row that is lost, a file that takes longer
than `SLOWEST` seconds, a bundle that ends this process, or one that gives other scores under the same version. Each is
printed with the seed that makes it again; the exit code is 1 where there is any.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from features.cohort_file import read_cohort
from features.cohort_template import write_template
from features.errors import AdcrError

#: Seconds that one file may take.
SLOWEST = 20.0
#: Texts that mean something to a reader of tables, mappings, JSON or LightGBM's format.
_TELLING = (
    *(b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf", b"=", b"[", b"]", b"{", b"}"),
    *(b"\xe2\x80\xae", b"\x1b[2J", b"1e400", b"nan", b"-0", b"9" * 30, b"NA", b"=cmd|' /C calc'!A0", b"../", b"%s%n"),
    *(b"\xd9\xa3", b"\xef\xbc\x95", b"2147483648", b"-1", b"Tree=0\n", b"end of trees\n", b"null", b"1_000", b"(?=a)"),
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Change a few places: a byte, a piece left out, doubled, moved or cut off, a telling text put in."""
    made = bytearray(content)
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(made)) if made else 0
        length = draw.choice((1, 2, 8, 64, 1024))
        kind = draw.randrange(7)
        if kind == 0 and made:
            made[at] = draw.randrange(256)
        elif kind == 1:
            del made[at : at + length]
        elif kind == 2:
            made[at:at] = made[at : at + length]
        elif kind == 3:
            made[at:at] = draw.choice(_TELLING)
        elif kind == 4 and draw.random() < 0.2:
            del made[at:]
        elif kind == 5 and made:
            made[at] = draw.choice(b"0123456789")
        else:
            piece = made[at : at + length]
            made[at : at + length] = b""
            to = draw.randrange(len(made) + 1)
            made[to:to] = piece
    return bytes(made)


class Finding(Exception):  # noqa: N818
    """What a mutated file must not bring about."""


def _late(_number: int, _frame: object) -> None:
    raise Finding(f"took longer than {SLOWEST:g} seconds")


def tried(name: str, number: int, attempt: Callable[[random.Random], str], *, seed: int) -> list[str]:
    """Try a number of mutations of one kind; print what became of them, and give the findings."""
    signal.signal(signal.SIGALRM, _late)
    became: Counter[str] = Counter()
    findings, started = [], time.perf_counter()
    for at in range(seed, seed + number):
        signal.alarm(int(SLOWEST))
        try:
            became[attempt(random.Random(at))] += 1
        except Exception as error:
            findings.append(f"{name} {at}: {''.join(traceback.format_exception(error)[-3:])}")
        finally:
            signal.alarm(0)
    told = ", ".join(f"{count} {what}" for what, count in sorted(became.items()))
    print(f"{name}: {told or 'none'}; {len(findings)} findings; {time.perf_counter() - started:.0f} s")
    return findings


def _refused(error: AdcrError) -> str:
    lines = str(error).splitlines()
    if not lines or any("Traceback" in line or not line.isprintable() for line in lines):
        raise Finding(f"told in unprintable characters: {error!r}") from error
    return "refused"


def cohorts(folder: Path, number: int, seed: int) -> list[str]:
    """Mutate cohort files of every format; rows in are rows read, put aside or merged."""
    wholes = []
    for suffix in (".csv", ".tsv", ".csv.gz", ".parquet", ".xlsx"):
        (folder / suffix[1:]).mkdir()
        wholes.append(write_template(folder / suffix[1:] / f"whole{suffix}")[0])

    def attempt(draw: random.Random) -> str:
        whole = draw.choice(wholes)
        path = folder / f"mutated{''.join(whole.suffixes)}"
        path.write_bytes(mutated(whole.read_bytes(), draw))
        try:
            cohort = read_cohort(path, for_scoring=draw.random() < 0.5)
        except AdcrError as error:
            return _refused(error)
        if cohort.rows_in != len(cohort.rows) + len(cohort.rejected) + cohort.duplicates_merged:
            raise Finding("rows were lost")
        return "read"

    return tried("cohort files", number, attempt, seed=seed)


_MAPPING = b"""[columns]
patient_id = "Pat"
adc = { from = "Drug", values = { "TDM1 q3w" = "T-DM1" }, otherwise = "T-DXd" }
her2_ihc = { from = "HER2", values = { "strong" = "3+" } }
til_percent = { from = "sTIL", unit = "fraction" }
erbb2_copy_number = { from = "ISH", extract = "CN ([0-9.]+)" }
erbb2_mrna_z = { from = "log2 ERBB2", standardise = true }
setting = { constant = "metastatic" }
"""
_TABLE = "Pat,Drug,HER2,sTIL,ISH,log2 ERBB2\nA1,TDM1 q3w,strong,0.1,2.1 (CN 4.8),7.5\nA2,T-DXd,1+,0.3,1.2 (CN 2),3\n"


#: What someone may write between the quotes of a mapping.
_WRITTEN = (
    *(
        "",
        "Pat",
        "Drug",
        "HER2",
        "sTIL",
        "ISH",
        "(",
        "(a+)+$",
        "(?=1)(2)",
        r"(\\1)",
        "([0-9.]+)(x)",
        "(?P<n>.)",
        r"(\\p{L}+)",
    ),
    *(
        "(.{1000})",
        "(x{500}){500}",
        "percent",
        "fraction",
        "furlong",
        "T-DM1",
        "3+",
        "NA",
        "=1+1",
        "\\u0000",
        "\\u202e",
        "x" * 5000,
    ),
)


def _other_text(draw: random.Random) -> bytes:
    parts = _MAPPING.decode().split('"')
    for _ in range(draw.randint(1, 3)):
        parts[draw.randrange(1, len(parts), 2)] = draw.choice(_WRITTEN)
    return '"'.join(parts).encode()


def mappings(folder: Path, number: int, seed: int) -> list[str]:
    """Mutate a mapping file and read a table by it."""
    table, path = folder / "foreign.csv", folder / "mapping.toml"
    table.write_text(_TABLE, encoding="utf-8")

    def attempt(draw: random.Random) -> str:
        path.write_bytes(_other_text(draw) if draw.random() < 0.6 else mutated(_MAPPING, draw))
        try:
            read_cohort(table, mapping=str(path))
        except AdcrError as error:
            return _refused(error)
        return "read"

    return tried("mapping files", number, attempt, seed=seed)


def catalogues(folder: Path, number: int, seed: int) -> list[str]:
    """Mutate the catalogue's own files."""
    from importlib.resources import files

    from features import adcs, biomarkers, sources, trials
    from features.catalogue_file import decode_catalogue

    kinds = [(m.__name__.rpartition(".")[2] + ".toml", m._Document) for m in (adcs, biomarkers, sources, trials)]

    def attempt(draw: random.Random) -> str:
        name, kind = draw.choice(kinds)
        try:
            decode_catalogue(mutated(files("features").joinpath(name).read_bytes(), draw), name, kind)
        except AdcrError as error:
            return _refused(error)
        return "read"

    return tried("catalogue files", number, attempt, seed=seed)


def bundles(folder: Path, number: int, seed: int, model: Path | None) -> list[str]:
    """Mutate a model: as a broken copy would be, and with its hashes made to fit, as one from a stranger may be."""
    from benchmarks.fuzz_bundles import BundleTrials

    return BundleTrials(folder, model).run(number, seed)


def main() -> int:
    """Run all kinds, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = {"cohorts": 3000, "mappings": 1000, "catalogues": 400, "bundles": 2000}
    for name in usual:
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--model", type=Path, help="Folder of the bundle to mutate (default: one is trained).")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="Seed of the first file of each kind.")
    chosen = parser.parse_args()
    named = {name: getattr(chosen, name) for name in usual}
    numbers = usual if all(n is None for n in named.values()) else {k: n or 0 for k, n in named.items()}
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        for kind in (cohorts, mappings, catalogues):
            if numbers[kind.__name__]:
                findings += kind(folder, numbers[kind.__name__], chosen.seed)
        if numbers["bundles"]:
            findings += bundles(folder, numbers["bundles"], chosen.seed, chosen.model)
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
