"""cBioPortal study folders: clinical files of any age, copy number, mutations and gene panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from features.cohort_file import read_cohort
from features.cohort_import import import_cohort
from features.errors import InputError
from features.faults import CohortRejectedError, describe
from features.public.cbioportal import read_study
from features.public.gene_panels import parse_panel, shipped_panels
from features.public.study_folder import data_lines, open_study
from features.public.variant_classes import class_of

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

PATIENTS = """#Patient\tAge\tStatus
#id\tage, in years\tstatus # of hormone receptors
#STRING\tNUMBER\tSTRING
#1\t1\t1
PATIENT_ID\tAGE\tHR_STATUS
A\t50\tPositive
B\t61\tNegative
C\t44\tUnk/ND
"""
SAMPLES = """#Sample\tPatient\tType\tHER2
#id\tid\ttype\tIHC
#STRING\tSTRING\tSTRING\tSTRING
#1\t1\t1\t1
SAMPLE_ID\tPATIENT_ID\tSAMPLE_TYPE\tHER2_IHC
A-1\tA\tMetastasis\t3+
A-2\tA\tPrimary\t2+
B-1\tB\tPrimary\t1+
C-1\tC\tMetastasis\tNA
"""
#: SLX4 is on IMPACT468 only; the portal writes 0 for it all the same.
COPY_NUMBER = """Hugo_Symbol\tEntrez_Gene_Id\tA-1\tA-2\tB-1\tC-1
ERBB2\t2064\t2\t2\t0\t-1
CDK12\t51755\t2\t0\t0\tNA
PTEN\t5728\t-2\t-1.5\t-1\t0
NF1\t4763\t0\t0\t0\t0
TP53\t7157\t0\t0\t0\t0
"""
MAF = """#version 2.4
Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short
PIK3CA\tMissense_Mutation\tA-1\tp.H1047R
PIK3CA\tSilent\tB-1\tp.L10L
ERBB2\tMissense_Mutation\tB-1\tp.L755S
NF1\tNonsense_Mutation\tB-1\tp.R1#2
SLX4\tMissense_Mutation\tC-1\tp.A1B
TP53\tIntron\tA-2\t
"""
PANELS = """SAMPLE_ID\tmutations\tcna
A-1\tIMPACT341\tIMPACT341
A-2\tIMPACT341\tIMPACT341
B-1\tIMPACT468\tIMPACT468
C-1\tIMPACT468\tNA
"""
META = {
    "meta_study.txt": "cancer_study_identifier: tiny_2020\nname: Tiny\n",
    "meta_cna.txt": "genetic_alteration_type: COPY_NUMBER_ALTERATION\ndatatype: DISCRETE\ndata_filename: odd_cna.txt\n",
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of three patients and four samples."""
    folder = tmp_path / "study"
    folder.mkdir()
    files = {
        "data_clinical_patient.txt": PATIENTS,
        "data_clinical_sample.txt": SAMPLES,
        "odd_cna.txt": COPY_NUMBER,
        "data_mutations.txt": MAF,
        "data_gene_panel_matrix.txt": PANELS,
        **META,
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return folder


def per_sample(folder: Path, tmp_path: Path) -> Cohort:
    return import_cohort(folder, tmp_path / "out.csv", per="sample")


def values_of(cohort: Cohort, column: str) -> dict[str, object]:
    pairs = zip(cohort.patients["patient_id"], cohort.patients[column], strict=True)
    return {identifier: None if pd.isna(value) else value for identifier, value in pairs}


def told(cohort: Cohort, code: str) -> list[str]:
    return [describe(fault, cohort.source.name) for fault in cohort.faults if fault.code == code]


def test_samples_are_joined_with_their_patients(study: Path, tmp_path: Path) -> None:
    cohort = per_sample(study, tmp_path)
    assert cohort.source.name == "tiny_2020"
    assert values_of(cohort, "age_years") == {"A-1": 50.0, "A-2": 50.0, "B-1": 61.0, "C-1": 44.0}
    assert values_of(cohort, "her2_ihc") == {"A-1": "3+", "A-2": "2+", "B-1": "1+", "C-1": None}
    assert values_of(cohort, "hr_status") == {"A-1": 1.0, "A-2": 1.0, "B-1": 0.0, "C-1": None}
    assert cohort.patients["cohort"].unique().tolist() == ["tiny_2020"]


def test_the_primary_tumour_stands_for_its_patient(study: Path) -> None:
    cohort = read_cohort(study)
    assert values_of(cohort, "her2_ihc") == {"A": "2+", "B": "1+", "C": None}
    assert told(cohort, "COH130") == [
        "tiny_2020: 1 further sample of 3 patients left out: primary tumours go before metastases. "
        "Use --per sample to keep all."
    ]


def test_rows_are_those_of_the_sample_file(study: Path) -> None:
    assert read_cohort(study).rows == (7, 8, 9)


def test_a_study_without_treatment_says_that_nobody_received_an_adc(study: Path, tmp_path: Path) -> None:
    cohort = read_cohort(study)
    assert set(cohort.patients["adc"]) == {"none"}
    assert "the study names no treatment; adc is 'none' for every patient" in told(cohort, "COH135")[0]
    given = import_cohort(study, tmp_path / "given.csv", adc="T-DM1")
    assert set(given.patients["adc"]) == {"T-DM1"}
    assert told(given, "COH135") == []


def test_copy_number_calls_become_measures(study: Path, tmp_path: Path) -> None:
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "erbb2_amplified") == {"A-1": 1.0, "A-2": 1.0, "B-1": 0.0, "C-1": None}
    assert values_of(cohort, "cdk12_amplified") == {"A-1": 1.0, "A-2": 0.0, "B-1": 0.0, "C-1": None}


