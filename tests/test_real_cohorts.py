"""The real public cohorts, which are never committed: the counts that their papers and files give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from features.cohort_file import read_cohort
from features.cohort_import import import_cohort
from features.faults import CohortRejectedError
from features.public.registry import public_cohort
from features.stated_status import stated_status

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def ispy2(shared_data: Path) -> Cohort:
    return read_cohort(shared_data / "ispy2_wolf2022" / "combined_clin_radiogenomic.csv", mapping="ispy2_wolf2022")


@pytest.fixture(scope="module")
def msk(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Every sample of the study."""
    output = tmp_path_factory.mktemp("msk") / "msk.parquet"
    return import_cohort(shared_data / "msk_breast_2018", output, per="sample")


@pytest.fixture(scope="module")
def tcga(shared_data: Path) -> Cohort:
    path = shared_data / "tcga_brca" / "nationwidechildrens.org_clinical_patient_brca.txt"
    return read_cohort(path, mapping="tcga_brca_clinical")


def notes(cohort: Cohort, code: str, column: str | None = None) -> str:
    return " ".join(f.what for f in cohort.faults if f.code == code and column in (None, f.column))


def test_ispy2_has_982_patients_and_30_of_52_complete_responses_on_t_dm1(ispy2: Cohort) -> None:
    patients = ispy2.patients
    assert (ispy2.rows_in, len(patients), ispy2.rejected) == (982, 982, ())
    t_dm1 = patients[patients["adc"] == "T-DM1"]
    assert (len(t_dm1), t_dm1["pcr"].sum()) == (52, 30)
    assert set(t_dm1["partner_drugs"]) == {"pertuzumab"}
    assert patients["pcr"].sum() == 315


def test_ispy2_comparator_arms_keep_their_name_and_their_drugs(ispy2: Cohort) -> None:
    others = ispy2.patients[ispy2.patients["adc"] == "none"]
    assert len(others) == 930
    assert others["arm"].nunique() == 9
    thp = others[others["arm"] == "Pertuzumab"]
    assert (len(thp), thp["pcr"].sum()) == (44, 26)
    assert set(thp["partner_drugs"]) == {"Paclitaxel + Pertuzumab + Trastuzumab"}
    control = others[(others["arm"] == "Ctr") & (others["her2_status"] == 1.0)]
    assert (len(control), control["pcr"].sum()) == (31, 8)


def test_ispy2_biomarkers_are_found(ispy2: Cohort) -> None:
    patients = ispy2.patients
    assert patients["her2_status"].sum() == 244
    assert patients["hr_status"].sum() == 534
    assert patients["her2_class"].value_counts().to_dict() == {"low": 365, "positive": 244, "zero": 217}
    assert patients["pam50_subtype"].value_counts().to_dict() == {
        "basal_like": 410,
        "luminal_b": 221,
        "luminal_a": 173,
        "her2_enriched": 140,
        "normal_like": 23,
    }
    missing = {column: int(patients[column].isna().sum()) for column in ispy2.measured()}
    assert missing["erbb2_mrna_z"] == 6
    assert missing["erbb2_py1248_z"] == missing["egfr_py1173_z"] == 249
    assert missing["immune_score_z"] == missing["proliferation_score_z"] == 0
    assert missing["age_years"] == 3
    positive = patients[patients["her2_status"] == 1.0]["erbb2_mrna_z"].median()
    assert positive > patients[patients["her2_status"] == 0.0]["erbb2_mrna_z"].median() + 1


def test_ispy2_imports_to_a_cohort_file_that_reads_alike(ispy2: Cohort, shared_data: Path, tmp_path: Path) -> None:
    output = tmp_path / "ispy2.csv"
    source = shared_data / "ispy2_wolf2022" / "combined_clin_radiogenomic.csv"
    import_cohort(source, output, mapping="ispy2_wolf2022")
    again = read_cohort(output)
    assert again.rejected == ()
    known = [c for c in ispy2.patients.columns if c not in ispy2.unused()]
    pd.testing.assert_frame_equal(again.patients[known], ispy2.patients[known])


