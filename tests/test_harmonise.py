"""Several cohorts as one: clashes named, references of z-scores kept apart, nothing lost, and the report of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adcr
from features.cohort_file import cohort_from_table, read_cohort
from features.cohort_import import import_cohort
from features.faults import CohortRejectedError
from features.harmonisation_report import harmonisation_document
from features.harmonise import merge_cohorts
from features.merged_file import merge_files
from features.reference_population import her2_positive, references_of
from features.report.document import Paragraph
from features.side_by_side import compare_cohorts
from features.stated_status import stated_status, status_line

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort


def table(first: int, count: int, positive: float, **columns: Any) -> pd.DataFrame:
    """Patients of whom a share is HER2-positive, with an expression that is two higher in those."""
    draw = np.random.default_rng(first)
    status = (np.arange(count) < positive * count).astype(int)
    expression = draw.normal(0, 1, count) + 2 * status
    rows = {
        "patient_id": [f"P{i}" for i in range(first, first + count)],
        "adc": ["T-DM1", "T-DXd"] * (count // 2) + ["T-DM1"] * (count % 2),
        "her2_status": status,
        "erbb2_mrna_z": ((expression - expression.mean()) / expression.std()).round(6),
        "pcr": draw.integers(0, 2, count),
    }
    return pd.DataFrame({**rows, **columns})


def cohort(name: str, first: int, count: int = 40, positive: float = 0.3, **columns: Any) -> Cohort:
    return cohort_from_table(table(first, count, positive, **columns), name=name)


def test_every_patient_is_in_the_merged_cohort_once_with_the_name_of_its_cohort() -> None:
    merged = merge_cohorts([cohort("a.csv", 0), cohort("b.csv", 100, til_percent=20.0)])
    assert merged.names == ("a", "b")
    assert merged.patients["patient_id"].is_unique
    assert merged.patients["cohort"].value_counts().to_dict() == {"a": 40, "b": 40}
    assert merged.patients["til_percent"].isna().sum() == 40


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(2, 30), min_size=2, max_size=4))
def test_rows_are_neither_lost_nor_made(counts: list[int]) -> None:
    cohorts = [cohort(f"c{i}.csv", 1000 * i, count) for i, count in enumerate(counts)]
    merged = merge_cohorts(cohorts)
    assert len(merged.patients) == sum(counts)
    for name, part in zip(merged.names, cohorts, strict=True):
        back = merged.patients[merged.patients["cohort"] == name].reset_index(drop=True)
        pd.testing.assert_series_equal(back["erbb2_mrna_z"], part.patients["erbb2_mrna_z"])


def test_a_patient_of_two_cohorts_is_a_clash_that_names_rows_and_no_id() -> None:
    with pytest.raises(CohortRejectedError, match=r"COH150|2 patient ids of a \(rows 40, 41\) also in b") as error:
        merge_cohorts([cohort("a.csv", 0), cohort("b.csv", 38)])
    assert "P38" not in str(error.value)
    merged = merge_cohorts([cohort("a.csv", 0), cohort("b.csv", 38)], prefix_ids=True)
    assert {"a:P38", "b:P38"} <= set(merged.patients["patient_id"])


def test_z_scores_over_unlike_populations_clash_and_are_standardised_anew_on_request() -> None:
    parts = [cohort("all.csv", 0, 200, positive=0.3), cohort("positive.csv", 1000, 60, positive=1.0)]
    with pytest.raises(CohortRejectedError, match=r"all patients in all; HER2-positive patients in positive"):
        merge_cohorts(parts)
    merged = merge_cohorts(parts, reference="her2-positive")
    positive = merged.patients[merged.patients["her2_status"] == 1]
    by_cohort = positive.groupby("cohort")["erbb2_mrna_z"].agg(["mean", "std"])
    assert by_cohort["mean"].abs().max() < 1e-5
    assert by_cohort["std"].to_numpy() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert {r.population for r in merged.references} == {"HER2-positive patients"}


def test_values_far_from_zero_were_standardised_over_others_and_clash() -> None:
    whole = cohort("whole.csv", 0, 200)
    part = whole.patients[whole.patients["her2_status"] == 1].assign(patient_id=[f"S{i}" for i in range(60)])
    with pytest.raises(CohortRejectedError, match="other patients than those of the file in part"):
        merge_cohorts([cohort("own.csv", 500, 60, positive=1.0), cohort_from_table(part, name="part.csv")])


def test_a_cohort_of_unknown_status_is_told_as_a_doubt() -> None:
    unknown = cohort_from_table(table(300, 40, 0.3).drop(columns="her2_status"), name="b.csv")
    merged = merge_cohorts([cohort("a.csv", 0), unknown])
    assert any("b: whom erbb2_mrna_z refers to is not known" in note for note in merged.notes)


def test_a_name_given_on_the_command_line_is_the_name_of_the_cohort() -> None:
    parts = [cohort(f"{n}.csv", 100 * i, cohort="Trial") for i, n in enumerate("ab")]
    with pytest.raises(CohortRejectedError, match="a and b both call patients 'Trial'"):
        merge_cohorts(parts)
    merged = merge_cohorts(parts, names=["A", "B"])
    assert merged.patients["cohort"].value_counts().to_dict() == {"A": 40, "B": 40}


def test_simulated_patients_are_not_put_beside_measured_ones_in_silence() -> None:
    parts = [cohort("a.csv", 0), cohort("b.csv", 100, data_origin="simulated")]
    with pytest.raises(CohortRejectedError, match="measured in a; simulated in b"):
        merge_cohorts(parts)
    assert len(merge_cohorts(parts, mixed_origins=True).patients) == 80


def test_an_own_column_that_ends_as_a_score_does_is_left_alone() -> None:
    parts = [cohort("a.csv", 0, 100, Site_z="north"), cohort("b.csv", 500, 100, positive=1.0)]
    merged = merge_cohorts(parts, reference="her2-positive")
    assert (merged.patients["Site_z"][:100] == "north").all()


def test_every_clash_is_told_at_once() -> None:
    with pytest.raises(CohortRejectedError) as error:
        merge_cohorts([cohort("a.csv", 0, 200), cohort("b.csv", 0, 60, positive=1.0)])
    assert [fault.code for fault in error.value.faults] == ["COH150", "COH151"]


def test_a_score_that_too_few_her2_positive_patients_have_is_left_out_and_said() -> None:
    merged = merge_cohorts([cohort("a.csv", 0), cohort("b.csv", 100, positive=0.1)], reference="her2-positive")
    assert merged.patients.loc[merged.patients["cohort"] == "b", "erbb2_mrna_z"].isna().all()
    assert any("b: erbb2_mrna_z left out" in note for note in merged.notes)


def test_her2_positivity_is_read_from_status_then_class_then_ihc() -> None:
    patients = pd.DataFrame(
        {
            "her2_status": [1.0, np.nan, np.nan, np.nan],
            "her2_class": pd.Series(["low", "positive", None, None], dtype="str"),
            "her2_ihc": pd.Series(["0", "0", "3+", "2+"], dtype="str"),
        }
    )
    assert her2_positive(patients).fillna(-1).tolist() == [1.0, 1.0, 1.0, -1.0]
    assert references_of(patients, "x") == []


def test_stated_status_is_compared_with_the_assays() -> None:
    rows = {"her2_ihc": ["3+", "0", "2+", "1+"], "her2_status": [1, 1, 0, 0], "her2_ish_ratio": [None, None, 2.4, None]}
    base = pd.DataFrame({"patient_id": list("ABCD"), "adc": "T-DM1", **rows})
    found = stated_status(cohort_from_table(base, name="s.csv"))
    assert found is not None
    # B is stated positive with IHC 0; C has a ratio above 2 and is stated negative.
    assert (found.both, found.agree, found.stated_positive, found.computed_positive) == (4, 2, 1, 1)
    assert stated_status(cohort_from_table(base.drop(columns="her2_status"), name="s.csv")) is None


def test_a_status_filled_in_from_the_assays_is_not_told_as_agreement_in_silence() -> None:
    rows = {"her2_ihc": ["3+", "0", "1+"], "her2_status": ["1", "1", ""]}
    cohort = cohort_from_table(pd.DataFrame({"patient_id": list("ABC"), "adc": "T-DM1", **rows}), name="s.csv")
    found = stated_status(cohort)
    assert found is not None
    assert found.filled
    assert status_line(cohort) == (
        "her2_status known as stated and from IHC or ISH by ASCO/CAP in 3 rows: 2 agree, 1 positive only as stated, "
        "0 only by the assays; the stated one is kept. Statuses filled in from the assays are among those that agree."
    )


def test_the_report_says_where_a_missing_ihc_makes_positive_tumours_too_many() -> None:
    ihc = ["3+", "0", "1+", None, None]
    tested = pd.DataFrame({"patient_id": list("ABCDE"), "adc": "none", "her2_ihc": ihc, "her2_status": [1, 0, 0, 1, 0]})
    parts = [cohort_from_table(tested, name="a.csv"), cohort("b.csv", 0)]
    section = next(s for s in harmonisation_document(merge_cohorts(parts)).sections if s.id == "distributions")
    told = " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))
    assert "the share of positive tumours is too high where IHC is missing: a, 1 of 2 positive ones without IHC" in told


def test_a_merge_takes_the_count_of_stated_statuses_from_the_import(tmp_path: Path) -> None:
    study = tmp_path / "tiny"
    study.mkdir()
    head = "SAMPLE_ID\tPATIENT_ID\tHER2_STATUS\tHER2_IHC\n"
    rows = "A-1\tA\tPositive\t3+\nB-1\tB\tPositive\t0\nC-1\tC\t\t1+\n"
    (study / "data_clinical_sample.txt").write_text(head + rows)
    import_cohort(study, tmp_path / "a.csv")
    import_cohort(study, tmp_path / "b.csv")
    merge_files(
        [tmp_path / "a.csv", tmp_path / "b.csv"],
        tmp_path / "m.csv",
        names=["a", "b"],
        prefix_ids=True,
        report=tmp_path / "report",
    )
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    section = next(s for s in told["sections"] if s["id"] == "her2")
    # Of the third patient nothing was stated.
    assert section["blocks"][0]["rows"][0][:3] == ["a", "2", "1 (50%)"]


def test_differences_between_cohorts_are_the_textbook_ones() -> None:
    a = pd.DataFrame({"til_percent": [10.0, 20.0, 30.0] * 5, "her2_ihc": ["0", "1+", "1+"] * 5})
    b = pd.DataFrame({"til_percent": [20.0, 30.0, 40.0] * 5, "her2_ihc": ["3+", "1+", "1+"] * 5})
    found = {c.measure: c for c in compare_cohorts({"a": a, "b": b})}
    # Means 10 apart, both with standard deviation sqrt(500/7); a third of the patients would have to change level.
    assert found["til_percent"].difference == pytest.approx(10 / np.sqrt(500 / 7))
    assert found["her2_ihc"].difference == pytest.approx(1 / 3)
    assert found["her2_ihc"].distributions[0].shares["1+"] == pytest.approx(2 / 3)


def test_the_command_writes_a_cohort_that_reads_back_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(0, 40, 0.3, Remark="x", Notes="<b>").to_csv(tmp_path / "a.csv", index=False)
    table(100, 30, 0.3, remark="y").to_csv(tmp_path / "b.csv", index=False)
    argv = ["cohort", "merge", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "-o", str(tmp_path / "m.csv")]
    assert adcr.main([*argv, "--name", "site A", "--name", "site B", "--report", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    assert "site A: 40 of 40 rows" in out
    assert "unused columns spelt otherwise" in out
    again = read_cohort(tmp_path / "m.csv")
    assert (len(again.patients), again.rejected) == (70, ())
    assert {"site A Remark", "site B remark", "Notes"} <= set(again.unused())
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["kind"] == "harmonisation"
    assert "70" in dict(report["headline"])["Patients"]
    assert "P38" not in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_what_a_merge_standardised_over_is_known_to_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, first in (("a", 0), ("b", 500), ("c", 1000)):
        table(first, 100, 0.3).to_csv(tmp_path / f"{name}.csv", index=False)
    paths = {n: str(tmp_path / f"{n}.csv") for n in "abcr"}
    assert adcr.main(["cohort", "merge", paths["a"], paths["b"], "--reference", "her2-positive", "-o", paths["r"]]) == 0
    assert adcr.main(["cohort", "merge", paths["r"], paths["c"], "-o", str(tmp_path / "x.csv")]) == 2
    assert "HER2-positive patients in r; all patients in c" in capsys.readouterr().err
    argv = ["cohort", "merge", paths["r"], paths["c"], "--reference", "her2-positive", "-o", str(tmp_path / "x.csv")]
    assert adcr.main(argv) == 0
    assert adcr.main(["cohort", "merge", paths["a"], paths["b"], "-o", paths["a"]]) == 2
    assert "would replace the file" in capsys.readouterr().err


def test_a_clash_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(0, 40, 0.3).to_csv(tmp_path / "a.csv", index=False)
    argv = ["cohort", "merge", str(tmp_path / "a.csv"), str(tmp_path / "a.csv"), "-o", str(tmp_path / "m.csv")]
    assert adcr.main(argv) == 2
    assert "each with a name of its own" in capsys.readouterr().err
    assert adcr.main([*argv, "--name", "x", "--name", "y"]) == 2
    assert "--prefix-ids" in capsys.readouterr().err
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.shared_data
def test_real_cohorts_are_put_together_with_their_sources_named(shared_data: Path, tmp_path: Path) -> None:
    import_cohort(
        shared_data / "ispy2_wolf2022" / "combined_clin_radiogenomic.csv",
        tmp_path / "ispy2.csv",
        mapping="ispy2_wolf2022",
    )
    import_cohort(
        shared_data / "transneo_sammut2022" / "training_df.csv",
        tmp_path / "transneo.csv",
        mapping="transneo_sammut2022",
    )
    argv = [
        "cohort",
        "merge",
        str(tmp_path / "ispy2.csv"),
        str(tmp_path / "transneo.csv"),
        "-o",
        str(tmp_path / "m.csv"),
    ]
    # I-SPY2 expression refers to all patients, that of TransNEO to its HER2-positive ones.
    assert adcr.main(argv) == 2
    assert adcr.main([*argv, "--reference", "her2-positive", "--report", str(tmp_path / "report")]) == 0
    merged = read_cohort(tmp_path / "m.csv").patients
    assert len(merged) == 982 + 55
    assert merged["pcr"].sum() == 315 + 17
    assert "ERBB2.log2.tpm (mapping)" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