def test_a_partial_deletion_counts_as_a_deep_one_as_in_the_portal(study: Path, tmp_path: Path) -> None:
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "pten_loss") == {"A-1": 1.0, "A-2": 1.0, "B-1": 0.0, "C-1": None}
    assert told(cohort, "COH133") == [
        "tiny_2020: 1 copy-number call of -1.5 (partial deletion) read as -2, as the portal does."
    ]


def test_a_call_of_zero_rules_out_a_deletion_only_where_single_copy_losses_are_called(
    study: Path, tmp_path: Path
) -> None:
    assert values_of(per_sample(study, tmp_path), "erbb2_deletion")["B-1"] == "none"
    (study / "odd_cna.txt").write_text(COPY_NUMBER.replace("\t-1\n", "\t0\n").replace("\t-1\t", "\t0\t"))
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "erbb2_deletion") == {"A-1": "none", "A-2": "none", "B-1": None, "C-1": None}
    assert told(cohort, "COH134")


def test_a_gene_that_is_not_on_the_panel_is_missing_and_not_wild_type(study: Path, tmp_path: Path) -> None:
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "slx4_mutated") == {"A-1": None, "A-2": None, "B-1": 0.0, "C-1": 1.0}
    assert told(cohort, "COH131") == [
        "tiny_2020, column 'slx4_mutated': missing in 2 samples sequenced with IMPACT341, which SLX4 is not on."
    ]


def test_mutations_pass_the_portals_own_filter(study: Path, tmp_path: Path) -> None:
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "pik3ca_mutated") == {"A-1": 1.0, "A-2": 0.0, "B-1": 0.0, "C-1": 0.0}
    assert values_of(cohort, "tp53_mutated")["A-2"] == 0.0
    assert "2 variants left out" in told(cohort, "COH132")[0]


def test_single_variants_and_truncating_mutations_are_told_apart(study: Path, tmp_path: Path) -> None:
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "erbb2_l755s_mutated")["B-1"] == 1.0
    assert values_of(cohort, "erbb2_activating_mutated")["B-1"] == 0.0
    assert values_of(cohort, "nf1_loss") == {"A-1": 0.0, "A-2": 0.0, "B-1": 1.0, "C-1": None}


def test_a_panel_file_of_the_study_goes_before_the_shipped_one(study: Path, tmp_path: Path) -> None:
    (study / "data_gene_panel_impact341.txt").write_text("stable_id: IMPACT341\ngene_list:\tSLX4\tPIK3CA\n")
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "slx4_mutated")["A-1"] == 0.0
    assert values_of(cohort, "tp53_mutated")["A-1"] is None


