"""`adcr explain`: pages whose numbers are those of the score file, for a cohort and for one patient."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import adcr
from features.cohort_file import read_cohort
from features.report.document import Bar, Bars, Document, DotGroup, Dots, Paragraph, Section, SortableTable, Table
from features.report.page import page
from features.report.small_drawings import dots_svg
from serving.explaining import cohort_document as cohort_page
from serving.explaining.cohort_document import cohort_document
from serving.explaining.explained_cohort import ExplainedCohort, explain_patients
from serving.explaining.measure_next import information_gain, measure_next
from serving.explaining.patient_document import patient_document
from serving.explaining.plausible_values import plausible_values, unmeasured_ranges
from training.bundle_schema import TrainingRange
from training.model_bundle import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from features.cohort import Cohort

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def cohort_csv(learned_cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("explained") / "next.csv"
    learned_cohort.patients.drop(columns="pcr").to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def explained(bundle_folder: Path, cohort_csv: Path) -> ExplainedCohort:
    return explain_patients(read_bundle(bundle_folder), read_cohort(cohort_csv, for_scoring=True))


def written(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert adcr.main(["explain", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def blocks(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [block for section in document["sections"] for block in section["blocks"] if block["type"] == kind]


def test_the_cohort_pages_numbers_are_those_of_the_score_file(
    bundle_folder: Path, cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.csv"
    assert adcr.main(["score", str(cohort_csv), "--model", str(bundle_folder), "-o", str(scores), "--quiet"]) == 0
    place = tmp_path / "page.html"
    document = written([str(bundle_folder), str(cohort_csv), "-o", str(place)], capsys)
    table = blocks(document, "sortable")[-1]
    file = pd.read_csv(scores, dtype={"patient_id": str}, keep_default_na=False)
    assert [row[0] for row in table["rows"]] == file["patient_id"].tolist()
    for position, name in ((2, "response_probability"), (3, "probability_low"), (4, "probability_high")):
        assert [float(row[position]) for row in table["rows"]] == file[name].tolist()
    assert [row[6] for row in table["rows"]] == file["reason_1"].tolist()
    shown = re.findall(r'<td data-k="([^"]+)">([\d.]+)</td>', place.read_text(encoding="utf-8"))
    assert all(f"{float(exact):.3f}" == rounded for exact, rounded in shown)


def test_the_patient_pages_numbers_are_those_of_the_score_file(
    bundle_folder: Path,
    cohort_csv: Path,
    explained: ExplainedCohort,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--patient", "P007", "-o", str(tmp_path / "p.html")]
    document = written([str(bundle_folder), str(cohort_csv), *options], capsys)
    row = explained.scores.iloc[7]
    headline = dict(document["headline"])
    assert headline["probability of response"] == f"{row['response_probability']:.3f}"
    assert headline["95% interval"] == f"{row['probability_low']:.3f} to {row['probability_high']:.3f}"
    assert headline["band"] == row["risk_band"]
    drugs = blocks(document, "table")[-2]
    own = next(cells for cells in drugs["rows"] if "in the file" in cells[0])
    assert own[1] == headline["probability of response"]


def test_contributions_and_the_models_average_add_up_to_the_log_odds_of_every_patient(
    explained: ExplainedCohort,
) -> None:
    total = explained.base + explained.shap.sum(axis=1)
    np.testing.assert_allclose(total, explained.log_odds, atol=1e-6, rtol=0)
    probability = explained.scores["response_probability"].to_numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), probability, atol=1e-6, rtol=0)


def test_every_bar_of_the_waterfall_starts_where_the_one_above_ends(explained: ExplainedCohort) -> None:
    for row in range(0, 300, 50):
        bars = waterfall(patient_document(explained, row))
        for above, below in pairwise(bars[:-1]):
            assert below.start == pytest.approx(above.end, abs=1e-12)
        assert bars[0].end == explained.base
        assert bars[-2].end == pytest.approx(explained.log_odds[row], abs=1e-9)
        assert bars[-1].end == pytest.approx(explained.log_odds[row], abs=1e-12)


def waterfall(document: Document) -> tuple[Bar, ...]:
    found = document.sections[0].blocks[0]
    assert isinstance(found, Bars)
    return found.bars


def test_the_range_of_an_unmeasured_biomarker_holds_what_scoring_its_values_gives(explained: ExplainedCohort) -> None:
    names = explained.schema.names
    lacking = np.flatnonzero(np.isnan(explained.matrix[:, names.index("her2_ihc")]))[0]
    found = {r.name: r for r in unmeasured_ranges(explained.bundle, explained.matrix[lacking])}
    patient = explained.matrix[[lacking] * 5].copy()
    patient[:, names.index("her2_ihc")] = range(5)
    probability = explained.bundle.probability(explained.bundle.predict_log_odds(patient))
    assert found["her2_ihc"].lowest == probability.min()
    assert found["her2_ihc"].highest == probability.max()
    measured = {n for n, v in zip(names, explained.matrix[lacking], strict=True) if not np.isnan(v)}
    assert not measured & set(found)


def test_plausible_values_are_those_that_training_patients_had(explained: ExplainedCohort) -> None:
    columns = {c.name: c for c in explained.schema.columns}
    seen = TrainingRange(0.0, level_counts={"1+": 3, "3+": 2})
    assert plausible_values(columns["her2_ihc"], seen) == [2.0, 4.0]
    assert plausible_values(columns["cdk12_amplified"], None) == [0.0, 1.0]
    found = plausible_values(columns["erbb2_mrna_z"], TrainingRange(0.0, -3.0, -2.0, 2.0, 3.0))
    assert (found[0], found[-1]) == (-2.0, 2.0)
    assert plausible_values(columns["erbb2_mrna_z"], None) == []


def test_the_gain_in_information_is_that_of_the_expected_log_loss_in_bits() -> None:
    # From a coin's prediction to the truth: 1 - H(0.9) = 0.531 bits; where the truth is a coin it misleads.
    sure = np.array([np.log(9.0)])
    gains = information_gain(np.array([[0.9, 0.5]]), np.zeros(1), sure)
    assert gains[0] == pytest.approx(0.531, abs=5e-4)
    assert gains[1] == pytest.approx(1.0 - 1.737, abs=1e-3)
    assert information_gain(np.array([[0.3]]), sure, sure) == [0.0]


def test_measure_next_names_the_assay_that_tells_most_and_none_that_all_patients_have(learned_cohort: Cohort) -> None:
    gains = measure_next(learned_cohort, "pcr")
    names = [g.name for g in gains]
    # Heterogeneity is the strongest known cause that these patients lack.
    assert names[0] in ("her2_negative_fraction", "her2_h_score")
    assert gains[0].bits.excludes_zero
    assert "cdk12_amplified" not in names
    assert {g.name: g.lacking for g in gains}["her2_ihc"] == pytest.approx(0.15, abs=0.05)
    assert measure_next(learned_cohort, "pcr") == gains


def test_measure_next_says_nothing_of_adcs_that_are_not_simulated(learned_cohort: Cohort) -> None:
    patients = learned_cohort.patients.assign(adc="BL-M07D1")
    assert measure_next(replace(learned_cohort, patients=patients), "pcr") == ()


def test_a_patient_who_is_not_in_the_file_is_refused_in_one_line(
    bundle_folder: Path, cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--patient", "Nobody", "-o", str(tmp_path / "p.html")]
    assert adcr.main(["explain", str(bundle_folder), str(cohort_csv), *options]) == 2
    told = "adcr explain: next.csv: there is no such patient. Give the id as the file writes it.\n"
    assert capsys.readouterr().err == told
    assert not (tmp_path / "p.html").exists()


def test_a_patient_with_several_rows_is_chosen_by_adc(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "two.csv"
    file.write_text("patient_id,adc,her2_ihc\nA1,T-DM1,3+\nA1,T-DXd,3+\nA2,T-DXd,4+\n", encoding="utf-8")
    common = ["explain", str(bundle_folder), str(file), "-o", str(tmp_path / "p.html"), "--patient"]
    assert adcr.main([*common, "A1"]) == 2
    assert "this patient has 2 rows. Choose with --adc T-DM1 or T-DXd." in capsys.readouterr().err
    assert adcr.main([*common, "A1", "--adc", "T-DXd"]) == 0
    assert "Patient A1 on T-DXd" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert adcr.main([*common, "A2"]) == 2
    assert "two.csv, row 4: this patient cannot be scored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "page.pdf"], "'page.pdf' is no page. End it in .html."),
        (["-o", "nowhere/page.html"], "there is no such folder."),
        (["--adc", "T-DM1", "-o", "page.html"], "--adc chooses among the rows of one patient."),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    options: list[str],
    told: str,
    bundle_folder: Path,
    cohort_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert adcr.main(["explain", str(bundle_folder), str(cohort_csv), *options]) == 2
    assert told in capsys.readouterr().err


def test_without_an_output_the_page_takes_the_files_name_and_no_patients_id(
    bundle_folder: Path, cohort_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert adcr.main(["explain", str(bundle_folder), str(cohort_csv), "--patient", "P001"]) == 0
    assert [f.name for f in tmp_path.iterdir()] == ["next.patient.html"]


def test_payload_classes_stand_side_by_side_and_a_long_table_is_cut_with_a_word(
    explained: ExplainedCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_page, "_MOST_PATIENTS", 50)
    sections = {s.id: s.blocks for s in cohort_document(explained).sections}
    table = sections["values"][-1]
    assert isinstance(table, Table)
    assert table.head == ("", "maytansinoid", "topoisomerase1")
    assert table.rows[0][0] == "HER2 IHC score"
    told = [b.text for b in sections["patients"] if isinstance(b, Paragraph)]
    assert told[-1] == "The first 50 of 300 patients; the score file holds all of them."


def test_names_of_many_levels_stand_aslant_and_small_scales_have_two_decimals() -> None:
    groups = (DotGroup("T-DM1", (0.0, 4.0), (-0.04, 0.06)),)
    ticks = tuple(
        (float(i), level) for i, level in enumerate(("luminal_a", "luminal_b", "her2_enriched", "basal_like"))
    )
    svg = dots_svg(Dots("PAM50", "", "log-odds", groups, ticks))
    assert svg.count("rotate(-35") == 4
    assert "+0.06" in svg
    assert "rotate" not in dots_svg(Dots("IHC", "", "log-odds", groups, ((0.0, "0"), (4.0, "3+"))))


def hostile_document() -> Document:
    """A page every text of which is markup."""
    parts = (
        Paragraph(HOSTILE),
        SortableTable(HOSTILE, (HOSTILE, HOSTILE), ((HOSTILE, HOSTILE),)),
        Bars(HOSTILE, HOSTILE, (HOSTILE,) * 3, (Bar(HOSTILE, HOSTILE, 0.0, 1.0, HOSTILE),)),
        Dots(HOSTILE, HOSTILE, HOSTILE, (DotGroup(HOSTILE, (0.0, 1.0), (1.0, -1.0)),), ((0.0, HOSTILE),)),
    )
    head = ((HOSTILE, HOSTILE),)
    return Document(1, "explanation", HOSTILE, HOSTILE, HOSTILE, HOSTILE, head, (Section("one", HOSTILE, parts),))


def test_hostile_text_is_shown_as_text_everywhere_on_a_page() -> None:
    html = page(hostile_document())
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") > 15


def test_a_page_allows_no_script_but_its_own_and_fetches_nothing() -> None:
    html = page(hostile_document())
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert len(policy) == 1
    assert "default-src &#39;none&#39;" in policy[0]
    assert "sha256-" in policy[0]
    assert html.count("<script>") == 1
    plain = msgspec.structs.replace(hostile_document(), sections=())
    assert "<script" not in page(plain)
