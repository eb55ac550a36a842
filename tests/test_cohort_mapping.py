"""Mapping files: foreign tables read as cohorts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from features.cohort_file import cohort_from_table, read_cohort
from features.errors import InputError
from features.faults import CohortRejectedError, describe
from features.mapping_file import load_mapping, shipped_mappings
from features.tables.text_column import named_group

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

FOREIGN = pd.DataFrame(
    {
        "Subject": ["001", "002", "003"],
        "Arm": ["TDM1/P", "Control", "TDM1/P"],
        "stain": ["strong", "weak", "n/d"],
        "fish": ["2.1 (CN 4.8)", "1.3", "failed"],
        "til": ["0.1", "0.45", ""],
        "logtpm": ["8", "10", "12"],
    },
    dtype="str",
)
MAPPING = """
name = "site_a"
[columns]
patient_id = "Subject"
arm = "Arm"
[columns.adc]
from = "Arm"
values = { "TDM1/P" = "T-DM1" }
otherwise = "none"
[columns.her2_ihc]
from = "stain"
values = { strong = "3+", weak = "1+" }
[columns.her2_ish_ratio]
from = "fish"
extract = "^([0-9.]+)"
[columns.erbb2_copy_number]
from = "fish"
extract = "CN ([0-9.]+)"
[columns.til_percent]
from = "til"
unit = "fraction"
[columns.erbb2_mrna_z]
from = "logtpm"
standardise = true
[columns.cohort]
constant = "site A"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site_a.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path: Path, text: str, table: pd.DataFrame = FOREIGN) -> Cohort:
    return cohort_from_table(table, name="site_a.csv", mapping=load_mapping(write(tmp_path, text)))


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, "site_a.csv") for fault in cohort.faults if fault.code == code]


def test_a_mapping_reads_a_foreign_table(tmp_path: Path) -> None:
    cohort = read(tmp_path, MAPPING)
    patients = cohort.patients
    assert patients["patient_id"].tolist() == ["001", "002", "003"]
    assert patients["adc"].tolist() == ["T-DM1", "none", "T-DM1"]
    assert patients["arm"].tolist() == ["TDM1/P", "Control", "TDM1/P"]
    assert patients["cohort"].tolist() == ["site A"] * 3
    assert patients["her2_ihc"].tolist()[:2] == ["3+", "1+"]
    assert patients["her2_ish_ratio"].tolist()[:2] == [2.1, 1.3]
    assert patients["erbb2_copy_number"].tolist()[0] == 4.8
    assert patients["til_percent"].tolist()[:2] == [10.0, 45.0]
    np.testing.assert_allclose(patients["erbb2_mrna_z"], [-1.0, 0.0, 1.0])
    assert {match.how for match in cohort.columns if match.column_id in ("adc", "til_percent")} == {"mapping"}
    assert cohort.unused() == ()


def test_every_mapped_value_is_told(tmp_path: Path) -> None:
    cohort = read(tmp_path, MAPPING)
    assert "'TDM1/P as T-DM1' (2), 'Control as none' (1)" in told(cohort, "COH108")[0]
    assert told(cohort, "COH107") == [
        "site_a.csv, column 'logtpm': standardised over 3 values of this file (mean 10, standard deviation 2)."
    ]
    assert told(cohort, "COH106") == ["site_a.csv, column 'til': 2 values converted from fraction to percent."]


def test_a_mapped_column_that_is_not_in_the_file_refuses_it_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(CohortRejectedError) as caught:
        read(tmp_path, MAPPING.replace('"stain"', '"stains"'))
    assert str(caught.value) == (
        "site_a.csv, column 'stains': the mapping reads 'her2_ihc' from it, but the file has no such column. "
        "Column 'stain' looks close. Correct the mapping."
    )


def test_a_mapped_column_goes_before_one_that_matches_by_name(tmp_path: Path) -> None:
    cohort = read(tmp_path, MAPPING, FOREIGN.assign(**{"HER2 IHC": ["0", "0", "0"]}))
    assert cohort.patients["her2_ihc"].tolist()[:2] == ["3+", "1+"]
    assert "also reads as 'her2_ihc', which the mapping takes from 'stain'" in told(cohort, "COH053")[0]
    assert cohort.unused() == ("HER2 IHC",)


def test_columns_that_a_mapping_does_not_name_are_matched_unless_it_says_keep(tmp_path: Path) -> None:
    table = FOREIGN.assign(age=["50", "60", "70"])
    assert "age_years" in read(tmp_path, MAPPING, table).patients
    kept = read(tmp_path, 'other_columns = "keep"\n' + MAPPING, table)
    assert "age_years" not in kept.patients
    assert kept.unused() == ("age",)


