"""Patient ids and treatments of cohort files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from features.cohort_file import cohort_from_table, read_cohort
from features.cohort_summary import summarise
from features.faults import describe

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort


def read(ids: list[str | None], adcs: list[str] | None = None, **columns: list[str]) -> Cohort:
    """A cohort of these ids, each with an age of its own."""
    size = len(ids)
    table = {"patient_id": ids, "adc": adcs or ["T-DM1"] * size, "age_years": [str(40 + n) for n in range(size)]}
    return cohort_from_table(pd.DataFrame({**table, **columns}, dtype="str"), name="cohort.csv")


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, "cohort.csv") for fault in cohort.faults if fault.code == code]


@pytest.mark.parametrize("identifier", ["007", "1E5", "NA", "None", "nan", "1234567890123456789", "1.0", "TRUE"])
def test_ids_stay_exactly_as_written(tmp_path: Path, identifier: str) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text(f"patient_id,adc,age_years\n{identifier},T-DM1,50\nP2,T-DM1,51\n")
    assert read_cohort(path).patients["patient_id"].tolist() == [identifier, "P2"]


def test_an_identical_row_is_merged_and_told() -> None:
    cohort = read(["P1", "P1", "P2"], age_years=["50", "50 ", "60"])
    assert cohort.patients["patient_id"].tolist() == ["P1", "P2"]
    assert (cohort.rows_in, cohort.duplicates_merged, cohort.rows) == (3, 1, (2, 4))
    assert told(cohort, "COH067") == ["cohort.csv: 1 row exactly like an earlier one, merged with it."]


def test_the_same_patient_with_other_values_is_put_aside_twice() -> None:
    cohort = read(["P1", "P2", "P1"])
    assert cohort.rejected == (2, 4)
    assert told(cohort, "COH068") == [
        "cohort.csv, row 2, column 'patient_id': the same patient and ADC also stand in row 4 with other values. "
        "Keep the one that is right, or give each patient an id of their own.",
        "cohort.csv, row 4, column 'patient_id': the same patient and ADC also stand in row 2 with other values. "
        "Keep the one that is right, or give each patient an id of their own.",
    ]


def test_the_same_patient_with_another_adc_is_kept() -> None:
    cohort = read(["P1", "P1"], ["T-DM1", "T-DXd"])
    assert cohort.rejected == ()
    assert summarise(cohort).patients == 1


def test_ids_that_differ_only_in_unicode_form_are_one_patient() -> None:
    cohort = read(["Zoe\u0308", "Zo\u00eb", "P3"], age_years=["50", "50", "60"])
    assert cohort.patients["patient_id"].tolist() == ["Zo\u00eb", "P3"]
    assert told(cohort, "COH065")


@pytest.mark.parametrize("blank", [None, "", "   ", "\u00a0"])
def test_a_blank_id_puts_the_row_aside(blank: str | None) -> None:
    cohort = read(["P1", blank, "P3"])
    assert cohort.rejected == (3,)
    assert told(cohort, "COH060") == ["cohort.csv, row 3, column 'patient_id': there is no patient id. Fill it in."]


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        ("P\u200b1", "COH061"),
        ("P\x1b[31m1", "COH061"),
        ("P\u202e1", "COH061"),
        ("../x", "COH062"),
        ("a/../../etc", "COH062"),
        ("/etc/passwd", "COH062"),
        ("C:\\x", "COH062"),
        ("=1+1", "COH063"),
        ("+49", "COH063"),
        ("@x", "COH063"),
        ("-P1", "COH063"),
        ("<script>", "COH064"),
    ],
)
def test_a_hostile_id_puts_the_row_aside_and_is_not_repeated(identifier: str, code: str) -> None:
    cohort = read(["P1", identifier])
    assert cohort.rejected == (3,)
    fault = next(fault for fault in cohort.faults if fault.severity == "quarantine")
    assert fault.code == code
    assert fault.value is None
    assert identifier not in describe(fault, "cohort.csv")


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["Smith, Anna", "P2"], "names"),
        (["Anna Smith", "P2"], "names"),
        (["MRN 0012345", "P2"], "record numbers"),
        (["078-05-1120", "P2"], "record numbers"),
        (["1961-04-12", "P2"], "dates"),
        (["12.04.1961", "P2"], "dates"),
    ],
)
def test_an_id_that_may_identify_a_person_is_flagged_and_not_repeated(ids: list[str | None], kind: str) -> None:
    cohort = read(ids)
    assert cohort.rejected == ()
    (line,) = told(cohort, "COH066")
    assert f"1 id like {kind}." in line
    assert str(ids[0]) not in line


def test_no_id_is_in_any_report() -> None:
    ids = [f"CANARY-{n:03d}" for n in range(20)]
    table = {"patient_id": [*ids, ids[3], "=CANARY"], "adc": ["T-DM1"] * 20 + ["T-DM9", ""], "her2_ihc": ["4+"] * 22}
    summary = summarise(cohort_from_table(pd.DataFrame(table, dtype="str"), name="cohort.csv"))
    assert "CANARY" not in summary.to_text(list_all=True)
    assert "CANARY" not in summary.to_json()


@pytest.mark.parametrize(
    ("written", "adc"),
    [
        ("T-DM1", "T-DM1"),
        ("trastuzumab emtansine", "T-DM1"),
        ("Kadcyla", "T-DM1"),
        ("ENHERTU", "T-DXd"),
        ("none", "none"),
        ("No ADC", "none"),
        ("control", "none"),
    ],
)
def test_adcs_are_known_by_all_their_names(written: str, adc: str) -> None:
    assert read(["P1"], [written]).patients["adc"].tolist() == [adc]


def test_the_partner_of_an_adc_goes_to_its_own_column() -> None:
    cohort = read(["P1", "P2"], ["T-DM1 + pertuzumab", "T-DXd"])
    assert cohort.patients["adc"].tolist() == ["T-DM1", "T-DXd"]
    assert cohort.patients["partner_drugs"].to_list()[0] == "pertuzumab"
    assert told(cohort, "COH071")


def test_a_column_of_partners_goes_before_the_partner_in_the_adc_cell() -> None:
    cohort = read(["P1"], ["T-DM1 + pertuzumab"], partner_drugs=["pertuzumab, then surgery"])
    assert cohort.patients["partner_drugs"].tolist() == ["pertuzumab, then surgery"]


@pytest.mark.parametrize("written", ["T-DM2", "trastuzumab", "T-DM1 or T-DXd/T-DXd + T-DM1"])
def test_what_is_not_one_adc_puts_the_row_aside(written: str) -> None:
    cohort = read(["P1", "P2"], [written, "T-DM1"])
    assert cohort.rejected == (2,)
    assert f"'{written}' is not one ADC of the catalogue." in told(cohort, "COH070")[0]


def test_a_misspelt_adc_gets_a_hint() -> None:
    assert "Did you mean 'T-DM1'?" in told(read(["P1", "P2"], ["T-DN1", "T-DM1"]), "COH070")[0]


def test_a_blank_adc_puts_the_row_aside() -> None:
    cohort = read(["P1", "P2"], ["", "T-DM1"])
    assert told(cohort, "COH069") == [
        "cohort.csv, row 2, column 'adc': there is no ADC. Name it, or write 'none' for a comparator arm."
    ]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("03/04/2024", "COH096"),
        ("4 March 2024", "COH096"),
        ("2024-02-30", "COH096"),
        ("45000", "COH097"),
        ("2999-01-01", "COH098"),
    ],
)
def test_a_date_that_is_no_past_iso_date_puts_the_row_aside(written: str, code: str) -> None:
    cohort = read(["P1", "P2", "P3"], treatment_start=["2024-03-31", written, "unknown"])
    assert cohort.rejected == (3,)
    assert told(cohort, code)
    assert cohort.patients["treatment_start"].to_list()[0] == "2024-03-31"
