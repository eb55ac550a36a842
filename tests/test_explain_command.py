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
from features.cohort_file import cohort_from_table, read_cohort
from features.feature_table import build_schema, encode
from features.report.document import Bar, Bars, Document, DotGroup, Dots, Paragraph, Section, SortableTable, Table
from features.report.page import page
from features.report.small_drawings import dots_svg
from features.synthetic.cohort import simulate_cohort
from serving.explaining import cohort_document as cohort_page
from serving.explaining.cohort_document import cohort_document
from serving.explaining.explained_cohort import ExplainedCohort, explain_patients
from serving.explaining.like_patients import LikePatients
from serving.explaining.measure_next import information_gain, measure_next
from serving.explaining.patient_document import RATE_INTERVAL, patient_document
from serving.explaining.plausible_values import plausible_values, unmeasured_ranges
from training.bundle_schema import TrainingRange
from training.estimate import Estimate
from training.explaining.stability import DrugDifference, RefitFindings, Stability
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
    assert headline[RATE_INTERVAL] == f"{row['probability_low']:.3f} to {row['probability_high']:.3f}"
    assert headline["band"] == row["risk_band"]
    drugs = next(b for s in document["sections"] if s["id"] == "drugs" for b in s["blocks"] if b["type"] == "table")
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
    return next(block for block in document.sections[0].blocks if isinstance(block, Bars)).bars


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


def test_values_that_do_not_go_with_what_was_measured_are_not_plausible(explained: ExplainedCohort) -> None:
    columns = {c.name: c for c in explained.schema.columns}
    seen = TrainingRange(0.0, -3.0, -2.0, 2.0, 3.0)
    found = plausible_values(columns["erbb2_mrna_z"], seen, np.linspace(0.5, 4.0, 200))
    assert found[0] == pytest.approx(0.535)
    assert found[-1] == 2.0
    levels = TrainingRange(0.0, level_counts={"1+": 3, "3+": 2})
    assert plausible_values(columns["her2_ihc"], levels, np.full(200, 4.0)) == [4.0]
    # Too few who resemble the patient, or none within the training range, narrow nothing.
    assert plausible_values(columns["erbb2_mrna_z"], seen, np.full(20, 1.0))[0] == -2.0
    assert plausible_values(columns["erbb2_mrna_z"], seen, np.full(200, 9.0))[-1] == 2.0


def test_values_of_patients_who_resemble_one_hold_the_true_value_and_are_narrower() -> None:
    cohort = cohort_from_table(simulate_cohort(400, 31, setting="metastatic", adcs=["T-DXd"]).patients, name="c")
    schema = build_schema(cohort)
    matrix = encode(cohort.patients, schema).to_numpy(dtype=np.float64)
    like = LikePatients(schema, "T-DXd", "objective_response")
    j = schema.names.index("her2_h_score")
    known = np.flatnonzero(np.isfinite(matrix[:, j]))
    held, widths = [], []
    for row in known[:150]:
        patient = np.where(np.arange(len(schema.names)) == j, np.nan, matrix[row])
        low, high = np.quantile(like.values(patient, j), [0.01, 0.99])
        held.append(low <= matrix[row, j] <= high)
        widths.append(high - low)
    assert np.mean(held) > 0.9
    assert np.mean(widths) < 0.7 * np.ptp(np.quantile(matrix[known, j], [0.01, 0.99]))
    nothing = np.full(len(schema.names), np.nan)
    assert not len(like.values(nothing, j))
    assert not len(LikePatients(schema, "BL-M07D1", "objective_response").values(matrix[0], j))


def with_refits(explained: ExplainedCohort) -> ExplainedCohort:
    """The same with a model whose refits agree on HER2 IHC and disagree on p95HER2."""
    sure, doubt = Estimate(0.9, 0.5, 1.2), Estimate(0.1, -0.3, 0.4)
    rank = Estimate(2.0, 1.0, 4.0)
    found = RefitFindings(
        55,
        (
            Stability("her2_ihc", "HER2 IHC score", sure, rank, sure),
            Stability("p95her2_ratio", "p95HER2 to total HER2 ratio", sure, rank, doubt),
        ),
        (DrugDifference("her2_ihc", "HER2 IHC score", "T-DXd", "T-DM1", 0.9, 0.2, sure),),
    )
    record = msgspec.structs.replace(explained.record, refits=found)
    return replace(explained, bundle=replace(explained.bundle, record=record))


def bars_of(document: Document, section: str) -> dict[str, Bar]:
    found = next(s for s in document.sections if s.id == section)
    return {bar.label: bar for block in found.blocks if isinstance(block, Bars) for bar in block.bars}


def test_both_pages_grey_what_refits_of_the_training_disagree_on(explained: ExplainedCohort) -> None:
    judged = with_refits(explained)
    bars = bars_of(cohort_document(judged), "biomarkers")
    ihc, ratio = bars["HER2 IHC score"], bars["p95HER2 to total HER2 ratio"]
    assert ihc.tone == "step"
    assert ihc.detail.endswith("rank 2 (1 to 4); change +0.90 (+0.50\u00a0to\u00a0+1.20)")
    assert ratio.tone == "unsure"
    assert ratio.detail.endswith("unstable")
    row = int(np.flatnonzero(np.isfinite(judged.matrix[:, judged.schema.names.index("p95her2_ratio")]))[0])
    reasons = bars_of(patient_document(judged, row), "reasons")
    doubted = [bar for label, bar in reasons.items() if label.startswith("p95HER2 to total")]
    assert [bar.tone for bar in doubted] == ["unsure"]
    assert {bar.tone for label, bar in reasons.items() if label.startswith("HER2 IHC score")} <= {"step"}
    html = page(cohort_document(judged))
    assert "The ranges are those of 55 refits" in html
    assert "where it is highest" in html


