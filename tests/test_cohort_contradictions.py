"""Contradictions within a patient, and what follows from a patient's other columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from features.cohort_file import cohort_from_table
from features.faults import describe

if TYPE_CHECKING:
    from features.cohort import Cohort

#: Ratio and copies of an ISH of each ASCO/CAP group.
ISH = {1: ("2.5", "5"), 2: ("2.1", "3.5"), 3: ("1.6", "6.4"), 4: ("1.7", "4.5"), 5: ("1.2", "2.4")}


def read(**columns: str) -> Cohort:
    """A cohort of one patient with these values, and a second of whom little is known."""
    table = {"patient_id": ["P1", "P2"], "adc": ["T-DM1", "T-DM1"], "age_years": ["50", "60"]}
    return cohort_from_table(
        pd.DataFrame({**table, **{name: [value, ""] for name, value in columns.items()}}, dtype="str"),
        name="cohort.csv",
    )


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, "cohort.csv") for fault in cohort.faults if fault.code == code]


def ish(group: int) -> dict[str, str]:
    return dict(zip(("her2_ish_ratio", "erbb2_copy_number"), ISH[group], strict=True))


@pytest.mark.parametrize("ihc", ["0", "ultralow", "1+", "2+", "3+"])
@pytest.mark.parametrize("group", ISH)
def test_weak_ihc_with_an_amplified_ish_is_flagged_and_strong_ihc_with_a_negative_one(ihc: str, group: int) -> None:
    cohort = read(her2_ihc=ihc, **ish(group))
    assert cohort.rejected == ()
    assert bool(told(cohort, "COH110")) is (group == 1 and ihc in ("0", "ultralow", "1+"))
    assert bool(told(cohort, "COH111")) is (group == 5 and ihc == "3+")


def test_the_flag_names_row_column_value_and_assay() -> None:
    assert told(read(her2_ihc="1+", **ish(1)), "COH110") == [
        "cohort.csv, row 2, column 'her2_ihc': '1+' although ISH is group 1 (ratio >= 2.0 and copies >= 4.0). "
        "Check both assays."
    ]


@pytest.mark.parametrize(
    ("ratio", "is_aside"), [("2.0", False), ("2.1", False), ("1.9", False), ("2.11", True), ("1.5", True)]
)
def test_a_ratio_that_is_not_copies_over_cep17_puts_the_row_aside(ratio: str, is_aside: bool) -> None:
    cohort = read(her2_ish_ratio=ratio, erbb2_copy_number="4", her2_cep17_copies="2")
    assert (cohort.rejected == (2,)) is is_aside
    if is_aside:
        assert told(cohort, "COH112") == [
            f"cohort.csv, row 2, column 'her2_ish_ratio': '{ratio}' differs by more than 5% from HER2 copies over "
            "CEP17 copies (2.00). Correct the ratio, erbb2_copy_number or her2_cep17_copies."
        ]


def test_a_stated_ish_result_that_the_counts_contradict_is_flagged() -> None:
    assert told(read(her2_ish_positive="positive", **ish(5)), "COH113") == [
        "cohort.csv, row 2, column 'her2_ish_positive': stated positive, but ratio and copies are group 5 (negative). "
        "Check the ISH report."
    ]
    assert told(read(her2_ish_positive="negative", **ish(1)), "COH113")
    assert not told(read(her2_ish_positive="positive", **ish(2)), "COH113"), "group 2 needs IHC"
    assert told(read(her2_ish_positive="positive", her2_ihc="2+", **ish(2)), "COH113")


def test_a_her2_low_label_with_ihc_3_is_flagged() -> None:
    assert told(read(her2_class="low", her2_ihc="3+"), "COH114")
    assert not told(read(her2_class="low", her2_ihc="1+"), "COH114")


@pytest.mark.parametrize(
    ("percent", "status", "is_flagged"),
    [("0", "positive", True), ("0", "negative", False), ("1", "positive", False), ("90", "negative", True)],
)
@pytest.mark.parametrize("receptor", ["er", "pr"])
def test_a_receptor_status_that_the_stained_cells_contradict_is_flagged(
    receptor: str, percent: str, status: str, is_flagged: bool
) -> None:
    cohort = read(**{f"{receptor}_percent": percent, f"{receptor}_status": status})
    assert bool(told(cohort, "COH115")) is is_flagged


def test_a_stated_status_that_the_assays_contradict_is_kept_and_flagged() -> None:
    cohort = read(her2_status="positive", her2_ihc="1+")
    assert cohort.patients["her2_status"].to_list()[0] == 1.0
    assert told(cohort, "COH116") == [
        "cohort.csv, row 2, column 'her2_status': stated positive, but IHC and ISH give negative by ASCO/CAP; "
        "the stated one was kept."
    ]


def test_a_response_that_the_best_response_contradicts_puts_the_row_aside() -> None:
    cohort = read(objective_response="1", best_response="SD")
    assert cohort.rejected == (2,)
    assert "'1' contradicts best_response SD" in told(cohort, "COH117")[0]


def test_status_and_class_are_computed_only_where_the_file_states_none() -> None:
    table = pd.DataFrame(
        {
            "patient_id": ["P1", "P2", "P3", "P4"],
            "adc": "T-DXd",
            "her2_ihc": ["3+", "2+", "1+", "2+"],
            "her2_ish_ratio": ["", "1.2", "", ""],
            "her2_status": ["", "", "positive", ""],
        }
    )
    cohort = cohort_from_table(table)
    assert cohort.patients["her2_status"].tolist()[:3] == [1.0, 0.0, 1.0]
    assert cohort.patients["her2_status"].isna().tolist() == [False, False, False, True]
    assert cohort.patients["her2_class"].tolist()[:3] == ["positive", "low", "positive"]
    hows = {match.column_id: match.how for match in cohort.columns if match.column_id == "her2_class"}
    assert hows == {"her2_class": "derived"}


def test_a_missing_ratio_is_computed_from_the_counts() -> None:
    assert read(erbb2_copy_number="12", her2_cep17_copies="2").patients["her2_ish_ratio"].to_list()[0] == 6.0


def test_hormone_receptors_follow_from_both_receptors() -> None:
    table = pd.DataFrame(
        {
            "patient_id": list("abcd"),
            "adc": "T-DM1",
            "er_percent": ["0", "0", "1", ""],
            "pr_status": ["negative", "positive", "negative", "negative"],
        }
    )
    cohort = cohort_from_table(table)
    assert cohort.patients["hr_status"].tolist()[:3] == [0.0, 1.0, 1.0]
    assert cohort.patients["hr_status"].isna().tolist() == [False, False, False, True]


def test_nothing_is_derived_that_could_only_say_one_thing() -> None:
    table = pd.DataFrame({"patient_id": list("ab"), "adc": "T-DM1", "er_status": ["positive", "negative"]})
    assert "hr_status" not in cohort_from_table(table).patients, "without PR, ER-negative stays open"


def test_a_patient_is_derived_alike_in_any_company() -> None:
    table = pd.DataFrame(
        {
            "patient_id": ["P1", "P2", "P3"],
            "adc": "T-DM1",
            "her2_ihc": ["3+", "", "1+"],
            "age_years": ["50", "60", "70"],
        }
    )
    whole = cohort_from_table(table).patients
    alone = pd.concat([cohort_from_table(table.iloc[[n]]).patients for n in range(3)], ignore_index=True)
    pd.testing.assert_frame_equal(whole, alone)