def test_ispy2_needs_its_mapping_and_says_so(shared_data: Path) -> None:
    with pytest.raises(CohortRejectedError, match=r"read as 'her2_status'|the same name|--map"):
        read_cohort(shared_data / "ispy2_wolf2022" / "combined_clin_radiogenomic.csv")


def test_msk_has_1918_samples_and_the_published_alterations(msk: Cohort) -> None:
    patients = msk.patients
    assert (msk.rows_in, len(patients), msk.rejected) == (1918, 1918, ())
    assert patients["erbb2_amplified"].sum() == 186
    assert patients["cdk12_amplified"].sum() == 125
    assert patients["pten_loss"].sum() == 39
    assert patients["ccne1_amplified"].sum() == 23
    assert (patients["erbb2_deletion"] == "homozygous").sum() == 1


def test_msk_ihc_ranges_and_words_for_missing_are_missing(msk: Cohort) -> None:
    counts = msk.patients["her2_ihc"].value_counts().to_dict()
    assert counts == {"0": 535, "1+": 375, "2+": 235, "3+": 144}
    told = notes(msk, "COH108", "HER2_IHC_SCORE")
    assert "'0-1+ as missing' (442)" in told
    assert "'Not Available as missing' (110)" in told
    assert "'Unk/ND' (90)" in notes(msk, "COH100", "OVERALL_HER2_STATUS")


def test_msk_fish_cells_hold_ratio_and_copies(msk: Cohort) -> None:
    patients = msk.patients
    assert patients["her2_ish_positive"].value_counts().to_dict() == {0.0: 337, 1.0: 63}
    both = patients[patients["erbb2_copy_number"].notna()]
    assert len(both) == 24
    assert both["her2_ish_ratio"].notna().all()
    assert patients["her2_ish_ratio"].min() >= 0.1


def test_msk_slx4_is_missing_where_it_is_not_on_the_panel(msk: Cohort) -> None:
    slx4 = msk.patients["slx4_mutated"]
    assert slx4.isna().sum() == 432 + 968
    assert slx4.notna().sum() == 518
    assert slx4.sum() == 5
    assert msk.patients["pik3ca_mutated"].notna().all()


def test_msk_calls_no_single_copy_loss_so_zero_is_not_none(msk: Cohort) -> None:
    assert set(msk.patients["erbb2_deletion"].dropna()) == {"none", "homozygous"}
    assert msk.patients["erbb2_deletion"].notna().sum() == 187
    assert notes(msk, "COH134")


def test_msk_has_1669_patients_with_a_sample_of_before_treatment(shared_data: Path) -> None:
    cohort = read_cohort(shared_data / "msk_breast_2018")
    assert len(cohort.patients) == 1669 == public_cohort("breast_msk_2018").patients
    assert not cohort.patients["SAMPLE_SITE"].str.startswith("Post-").any()
    assert "111 samples left out" in notes(cohort, "COH138")
    assert cohort.patients["patient_id"].is_unique
    assert set(cohort.patients["adc"]) == {"none"}
    assert "138 further samples" in notes(cohort, "COH130")


def test_tcga_ihc_classes_are_counted_below_two_extra_header_rows(tcga: Cohort) -> None:
    assert (tcga.rows_in, tcga.rejected) == (1099, ())
    assert tcga.rows[0] == 4
    assert tcga.patients["her2_ihc"].value_counts().to_dict() == {"1+": 273, "2+": 199, "3+": 90, "0": 61}
    assert tcga.patients["her2_ish_ratio"].notna().sum() == 233
    assert tcga.patients["er_status"].value_counts().to_dict() == {1.0: 810, 0.0: 238}


def test_tcga_status_is_computed_by_asco_cap(tcga: Cohort) -> None:
    patients = tcga.patients
    assert (patients[patients["her2_ihc"] == "3+"]["her2_status"] == 1.0).all()
    settled = patients[(patients["her2_ihc"] == "2+") & patients["her2_ish_positive"].notna()]
    assert settled["her2_status"].notna().all()
    assert set(patients["her2_class"].dropna()) == {"zero", "low", "positive"}