def test_a_model_that_tells_no_stability_is_said_to_tell_none(explained: ExplainedCohort) -> None:
    assert explained.record.refits is msgspec.UNSET
    assert "How stable these contributions are is not known" in page(cohort_document(explained))


def test_ranges_are_drawn_about_the_patients_probability(explained: ExplainedCohort) -> None:
    lacking = int(np.flatnonzero(np.isnan(explained.matrix[:, explained.schema.names.index("her2_ihc")]))[0])
    now = explained.scores["response_probability"].iloc[lacking]
    bar = bars_of(patient_document(explained, lacking), "missing")["HER2 IHC score"]
    assert f"{now + bar.start:.3f} at " in bar.detail
    assert f"{now + bar.end:.3f} at " in bar.detail
    assert bar.amount == f"{bar.end - bar.start:.3f}"


def test_the_patient_page_gives_no_probability_of_an_adc_that_too_few_like_patients_had(
    explained: ExplainedCohort,
) -> None:
    stamp = msgspec.structs.replace(explained.record.cohort, adcs={"T-DM1": 280, "T-DXd": 5}, adcs_by_her2={})
    few = replace(
        explained, bundle=replace(explained.bundle, record=msgspec.structs.replace(explained.record, cohort=stamp))
    )
    row = int(np.flatnonzero(explained.scores["adc"] == "T-DM1")[0])
    section = next(s for s in patient_document(few, row).sections if s.id == "drugs")
    table = next(b for b in section.blocks if isinstance(b, Table))
    assert [cells[1] for cells in table.rows if cells[0] == "T-DXd"] == ["not given"]
    told = [b.text for b in section.blocks if isinstance(b, Paragraph)]
    assert told[-1] == "No ADC is ranked first: T-DXd: 5 training patients, fewer than 20."


def test_what_the_model_has_never_seen_is_said_before_the_reasons(explained: ExplainedCohort) -> None:
    stamp = msgspec.structs.replace(explained.record.cohort, adcs={"T-DXd": 300})
    record = msgspec.structs.replace(explained.record, cohort=stamp)
    scores = explained.scores.assign(outside_training_range="til_percent; adc")
    odd = replace(explained, bundle=replace(explained.bundle, record=record), scores=scores)
    row = int(np.flatnonzero(np.isfinite(explained.matrix[:, explained.schema.names.index("til_percent")]))[0])
    first = patient_document(odd, row).sections[0].blocks[0]
    assert isinstance(first, Paragraph)
    assert first.tone == "warning"
    assert "Stromal tumour-infiltrating lymphocytes" in first.text
    assert f"the ADC {explained.scores['adc'].iloc[row]}" in first.text


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


def test_an_assay_is_worth_what_all_its_biomarkers_tell_together(learned_cohort: Cohort) -> None:
    single = {g.name: g for g in measure_next(learned_cohort, "pcr")}
    assays = {g.name: g for g in measure_next(learned_cohort, "pcr", by="assay")}
    assert all(g.biomarkers > 1 for g in assays.values())
    rna = assays["RNA expression"]
    assert rna.lacking == 1.0
    genes = [g.bits.value or 0.0 for name, g in single.items() if name.endswith("_mrna_z") and g.lacking == 1.0]
    assert (rna.bits.value or 0.0) > max(genes)
    # Each antibody is a stain of its own.
    assert "immunohistochemistry" not in assays


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


def test_the_model_may_be_named_as_for_scoring_and_never_after_the_file(
    bundle_folder: Path, cohort_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert adcr.main(["explain", str(cohort_csv), "--model", str(bundle_folder), "-o", str(page)]) == 0
    assert page.is_file()
    assert adcr.main(["validate", str(cohort_csv), str(bundle_folder)]) == 2
    told = capsys.readouterr().err
    assert f"MODEL comes before FILE: adcr validate {bundle_folder} {cohort_csv}" in told


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["-o", "page.pdf"], 2, "'page.pdf' is no page. End it in .html."),
        (["-o", "nowhere/page.html"], 5, "its folder does not exist."),
        (["--adc", "T-DM1", "-o", "page.html"], 2, "--adc chooses among the rows of one patient."),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    options: list[str],
    code: int,
    told: str,
    bundle_folder: Path,
    cohort_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert adcr.main(["explain", str(bundle_folder), str(cohort_csv), *options]) == code
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
    assert table.head == ("", "maytansinoid", "topoisomerase I")
    assert table.rows[0][0] == "HER2 IHC score"
    told = [b.text for b in sections["patients"] if isinstance(b, Paragraph)]
    assert told[-1] == "The first 50 of 300 patients; the score file holds all of them."


def test_a_page_of_one_patient_says_what_it_cannot_tell(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "one.csv"
    file.write_text("patient_id,adc,her2_ihc\nA1,T-DXd,3+\n", encoding="utf-8")
    cohort = written([str(bundle_folder), str(file), "-o", str(tmp_path / "c.html")], capsys)
    told = " ".join(b["text"] for b in blocks(cohort, "paragraph"))
    for words in ("has values in several patients", "is told of 20 patients or more", "No direction can be told"):
        assert words in told
    options = ["--patient", "A1", "-o", str(tmp_path / "p.html")]
    patient = written([str(bundle_folder), str(file), *options], capsys)
    assert [name for name, _ in patient["headline"]] == ["probability of response", RATE_INTERVAL, "band"]


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
