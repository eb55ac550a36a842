"""Summaries, templates, imports and written cohort files."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING

import openpyxl
import pandas as pd
import pytest

import features.cohort_writer
from features import fault_rules
from features.cell_safety import harmless, harmless_column
from features.cohort_file import cohort_from_table, read_cohort
from features.cohort_import import import_cohort
from features.cohort_summary import summarise
from features.cohort_template import write_template
from features.cohort_writer import WRITTEN_SUFFIXES, write_cohort_file
from features.columns.cohort_columns import column_notes
from features.errors import InputError, OutputError
from features.fault_rules import RULES
from features.faults import Rule

if TYPE_CHECKING:
    from pathlib import Path

TABLE = pd.DataFrame(
    {
        "patient_id": ["P1", "P2", "P3", "P3", "P4", "P5"],
        "adc": ["T-DM1", "T-DXd", "none", "none", "T-DM1", "T-DM1"],
        "HER2 IHC": ["3+", "1+", "2+", "2+", "4+", ""],
        "age": ["50", "", "70", "70", "80", "44"],
        "pCR": ["1", "0", "0", "0", "1", ""],
        "wing": ["east", "west", "west", "west", "", "east"],
    },
    dtype="str",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "site_a.csv"
    TABLE.to_csv(path, index=False)
    return path


def test_a_summary_counts_rows_patients_outcomes_and_what_is_missing(source: Path) -> None:
    summary = summarise(read_cohort(source))
    assert (summary.rows_in, summary.rows_valid, summary.rows_rejected, summary.duplicates_merged) == (6, 4, 1, 1)
    assert summary.patients == 4
    assert summary.adcs == {"T-DM1": 2, "T-DXd": 1, "none": 1}
    counts = {(c.outcome, c.adc): (c.events, c.known) for c in summary.outcomes}
    assert counts == {
        ("pcr", None): (1, 3),
        ("pcr", "T-DM1"): (1, 1),
        ("pcr", "T-DXd"): (0, 1),
        ("pcr", "none"): (0, 1),
    }
    missing = {found.column: (found.read_from, found.how, found.missing_percent) for found in summary.columns}
    assert missing["her2_ihc"] == ("HER2 IHC", "synonym", 25.0)
    assert missing["age_years"] == ("age", "synonym", 25.0)
    assert missing["her2_status"][1] == "derived"
    assert summary.unused == ("wing",)
    assert summary.needs_mending


def test_a_summary_prints_every_part(source: Path) -> None:
    text = summarise(read_cohort(source)).to_text()
    assert "site_a.csv: 6 rows\n  4 valid (4 patients), 1 put aside, 1 merged as repeats\n" in text
    assert "pcr                      1 of 3 (33%)" in text
    assert "* her2_ihc                   25.0% missing  synonym: HER2 IHC" in text
    assert "Unused columns (1): wing" in text
    assert "COH080 row 6, column 'HER2 IHC': '4+' is not a level." in text
    assert text.endswith("Research use only; never a treatment recommendation.")


def test_a_summary_as_json_holds_every_fault_and_the_text_the_first_few(tmp_path: Path) -> None:
    table = pd.DataFrame({"patient_id": [f"P{n}" for n in range(9)], "adc": "T-DM1", "her2_ihc": ["4+"] * 8 + ["3+"]})
    summary = summarise(cohort_from_table(table))
    assert summary.to_text().count("'4+' is not a level") == 5
    assert "COH080 and 3 more like this; --all lists them" in summary.to_text()
    assert summary.to_text(list_all=True).count("'4+' is not a level") == 8
    faults = [f for f in json.loads(summary.to_json())["faults"] if f["code"] == "COH080"]
    assert [fault["row"] for fault in faults] == list(range(2, 10))
    assert {"severity", "what", "mend", "column", "value"} < set(faults[0])


def test_a_clean_file_needs_no_mending_and_a_misspelt_column_does() -> None:
    clean = pd.DataFrame({"patient_id": ["P1"], "adc": ["T-DM1"], "her2_ihc": ["3+"]})
    assert not summarise(cohort_from_table(clean)).needs_mending
    assert summarise(cohort_from_table(clean.assign(her2_h_scroe="200"))).needs_mending


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_a_template_is_a_valid_cohort_in_every_format(tmp_path: Path, suffix: str) -> None:
    example, dictionary = write_template(tmp_path / f"example{suffix}")
    cohort = read_cohort(example)
    assert all(identifier.startswith("EXAMPLE-") for identifier in cohort.patients["patient_id"])
    assert cohort.rejected == ()
    assert {f.severity for f in cohort.faults} <= {"normalised"}
    assert dictionary.name == "example_dictionary.csv"


def test_the_data_dictionary_lists_every_column(tmp_path: Path) -> None:
    _, dictionary = write_template(tmp_path / "example.csv")
    with dictionary.open(encoding="utf-8", newline="") as stream:
        rows = {row["column"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {note.column for note in column_notes()}
    assert [name for name, row in rows.items() if row["required"] == "yes"] == ["patient_id", "adc"]
    assert rows["age_years"]["unit"] == "years"
    assert rows["her2_ihc"]["allowed_values"] == "0, ultralow, 1+, 2+ or 3+"
    assert all(row["meaning"] and row["allowed_values"] for row in rows.values())


def test_a_template_replaces_no_file(tmp_path: Path) -> None:
    write_template(tmp_path / "example.csv")
    with pytest.raises(InputError, match="there is such a file already"):
        write_template(tmp_path / "example.csv")


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_an_imported_file_reads_back_the_same_in_every_format(source: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"cohort{suffix}"
    imported = import_cohort(source, output)
    again = read_cohort(output)
    pd.testing.assert_frame_equal(again.patients, imported.patients)
    assert again.source.kind == "measured"
    assert "data_origin" not in again.unused()


def test_the_record_of_an_import_says_what_was_read_and_what_was_lost(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "cohort.csv"
    import_cohort(source, output)
    record = json.loads((tmp_path / "cohort.csv.import.json").read_text(encoding="utf-8"))
    assert record["source"]["name"] == "site_a.csv"
    assert len(record["source"]["sha256"]) == 64
    assert record["output"]["rows"] == 4
    assert record["rows_rejected"] == 1
    assert record["unused"] == ["wing"]
    assert {fault["code"] for fault in record["faults"]} >= {"COH080", "COH067"}
    assert not any(identifier in json.dumps(record) for identifier in ("P1", "P4"))


@pytest.mark.parametrize("origin", ["simulated", "semi-synthetic"])
def test_the_mark_of_a_simulated_cohort_is_kept(tmp_path: Path, origin: str) -> None:
    source, output = tmp_path / "sim.csv", tmp_path / "out.csv"
    TABLE.assign(data_origin=origin).to_csv(source, index=False)
    assert import_cohort(source, output).source.kind == origin
    again = read_cohort(output)
    assert again.source.kind == origin
    assert "data_origin" not in again.patients
    assert f"{origin.upper()} COHORT: " in summarise(again).to_text()


def test_a_cohort_of_mixed_origin_counts_as_simulated(tmp_path: Path) -> None:
    cohort = cohort_from_table(TABLE.assign(data_origin=["measured"] * 5 + ["simulated"]))
    assert cohort.source.kind == "simulated"
    assert "COH054" in {fault.code for fault in cohort.faults}


def test_the_adc_of_every_patient_may_be_given(tmp_path: Path) -> None:
    source = tmp_path / "site.csv"
    TABLE.drop(columns="adc").to_csv(source, index=False)
    assert set(import_cohort(source, tmp_path / "a.csv", adc="Kadcyla").patients["adc"]) == {"T-DM1"}
    with pytest.raises(InputError, match="--adc: 'T-DM9' is not an ADC of the catalogue"):
        import_cohort(source, tmp_path / "b.csv", adc="T-DM9")
    assert not (tmp_path / "b.csv").exists()


def test_an_adc_is_not_given_over_a_column_of_adcs(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the table has a column of ADCs"):
        import_cohort(source, tmp_path / "a.csv", adc="T-DM1")


def test_unused_columns_never_collide_with_columns_of_a_cohort(tmp_path: Path) -> None:
    source, mapping = tmp_path / "site.csv", tmp_path / "m.toml"
    TABLE.assign(Age="1", treatment="x", her2_ich="y").rename(columns={"age": "years"}).to_csv(source, index=False)
    mapping.write_text(
        'other_columns = "keep"\n[columns]\npatient_id = "patient_id"\nadc = "adc"\nage_years = "years"\n'
        'her2_ihc = "HER2 IHC"\n'
    )
    imported = import_cohort(source, tmp_path / "out.csv", mapping=mapping)
    again = read_cohort(tmp_path / "out.csv")
    assert not {f.code for f in again.faults} & {"COH040", "COH041", "COH045", "COH048"}
    assert set(again.unused()) == {"source_Age", "source_treatment", "source_her2_ich", "source_pCR", "wing"}
    pd.testing.assert_series_equal(again.patients["age_years"], imported.patients["age_years"])


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("-1.5", "-1.5"),
        ("+3", "+3"),
        ("1e-3", "1e-3"),
        ("plain", "plain"),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_made_harmless(text: str, safe: str) -> None:
    assert harmless(text) == safe
    assert harmless_column(pd.Series([text, None], dtype="str")).to_pylist() == [safe, None]


def test_no_formula_reaches_a_written_file(tmp_path: Path) -> None:
    hostile = ['=HYPERLINK("http://x","y")', "@a", "+a", "-a"]
    table = pd.DataFrame(
        {"patient_id": list("abcd"), "adc": "T-DM1", "her2_ihc": "3+", "=cmd": hostile, "site": hostile}
    )
    cohort = cohort_from_table(table)
    write_cohort_file(cohort.patients, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            assert not any(cell.startswith(("=", "@", "+", "-")) for cell in row)
    write_cohort_file(cohort.patients, tmp_path / "c.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "c.xlsx").worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}
    assert all(cell.hyperlink is None for row in sheet.iter_rows() for cell in row)


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features.cohort_writer, "_write_text", full)
    cohort = cohort_from_table(TABLE)
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write_cohort_file(cohort.patients, tmp_path / "c.csv")
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_cohort_file(cohort_from_table(TABLE).patients, tmp_path / "gone" / "c.csv")


def test_an_unknown_output_format_is_refused_before_any_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.doc' is not a format that adcr writes"):
        import_cohort(source, tmp_path / "c.doc")


def test_the_same_import_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        import_cohort(source, tmp_path / f"{name}.csv.gz")
        import_cohort(source, tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b"patient_id,adc,")


def test_every_rule_has_a_code_of_its_own_and_a_mend_where_something_must_be_done() -> None:
    assert sum(isinstance(value, Rule) for value in vars(fault_rules).values()) == len(RULES)
    for code, rule in RULES.items():
        assert rule.code == code
        assert rule.what.endswith((".", "{hint}", "{why}"))
        if rule.severity in ("reject", "quarantine"):
            assert rule.mend