def test_msk_stated_status_is_counted_beside_that_of_the_assays(msk: Cohort) -> None:
    found = stated_status(msk)
    assert found is not None
    assert (found.both, found.agree, found.stated_positive, found.computed_positive) == (1376, 1374, 2, 0)


def test_metabric_is_known_by_its_columns_where_no_file_names_it(shared_data: Path) -> None:
    cohort = read_cohort(shared_data / "metabric")
    assert cohort.patients["her2_status"].sum() == 247
    assert "shipped mapping brca_metabric" in notes(cohort, "COH144")


def test_metabric_has_2509_patients_and_247_her2_positive(shared_data: Path) -> None:
    cohort = read_cohort(shared_data / "metabric", mapping="brca_metabric")
    assert "528 rows of 2,509" in notes(cohort, "COH143")
    assert cohort.rows_in == 2509
    assert cohort.patients["her2_status"].value_counts().to_dict() == {0.0: 1733, 1.0: 247}
    assert len(cohort.rows) + len(cohort.rejected) == 2509
    assert {f.code for f in cohort.faults if f.row in cohort.rejected} == {"COH102"}


def test_metabric_pik3ca_is_read_from_the_list_of_mutations(shared_data: Path) -> None:
    patients = read_cohort(shared_data / "metabric", mapping="brca_metabric").patients
    assert (patients["pik3ca_mutated"].sum(), patients["pik3ca_mutated"].notna().sum()) == (795, 1859)
    # The list tells no class; of 37 patients with any variant of BRCA1, 13 have one that cuts the protein short.
    assert (patients["brca1_mutated"].sum(), patients["brca2_mutated"].sum()) == (13, 10)


def test_tcga_erbb2_expression_rises_with_the_ihc_class(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "tcga_brca"
    cohort = import_cohort(
        folder / "nationwidechildrens.org_clinical_patient_brca.txt",
        tmp_path / "tcga.csv",
        mapping="tcga_brca_clinical",
        expression=folder / "tcga_rna_subset_47genes.csv",
        expression_scale="linear",
    )
    patients = cohort.patients
    assert patients["erbb2_mrna_z"].notna().sum() == 1085
    medians = patients.groupby("her2_ihc")["erbb2_mrna_z"].median()[["0", "1+", "2+", "3+"]]
    assert medians.round(2).tolist() == [-0.53, -0.26, 0.10, 2.14]
    assert "1,085 patients" in notes(cohort, "COH137")


@pytest.mark.parametrize(
    ("mapping", "patients", "assessed", "responses"),
    [("transneo_supplement", 65, 62, 20), ("transneo_supplement_external", 18, 18, 11)],
)
def test_transneo_is_read_from_the_sheets_of_its_supplement(
    shared_data: Path, tmp_path: Path, mapping: str, patients: int, assessed: int, responses: int
) -> None:
    path = shared_data / "transneo_sammut2022" / "Supplementary_Tables.xlsx"
    found = import_cohort(path, tmp_path / "transneo.csv", mapping=mapping).patients
    assert (len(found), found["pcr"].notna().sum(), found["pcr"].sum()) == (patients, assessed, responses)
    assert found["pik3ca_mutated"].sum() > 0


@pytest.mark.parametrize(
    ("name", "patients", "responses"), [("training_df.csv", 55, 17), ("testing_her2pos_df.csv", 18, 11)]
)
def test_transneo_her2_positive_patients_and_their_responses(
    shared_data: Path, name: str, patients: int, responses: int
) -> None:
    cohort = read_cohort(shared_data / "transneo_sammut2022" / name, mapping="transneo_sammut2022")
    assert (len(cohort.patients), cohort.patients["pcr"].sum()) == (patients, responses)
    assert cohort.patients["erbb2_mrna_z"].mean() == pytest.approx(0.0, abs=1e-9)


def test_a_supplement_with_several_sheets_needs_a_named_one(shared_data: Path) -> None:
    path = shared_data / "transneo_sammut2022" / "Supplementary_Tables.xlsx"
    with pytest.raises(CohortRejectedError, match="the workbook has 5 sheets"):
        read_cohort(path)
    with pytest.raises(CohortRejectedError, match="required column 'adc' is missing"):
        read_cohort(path, sheet="Supplementary Table 1")
