"""A name met in a file means one column; a spelling of a level means one level."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.biomarkers import Measure, measures
from features.cohort import CONTEXT_COLUMNS, OUTCOME_COLUMNS
from features.column_names import measure_names, normalise_level, normalise_name
from features.columns.level_columns import spellings


def test_no_name_means_two_columns() -> None:
    ambiguous = {name: ids for name, ids in measure_names().items() if len(ids) > 1}
    assert not ambiguous
    assert "" not in measure_names()


def test_every_column_is_found_by_its_own_id() -> None:
    for column in (*CONTEXT_COLUMNS, *OUTCOME_COLUMNS, *measures()):
        assert measure_names()[normalise_name(column)] == (column,)


@pytest.mark.parametrize(
    ("header", "column"),
    [
        *[("HER2 IHC", "her2_ihc"), ("IHC_HER2", "her2_ihc"), ("HER2_IHC_SCORE", "her2_ihc")],
        *[("HER2 FISH ratio", "her2_ish_ratio"), ("HER2/CEP17", "her2_ish_ratio")],
        *[("ERBB2 CN", "erbb2_copy_number"), ("CEP17 signals/cell", "her2_cep17_copies")],
        *[("ER %", "er_percent"), ("ER (%)", "er_percent"), ("ER", "er_status"), ("% ER", "er_percent")],
        *[("PgR %", "pr_percent"), ("Ki-67", "ki67_percent"), ("Ki67 (%)", "ki67_percent")],
        *[("sTILs (%)", "til_percent"), ("HR", "hr_status"), ("HER2", "her2_status")],
        *[("PIK3CA mut", "pik3ca_mutated"), ("PTEN loss", "pten_loss"), ("CDK12 amp", "cdk12_amplified")],
        # MSK, cBioPortal
        *[("HER2_FISH", "her2_ish_positive"), ("HER2_FISH_RATIO", "her2_ish_ratio"), ("HR_STATUS", "hr_status")],
        *[("OVERALL_HER2_STATUS", "her2_status"), ("TMB_NONSYNONYMOUS", "tmb_per_mb")],
        # TCGA
        *[("her2_ihc_score", "her2_ihc"), ("her2_copy_number", "erbb2_copy_number")],
        *[("her2_cent17_ratio", "her2_ish_ratio"), ("cent17_copy_number", "her2_cep17_copies")],
        *[("er_status_by_ihc", "er_status"), ("er_status_ihc_Percent_Positive", "er_percent")],
        ("bcr_patient_barcode", "patient_id"),
        # I-SPY2
        *[("ERBB2.Y1248", "erbb2_py1248_z"), ("EGFR.Y1173", "egfr_py1173_z"), ("MP2", "mammaprint_mp2")],
        *[("PAM50.Subtype", "pam50_subtype"), ("HER2.3.state..3.", "her2_class"), ("patientid", "patient_id")],
        ("Module11_Prolif_score", "proliferation_score_z"),
        # METABRIC, TransNEO
        *[("CLAUDIN_SUBTYPE", "pam50_subtype"), ("AGE_AT_DIAGNOSIS", "age_years"), ("GRADE", "tumour_grade")],
        *[("Age.at.diagnosis", "age_years"), ("ER.Allred", "er_allred"), ("HRD.sum", "hrd_score")],
        *[("CodingMuts.PIK3CA", "pik3ca_mutated"), ("LN.at.diagnosis", "node_positive")],
        # context and outcome
        *[("Patient ID", "patient_id"), ("PATIENT_ID", "patient_id"), ("subject", "patient_id")],
        *[("drug", "adc"), ("treatment", "adc"), ("Arm (short name)", "arm"), ("centre", "site")],
        *[("pCR", "pcr"), ("pathologic complete response", "pcr"), ("BOR", "best_response")],
        *[("best overall response", "best_response"), ("PFS (months)", "pfs_months"), ("PFS_STATUS", "pfs_event")],
    ],
)
def test_a_header_met_in_a_real_file_is_known(header: str, column: str) -> None:
    assert measure_names()[normalise_name(header)] == (column,)


@pytest.mark.parametrize("header", ["PFS", "response", "ERBB2 log2 TPM", "ID", "HER2_SNP6", "survival"])
def test_a_header_without_unit_or_with_two_meanings_is_left_to_a_mapping(header: str) -> None:
    assert normalise_name(header) not in measure_names()


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("HER2\u00a0IHC ", "her2ihc"),
        ("\uff28\uff25\uff32\uff12 \uff29\uff28\uff23", "her2ihc"),
        ("Her-2/IHC", "her2ihc"),
        ("Kadcyla™", "kadcyla"),
    ],
)
def test_case_width_punctuation_and_marks_do_not_tell_names_apart(written: str, same: str) -> None:
    assert normalise_name(written) == same


def test_a_cyrillic_look_alike_is_another_name() -> None:
    assert normalise_name("\u041dER2 IHC") not in measure_names()


@given(st.text(max_size=30))
def test_a_normalised_name_is_normal_and_does_not_depend_on_the_unicode_form(text: str) -> None:
    once = normalise_name(text)
    assert normalise_name(once) == once
    assert normalise_name(unicodedata.normalize("NFD", text)) == once


@pytest.mark.parametrize("measure", [m for m in measures().values() if m.level_synonyms], ids=lambda m: m.id)
def test_a_spelling_of_a_level_means_a_level_that_exists(measure: Measure) -> None:
    levels = {"0", "1"} if measure.kind == "binary" else set(measure.levels)
    assert set(measure.level_synonyms.values()) <= levels
    spellings = [normalise_level(text) for text in measure.level_synonyms]
    assert len(spellings) == len(set(spellings))
    assert not set(spellings) & {normalise_level(level) for level in levels}
    assert measure.kind != "numeric"


@pytest.mark.parametrize(
    ("value", "level"),
    [
        *[("0", "0"), ("0+", "0"), ("1", "1+"), ("1+", "1+"), ("1.0", "1+"), ("2 +", "2+"), ("3", "3+"), ("+++", "3+")],
        *[("IHC 2+", "2+"), ("Ultra-low", "ultralow"), ("ultralow", "ultralow"), ("Score 0", "0")],
    ],
)
def test_a_her2_ihc_score_is_read_in_its_spellings(value: str, level: str) -> None:
    assert spellings(measures()["her2_ihc"])[normalise_level(value)] == level


@pytest.mark.parametrize("value", ["4+", "IV", "0-1+", "1-2+", "negative", "positive", "low", "<1", "", "3+ (outside)"])
def test_what_is_no_her2_ihc_score_is_not_guessed(value: str) -> None:
    assert normalise_level(value) not in spellings(measures()["her2_ihc"])


@pytest.mark.parametrize(
    ("column", "value", "level"),
    [
        *[("her2_class", "HER2low", "low"), ("her2_class", "HER2=0", "zero"), ("her2_class", "HER2+", "positive")],
        *[("pam50_subtype", "Her2", "her2_enriched"), ("pam50_subtype", "LumA", "luminal_a")],
        *[("erbb2_deletion", "none", "none"), ("erbb2_deletion", "HETLOSS", "hemizygous")],
        *[("her2_status", "+", "1"), ("her2_status", "-", "0"), ("her2_ish_positive", "Not amplified", "0")],
        *[("pik3ca_mutated", "WT", "0"), ("pten_loss", "intact", "0"), ("fcgr3a_genotype", "158V/F", "V/F")],
    ],
)
def test_a_level_met_in_a_real_file_is_known(column: str, value: str, level: str) -> None:
    assert spellings(measures()[column])[normalise_level(value)] == level
