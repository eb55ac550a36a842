"""GEO series matrices: every cell by its own key, one row per patient, expression over the patients of the cohort."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import adcr
from features.cohort_file import read_cohort
from features.cohort_import import import_cohort
from features.errors import InputError
from features.public.geo import is_series_matrix, read_series

PATIENTS = 40


def quoted(key: str, cells: list[str]) -> str:
    return "\t".join([key, *(f'"{c}"' for c in cells)])


def series_text(accession: str = "GSE243375", platform: str = "GPL1", first: int = 0) -> str:
    """A made-up series laid out as GSE243375 is: two cores before treatment and one after, of each patient."""
    titles, rows = [], []
    for patient in range(first, first + PATIENTS):
        for core, when in (("core1", "Pre-treatment"), ("core2", "Pre-treatment"), ("surgery", "T-DM1+Pertuzumab")):
            titles.append(f"{patient}_site1_{core}")
            rows.append(
                {
                    "tissue": "breast",
                    "treatment": when,
                    "patient id": f"P{patient}",
                    "her2 heterogeneity": ["No", "Yes", "NA"][patient % 3] if when == "Pre-treatment" else "NA",
                    "pcr": "Yes" if patient % 2 else "No",
                }
            )
    lines = [
        quoted("!Series_title", ["A trial of T-DM1 and pertuzumab"]),
        quoted("!Series_geo_accession", [accession]),
        quoted("!Sample_title", titles),
        quoted("!Sample_geo_accession", [f"GSM{first}{i:04d}" for i in range(len(titles))]),
        quoted("!Sample_platform_id", [platform] * len(titles)),
    ]
    keys = list(rows[0])
    for place in range(len(keys)):
        # The order of the keys changes from sample to sample, so that a line mixes them.
        mixed = [keys[(place + i) % len(keys)] for i in range(len(rows))]
        cells = [f"{k}: {r[k]}" for k, r in zip(mixed, rows, strict=True)]
        lines.append(quoted("!Sample_characteristics_ch1", cells))
    table = ["!series_matrix_table_begin", quoted("ID_REF", titles), "!series_matrix_table_end"]
    return "\n".join([*lines, *table]) + "\n"


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    path = tmp_path / "GSE243375_series_matrix.txt.gz"
    path.write_bytes(gzip.compress(series_text().encode()))
    return path


def expression_file(folder: Path, values: dict[str, np.ndarray], *, corner: bool = True) -> Path:
    """Gene-level matrix as R writes it: names of samples with an X before the digit and dots for signs."""
    titles = [f"X{p}_site1.{core}" for p in range(PATIENTS) for core in ("core1", "core2", "surgery")]
    frame = pd.DataFrame(values, index=titles).T
    path = folder / "All_Samples_TMM_log2_CPM.csv.gz"
    frame.to_csv(path, header=titles, index_label="" if corner else False)
    return path


def test_a_series_becomes_a_cohort_of_its_patients_before_treatment(matrix: Path, tmp_path: Path) -> None:
    cohort = import_cohort(matrix, tmp_path / "cohort.csv")
    patients = cohort.patients
    assert patients["patient_id"].tolist() == [f"P{i}" for i in range(PATIENTS)]
    assert set(patients["adc"]) == {"T-DM1"}
    assert patients["pcr"].tolist() == [float(i % 2) for i in range(PATIENTS)]
    assert patients["her2_heterogeneous"].isna().tolist() == [i % 3 == 2 for i in range(PATIENTS)]
    assert patients["her2_heterogeneous"].dropna().tolist() == [float(i % 3) for i in range(PATIENTS) if i % 3 != 2]
    # Both cores are told of; what was taken under treatment is not.
    assert patients["title"].iloc[0] == "0_site1_core1; 0_site1_core2"
    record = json.loads((tmp_path / "cohort.csv.import.json").read_text(encoding="utf-8"))
    assert record["mapping"]["name"] == "nct02326974"
    assert len(read_cohort(tmp_path / "cohort.csv").patients) == PATIENTS


def test_several_platforms_are_read_from_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for number, first in ((1, 0), (2, 100)):
        text = series_text(platform=f"GPL{number}", first=first)
        (folder / f"GSE243375-GPL{number}_series_matrix.txt").write_text(text, encoding="utf-8")
    cohort = import_cohort(folder, tmp_path / "cohort.csv")
    assert len(cohort.patients) == 2 * PATIENTS
    assert cohort.patients["platform"].value_counts().to_dict() == {"GPL1": PATIENTS, "GPL2": PATIENTS}


def test_expression_is_averaged_over_cores_and_standardised_over_the_patients(matrix: Path, tmp_path: Path) -> None:
    draws = np.random.default_rng(1)
    erbb2 = np.repeat(draws.normal(8, 2, PATIENTS), 3) + np.tile([-0.5, 0.5, 99], PATIENTS) * np.array([1.0])
    erbb2 = np.clip(erbb2, None, 30)
    file = expression_file(tmp_path, {"ERBB2": erbb2, "NOSUCHGENE": erbb2, "TUBB3": draws.normal(3, 1, 3 * PATIENTS)})
    cohort = import_cohort(matrix, tmp_path / "cohort.csv", expression=file)
    z = cohort.patients["erbb2_mrna_z"].to_numpy(dtype=float)
    cores = erbb2.reshape(PATIENTS, 3)[:, :2].mean(axis=1)
    np.testing.assert_allclose(z, (cores - cores.mean()) / cores.std(ddof=1), atol=1e-5)
    assert "tubb3_mrna_z" in cohort.patients


def test_a_matrix_that_r_wrote_without_a_corner_is_read_too(matrix: Path, tmp_path: Path) -> None:
    titles = [f"{p}_site1_{core}" for p in range(PATIENTS) for core in ("core1", "core2", "surgery")]
    values = np.random.default_rng(2).normal(5, 1, len(titles))
    path = tmp_path / "genes.txt"
    path.write_text("\t".join(titles) + "\nERBB2\t" + "\t".join(f"{v:.4f}" for v in values) + "\n", encoding="utf-8")
    assert "erbb2_mrna_z" in import_cohort(matrix, tmp_path / "c.csv", expression=path).patients


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"ERBB2": np.linspace(0, 90_000, 3 * PATIENTS)}, "not on a log2 scale"),
        ({"NOSUCHGENE": np.ones(3 * PATIENTS)}, "no row is a gene of the catalogue"),
    ],
)
def test_a_matrix_that_cannot_be_meant_is_refused(
    matrix: Path, tmp_path: Path, values: dict[str, np.ndarray], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        import_cohort(matrix, tmp_path / "cohort.csv", expression=expression_file(tmp_path, values))
    assert not (tmp_path / "cohort.csv").exists()


def test_an_unknown_series_is_read_by_its_names_and_a_mapping_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "GSE1_series_matrix.txt"
    path.write_text(series_text("GSE1"), encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(
        'other_columns = "match"\n[keep_rows]\ncolumn = "treatment"\nholds = ["pre-treatment"]\n'
        '[columns]\npatient_id = "patient id"\n[columns.adc]\nconstant = "T-DM1"\n',
        encoding="utf-8",
    )
    cohort = import_cohort(path, tmp_path / "cohort.csv", mapping=own)
    assert {"pcr", "her2_heterogeneous"} <= set(cohort.patients)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace('!Sample_title\t"0_site1_core1"\t', "!Sample_title\t"), "do not fit each other"),
        (lambda text: "\n".join(text.splitlines()[:2]) + "\n", "tells of no sample"),
        (lambda text: text.replace("treatment: ", "when: "), "no characteristic 'treatment'"),
        (lambda text: text.replace("Pre-treatment", "Baseline"), "no sample is left"),
    ],
)
def test_a_series_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, told: str
) -> None:
    path = tmp_path / "GSE243375_series_matrix.txt"
    path.write_text(change(series_text()), encoding="utf-8")
    assert adcr.main(["cohort", "import", str(path), "-o", str(tmp_path / "c.csv")]) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "c.csv").exists()


def test_a_series_saved_from_a_spreadsheet_with_semicolons_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "GSE243375_series_matrix.csv"
    path.write_text("\ufeff" + series_text().replace("\t", ";"), encoding="utf-8")
    with pytest.raises(InputError, match=r"not separated by tabs.* Use the series matrix as GEO hands it out"):
        import_cohort(path, tmp_path / "c.csv")


def test_a_series_whose_every_cell_is_quoted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "GSE243375_series_matrix.txt"
    text = "".join(
        f'"{line.partition(chr(9))[0]}"\t{line.partition(chr(9))[2]}\n' for line in series_text().splitlines()
    )
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert len(import_cohort(path, tmp_path / "c.csv").patients) == PATIENTS


def gene_matrix(path: Path, names: list[str], delimiter: str, corner: str, point: str = ".") -> Path:
    """Gene-level matrix of every sample, with rows of given names and what stands before the first sample."""
    titles = [f"{p}_site1_{core}" for p in range(PATIENTS) for core in ("core1", "core2", "surgery")]
    values = np.random.default_rng(3).normal(5, 1, (len(names), len(titles)))
    rows = [[name, *(f"{v:.3f}".replace(".", point) for v in own)] for name, own in zip(names, values, strict=True)]
    lines = [delimiter.join([corner, *titles]), *(delimiter.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "delimiter", "corner", "gene"),
    [
        ("genes.csv", ";", "", "ERBB2"),
        ("genes.txt", ";", "gene", "ERBB2"),
        ("genes.tsv", "\t", "gene_id\tgene_name", "ENSG00000141736.14\tERBB2"),
        ("genes.csv", ",", "Entrez_Gene_Id,Hugo_Symbol", "2064,ERBB2"),
    ],
)
def test_a_matrix_is_read_by_its_column_of_symbols_whatever_stands_between_its_cells(
    matrix: Path, tmp_path: Path, name: str, delimiter: str, corner: str, gene: str
) -> None:
    path = gene_matrix(tmp_path / name, [gene], delimiter, corner)
    found = import_cohort(matrix, tmp_path / "c.csv", expression=path).patients
    assert found["erbb2_mrna_z"].notna().all()


@pytest.mark.parametrize(
    ("names", "point", "told"),
    [
        (["ENSG00000141736.14", "ENSG00000167258"], ".", "Its rows are Ensembl ids. Put HGNC symbols before them"),
        (["2064", "51755"], ".", "Its rows are numbers, such as Entrez ids"),
        (["216836_s_at", "1007_s_at"], ".", "Its rows are probes of an array"),
        (["ERBB2"], ",", "decimal commas. Write them with decimal points."),
    ],
)
def test_a_matrix_without_symbols_is_told_what_to_do(
    matrix: Path, tmp_path: Path, names: list[str], point: str, told: str
) -> None:
    path = gene_matrix(tmp_path / "genes.tsv", names, "\t", "id", point)
    with pytest.raises(InputError) as error:
        import_cohort(matrix, tmp_path / "c.csv", expression=path)
    assert told in str(error.value)


def test_an_archive_that_is_cut_off_is_refused(matrix: Path, tmp_path: Path) -> None:
    matrix.write_bytes(matrix.read_bytes()[:-200])
    with pytest.raises(InputError):
        import_cohort(matrix, tmp_path / "cohort.csv")


def test_two_series_in_one_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a_series_matrix.txt").write_text(series_text("GSE1"), encoding="utf-8")
    (folder / "b_series_matrix.txt").write_text(series_text("GSE2"), encoding="utf-8")
    with pytest.raises(InputError, match="different series: GSE1, GSE2"):
        import_cohort(folder, tmp_path / "c.csv")


def test_a_key_that_a_sample_has_twice_keeps_both_values(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    lines = [
        quoted("!Series_geo_accession", ["GSE9"]),
        quoted("!Sample_title", ["a", "b"]),
        quoted("!Sample_characteristics_ch1", ["drug: x", "age: 50"]),
        quoted("!Sample_characteristics_ch1", ["drug: y", "drug: z"]),
        quoted("!Sample_characteristics_ch1", ["note: one: two", ""]),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    samples = read_series([path]).samples
    assert samples["drug"].tolist() == ["x; y", "z"]
    assert samples["age"].tolist() == ["", "50"]
    assert samples["note"].tolist() == ["one: two", ""]
    assert is_series_matrix(path)
    assert not is_series_matrix(tmp_path / "nothing.txt")


def paired(tmp_path: Path, rows: list[tuple[str, str, str, str]], key: str = "timepoint") -> Path:
    """A series of samples given by patient, value of `key`, HER2 and platform; titles are sample names."""
    lines = [
        quoted("!Series_geo_accession", ["GSE1"]),
        quoted("!Sample_title", [f"{patient}-{i}" for i, (patient, *_) in enumerate(rows)]),
        quoted("!Sample_geo_accession", [f"GSM{i}" for i in range(len(rows))]),
        quoted("!Sample_platform_id", [platform for *_, platform in rows]),
        quoted("!Sample_characteristics_ch1", [f"patient id: {patient}" for patient, *_ in rows]),
        quoted("!Sample_characteristics_ch1", [f"{key}: {when}" for _, when, *_ in rows]),
        quoted("!Sample_characteristics_ch1", [f"her2 ihc:{her2}" for _, _, her2, _ in rows]),
        "!series_matrix_table_begin",
    ]
    path = tmp_path / "GSE1_series_matrix.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_samples_of_a_later_time_are_left_out_without_a_mapping(tmp_path: Path) -> None:
    rows = [
        (f"P{i}", when, her2, "GPL1") for i in range(4) for when, her2 in (("Pre-treatment", "3+"), ("Cycle 2", "1+"))
    ]
    cohort = import_cohort(paired(tmp_path, rows), tmp_path / "c.csv", adc="T-DM1")
    assert cohort.patients["her2_ihc"].tolist() == ["3+"] * 4
    assert "4 samples left out" in next(f.what for f in cohort.faults if f.code == "COH138")


def test_a_history_of_treatment_is_no_time(tmp_path: Path) -> None:
    rows = [(f"P{i}", ("untreated", "treated")[i % 2], "2+", "GPL1") for i in range(6)]
    cohort = import_cohort(paired(tmp_path, rows, key="prior therapy"), tmp_path / "c.csv", adc="T-DM1")
    assert len(cohort.patients) == 6


def test_expression_is_standardised_within_each_platform(tmp_path: Path) -> None:
    rows = [(f"P{i}", "baseline", "2+", f"GPL{1 + i // 12}") for i in range(24)]
    values = pd.DataFrame([[i + 70.0 * (i // 12) / 10 for i in range(24)]], index=["ERBB2"])
    values.columns = [f"GSM{i}" for i in range(24)]
    values.to_csv(tmp_path / "e.tsv", sep="\t")
    cohort = import_cohort(paired(tmp_path, rows), tmp_path / "c.csv", adc="T-DM1", expression=tmp_path / "e.tsv")
    scores = cohort.patients["erbb2_mrna_z"]
    assert scores[:12].mean() == pytest.approx(0.0, abs=1e-6)
    assert scores[12:].mean() == pytest.approx(0.0, abs=1e-6)
    assert "within each of 2 platforms" in next(f.what for f in cohort.faults if f.code == "COH137")


def test_a_patient_on_two_platforms_is_found_by_titles_without_their_prefix(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    columns = []
    for platform, patients in (("GPL1", range(40)), ("GPL2", range(39, 70))):
        # The trial's matrix names the patient who is on both platforms by each.
        titles = [f"ISPY2_{100 + i}" + (f"-{platform}" if i == 39 else "") for i in patients]
        columns += [title.removeprefix("ISPY2_") for title in titles]
        lines = [
            quoted("!Series_geo_accession", ["GSE1"]),
            quoted("!Sample_title", titles),
            quoted("!Sample_platform_id", [platform] * len(titles)),
            quoted("!Sample_characteristics_ch1", [f"patient id: {100 + i}" for i in patients]),
            quoted("!Sample_characteristics_ch1", [f"her2: {i % 2}" for i in patients]),
            "!series_matrix_table_begin",
        ]
        (folder / f"GSE1-{platform}_series_matrix.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    values = np.random.default_rng(4).normal(8, 1, len(columns))
    path = tmp_path / "genes.txt"
    path.write_text("\t".join(columns) + "\nERBB2\t" + "\t".join(f"{v:.3f}" for v in values) + "\n", encoding="utf-8")
    patients = import_cohort(folder, tmp_path / "c.csv", adc="T-DM1", expression=path, mapping=None).patients
    assert len(patients) == 70
    assert patients["erbb2_mrna_z"].notna().all()


def test_samples_without_a_patient_are_put_aside_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "GSE243375_series_matrix.txt"
    text = series_text()
    for patient in (3, 4):
        text = text.replace(f'patient id: P{patient}"', 'patient id: NA"')
    path.write_text(text, encoding="utf-8")
    cohort = import_cohort(path, tmp_path / "c.csv")
    assert len(cohort.patients) == PATIENTS - 2
    # Two cores before treatment of each.
    assert [f.code for f in cohort.faults if f.row in cohort.rejected].count("COH060") == 4


def test_ids_that_differ_in_signs_only_are_not_taken_for_one_another(tmp_path: Path) -> None:
    ids = ["P1-1", "P-11", *(f"Q{i}" for i in range(10))]
    table = pd.DataFrame({"patient_id": ids, "adc": "T-DM1", "her2_ihc": "2+"})
    table.to_csv(tmp_path / "t.csv", index=False)
    values = pd.DataFrame([[15.0, 2.0, *map(float, range(3, 13))]], index=["ERBB2"], columns=ids)
    values.to_csv(tmp_path / "e.tsv", sep="\t")
    scores = import_cohort(tmp_path / "t.csv", tmp_path / "c.csv", expression=tmp_path / "e.tsv").patients[
        "erbb2_mrna_z"
    ]
    assert scores[0] == scores.max()
    assert scores[1] == scores.min()
    # By R's names they cannot be told apart, so that nobody gets the other's value.
    values.columns = ["P1.1", "P.11", *ids[2:]]
    values.to_csv(tmp_path / "e.tsv", sep="\t")
    again = import_cohort(tmp_path / "t.csv", tmp_path / "c.csv", expression=tmp_path / "e.tsv").patients[
        "erbb2_mrna_z"
    ]
    assert again[0] == again.max()


def test_a_value_of_minus_infinity_does_not_cost_the_gene(tmp_path: Path) -> None:
    ids = [f"Q{i}" for i in range(12)]
    pd.DataFrame({"patient_id": ids, "adc": "T-DM1", "her2_ihc": "2+"}).to_csv(tmp_path / "t.csv", index=False)
    rows = [[-np.inf, *map(float, range(11))], [1.0] * 12]
    pd.DataFrame(rows, index=["ERBB2", "ABCB1"], columns=ids).to_csv(tmp_path / "e.tsv", sep="\t")
    cohort = import_cohort(tmp_path / "t.csv", tmp_path / "c.csv", expression=tmp_path / "e.tsv")
    assert cohort.patients["erbb2_mrna_z"].notna().sum() == 11
    assert "abcb1_mrna_z" in next(f.what for f in cohort.faults if f.code == "COH137")


def test_a_series_without_a_patient_key_has_one_row_per_sample(tmp_path: Path) -> None:
    path = paired(tmp_path, [(f"P{i}", "baseline", "2+", "GPL1") for i in range(3)])
    path.write_text(path.read_text().replace("patient id:", "tissue bank:"))
    cohort = import_cohort(path, tmp_path / "c.csv", adc="T-DM1")
    assert cohort.patients["patient_id"].tolist() == ["GSM0", "GSM1", "GSM2"]
