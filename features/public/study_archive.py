"""A cBioPortal study as the portal hands it out, packed: unpacked for as long as it is read, within caps."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from features import fault_rules as rules
from features.errors import InputError, OutputError
from features.faults import listed
from features.limits import Limits
from features.tables.table_file import LFS_MARK
from features.tables.text_table import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Endings of archives that may hold a study.
STUDY_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
#: Files by one of which a folder is known to be a study, the surer first.
_STUDY_FILES = ("meta_study.txt", "data_clinical_sample.txt", "data_bcr_clinical_data_sample.txt")
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, NotImplementedError)


@contextmanager
def unpacked_study(source: Path) -> Iterator[Path]:
    """Give the study folder of an archive, for as long as it is needed; any other source as it is.

    Parameters
    ----------
    source : pathlib.Path

    Yields
    ------
    pathlib.Path

    Raises
    ------
    InputError
        The archive is cut off, expands beyond the cap, or holds no study or several.
    OutputError
        There is no room to unpack it.
    """
    ending = next((e for e in STUDY_ARCHIVES if source.name.lower().endswith(e)), "")
    if not ending or not source.is_file():
        yield source
        return
    with tempfile.TemporaryDirectory() as place:
        # Where no file names the study, the folder does, so that it is called as the archive is.
        folder = Path(place) / source.name[: -len(ending)]
        _unpack(source, folder, zipped=ending == ".zip")
        yield _only_study(folder, source.name)


def _only_study(folder: Path, archive: str) -> Path:
    for name in _STUDY_FILES:
        studies = sorted(path.parent for path in folder.rglob(name))
        if len(studies) > 1:
            names = listed([study.relative_to(folder).as_posix() for study in studies])
            raise InputError(
                f"the archive holds {len(studies)} studies: {names}.",
                where=archive,
                mend="Unpack it, and name the folder of one.",
            )
        if studies:
            return studies[0]
    raise InputError(
        "the archive holds no cBioPortal study.",
        where=archive,
        mend="It needs meta_study.txt and data_clinical_sample.txt; unpack an archive of anything else first.",
    )


def _unpack(archive: Path, folder: Path, *, zipped: bool) -> None:
    """Unpack plain files within the folder only, and no more than the limits allow."""
    try:
        folder.mkdir()
        (_unpack_zip if zipped else _unpack_tar)(archive, folder)
    except _BROKEN as error:
        _check_no_stand_in(archive)
        raise InputError(
            f"the archive is cut off or corrupt ({type(error).__name__}).",
            where=archive.name,
            mend="Download it again.",
        ) from error
    except OSError as error:
        raise OutputError(
            f"the archive cannot be unpacked: {(error.strerror or str(error)).lower()}.",
            where=str(folder.parent),
            mend="Make room, or name another folder with TMPDIR.",
        ) from error


def _check_no_stand_in(archive: Path) -> None:
    """Tell a page or a Git LFS pointer that was saved in place of an archive."""
    with archive.open("rb") as file:
        head = file.read(256)
    if head.startswith(LFS_MARK):
        raise refuse(archive.name, rules.LFS_POINTER)
    if head.lstrip().startswith(b"<"):
        raise refuse(archive.name, rules.WEB_PAGE)


class _Room:
    """Counts down the bytes that an archive may still expand to."""

    def __init__(self, archive: Path) -> None:
        self._name, self._left = archive.name, Limits.from_environment().max_expanded_bytes

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise InputError(
                "the archive expands beyond the cap.", where=self._name, mend="Raise ADCR_MAX_EXPANDED_BYTES."
            )


def _unpack_tar(archive: Path, folder: Path) -> None:
    room = _Room(archive)
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile():
                room.take(member.size)
                packed.extract(member, folder, filter="data")


def _unpack_zip(archive: Path, folder: Path) -> None:
    room = _Room(archive)
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if member.is_dir():
                continue
            if member.flag_bits & 1:
                raise InputError("the archive is password-protected.", where=archive.name, mend="Unpack it first.")
            target = folder / member.filename
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InputError(
                    "the archive holds a file that lies outside of it.", where=archive.name, mend="Download it again."
                )
            room.take(member.file_size)
            target.parent.mkdir(parents=True, exist_ok=True)
            # No more is ever written than the directory of the archive states: zipfile checks size and sum.
            with packed.open(member) as stream, target.open("wb") as file:
                shutil.copyfileobj(stream, file)
