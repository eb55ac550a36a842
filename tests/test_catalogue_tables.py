"""`adcr catalogue` prints the whole catalogue readably, and finds a record by any of its names."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

import adcr
from features.adcs import adcs
from features.biomarkers import biomarkers, measures
from features.catalogue_tables import render_record, render_table
from features.errors import InputError
from features.trials import trials

if TYPE_CHECKING:
    from pathlib import Path

PARTS = {"biomarkers": len(biomarkers()), "adcs": len(adcs()), "trials": len(trials())}
FORMATS = ("text", "json", "csv", "markdown")


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("kind", PARTS)
def test_a_table_of_text_fits_80_columns(kind: str) -> None:
    lines = render_table(kind).split("\n")
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("kind", "count"), PARTS.items())
def test_the_json_of_a_table_is_complete(kind: str, count: int) -> None:
    records = json.loads(render_table(kind, output_format="json"))
    assert len(records) == count
    assert all(record["citations"] or kind == "trials" for record in records)


def test_the_json_of_a_biomarker_holds_every_field() -> None:
    record = json.loads(render_record("her2_heterogeneity", "json"))
    assert record["kind"] == "biomarker"
    assert record["prevalence"][0]["fraction"] == 0.10
    assert {m["id"] for m in record["measures"]} == {"her2_heterogeneous", "her2_negative_fraction"}
    assert record["directions"]["auristatin_cleavable"]["direction"] == "none"


def test_the_csv_of_biomarkers_has_one_row_per_column_of_a_cohort_file() -> None:
    rows = list(csv.DictReader(io.StringIO(render_table("biomarkers", output_format="csv"))))
    assert [row["column"] for row in rows] == list(measures())
    slc46a3 = next(row for row in rows if row["column"] == "slc46a3_mrna_z")
    assert slc46a3["direction_maytansinoid_noncleavable"] == "decrease"
    assert slc46a3["toward_state"] == "-1"


@pytest.mark.parametrize("kind", ["adcs", "trials"])
def test_the_csv_of_adcs_and_trials_has_one_row_per_record(kind: str) -> None:
    rows = list(csv.DictReader(io.StringIO(render_table(kind, output_format="csv"))))
    assert len(rows) == PARTS[kind]
    assert not any("{" in value for row in rows for value in row.values())


@pytest.mark.parametrize("kind", PARTS)
def test_a_markdown_table_has_one_line_per_record(kind: str) -> None:
    lines = render_table(kind, output_format="markdown").split("\n")
    assert len(lines) == PARTS[kind] + 2
    assert len({line.count("|") for line in lines}) == 1


def test_a_table_shows_the_direction_on_each_route_as_a_sign() -> None:
    line = next(x for x in render_table("biomarkers").split("\n") if x.startswith("her2_heterogeneity "))
    assert line.split()[-4:] == ["-", "-", "0", "-"]


def test_acquired_and_dropped_biomarkers_are_marked() -> None:
    table = render_table("biomarkers")
    assert "slx4 (a)" in table
    assert "p27 (x)" in table


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("her2_heterogeneity", "HER2 heterogeneity within the tumour (her2_heterogeneity)"),
        ("her2_heterogeneous", "HER2 heterogeneity within the tumour (her2_heterogeneity)"),
        ("HER2 ITH", "HER2 heterogeneity within the tumour (her2_heterogeneity)"),
        ("SLC46A3", "SLC46A3 (lysosomal exporter) (slc46a3)"),
        ("CD274", "PD-L1 on immune cells (pdl1)"),
        ("Ki-67", "Ki-67 (ki67)"),
        ("Kadcyla", "trastuzumab emtansine (T-DM1)"),
        ("ds-8201a", "trastuzumab deruxtecan (T-DXd)"),
        ("TR044", "DESTINY-Breast03, ORR (TR044)"),
    ],
)
def test_a_record_is_found_under_any_of_its_names(name: str, title: str) -> None:
    assert render_record(name).split("\n")[0] == title


def test_a_name_of_several_records_prints_their_table() -> None:
    assert "her2_protein" in render_record("ERBB2")
    assert "p95her2" in render_record("ERBB2")
    emilia = render_record("EMILIA")
    assert [f"TR00{n}" in emilia for n in range(1, 10)] == [True] * 9
    assert len(json.loads(render_record("EMILIA", "json"))) == 9


@pytest.mark.parametrize("name", ["her2_protein", "p95her2", "T-DM1", "A166", "TR068", "TR071", "TR012"])
@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_prints_a_record(name: str, output_format: str) -> None:
    text = render_record(name, output_format)
    assert text.strip()
    if output_format == "text":
        assert max(len(line) for line in text.split("\n") if "http" not in line) <= 80


def test_a_record_spells_out_its_sources_and_its_conflicts() -> None:
    text = " ".join(render_record("p95her2").split())
    assert "chumsri2018: Chumsri S, Sperinde J" in text
    assert "https://pmc.ncbi.nlm.nih.gov/articles/PMC6314664" in text
    assert "trastuzumab (naked antibody, for contrast only): conflicting" in text
    assert "HER2 delta16: another molecule" in text


def test_a_record_says_what_is_inferred_and_what_never_calibrates() -> None:
    assert "Bystander effect: no (inferred or unverified)" in render_record("ARX788")
    assert "Cleavable: not known" in render_record("A166")
    assert "unverified; never anchors the simulator" in render_record("TR012")
    assert "Acquired under therapy: never a baseline feature." in render_record("slx4")
    assert "Not used by any model" in render_record("p27")
    assert "hold only with ERBB2 in the model" in render_record("cdk12")


def test_every_record_of_the_catalogue_can_be_shown() -> None:
    for name in (*biomarkers(), *measures(), *adcs(), *trials()):
        assert render_record(name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: render_record("HER3 heterogenety"),
            "the catalogue has nothing under 'HER3 heterogenety'. Did you mean",
        ),
        (lambda: render_record("slc46"), "Did you mean 'SLC46A3'"),
        (lambda: render_record("zzzzqqqq"), "'adcr catalogue biomarkers' lists them."),
        (lambda: render_table("drugs"), "the catalogue has no part 'drugs'. Use biomarkers, adcs or trials."),
        (lambda: render_table("adcs", output_format="xml"), "there is no format 'xml'. Use text, json, csv, markdown."),
        (lambda: render_record("T-DM1", "xml"), "there is no format 'xml'."),
    ],
)
def test_what_is_not_there_is_said_in_one_line_with_the_nearest_names(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_prints_a_record_and_refuses_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert adcr.main(["catalogue", "show", "T-DM1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["route"] == "maytansinoid_noncleavable"
    assert adcr.main(["catalogue", "show", "no such thing"]) == 2
    assert capsys.readouterr().err.startswith("adcr catalogue show: the catalogue has nothing under 'no such thing'.")


def test_the_glossary_defines_the_catalogues_abbreviations(project_root: Path) -> None:
    glossary = (project_root / "GLOSSARY.md").read_text(encoding="utf-8")
    for term in ("ADC", "DAR", "BOR", "ORR", "pCR", "PFS", "CEP17", "p95HER2", "HER2 delta16", "Route", "z-score"):
        assert f"**{term}" in glossary, term
