"""A public cohort by its name: fetched, imported, with its licence and citation beside it."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import tarfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from features import fault_rules as rules
from features.errors import InputError, OutputError
from features.faults import NAME_CHARACTERS, CohortRejectedError, shown
from features.public.cache_place import caching
from features.public.cbioportal_api import fetch_study
from features.public.download import download
from features.public.patience import FIRST_WAIT
from features.public.registry import PublicCohort, host_address, public_cohort
from features.public.study_archive import unpacked_study
from features.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.cohort import Cohort

#: What reading a damaged file ends in.
_UNREADABLE = (InputError, ValueError, LookupError, EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error)
#: Faults of column names, which a mapping mends.
_OF_COLUMNS = {r.code for r in (rules.AMBIGUOUS_NAME, rules.SAME_MEASURE_TWICE, rules.NO_BIOMARKER, rules.NEAR_NAME)}
#: Longest part of a study's own licence that is kept beside the cohort.
_LICENCE_CHARACTERS = 4_000


def cache_folder() -> Path:
    """Folder of fetched files, in the user's cache.

    Returns
    -------
    pathlib.Path
    """
    from platformdirs import user_cache_path

    return user_cache_path("adcr") / "cohorts"


def fetch_cohort(
    name: str,
    output: Path,
    *,
    expression: bool = False,
    by_api: bool = False,
    offline: bool = False,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    first_wait: float = FIRST_WAIT,
) -> Cohort:
    """Fetch a public cohort and write it as a cohort file.

    Parameters
    ----------
    name : str
        Of the registry, or `cbioportal:STUDY`.
    output : pathlib.Path
        Cohort file to write; `<output>.licence.txt` stands beside it.
    expression : bool
        Fetch the gene-level matrix too, where there is one.
    by_api : bool
        Ask the portal's programming interface for the catalogue's genes, in place of the study's whole archive.
    offline : bool
    folder : pathlib.Path, optional
        Cache; the user's by default.
    progress : callable, optional
    first_wait : float
        Seconds before a second attempt.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        It cannot be fetched or read: says why, and what to do by hand. A file that was just fetched and cannot be read
        does not stay in the cache.
    OutputError
        The cohort file or the cache cannot be written.
    """
    from features.cohort_import import import_cohort

    _check_output(output)
    entry = public_cohort(name)
    if entry.apply:
        raise InputError(
            "it needs an access agreement.", where=entry.name, mend=f"Apply at {entry.apply}; then import the file."
        )
    if not entry.host:
        raise InputError("it is not fetched by a program.", where=entry.name, mend=entry.by_hand)
    place = (folder or cache_folder()) / entry.name
    options: _Options = {"offline": offline, "progress": progress, "first_wait": first_wait}
    if by_api:
        if entry.host != "cbioportal":
            raise InputError("it is no study of cBioPortal.", where=entry.name, mend="Leave --api out.")
        with caching(place):
            there = any((place / "api").glob("*"))
        study = fetch_study(entry.name, place / "api", host_address("cbioportal_api"), **options)
        with _unread_removed(entry, [study], [] if there else [study]):
            cohort, terms = import_cohort(study, output), _study_terms(study)
    else:
        cohort, terms = _fetch_files(entry, place, output, expression, options)
    write_whole(output.with_name(f"{output.name}.licence.txt"), _licence(entry) + terms)
    return cohort


class _Options(TypedDict):
    offline: bool
    progress: Callable[[int, int], None] | None
    first_wait: float


def _fetch_files(
    entry: PublicCohort, place: Path, output: Path, expression: bool, options: _Options
) -> tuple[Cohort, str]:
    from features.cohort_import import import_cohort

    if expression and not entry.expression:
        raise InputError(
            "the registry has no gene-level matrix of it.", where=entry.name, mend="Leave --expression out."
        )
    wanted = [*entry.files, *([entry.expression] if expression else [])]
    sums = dict(zip(entry.files, entry.sha256, strict=False))
    fresh: list[Path] = []
    found: list[Path] = []
    for path in wanted:
        target = place / path.rpartition("/")[2]
        with caching(target):
            there = target.is_file()
        download(f"{host_address(entry.host)}/{path}", target, sha256=sums.get(path, ""), **options)
        found.append(target)
        fresh += [] if there else [target]
    with _unread_removed(entry, list(found), fresh):
        matrix = found.pop() if expression else None
        with unpacked_study(found[0] if len(found) == 1 else place) as source:
            cohort = import_cohort(source, output, mapping=entry.mapping or None, expression=matrix)
            return cohort, _study_terms(source)


@contextmanager
def _unread_removed(entry: PublicCohort, found: list[Path], fresh: list[Path]) -> Iterator[None]:
    """Take a just fetched file that cannot be read out of the cache, and name every file that may be at fault."""
    try:
        yield
    except _UNREADABLE as error:
        first = (str(error).splitlines() or [""])[0]
        why = first if isinstance(error, InputError) else f"{type(error).__name__} {shown(first, NAME_CHARACTERS)}."
        if "ADCR_MAX_" in why:
            # The file is whole; only the user's caps refuse it.
            raise
        if isinstance(error, CohortRejectedError) and {fault.code for fault in error.faults} <= _OF_COLUMNS:
            # The file is whole; what its columns mean is for a mapping to say.
            raise InputError(
                f"it was fetched, but its columns need a mapping: {why}",
                where=entry.name,
                mend=f"Write one, then: adcr cohort import {shlex.quote(str(found[0]))} --map FILE.",
            ) from error
        suspects = [path for path in found if path.name in why] or found
        removed = [path for path in suspects if path in fresh]
        for path in removed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        kept = [path for path in suspects if path not in fresh]
        told = [f"Removed from the cache: {', '.join(map(str, removed))}; fetch again."] if removed else []
        told += [f"Read from the cache: {', '.join(map(str, kept))}; remove it to fetch it again."] if kept else []
        raise InputError(f"it cannot be read: {why}", where=entry.name, mend=" ".join(told)) from error


def _check_output(output: Path) -> None:
    """Tell before anything is fetched that the cohort file cannot be written."""
    from features.cohort_writer import check_output

    check_output(output)
    folder = output.resolve().parent
    if not folder.is_dir():
        raise OutputError(
            "cannot be written: its folder does not exist.", where=str(output), mend="Make it, or name another with -o."
        )
    if not os.access(folder, os.W_OK):
        raise OutputError(
            "cannot be written: its folder may not be written to.", where=str(output), mend="Name another with -o."
        )


def _licence(entry: PublicCohort) -> str:
    return f"{entry.title}\nHolds: {entry.holds()}\nCite: {entry.citation}\nLicence: {entry.licence}\n"


def _study_terms(source: Path) -> str:
    """Repeat what a study's own files say on its name, citation and licence."""
    if not source.is_dir():
        return ""
    told = []
    about = source / "meta_study.txt"
    if about.is_file():
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line for line in lines if line.partition(":")[0] in ("name", "citation", "pmid")]
    licence = source / "LICENSE"
    if licence.is_file():
        told += ["", licence.read_text(encoding="utf-8", errors="replace")[:_LICENCE_CHARACTERS].rstrip()]
    return "".join(f"{line}\n" for line in told)
