"""Column names of cohort files: matched by id or synonym, never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from features.cohort_file import cohort_from_table, read_cohort
from features.faults import CohortRejectedError, describe

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

CELLS = {
    "patient_id": ["P1", "P2"],
    "adc": ["T-DM1", "T-DXd"],
    "her2_ihc": ["3+", "1+"],
    "her2_ish_ratio": ["5.1", "1.2"],
    "her2_heterogeneous": ["0", "1"],
    "p95her2_positive": ["0", "1"],
    "cdk12_amplified": ["1", "0"],
    "erbb2_deletion": ["none", "hemizygous"],
}


def read(columns: dict[str, list[str]], **options: bool) -> Cohort:
    return cohort_from_table(pd.DataFrame(columns, dtype="str"), name="cohort.csv", **options)


def renamed(**names: str) -> dict[str, list[str]]:
    """The example with other names for some columns."""
    return {names.get(column, column): cells for column, cells in CELLS.items()}


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, cohort.source.name) for fault in cohort.faults if fault.code == code]


def refused(columns: dict[str, list[str]]) -> str:
    with pytest.raises(CohortRejectedError) as caught:
        read(columns)
    return str(caught.value)


def refused_text(tmp_path: Path, text: str) -> str:
    path = tmp_path / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CohortRejectedError) as caught:
        read_cohort(path)
    return str(caught.value)


def test_a_complete_file_has_no_fault() -> None:
    assert read(CELLS).faults == ()


def test_two_columns_of_one_name_refuse_the_file(tmp_path: Path) -> None:
    line = refused_text(tmp_path, "patient_id,adc,her2_ihc,age_years,her2_ihc\nP1,T-DM1,3+,50,3+\n")
    assert line.split("\n")[0] == (
        "cohort.csv, column 'her2_ihc': two columns have the same name (columns 3 and 5). Rename or remove one."
    )


def test_names_that_differ_in_case_only_refuse_the_file(tmp_path: Path) -> None:
    line = refused_text(tmp_path, "patient_id,adc,her2_ihc,HER2_ihc\nP1,T-DM1,3+,3+\n")
    assert "column 'HER2_ihc': differs from column 'her2_ihc' only in case or spaces" in line


@pytest.mark.parametrize("name", [" her2_ihc", "her2_ihc ", "her2_ihc\u00a0", "\ufeffher2_ihc"])
def test_spaces_around_a_name_are_taken_off_and_told(name: str) -> None:
    cohort = read(renamed(her2_ihc=name))
    assert cohort.patients["her2_ihc"].tolist() == ["3+", "1+"]
    assert told(cohort, "COH047") == ["cohort.csv, column 'her2_ihc': spaces around the name were taken off."]


def test_a_cyrillic_look_alike_is_refused_with_a_hint() -> None:
    line = refused({**CELLS, "h\u0435r2_h_score": ["100", "20"]})
    assert line == (
        "cohort.csv, column 'h\u0435r2_h_score': the name holds Cyrillic Small Letter Ie, which only look like Latin "
        "letters. Type the name anew: her2_h_score."
    )


@pytest.mark.parametrize(("column", "meaning"), [("patient_id", "study number"), ("adc", "antibody-drug conjugate")])
def test_a_missing_required_column_is_named_with_the_mend(column: str, meaning: str) -> None:
    line = refused({name: cells for name, cells in CELLS.items() if name != column})
    assert f"the required column '{column}' is missing." in line
    assert f"Rename the column that holds the {meaning}" in line
    assert "or map it with --map." in line


def test_a_near_miss_of_a_required_column_is_pointed_out() -> None:
    assert "Column 'patient_nr' looks close." in refused(renamed(patient_id="patient_nr"))


def test_a_missing_optional_column_is_flagged() -> None:
    cohort = read({name: cells for name, cells in CELLS.items() if name != "p95her2_positive"})
    assert told(cohort, "COH049") == [
        "cohort.csv: no column measures p95HER2, a core biomarker. Add one of p95her2_ratio or p95her2_positive."
    ]


def test_a_file_without_any_biomarker_is_refused() -> None:
    line = refused({"patient_id": ["P1"], "adc": ["T-DM1"], "pcr": ["1"]})
    assert "no column is a biomarker of the catalogue" in line


def test_an_extra_column_is_kept_and_listed_as_unused() -> None:
    cohort = read({**CELLS, "hospital wing": ["east", "west"]})
    assert cohort.unused() == ("hospital wing",)
    assert cohort.patients["hospital wing"].tolist() == ["east", "west"]
    assert cohort.faults == ()


def test_columns_in_another_order_are_found_by_name() -> None:
    turned = read(dict(reversed(CELLS.items())))
    pd.testing.assert_frame_equal(turned.patients, read(CELLS).patients)


@pytest.mark.parametrize(
    "name", ["HER2_IHC", "HER2 IHC", "IHC_HER2", "HER2_IHC_SCORE", "HER2-IHC score", "her2.ihc.score"]
)
def test_names_met_in_real_files_are_matched(name: str) -> None:
    cohort = read(renamed(her2_ihc=name))
    assert cohort.patients["her2_ihc"].tolist() == ["3+", "1+"]
    match = next(c for c in cohort.columns if c.name == name)
    assert match.column_id == "her2_ihc"
    assert match.how == ("id" if name == "HER2_IHC" else "synonym")


def test_two_columns_for_one_biomarker_are_a_fault_and_not_a_guess() -> None:
    line = refused({**CELLS, "HER2 IHC score": ["3+", "0"]})
    assert line == (
        "cohort.csv, column 'HER2 IHC score': read as 'her2_ihc', and so is column 'her2_ihc'. "
        "Rename or remove one, or say with --map which to read."
    )


def test_a_name_with_two_meanings_is_a_fault_and_not_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    from features.column_names import measure_names
    from features.columns import column_matching

    ambiguous = {**measure_names(), "ratio": ("her2_ish_ratio", "p95her2_ratio")}
    monkeypatch.setattr(column_matching, "measure_names", lambda: ambiguous)
    line = refused(renamed(her2_ish_ratio="ratio"))
    assert line == (
        "cohort.csv, column 'ratio': the name may mean her2_ish_ratio or p95her2_ratio. "
        "Rename it to one of these, or map it with --map."
    )


@pytest.mark.parametrize("name", ["her2_ich", "her2_ihcc", "her2_hc", "her2_ihx"])
def test_a_misspelt_name_gets_a_hint(name: str) -> None:
    cohort = read(renamed(her2_ihc=name))
    assert told(cohort, "COH048") == [
        f"cohort.csv, column '{name}': the name is unknown, so the column is not used. "
        "Did you mean 'her2_ihc'? Rename it if so."
    ]


@pytest.mark.parametrize("name", ["ERBB5 mRNA z-score", "her3_ihc", "age_group", "CCND2 mRNA z-score"])
def test_the_name_of_another_gene_or_measure_gets_no_hint(name: str) -> None:
    cohort = read({**CELLS, name: ["1", "2"]})
    assert told(cohort, "COH048") == []


def test_an_outcome_in_a_file_to_score_is_dropped_with_a_warning() -> None:
    columns = {**CELLS, "pCR": ["1", "0"], "best response": ["CR", "SD"]}
    cohort = read(columns, for_scoring=True)
    assert [fault.column for fault in cohort.faults] == ["best response", "pCR"]
    assert {fault.code for fault in cohort.faults} == {"COH050"}
    assert not {"pcr", "pCR", "best_response", "best response", "objective_response"} & set(cohort.patients)
    assert {"pcr", "best_response", "objective_response"} < set(read(columns).patients)


def test_a_nameless_column_with_values_is_kept_out_of_the_way() -> None:
    cohort = read({"": ["0", "1"], **CELLS})
    assert len(cohort.patients) == 2
    assert "" not in cohort.patients