def test_a_mapping_leaves_out_header_rows_and_other_patients(tmp_path: Path) -> None:
    table = pd.concat([FOREIGN.iloc[[0]], FOREIGN], ignore_index=True)
    rules = 'skip_rows_after_header = 1\nkeep_rows = { column = "Arm", holds = ["TDM1/P"] }\n'
    cohort = read(tmp_path, rules + MAPPING, table)
    assert cohort.patients["patient_id"].tolist() == ["001", "003"]
    assert cohort.rows == (3, 5)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("columns = 3", "site_a.toml: not a mapping: Expected `object`, got `int` - at `$.columns`."),
        ("columns = {", "site_a.toml: not a mapping: "),
        ('[columns]\nher2_ich = "x"', "[columns.her2_ich]: 'her2_ich' is not a column of a cohort file. Did you mean"),
        ("[columns.adc]\n", "[columns.adc]: needs `from` or `constant`, and not both."),
        ('[columns.adc]\nfrom = "x"\nconstant = "y"', "[columns.adc]: needs `from` or `constant`, and not both."),
        ('[columns.til_percent]\nfrom = "x"\nunit = "parsec"', "'parsec' is not a unit. Use "),
        ('[columns.adc]\nfrom = "x"\nextract = "("', "`extract` is no regular expression"),
        ('[columns.adc]\nfrom = "x"\nextract = "abc"', "`extract` needs one group in brackets."),
        ('[columns.adc]\nfrom = "x"\nextract = "(?=a)(b)"', "`extract` is beyond RE2 (Invalid regular expression"),
        ('[columns.adc]\nfrom = "x"\nextract = "(x{5000})"', "`extract` is beyond RE2 (Invalid regular expression"),
        ('[columns.adc]\nfrom = "x"\ncolour = "red"', "not a mapping: Object contains unknown field `colour`"),
        (f"a{'.a' * 300} = 1", "site_a.toml: line 1 has more than 250 dots. Write it in several lines."),
        ("#" * 300_000, "site_a.toml: a mapping file has at most 256 KiB."),
    ],
)
def test_a_mapping_that_is_not_well_formed_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        load_mapping(write(tmp_path, text))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_mapping_is_one_line_with_the_nearest_name() -> None:
    with pytest.raises(InputError) as caught:
        load_mapping("ispy2_wolf")
    assert str(caught.value) == ("--map: there is no mapping file 'ispy2_wolf'. Did you mean 'ispy2_wolf2022'?")


def test_every_shipped_mapping_is_well_formed_and_cites_its_cohort() -> None:
    assert {"ispy2_wolf2022", "tcga_brca_clinical", "breast_msk_2018"} <= set(shipped_mappings())
    for name in shipped_mappings():
        mapping = load_mapping(name)
        assert mapping.name == name
        assert mapping.title
        assert mapping.citation
        assert mapping.licence


def test_a_mapping_may_be_given_as_path_or_name(tmp_path: Path) -> None:
    table = tmp_path / "site_a.csv"
    FOREIGN.to_csv(table, index=False)
    path = write(tmp_path, MAPPING)
    by_text = read_cohort(table, mapping=str(path))
    pd.testing.assert_frame_equal(by_text.patients, read_cohort(table, mapping=path).patients)


def test_values_without_spread_cannot_be_standardised(tmp_path: Path) -> None:
    with pytest.raises(CohortRejectedError, match="3 values without spread cannot be standardised"):
        read(tmp_path, MAPPING, FOREIGN.assign(logtpm="9"))


BESIDE = """
name = "site_a"
[[beside]]
file = "variants.csv"
patient = "who"
gene = "gene"
variant_class = "class"
[[beside]]
file = "staining.csv"
patient = "who"
[columns]
patient_id = "Subject"
adc = { constant = "none" }
her2_ihc = "stain"
"""


@pytest.fixture
def several_files(tmp_path: Path) -> Path:
    """A clinical table with a list of variants and a table of staining beside it."""
    write(tmp_path, BESIDE)
    (tmp_path / "clinical.csv").write_text("Subject,age\nA,50\nB,60\nC,70\n")
    (tmp_path / "variants.csv").write_text(
        "who,gene,class\nA,PIK3CA,Missense_Mutation\nB,PIK3CA,Silent\nB,TP53,Nonsense_Mutation\nX,TP53,Intron\n"
    )
    (tmp_path / "staining.csv").write_text("who,stain\nC,3+\nA,1+\n")
    return tmp_path / "clinical.csv"


def test_tables_beside_the_first_are_joined_by_patient(several_files: Path, tmp_path: Path) -> None:
    patients = read_cohort(several_files, mapping=tmp_path / "site_a.toml").patients.set_index("patient_id")
    assert patients["her2_ihc"].fillna("").tolist() == ["1+", "", "3+"]
    # A silent variant is no mutation; C has no row in the list, so nobody knows.
    assert patients["pik3ca_mutated"].fillna(-1).tolist() == [1.0, 0.0, -1.0]
    assert patients["tp53_mutated"].fillna(-1).tolist() == [0.0, 1.0, -1.0]
    # The list names no protein change, so single variants cannot be told.
    assert "erbb2_l755s_mutated" not in patients


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("staining.csv", "who,stain\nA,1+\nA,2+\n", "several rows"),
        ("variants.csv", "who,gene\nA,PIK3CA\n", "'class' is missing"),
        ("staining.csv", "id,stain\nA,1+\n", "'who' is missing"),
    ],
)
def test_a_table_beside_that_does_not_fit_is_refused(
    several_files: Path, tmp_path: Path, file: str, content: str, problem: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=problem):
        read_cohort(several_files, mapping=tmp_path / "site_a.toml")


def test_a_table_beside_lies_in_the_same_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a name without a folder"):
        load_mapping(write(tmp_path, BESIDE.replace("variants.csv", "../variants.csv")))


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        (r"CN \(([0-9.]+)", r"CN \((?P<part>[0-9.]+)"),
        (r"[(]([0-9]+)", r"[(](?P<part>[0-9]+)"),
        (r"(?:CN)(?P<copies>.)", r"(?:CN)(?P<part>.)"),
    ],
)
def test_only_a_bracket_that_opens_a_group_is_taken_for_the_part_to_read(pattern: str, named: str) -> None:
    assert named_group(pattern) == named
