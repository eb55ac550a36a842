"""Archives of a cBioPortal study as the source of an import: whole, hostile, of several studies, or of none."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

import adcr
from features.cohort_file import read_cohort
from features.errors import InputError
from features.public.study_archive import unpacked_study

if TYPE_CHECKING:
    from pathlib import Path

STUDY = {
    "data_clinical_sample.txt": "PATIENT_ID\tSAMPLE_ID\tHER2_IHC_SCORE\nA\tA-1\t3+\nB\tB-1\t1+\n",
    "meta_study.txt": "cancer_study_identifier: tiny_2020\nname: Tiny\n",
}


def packed(path: Path, files: dict[str, str]) -> Path:
    """Pack files as the ending of the name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("name", ["s.tar.gz", "s.tgz", "s.tar", "s.zip"])
@pytest.mark.parametrize("folder", ["", "tiny/"])
def test_an_archive_is_imported_like_the_folder_that_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, folder: str
) -> None:
    archive = packed(tmp_path / name, {f"{folder}{file}": text for file, text in STUDY.items()})
    assert adcr.main(["cohort", "import", str(archive), "-o", str(tmp_path / "out.csv")]) == 0
    assert "tiny_2020: 2 rows" in capsys.readouterr().out
    assert read_cohort(tmp_path / "out.csv").patients["her2_ihc"].tolist() == ["3+", "1+"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.csv.import.json", name]


def test_an_archive_is_merged_like_the_folder_that_it_holds(tmp_path: Path) -> None:
    archive = packed(tmp_path / "s.zip", STUDY)
    (tmp_path / "own.csv").write_text("patient_id,adc,her2_ihc\nC,T-DM1,2+\n")
    argv = ["cohort", "merge", str(archive), str(tmp_path / "own.csv"), "-o", str(tmp_path / "m.csv")]
    assert adcr.main(argv) == 0
    assert read_cohort(tmp_path / "m.csv").patients["cohort"].tolist() == ["tiny_2020", "tiny_2020", "own"]


def test_a_study_that_no_file_names_is_called_as_its_archive_is(tmp_path: Path) -> None:
    only = {"data_clinical_sample.txt": STUDY["data_clinical_sample.txt"]}
    archive = packed(tmp_path / "hospital_2021.zip", only)
    assert adcr.main(["cohort", "import", str(archive), "-o", str(tmp_path / "out.csv")]) == 0
    assert set(read_cohort(tmp_path / "out.csv").patients["cohort"]) == {"hospital_2021"}


@pytest.mark.parametrize("name", ["s.tar.gz", "s.zip"])
@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"readme.txt": "nothing"}, r"holds no cBioPortal study\. It needs"),
        ({f"{f}/{n}": t for f in ("one", "two") for n, t in STUDY.items()}, "holds 2 studies: one and two"),
        ({"../meta_study.txt": "x: y"}, "outside|corrupt"),
    ],
)
def test_an_archive_without_exactly_one_study_is_told_in_one_line(
    tmp_path: Path, name: str, files: dict[str, str], told: str
) -> None:
    with pytest.raises(InputError, match=told) as error, unpacked_study(packed(tmp_path / name, files)):
        pass
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["s.tar.gz", "s.zip"])
def test_a_cut_archive_and_one_beyond_the_cap_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    archive = packed(tmp_path / name, STUDY)
    monkeypatch.setenv("ADCR_MAX_EXPANDED_BYTES", "10")
    with pytest.raises(InputError, match="Raise ADCR_MAX_EXPANDED_BYTES"), unpacked_study(archive):
        pass
    archive.write_bytes(archive.read_bytes()[:-60])
    monkeypatch.delenv("ADCR_MAX_EXPANDED_BYTES")
    with pytest.raises(InputError, match="cut off or corrupt"), unpacked_study(archive):
        pass


@pytest.mark.parametrize("name", ["s.tar.gz", "s.zip"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\n<!DOCTYPE html><html>log in</html>", "this is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "this is a Git LFS pointer"),
        (b"", "cut off or corrupt"),
    ],
)
def test_what_was_saved_in_place_of_an_archive_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told), unpacked_study(tmp_path / name):
        pass


def test_what_is_no_archive_is_left_as_it_is(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("patient_id,adc\n")
    for source in (table, tmp_path, tmp_path / "absent.zip"):
        with unpacked_study(source) as opened:
            assert opened == source
