"""Values of cohort files: brought to their usual form where that is safe, put aside where it would be a guess."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cohort_file import cohort_from_table, read_cohort
from features.faults import CohortRejectedError, describe
from features.mapping_file import ColumnMapping, TableMapping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.cohort import Cohort


def read(column: str, values: Sequence[str | float | None], unit: str = "", **columns: Sequence[str]) -> Cohort:
    """A cohort with one column to look at; the age keeps a row from being empty."""
    size = len(values)
    table = {
        "patient_id": [f"P{n}" for n in range(size)],
        "adc": ["T-DM1"] * size,
        "her2_h_score": [str(100 + n) for n in range(size)],
        column: values,
        **columns,
    }
    mapping = TableMapping(columns={column: ColumnMapping(source=column, unit=unit)}) if unit else None
    return cohort_from_table(pd.DataFrame(table), name="cohort.csv", mapping=mapping)


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, "cohort.csv") for fault in cohort.faults if fault.code == code]


def aside(column: str, value: str, *others: str) -> tuple[set[str], Cohort]:
    """Codes for which the row of a value is put aside."""
    cohort = read(column, [value, *others])
    assert cohort.rejected == (2,)
    return {fault.code for fault in cohort.faults if fault.severity == "quarantine"}, cohort


def values_of(cohort: Cohort, column: str) -> list[object]:
    return [None if pd.isna(v) else v for v in cohort.patients[column]]


def test_ihc_scores_with_and_without_plus_are_one() -> None:
    cohort = read("her2_ihc", ["2+", "2", "3+", " 1 + "])
    assert values_of(cohort, "her2_ihc") == ["2+", "2+", "3+", "1+"]
    assert told(cohort, "COH099") == [
        "cohort.csv, column 'her2_ihc': 2 values read by the usual form: '1 + as 1+' (1), '2 as 2+' (1)."
    ]


@pytest.mark.parametrize("scores", [[0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0], ["0", "1.0", "2.00", "3."]])
def test_ihc_scores_as_numbers_are_levels(scores: list[float]) -> None:
    assert values_of(read("her2_ihc", scores), "her2_ihc") == ["0", "1+", "2+", "3+"]


@pytest.mark.parametrize("value", ["4+", "IV", "strong", "12"])
def test_an_ihc_score_that_does_not_exist_puts_the_row_aside(value: str) -> None:
    codes, cohort = aside("her2_ihc", value, "2+", "3+")
    assert codes == {"COH080"}
    assert told(cohort, "COH080") == [
        f"cohort.csv, row 2, column 'her2_ihc': '{value}' is not a level. "
        "Use 0, ultralow, 1+, 2+ or 3+, or leave it empty."
    ]


@pytest.mark.parametrize("value", ["0-1+", "1-2+", "2+/3+", "0 to 1+", "1+ or 2+"])
def test_a_range_of_ihc_scores_puts_the_row_aside(value: str) -> None:
    codes, cohort = aside("her2_ihc", value, "2+", "3+")
    assert codes == {"COH081"}
    assert f"'{value}' is a range, not one level." in told(cohort, "COH081")[0]


@pytest.mark.parametrize(
    "word", ["N/A", "NA", "ND", "unknown", ".", "[Not Available]", "Unk/ND", "", "-", "null", "not done", "#N/A"]
)
@pytest.mark.parametrize("column", ["her2_ihc", "age_years", "cdk12_amplified", "pam50_subtype", "pcr"])
def test_words_for_missing_are_missing(column: str, word: str) -> None:
    cohort = read(column, [word, {"age_years": "50", "her2_ihc": "2+", "pam50_subtype": "LumA"}.get(column, "1")])
    assert cohort.rejected == ()
    assert values_of(cohort, column)[0] is None
    assert bool(told(cohort, "COH100")) is bool(word)


def test_a_word_for_missing_that_is_a_level_is_the_level() -> None:
    cohort = read("erbb2_deletion", ["none", "hemizygous", "NA"])
    assert values_of(cohort, "erbb2_deletion") == ["none", "hemizygous", None]
    signs = read("her2_status", ["-", "+", ""])
    assert values_of(signs, "her2_status") == [0.0, 1.0, None]


@pytest.mark.parametrize("value", ["<1", ">100", "<=5", "> 90%", "\u22651", "~20", "10-20", "up to 5", "10 to 20"])
def test_a_bound_or_a_range_of_numbers_puts_the_row_aside(value: str) -> None:
    assert aside("er_percent", value, "20")[0] == {"COH085"}


def test_percent_signs_beside_bare_numbers_put_their_rows_aside() -> None:
    codes, cohort = aside("her2_negative_fraction", "20%", "0.2", "0.4")
    assert codes == {"COH091"}
    assert "has a percent sign, other values have none" in told(cohort, "COH091")[0]


def test_percent_signs_are_read_where_the_unit_is_declared() -> None:
    cohort = read("her2_negative_fraction", ["20%", "40"], unit="percent")
    assert values_of(cohort, "her2_negative_fraction") == [0.2, 0.4]


@pytest.mark.parametrize(("column", "expected"), [("her2_negative_fraction", 0.25), ("er_percent", 25.0)])
def test_percent_signs_throughout_declare_the_unit(column: str, expected: float) -> None:
    cohort = read(column, ["25%", "50 %", ""])
    assert values_of(cohort, column)[0] == expected
    assert told(cohort, "COH092")


def test_a_percentage_that_never_passes_one_raises_a_doubt() -> None:
    cohort = read("er_percent", ["0.9", "0.05", "0"])
    assert cohort.rejected == ()
    assert "all values are at most 1, though the unit is percent" in told(cohort, "COH093")[0]
    assert told(read("er_percent", ["0", "0"]), "COH093") == []
    assert told(read("er_percent", ["0.9", "5"]), "COH093") == []


def test_a_declared_fraction_is_turned_into_percent() -> None:
    cohort = read("er_percent", ["0.9", "0.05"], unit="fraction")
    assert values_of(cohort, "er_percent") == [90.0, 5.0]
    assert told(cohort, "COH106") == ["cohort.csv, column 'er_percent': 2 values converted from fraction to percent."]
    assert told(cohort, "COH093") == []


def test_a_declared_unit_that_the_values_contradict_refuses_the_file() -> None:
    with pytest.raises(CohortRejectedError) as caught:
        read("er_percent", ["0.9", "60"], unit="fraction")
    assert str(caught.value) == (
        "cohort.csv, column 'er_percent': declared in fraction, which 1 value cannot be, such as '60'. "
        "Correct the unit in the mapping."
    )
    with pytest.raises(CohortRejectedError, match="declared in days"):
        read("er_percent", ["5"], unit="days")


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e400", "-1e999"])
def test_an_infinite_number_puts_the_row_aside(value: str) -> None:
    assert aside("chi3l1_ng_ml", value, "80")[0] == {"COH087"}


@pytest.mark.parametrize(
    ("column", "value", "low", "high"),
    [
        ("erbb2_copy_number", "-1", "0", "100"),
        ("her2_ish_ratio", "0", "0.1", "30"),
        ("her2_ish_ratio", "31", "0.1", "30"),
        ("age_years", "0", "18", "110"),
        ("age_years", "150", "18", "110"),
        ("her2_h_score", "301", "0", "300"),
        ("pfs_months", "-2", "0", "600"),
    ],
)
def test_an_impossible_number_puts_the_row_aside(column: str, value: str, low: str, high: str) -> None:
    codes, cohort = aside(column, value, "29")
    assert codes == {"COH086"}
    assert f"'{value}' is outside {low} to {high}" in told(cohort, "COH086")[0]


@pytest.mark.parametrize("value", ["0x1F", "1_000", "12a", "1 2", "1.2.3", "--1", "e5", "1e", "\u00b2", "\u0663"])
def test_what_is_no_plain_decimal_number_puts_the_row_aside(value: str) -> None:
    assert aside("er_percent", value, "20")[0] == {"COH084"}


@pytest.mark.parametrize(
    ("written", "number"),
    [("\uff11\uff12", 12.0), ("\uff13\uff0e\uff15", 3.5), ("+4", 4.0), (".5", 0.5), ("1e1", 10.0)],
)
def test_unusual_ways_to_write_a_number_are_read(written: str, number: float) -> None:
    cohort = read("er_percent", [written, "30"])
    assert values_of(cohort, "er_percent") == [number, 30.0]
    assert bool(told(cohort, "COH101")) is not written.isascii()


def test_a_unicode_minus_is_a_minus_and_then_the_range_counts() -> None:
    assert values_of(read("erbb2_mrna_z", ["\u22121.5", "2"]), "erbb2_mrna_z") == [-1.5, 2.0]
    assert aside("er_percent", "\u22125", "20")[0] == {"COH086"}


@pytest.mark.parametrize("value", ["2021-03-04", "03/04/2021", "4.3.21"])
def test_a_date_in_a_column_of_numbers_puts_the_row_aside(value: str) -> None:
    assert aside("pfs_months", value, "5")[0] == {"COH105"}


def test_a_spreadsheet_date_in_a_column_of_months_is_out_of_range() -> None:
    assert aside("pfs_months", "44561", "5")[0] == {"COH086"}


def test_yes_and_no_in_any_mixture_are_one_and_zero() -> None:
    written = ["TRUE", "yes", "1", "Y", "amplified", "false", "No", "0", "0.0", "not amplified"]
    assert values_of(read("cdk12_amplified", written), "cdk12_amplified") == [1.0] * 5 + [0.0] * 5
    booleans = pd.DataFrame({"patient_id": ["a", "b"], "adc": "T-DM1", "cdk12_amplified": [True, False]})
    assert cohort_from_table(booleans).patients["cdk12_amplified"].tolist() == [1.0, 0.0]


def test_an_equivocal_result_is_missing_and_flagged() -> None:
    cohort = read("her2_status", ["equivocal", "positive", "negative"])
    assert values_of(cohort, "her2_status") == [None, 1.0, 0.0]
    assert told(cohort, "COH083") == [
        "cohort.csv, row 2, column 'her2_status': 'equivocal' is neither yes nor no; read as missing."
    ]


def test_a_word_that_is_no_yes_or_no_puts_the_row_aside() -> None:
    assert aside("cdk12_amplified", "maybe", "yes", "no")[0] == {"COH080"}


@pytest.mark.parametrize(("value", "expected"), [("12 months", 12.0), ("12mo", 12.0)])
def test_a_number_with_its_own_unit_is_read(value: str, expected: float) -> None:
    cohort = read("pfs_months", [value, "3"])
    assert values_of(cohort, "pfs_months") == [expected, 3.0]
    assert told(cohort, "COH104")


@pytest.mark.parametrize("value", ["52 weeks", "1 year", "300 days", "5%"])
def test_a_number_with_another_unit_puts_the_row_aside(value: str) -> None:
    codes, cohort = aside("pfs_months", value, "3")
    assert codes == {"COH095"}
    assert "is not in months" in told(cohort, "COH095")[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age_years", "-9"),
        ("age_years", "999"),
        ("erbb2_mrna_z", "-99"),
        ("erbb2_mrna_z", "-9"),
        ("er_percent", "-999"),
    ],
)
def test_a_code_for_missing_puts_the_row_aside(column: str, value: str) -> None:
    codes, cohort = aside(column, value, "20")
    assert codes == {"COH094"}
    assert "is a code for missing in many databases. Leave missing cells empty." in told(cohort, "COH094")[0]


def test_an_unseen_subtype_is_missing_and_flagged() -> None:
    cohort = read("pam50_subtype", ["NC", "LumA", "Basal"])
    assert cohort.rejected == ()
    assert values_of(cohort, "pam50_subtype")[0] is None
    assert "'NC' is none of the known levels (luminal_a," in told(cohort, "COH082")[0]


def test_a_patient_without_any_biomarker_is_put_aside() -> None:
    table = pd.DataFrame(
        {
            "patient_id": ["P1", "P2"],
            "adc": "T-DM1",
            "pcr": ["1", "0"],
            "her2_ihc": ["", "2+"],
            "age_years": ["NA", "50"],
        }
    )
    cohort = cohort_from_table(table, name="cohort.csv")
    assert cohort.rejected == (2,)
    assert told(cohort, "COH102") == ["cohort.csv, row 2: every biomarker is missing. Fill in at least one."]


def test_a_column_that_never_changes_is_flagged() -> None:
    cohort = read("her2_ihc", ["3+", "3", ""])
    assert told(cohort, "COH103") == [
        "cohort.csv, column 'her2_ihc': every value is '3+', so the column cannot tell patients apart."
    ]


def test_every_fault_of_a_row_is_told() -> None:
    cohort = read("her2_ihc", ["4+", "2+"], age_years=["200", "50"], er_percent=["<1", "5"])
    assert sorted(f.code for f in cohort.faults if f.row == 2) == ["COH080", "COH085", "COH086"]


def test_an_escape_sequence_in_a_value_reaches_no_terminal() -> None:
    codes, cohort = aside("her2_ihc", "\x1b[2J3+", "2+", "3+")
    assert codes == {"COH080"}
    (line,) = told(cohort, "COH080")
    assert "\x1b" not in line
    assert "\\u001b[2J3+" in line


def test_a_very_long_value_is_cut_in_the_message() -> None:
    _, cohort = aside("her2_ihc", "x" * 10_000, "2+", "3+")
    assert len(told(cohort, "COH080")[0]) < 200


def test_best_response_gives_the_objective_response_with_its_denominator() -> None:
    cohort = read("best_response", ["CR", "partial response", "SD", "PD", "NE", ""])
    assert values_of(cohort, "best_response") == ["CR", "PR", "SD", "PD", "NE", None]
    assert values_of(cohort, "objective_response") == [1.0, 1.0, 0.0, 0.0, None, None]
    assert told(cohort, "COH118") == [
        "cohort.csv, column 'best_response': 1 patient not evaluable (NE): missing in objective_response; "
        "its denominator is 4."
    ]


@pytest.mark.parametrize("written", [["pCR", "RD"], ["yes", "no"], ["1", "0"], ["pCR", "non-pCR"], ["TRUE", "FALSE"]])
def test_pcr_is_known_by_its_usual_codings(written: list[str]) -> None:
    assert values_of(read("pcr", written), "pcr") == [1.0, 0.0]


@settings(deadline=None, max_examples=40)
@given(st.floats(min_value=-19.99, max_value=19.99, allow_nan=False))
def test_numbers_come_back_to_the_last_bit(number: float) -> None:
    cohort = read("erbb2_mrna_z", [number, math.nan])
    if number in (-9.0,):
        return
    assert cohort.patients["erbb2_mrna_z"].to_numpy()[0] == np.float64(number)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_any_text_in_any_column_is_read_or_put_aside_and_nothing_is_lost(texts: list[str]) -> None:
    for column in ("her2_ihc", "age_years", "cdk12_amplified", "pam50_subtype", "treatment_start", "best_response"):
        try:
            cohort = read(column, [*texts, ""])
        except CohortRejectedError:
            # Decimal commas beside decimal points.
            assert any("," in text for text in texts)
            continue
        assert cohort.rows_in == len(cohort.rows) + len(cohort.rejected) + cohort.duplicates_merged
        assert set(cohort.rows) | set(cohort.rejected) == set(range(2, len(texts) + 3))


def test_a_table_with_decimal_commas_has_them_in_its_levels_too(tmp_path: Path) -> None:
    path = tmp_path / "comma.csv"
    lines = ["patient_id;adc;her2_ihc;ecog;til_percent", "A;T-DM1;3,0;1,0;12,5", "B;T-DXd;2,0;0,0;30,0"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    patients = read_cohort(path).patients
    assert patients["her2_ihc"].tolist() == ["3+", "2+"]
    assert patients["til_percent"].tolist() == [12.5, 30.0]
