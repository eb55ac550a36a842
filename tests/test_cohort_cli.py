"""`adcr cohort check`, `template` and `import` as they are called: one line per fault, and its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import adcr

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "patient_id,adc,her2_ihc,age_years\nP1,T-DM1,3+,50\nP2,T-DXd,1+,60\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "site_a.csv"
    path.write_text(GOOD, encoding="utf-8")
    return path


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = adcr.main(["cohort", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_good_file_is_reported_and_ends_with_0(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = called(capsys, "check", file)
    assert (code, err) == (0, "")
    assert out.startswith("site_a.csv: 2 rows\n")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("her2_ihc", "her2_ich", "column 'her2_ich': the name is unknown, so the column is not used. Did you mean"),
        (
            "1+",
            "4+",
            "row 3, column 'her2_ihc': '4+' is not a level. Use 0, ultralow, 1+, 2+ or 3+, or leave it empty.",
        ),
        ("P2,T-DXd", "P1,T-DM1", "row 2, column 'patient_id': the same patient and ADC also stand in row 3"),
    ],
)
def test_what_needs_mending_is_one_line_each_and_ends_with_2(
    file: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: str
) -> None:
    file.write_text(GOOD.replace(old, new), encoding="utf-8")
    code, out, err = called(capsys, "check", file)
    assert (code, err) == (2, "")
    assert sum(line in printed for printed in out.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            GOOD.replace("age_years", "HER2 IHC"),
            "site_a.csv, column 'HER2 IHC': read as 'her2_ihc', and so is column 'her2_ihc'. "
            "Rename or remove one, or say with --map which to read.",
        ),
        (
            GOOD.replace("adc", "drug_given"),
            "site_a.csv: the required column 'adc' is missing. "
            "Rename the column that holds the antibody-drug conjugate received, or map it with --map.",
        ),
        ("", "site_a.csv: the file is empty. Export or copy the file again. It needs a header and a row per patient."),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_ends_with_2(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    file.write_text(text, encoding="utf-8")
    assert called(capsys, "check", file) == (2, "", f"adcr cohort check: {line}\n")


def test_nothing_is_written_for_a_file_that_cannot_be_used(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("", encoding="utf-8")
    code, _, _ = called(capsys, "import", file, "-o", file.with_name("out.csv"))
    assert code == 2
    assert [path.name for path in file.parent.iterdir()] == ["site_a.csv"]


def test_the_report_comes_as_json_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "check", file, "--json")
    assert code == 0
    assert json.loads(out)["rows_valid"] == 2


def test_a_template_is_written_with_its_dictionary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "template", "-o", tmp_path / "example.csv")
    assert code == 0
    assert out == f"wrote {tmp_path / 'example.csv'}\nwrote {tmp_path / 'example_dictionary.csv'}\n"
    assert called(capsys, "check", tmp_path / "example.csv")[0] == 0


def test_an_import_reports_and_writes_a_cohort_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = file.with_name("cohort.parquet")
    code, out, _ = called(capsys, "import", file, "-o", output)
    assert code == 0
    assert out.endswith(f"wrote {output}\n")
    assert called(capsys, "check", output)[0] == 0
