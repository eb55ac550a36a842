"""The catalogue against the tables it was read from, where those are at hand."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from features.adcs import adcs
from features.biomarkers import Direction, Route, biomarkers
from features.column_names import normalise_name
from features.sources import sources
from features.trials import trials

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared_data
ROUTE_COLUMNS: dict[str, Route] = {
    "direction_TDM1": "maytansinoid_noncleavable",
    "direction_TDXd": "topoisomerase1_cleavable",
    "direction_trastuzumab": "trastuzumab",
}
#: Directions that differ from the table on purpose, with the reason.
DEPARTURES = {
    ("HER2_ITH", "direction_TDXd"): "the table of interactions gives a weak decrease (DAISY by HER2 class)",
    ("ABCG2", "direction_TDM1"): "the table of interactions finds no evidence for DM1",
    ("PLK1", "direction_TDXd"): "the table of interactions gives no effect",
    ("VATPASE", "direction_TDXd"): "the table of interactions gives none to a weak decrease, inferred",
    ("LYSO_PH", "direction_TDXd"): "the table of interactions gives none to a weak decrease, inferred",
    ("CATHEPSIN", "direction_TDXd"): "the table of interactions gives none to a weak decrease, inferred",
    ("WNT3_CTNNB1", "direction_TDM1"): "unsupported for ADCs: trastuzumab and gastric evidence",
    ("WNT3_CTNNB1", "direction_TDXd"): "unsupported for ADCs: trastuzumab and gastric evidence",
    ("NT5E", "direction_TDM1"): "extrapolated from trastuzumab",
}
#: An unquoted comma in the table shifts the columns of this trial.
UNQUOTED = "Metzger Filho (NCT02326974, id unconfirmed)"


@pytest.fixture(scope="module")
def evidence(shared_data: Path) -> Path:
    folder = shared_data.parent / "evidence"
    if not folder.is_dir():
        pytest.skip("the evidence tables are not here")
    return folder


def read(path: Path) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8").replace(f"\nTR033,{UNQUOTED}", f'\nTR033,"{UNQUOTED}"')
    return list(csv.DictReader(text.replace(f"\nTR034,{UNQUOTED}", f'\nTR034,"{UNQUOTED}"').splitlines()))


def test_every_biomarker_row_is_covered_with_symbol_step_and_evidence_level(evidence: Path) -> None:
    covered = {b.evidence_row: b for b in biomarkers().values() if b.evidence_row}
    rows = read(evidence / "biomarkers.csv")
    assert {r["id"] for r in rows} == set(covered)
    for r in rows:
        biomarker = covered[r["id"]]
        assert biomarker.symbol == r["hgnc_symbol"].replace("-", "" if r["hgnc_symbol"] == "-" else "-")
        assert biomarker.mechanism_step == {"na": "clinical"}.get(r["mechanism_step"], r["mechanism_step"])
        assert biomarker.evidence_level == r["evidence_level"]


def test_every_review_of_a_biomarker_row_is_cited(evidence: Path) -> None:
    covered = {b.evidence_row: b for b in biomarkers().values() if b.evidence_row}
    for r in read(evidence / "biomarkers.csv"):
        cited = {c.source for c in covered[r["id"]].citations}
        assert {name for name in r["review"].split(";") if not name.startswith("(")} <= cited, r["id"]


def test_directions_are_those_of_the_table_but_for_the_stated_departures(evidence: Path) -> None:
    covered = {b.evidence_row: b for b in biomarkers().values() if b.evidence_row}
    departed = set()
    for r in read(evidence / "biomarkers.csv"):
        for column, route in ROUTE_COLUMNS.items():
            if covered[r["id"]].directions[route].direction != Direction(r[column]):
                departed.add((r["id"], column))
    assert departed == set(DEPARTURES)


def test_every_adc_row_is_covered_with_its_ratio_linker_and_names(evidence: Path) -> None:
    names = {normalise_name(n): a for a in adcs().values() for n in (a.id, a.name, *a.aliases)}
    rows = read(evidence / "adcs.csv")
    found = {}
    for r in rows:
        adc = names[normalise_name(r["adc"])]
        found[adc.id] = adc
        assert {"yes": True, "no": False}.get(r["cleavable"]) == adc.cleavable or adc.id == "moxetumomab pasudotox"
        for alias in r["aliases"].split("; "):
            assert alias in {"-", "dual-payload"} or names[normalise_name(alias)] is adc
        if r["bystander"] in {"yes", "no"}:
            assert adc.bystander == (r["bystander"] == "yes")
    assert set(found) == set(adcs())


def test_every_trial_row_is_covered_with_its_value_and_verification(evidence: Path) -> None:
    rows = {r["id"]: r for r in read(evidence / "trials.csv")}
    assert set(rows) == set(trials())
    words = {"review+verified": "review_verified", "derived_from_verified": "derived"}
    for result in trials().values():
        r = rows[result.id]
        assert result.verification == words.get(r["verification"], r["verification"])
        if result.value is not None:
            assert result.value == float(r["value"]), result.id
        for part in result.parts:
            assert f"{part.value:g}" in r["value"].replace(".0", "")
        for bound in (result.low, result.high):
            assert bound is None or f"{bound:g}" in r["ci95_or_spread"].replace(".0 ", " ") + r["value"], result.id
        if result.n is not None and result.id not in {"TR033", "TR048"}:
            assert str(result.n) in r["n"], result.id


def test_every_review_is_a_source_with_its_doi(evidence: Path) -> None:
    for r in read(evidence / "sources.csv"):
        assert sources()[r["source"]].doi == (r["doi"] or "")