def test_of_an_unknown_panel_only_genes_with_an_alteration_count_as_covered(study: Path, tmp_path: Path) -> None:
    (study / "data_gene_panel_matrix.txt").write_text(PANELS.replace("IMPACT341", "HOUSE"))
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "pik3ca_mutated")["A-2"] == 0.0
    assert values_of(cohort, "brca1_mutated")["A-2"] is None
    assert "'HOUSE' of 2 samples is not known" in told(cohort, "COH136")[0]


def test_without_panels_the_list_of_sequenced_samples_counts(study: Path, tmp_path: Path) -> None:
    (study / "data_gene_panel_matrix.txt").unlink()
    (study / "data_mutations.txt").write_text("\n".join(line for line in MAF.splitlines() if "TP53" not in line))
    expected = {"A-1": 1.0, "A-2": None, "B-1": 0.0, "C-1": 0.0}
    assert values_of(per_sample(study, tmp_path), "pik3ca_mutated") == expected
    (study / "case_lists").mkdir()
    (study / "case_lists" / "cases_sequenced.txt").write_text("case_list_ids:\tA-2\n")
    # A sample with mutations was sequenced, whether the list names it or not.
    assert values_of(per_sample(study, tmp_path), "pik3ca_mutated") == {**expected, "A-2": 0.0}


def test_a_gene_that_no_panel_and_no_mutation_names_was_not_looked_at(study: Path, tmp_path: Path) -> None:
    (study / "data_gene_panel_matrix.txt").unlink()
    assert "brca1_mutated" not in per_sample(study, tmp_path).patients


def test_only_variants_that_cut_the_protein_short_count_for_brca(study: Path, tmp_path: Path) -> None:
    (study / "data_gene_panel_matrix.txt").unlink()
    (study / "data_mutations.txt").write_text(
        MAF + "BRCA1\tMissense_Mutation\tA-1\tp.A1B\nBRCA1\tFrame_Shift_Del\tB-1\tp.Q1fs\n"
    )
    assert values_of(per_sample(study, tmp_path), "brca1_mutated") == {"A-1": 0.0, "A-2": 0.0, "B-1": 1.0, "C-1": 0.0}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("V600E", "Missense_Mutation"),
        ("p.R306*", "Nonsense_Mutation"),
        ("E287=", "Silent"),
        ("p.L10L", "Silent"),
        ("Q1756Pfs*74", "Frame_Shift_Del"),
        ("X125_splice", "Splice_Site"),
        ("M1V", "Translation_Start_Site"),
        ("E746_A750del", "In_Frame_Del"),
        ("A775_G776insYVMA", "In_Frame_Ins"),
        # A lost stop makes the protein longer.
        ("*394R", ""),
        ("", ""),
    ],
)
def test_the_protein_change_tells_the_class_where_no_column_does(change: str, kind: str) -> None:
    assert class_of(change) == kind


def test_of_a_list_without_classes_only_changes_that_cut_the_protein_short_count_for_brca(
    study: Path, tmp_path: Path
) -> None:
    (study / "data_mutations.txt").unlink()
    (study / "data_gene_panel_matrix.txt").unlink()
    rows = "A-1\tBRCA1\tE1836K\nA-2\tBRCA1\tQ1756fs\nB-1\tTP53\tE287=\nC-1\tTP53\tR306*\n"
    (study / "tiny_mutations.tsv").write_text(f"sampleId\thugoGeneSymbol\tproteinChange\n{rows}")
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "brca1_mutated") == {"A-1": 0.0, "A-2": 1.0, "B-1": 0.0, "C-1": 0.0}
    assert values_of(cohort, "tp53_mutated") == {"A-1": 0.0, "A-2": 0.0, "B-1": 0.0, "C-1": 1.0}
    assert "1 variant left out" in told(cohort, "COH132")[0]


