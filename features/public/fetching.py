"""A public cohort by its name: fetched, imported, with its licence and citation beside it."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import InputError
from features.limits import Limits
from features.public.download import FIRST_WAIT, download
from features.public.registry import PublicCohort, host_address, public_cohort
from features.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.cohort import Cohort


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
        It cannot be fetched or read: says why, and what to do by hand.
    """
    from features.cohort_import import import_cohort

    entry = public_cohort(name)
    if entry.apply:
        raise InputError(
            "it needs an access agreement.", where=entry.name, mend=f"Apply at {entry.apply}; then import the file."
        )
    if not entry.host:
        raise InputError("it is not fetched by a program.", where=entry.name, mend=entry.by_hand)
    if expression and not entry.expression:
        raise InputError(
            "the registry has no gene-level matrix of it.", where=entry.name, mend="Leave --expression out."
        )
    place = (folder or cache_folder()) / entry.name
    wanted = [*entry.files, *([entry.expression] if expression else [])]
    found = [
        download(
            f"{host_address(entry.host)}/{path}",
            place / path.rpartition("/")[2],
            offline=offline,
            progress=progress,
            first_wait=first_wait,
        )
        for path in wanted
    ]
    matrix = found.pop() if expression else None
    with _source(entry, found, place) as source:
        cohort = import_cohort(source, output, expression=matrix)
    write_whole(output.with_name(f"{output.name}.licence.txt"), _licence(entry))
    return cohort


@contextmanager
def _source(entry: PublicCohort, found: list[Path], place: Path) -> Iterator[Path]:
    if not found[0].name.endswith((".tar.gz", ".tgz")):
        yield found[0] if len(found) == 1 else place
        return
    with tempfile.TemporaryDirectory() as unpacked:
        _unpack(found[0], Path(unpacked))
        studies = [p.parent for p in sorted(Path(unpacked).rglob("meta_study.txt"))]
        if not studies:
            found[0].unlink()
            raise InputError("the archive holds no study.", where=entry.name, mend="It was removed; fetch it again.")
        yield studies[0]


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack plain files within the folder only, and no more than the limits allow."""
    left = Limits.from_environment().max_expanded_bytes
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                if not member.isfile():
                    continue
                left -= member.size
                if left < 0:
                    raise InputError(
                        "the archive expands beyond the cap.", where=archive.name, mend="Raise ADCR_MAX_EXPANDED_BYTES."
                    )
                packed.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        archive.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"the archive is cut off or corrupt ({type(error).__name__}).",
            where=archive.name,
            mend="It was removed from the cache; fetch it again.",
        ) from error


def _licence(entry: PublicCohort) -> str:
    return f"{entry.title}\nHolds: {entry.holds}\nCite: {entry.citation}\nLicence: {entry.licence}\n"