def test_copy_number_written_with_decimals_is_read_and_log_ratios_are_refused(study: Path, tmp_path: Path) -> None:
    text = COPY_NUMBER.replace("\t2\t2\t0\t-1", "\t2.0\t2.0\t0.0\t-1.0")
    (study / "odd_cna.txt").write_text(text)
    assert values_of(per_sample(study, tmp_path), "erbb2_amplified") == {
        "A-1": 1.0,
        "A-2": 1.0,
        "B-1": 0.0,
        "C-1": None,
    }
    (study / "odd_cna.txt").write_text(COPY_NUMBER.replace("\t2\t2\t0\t-1", "\t3.41\t1.2\t0.02\t-0.4"))
    with pytest.raises(CohortRejectedError, match=r"values such as '3\.41'"):
        read_study(study)
    (study / "odd_cna.txt").write_text(COPY_NUMBER.replace("\t2\t2\t0\t-1", "\t7\t2\t0\t-1"))
    cohort = per_sample(study, tmp_path)
    assert values_of(cohort, "erbb2_amplified")["A-1"] is None
    assert "1 cell such as '7' read as missing" in told(cohort, "COH140")[0]


def test_a_mutation_in_a_line_whose_empty_end_was_trimmed_counts(study: Path, tmp_path: Path) -> None:
    (study / "data_mutations.txt").write_text(MAF + "PIK3CA\tSplice_Site\tC-1\n")
    assert values_of(per_sample(study, tmp_path), "pik3ca_mutated")["C-1"] == 1.0


def test_the_long_form_of_copy_number_is_read_alike(study: Path, tmp_path: Path) -> None:
    wide = values_of(per_sample(study, tmp_path), "erbb2_amplified")
    lines = ["Hugo_Symbol\tEntrez_Gene_Id\tSample_Id\tValue"]
    lines += [
        f"ERBB2\t2064\t{sample}\t{call}" for sample, call in zip(["A-1", "A-2", "B-1", "C-1"], "2200", strict=True)
    ]
    (study / "odd_cna.txt").write_text("\n".join(lines))
    (study / "meta_cna.txt").write_text(META["meta_cna.txt"].replace("DISCRETE", "DISCRETE_LONG"))
    assert values_of(per_sample(study, tmp_path), "erbb2_amplified") == wide


@pytest.mark.parametrize("ending", ["\r", "\r\n"])
def test_old_line_ends_are_read(study: Path, tmp_path: Path, ending: str) -> None:
    before = per_sample(study, tmp_path).patients
    for path in study.glob("*.txt"):
        path.write_bytes(path.read_bytes().replace(b"\n", ending.encode()))
    pd.testing.assert_frame_equal(per_sample(study, tmp_path).patients, before)


def test_only_leading_hash_lines_are_comments(study: Path) -> None:
    lines = list(data_lines(study / "data_mutations.txt"))
    assert lines[0][0] == "Hugo_Symbol"
    assert lines[4][3] == "p.R1#2"


@pytest.mark.parametrize("name", ["data_mutations.txt", "odd_cna.txt", "data_clinical_sample.txt"])
def test_a_git_lfs_pointer_in_a_study_is_told(study: Path, name: str) -> None:
    (study / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    with pytest.raises(CohortRejectedError, match=rf"{name}: this is a Git LFS pointer"):
        read_cohort(study)


@pytest.mark.parametrize("name", ["missing.txt", "../elsewhere.txt", "/etc/passwd"])
def test_a_meta_file_that_names_a_missing_or_outside_file_is_one_line(study: Path, name: str) -> None:
    (study / "meta_cna.txt").write_text(META["meta_cna.txt"].replace("odd_cna.txt", name))
    with pytest.raises(InputError, match=r"study/meta_cna\.txt: it names the data file"):
        read_cohort(study)


def test_a_folder_without_clinical_samples_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this folder is no cBioPortal study"):
        read_cohort(tmp_path)


def test_a_clinical_file_without_sample_ids_is_refused(study: Path) -> None:
    path = study / "data_clinical_sample.txt"
    path.write_text(SAMPLES.replace("SAMPLE_ID", "SPECIMEN"))
    with pytest.raises(CohortRejectedError, match="the required column 'SAMPLE_ID' is missing"):
        read_cohort(study)


def test_a_maf_without_its_columns_is_refused(study: Path) -> None:
    (study / "data_mutations.txt").write_text("Gene\tSample\nTP53\tA-1\n")
    with pytest.raises(CohortRejectedError, match="the required column 'Hugo_Symbol' is missing"):
        read_cohort(study)


def test_the_digest_of_a_study_changes_with_any_of_its_files(study: Path) -> None:
    before = read_study(study).source.sha256
    (study / "odd_cna.txt").write_text(COPY_NUMBER.replace("NA", "0"))
    assert read_study(study).source.sha256 != before


def test_panels_are_as_large_as_their_names_say() -> None:
    sizes = {name: len(genes) for name, genes in shipped_panels().items()}
    assert sizes == {"IMPACT341": 341, "IMPACT410": 410, "IMPACT468": 469}
    assert "SLX4" not in shipped_panels()["IMPACT410"]
    assert {"ERBB2", "CDK12", "PIK3CA", "PTEN", "NF1"} <= shipped_panels()["IMPACT341"]


def test_a_panel_file_is_parsed() -> None:
    assert parse_panel("stable_id: X1\ndescription: d\ngene_list: ERBB2\tTP53\n") == (
        "X1",
        frozenset({"ERBB2", "TP53"}),
    )


def expression(values: dict[str, list[float]]) -> str:
    """A matrix of twelve samples, of which the study knows ten, laid out as the portal does."""
    names = [f"N{i}-1" for i in range(10)] + ["X-1", "Y-1"]
    lines = ["\t".join(["Hugo_Symbol", "Entrez_Gene_Id", *names])]
    lines += ["\t".join([gene, "1", *(f"{v}" for v in row)]) for gene, row in values.items()]
    return "\n".join(lines) + "\n"


@pytest.fixture
def expressed(tmp_path: Path) -> Path:
    """A study of ten patients of the older kind: no meta files but one, and other file names."""
    folder = tmp_path / "older_2012"
    folder.mkdir()
    rows = "".join(f"N{i}-1\tN{i}\n" for i in range(10))
    (folder / "data_clinical_sample.txt").write_text(f"SAMPLE_ID\tPATIENT_ID\n{rows}")
    return folder


def test_expression_of_a_study_becomes_z_scores_over_its_samples(expressed: Path) -> None:
    path = expressed / "data_RNA_Seq_v2_expression_median.txt"
    path.write_text(expression({"ERBB2": [2.0**i for i in range(2, 14)], "NOTAGENE": [1.0] * 12}))
    cohort = read_cohort(expressed)
    scores = cohort.patients["erbb2_mrna_z"]
    # Evenly spaced on the log scale but for the 1 that is added; the two samples unknown to the study do not count.
    assert scores.mean() == pytest.approx(0.0, abs=1e-6)
    assert scores.std() == pytest.approx(1.0, abs=1e-5)
    assert scores.is_monotonic_increasing
    assert told(cohort, "COH137") == [
        "older_2012: 1 expression measure read from data_RNA_Seq_v2_expression_median.txt for 10 patients; z-scores "
        "over the samples that were kept, on log2(1 + x) of the linear values."
    ]


def test_the_entrez_id_beside_log_values_does_not_make_them_linear(expressed: Path) -> None:
    text = expression({"ERBB2": [-3.0 + i for i in range(12)]}).replace("ERBB2\t1\t", "ERBB2\t2064\t")
    (expressed / "data_mrna_illumina_microarray.txt").write_text(text)
    cohort = read_cohort(expressed)
    # Evenly spaced values stay evenly spaced.
    steps = cohort.patients["erbb2_mrna_z"].diff().dropna()
    assert steps.max() == pytest.approx(steps.min(), abs=1e-5)
    assert "linear" not in told(cohort, "COH137")[0]


def test_z_scores_of_a_study_refer_to_the_samples_that_are_kept(expressed: Path) -> None:
    rows = "".join(f"N{i}-1\tN{i}\tPrimary\nN{i}-2\tN{i}\tPost-treatment\n" for i in range(10))
    (expressed / "data_clinical_sample.txt").write_text(f"SAMPLE_ID\tPATIENT_ID\tSAMPLE_TYPE\n{rows}")
    names = [f"N{i}-{k}" for i in range(10) for k in (1, 2)]
    values = [str(i + 100 * (k - 1)) for i in range(10) for k in (1, 2)]
    (expressed / "data_expression.txt").write_text("\t".join(["Hugo_Symbol", *names]) + "\nERBB2\t" + "\t".join(values))
    scores = read_cohort(expressed).patients["erbb2_mrna_z"]
    assert len(scores) == 10
    assert scores.mean() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kept", ["Not on treatment", "No residual disease", "Untreated primary", "Primary"])
def test_a_negation_does_not_make_a_sample_one_of_after(study: Path, kept: str) -> None:
    (study / "data_clinical_sample.txt").write_bytes(SAMPLES.replace("B\tPrimary", f"B\t{kept}").encode())
    assert len(read_cohort(study).patients) == 3


def test_a_study_of_samples_after_treatment_only_says_so(study: Path) -> None:
    text = SAMPLES.replace("Primary", "Residual disease").replace("Metastasis", "Post-treatment")
    (study / "data_clinical_sample.txt").write_bytes(text.encode())
    assert "no baseline" in told(read_cohort(study), "COH141")[0]


def test_a_study_may_name_the_adc_itself(study: Path) -> None:
    text = SAMPLES.replace("HER2_IHC\n", "HER2_IHC\tADC\n")
    text = "\n".join(
        f"{line}\tT-DM1" if line[:1] in "ABC" else (f"{line}\tx" if line.startswith("#") else line)
        for line in text.splitlines()
    )
    (study / "data_clinical_sample.txt").write_text(text + "\n")
    assert set(read_cohort(study).patients["adc"]) == {"T-DM1"}


def test_ready_z_scores_are_taken_as_they_are_and_told_so(expressed: Path) -> None:
    (expressed / "zscores.txt").write_text(expression({"ERBB2": [0.5 * i - 2 for i in range(12)]}))
    (expressed / "meta_z.txt").write_text(
        "genetic_alteration_type: MRNA_EXPRESSION\ndatatype: Z-SCORE\ndata_filename: zscores.txt\n"
    )
    cohort = read_cohort(expressed)
    assert cohort.patients["erbb2_mrna_z"].tolist() == [0.5 * i - 2 for i in range(10)]
    assert "as the study gives them" in told(cohort, "COH137")[0]


@pytest.mark.parametrize(
    ("change", "told_of"),
    [(("ERBB2", "ENSG00000141736"), "Its rows are Ensembl ids"), (("-1", "-9"), "no column is a sample of the study")],
)
def test_expression_that_is_not_read_is_told(expressed: Path, change: tuple[str, str], told_of: str) -> None:
    clinical = expressed / "data_clinical_sample.txt"
    clinical.write_text(clinical.read_text().replace("\n", "\t2+\n").replace("PATIENT_ID\t2+", "PATIENT_ID\tHER2_IHC"))
    path = expressed / "data_RNA_Seq_v2_expression_median.txt"
    path.write_text(expression({"ERBB2": [2.0**i for i in range(2, 14)]}).replace(*change))
    cohort = read_cohort(expressed)
    assert "erbb2_mrna_z" not in cohort.patients
    assert told_of in told(cohort, "COH146")[0]


def test_of_several_expression_files_rna_seq_goes_before_arrays_and_micro_rna_is_never_read(expressed: Path) -> None:
    for name in ("mirna", "mrna_agilent", "rna_seq_v2_mrna"):
        (expressed / f"meta_{name}.txt").write_text(
            f"genetic_alteration_type: MRNA_EXPRESSION\ndatatype: CONTINUOUS\nstable_id: {name}\n"
            f"data_filename: data_{name}.txt\n"
        )
        (expressed / f"data_{name}.txt").write_text(expression({"ERBB2": [0.5 * i - 2 for i in range(12)]}))
    assert "data_rna_seq_v2_mrna.txt" in told(read_cohort(expressed), "COH137")[0]
    for name in ("rna_seq_v2_mrna", "mrna_agilent"):
        (expressed / f"meta_{name}.txt").unlink()
    assert open_study(expressed).files.keys() == {"samples"}


def test_files_of_older_studies_are_found_by_their_older_names(expressed: Path) -> None:
    samples = "\t".join(f"N{i}-1" for i in range(10))
    (expressed / "data_CNA.txt").write_text(f"Hugo_Symbol\t{samples}\nERBB2\t" + "\t".join(["2", *["0"] * 9]) + "\n")
    (expressed / "data_mutations_extended.txt").write_text(MAF.replace("A-1", "N1-1"))
    patients = read_cohort(expressed).patients
    assert patients["erbb2_amplified"].sum() == 1
    assert patients["pik3ca_mutated"].tolist()[1] == 1.0


def test_samples_taken_after_treatment_are_no_baseline(study: Path) -> None:
    text = SAMPLES.replace("A-2\tA\tPrimary", "A-2\tA\tResidual disease").replace(
        "C-1\tC\tMetastasis", "C-1\tC\tPost-treatment"
    )
    (study / "data_clinical_sample.txt").write_bytes(text.encode())
    cohort = read_cohort(study)
    assert values_of(cohort, "her2_ihc") == {"A": "3+", "B": "1+"}
    assert told(cohort, "COH138") == [
        "tiny_2020: 2 samples left out, taken on or after treatment by the study's own word: no baseline."
    ]


def test_the_site_of_a_sample_may_say_that_it_is_no_baseline(study: Path, tmp_path: Path) -> None:
    text = SAMPLES.replace("SAMPLE_TYPE", "SAMPLE_SITE").replace("A-2\tA\tPrimary", "A-2\tA\tPost-Neo Primary")
    (study / "data_clinical_sample.txt").write_text(text.replace("B-1\tB\tPrimary", "B-1\tB\tTreatment Naive Primary"))
    assert values_of(read_cohort(study), "her2_ihc") == {"A": "3+", "B": "1+", "C": None}
    every = per_sample(study, tmp_path)
    assert len(every.patients) == 4
    assert told(every, "COH145") == [
        "tiny_2020: 1 sample taken on or after treatment by the study's own word: no baseline. "
        "Leave out --per sample before you train on it."
    ]


def test_the_study_is_named_by_any_of_its_meta_files(study: Path) -> None:
    (study / "meta_study.txt").unlink()
    for name in ("meta_clinical_sample.txt", "meta_clinical_patient.txt"):
        (study / name).write_text("cancer_study_identifier: tiny_2021\n")
    assert read_cohort(study).source.name == "tiny_2021"
    (study / "meta_clinical_patient.txt").write_text("cancer_study_identifier: another\n")
    # Files of two studies name neither.
    assert read_cohort(study).source.name == "study"


def test_a_shipped_mapping_is_found_by_its_columns_where_nothing_names_the_study(study: Path) -> None:
    (study / "meta_study.txt").unlink()
    patients = PATIENTS.replace("AGE\tHR_STATUS", "AGE_AT_DIAGNOSIS\tER_IHC")
    (study / "data_clinical_patient.txt").write_text(patients)
    head = "SAMPLE_ID\tPATIENT_ID\tHER2_STATUS\tER_STATUS\tPR_STATUS\tCLAUDIN_SUBTYPE"
    (study / "data_clinical_sample.txt").write_text(f"{head}\nA-1\tA\t+\t-\t-\tHer2\nB-1\tB\t-\t+\t+\tLumA\n")
    cohort = read_cohort(study)
    assert values_of(cohort, "er_status") == {"A": 0.0, "B": 1.0}
    assert told(cohort, "COH144") == [
        "study: no file names the study; read by the shipped mapping brca_metabric, all of whose columns are there. "
        "Name another with --map."
    ]


def test_ids_that_the_files_of_a_study_do_not_share_are_told(study: Path, tmp_path: Path) -> None:
    (study / "data_clinical_patient.txt").write_text(PATIENTS + "D\t39\tPositive\n")
    (study / "data_mutations.txt").write_text(MAF + "TP53\tMissense_Mutation\tA-1-aliquot\tp.R175H\n")
    (study / "odd_cna.txt").write_text(COPY_NUMBER.replace("\tC-1\n", "\tC_1\n", 1))
    assert told(per_sample(study, tmp_path), "COH147") == [
        f"tiny_2020: 1 id of {file} not in data_clinical_sample.txt, and not used. Check that both write ids alike."
        for file in ("data_clinical_patient.txt", "odd_cna.txt", "data_mutations.txt")
    ]


def test_rows_of_one_id_that_differ_are_told_and_equal_ones_are_not(study: Path) -> None:
    (study / "data_clinical_patient.txt").write_text(PATIENTS + "A\t70\tPositive\nB\t61\tNegative\n")
    (study / "data_clinical_sample.txt").write_text(SAMPLES + "B-1\tB\tPrimary\t3+\n")
    cohort = read_cohort(study)
    assert values_of(cohort, "age_years") == {"A": 50.0, "B": 61.0, "C": 44.0}
    assert values_of(cohort, "her2_ihc")["B"] == "1+"
    assert told(cohort, "COH148") == [
        f"tiny_2020: 1 id of {file} in rows that differ; one of them counts. Remove the others."
        for file in ("data_clinical_sample.txt", "data_clinical_patient.txt")
    ]


def test_files_with_commas_in_place_of_tabs_are_read(study: Path) -> None:
    for path in study.glob("*.txt"):
        path.write_text(path.read_text().replace("age, in years", "age").replace("\t", ","))
    patients = read_cohort(study).patients
    assert patients["erbb2_amplified"].sum() == 1
    assert patients["erbb2_l755s_mutated"].sum() == 1


def test_stated_her2_status_is_counted_beside_that_of_the_assays(study: Path) -> None:
    head = "SAMPLE_ID\tPATIENT_ID\tHER2_STATUS\tHER2_IHC\tHER2_FISH_RATIO\n"
    # The last states no status: what is filled in from IHC agrees by itself, and does not count.
    rows = "A-1\tA\tPositive\t3+\t\nB-1\tB\tPositive\t0\t\nC-1\tC\t\t1+\t\n"
    (study / "data_clinical_sample.txt").write_text(head + rows)
    cohort = read_cohort(study)
    assert values_of(cohort, "her2_status") == {"A": 1.0, "B": 1.0, "C": 0.0}
    assert told(cohort, "COH142") == [
        "tiny_2020, column 'HER2_STATUS': known as stated and from IHC or ISH by ASCO/CAP in 2 rows: 1 agree, "
        "1 positive only as stated, 0 only by the assays; the stated one is kept."
    ]


def test_patients_of_whom_a_study_tells_nothing_are_counted(study: Path) -> None:
    (study / "data_clinical_sample.txt").write_text(SAMPLES + "D-1\tD\tPrimary\tNA\n")
    cohort = read_cohort(study)
    assert len(cohort.rejected) == 1
    assert told(cohort, "COH143") == [
        "tiny_2020: 1 row of 4 without a biomarker in any file of the study, so put aside."
    ]


def test_a_copy_number_file_by_entrez_ids_and_one_with_a_byte_order_mark_are_read(study: Path, tmp_path: Path) -> None:
    by_id = "\n".join(line.partition("\t")[2] for line in COPY_NUMBER.splitlines())
    (study / "odd_cna.txt").write_text(by_id)
    assert values_of(per_sample(study, tmp_path), "erbb2_amplified")["A-1"] == 1.0
    (study / "odd_cna.txt").write_bytes(b"\xef\xbb\xbf" + COPY_NUMBER.encode())
    assert values_of(per_sample(study, tmp_path), "cdk12_amplified")["A-1"] == 1.0


def test_every_copy_number_measure_is_read_by_entrez_id_as_by_symbol(study: Path, tmp_path: Path) -> None:
    genes = {"ERBB2": 2064, "CDK12": 51755, "PTEN": 5728, "CCNE1": 898, "CCND1": 595, "MET": 4233, "NF1": 4763}
    genes["ARID1A"] = 8289
    (study / "data_gene_panel_matrix.txt").unlink()
    found = []
    for by in ("Hugo_Symbol", "Entrez_Gene_Id"):
        rows = [f"{symbol if by == 'Hugo_Symbol' else number}\t2\t-2\t0\t1" for symbol, number in genes.items()]
        (study / "odd_cna.txt").write_text("\n".join([f"{by}\tA-1\tA-2\tB-1\tC-1", *rows]) + "\n")
        cohort = per_sample(study, tmp_path)
        measured = [m for m in cohort.measured() if m.endswith(("_amplified", "_loss", "_deletion"))]
        found.append(cohort.patients[measured])
    assert len(found[0].columns) == len(genes) + 1
    pd.testing.assert_frame_equal(found[0], found[1])
