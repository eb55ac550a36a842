"""Every biomarker of the catalogue is typed, cited and usable as it says."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.adcs import adcs
from features.biomarkers import (
    Biomarker,
    Direction,
    Measure,
    Route,
    biomarker_of,
    biomarkers,
    measures,
    monotone_sign,
)
from features.sources import sources, spelled_out

if TYPE_CHECKING:
    from pathlib import Path

ROUTES = get_args(Route)
T_DM1: Route = "maytansinoid_noncleavable"
T_DXD: Route = "topoisomerase1_cleavable"
#: Biomarkers that are no gene.
WITHOUT_SYMBOL = {
    *("prior_pertuzumab_exposure", "statin", "lysosomal_acidity", "intrinsic_subtype", "vasculogenic_mimicry"),
    *("serotonin_gpcr", "adc_penetration", "circulating_mirna", "liquid_biopsy", "prior_treatment_lines"),
    *("brain_metastasis", "nodal_status", "age", "immune_signature", "proliferation_signature", "mammaprint"),
    *("blueprint", "histological_grade", "tumour_size", "tumour_mutational_burden"),
}
CORE = {
    *("her2_ihc", "her2_ish_ratio", "erbb2_copy_number", "erbb2_mrna_z", "her2_h_score"),
    *("her2_heterogeneous", "her2_negative_fraction", "p95her2_ratio", "p95her2_positive"),
    *("cdk12_amplified", "cdk12_copy_number", "erbb2_deletion"),
}
UNITS = {
    *("level", "yes/no", "z-score", "H-score", "ratio", "copies", "fraction", "percent", "years", "lines", "score"),
    *("ng/mL", "pg/mL", "1/h", "pH", "count", "mm", "mutations/Mb"),
}
each_biomarker = pytest.mark.parametrize("biomarker", biomarkers().values(), ids=lambda b: b.id)
each_measure = pytest.mark.parametrize("measure", measures().values(), ids=lambda m: m.id)


def test_the_133_rows_of_the_evidence_table_stand_in_the_catalogue_once_each() -> None:
    rows = [b.evidence_row for b in biomarkers().values() if b.evidence_row]
    assert len(rows) == len(set(rows)) == 133


def test_no_two_biomarkers_or_columns_share_an_id(project_root: Path) -> None:
    written = (project_root / "features" / "biomarkers.toml").read_text(encoding="utf-8")
    assert written.count("\n[[biomarker]]\n") == len(biomarkers())
    listed = [m.id for b in biomarkers().values() for m in b.measures]
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(biomarkers()), "'adcr catalogue show' could not tell them apart"


@each_biomarker
def test_a_biomarker_has_a_column_and_a_source_that_resolves(biomarker: Biomarker) -> None:
    assert biomarker.measures
    assert biomarker.citations
    assert all(spelled_out(biomarker.citations))
    assert len({(c.source, c.locator) for c in biomarker.citations}) == len(biomarker.citations)


@each_biomarker
def test_a_symbol_is_an_hgnc_symbol_or_missing_on_purpose(biomarker: Biomarker) -> None:
    if biomarker.symbol:
        assert re.fullmatch(r"[A-Z][A-Z0-9]*(-AS1|-[0-9])?", biomarker.symbol)
    else:
        assert biomarker.id in WITHOUT_SYMBOL


@each_biomarker
def test_directions_stand_on_known_routes_and_say_what_they_rest_on(biomarker: Biomarker) -> None:
    assert set(biomarker.directions) <= set(ROUTES)
    for route, claim in biomarker.directions.items():
        if claim.direction is Direction.UNKNOWN:
            assert (claim.support, claim.basis) == ("none", ""), route
        else:
            assert claim.support != "none", route
            assert set(claim.basis) <= set("SXI+"), route
            assert claim.basis, route
            assert (claim.basis == "I") <= (claim.support == "inferred"), route


@each_biomarker
def test_a_conflicting_direction_names_both_sources_or_the_one_that_contradicts_itself(biomarker: Biomarker) -> None:
    if any(claim.direction is Direction.CONFLICTING for claim in biomarker.directions.values()):
        named = [source for source in sources() if source in biomarker.conflicts]
        contradicts_itself = "itself" in biomarker.conflicts or "in the same place" in biomarker.conflicts
        assert len(named) >= 2 or (named and contradicts_itself) or not biomarker.usable


@each_biomarker
def test_a_prevalence_has_a_source_and_shares_between_0_and_1(biomarker: Biomarker) -> None:
    for prevalence in biomarker.prevalence:
        assert prevalence.source in sources()
        assert prevalence.population
        numbers = [x for x in (prevalence.low, prevalence.fraction, prevalence.high) if x is not None]
        assert numbers == sorted(numbers)
        assert all(0 <= x <= 1 for x in numbers)


@each_biomarker
def test_a_note_speaks_to_the_reader_and_not_of_the_evidence_table(biomarker: Biomarker) -> None:
    said = " ".join([biomarker.label, biomarker.effect, biomarker.conflicts, biomarker.note, biomarker.state_encoded])
    assert "EXT" not in said
    assert not re.search(r"p=0\.[a-z]", said), "a number was lost"


@each_measure
def test_a_column_has_a_unit_an_assay_and_a_range_or_levels(measure: Measure) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", measure.id)
    assert measure.unit in UNITS
    assert measure.assay
    assert measure.label
    if measure.kind == "numeric":
        assert measure.minimum is not None
        assert measure.maximum is not None
        assert measure.minimum < measure.maximum
        assert not measure.levels
    elif measure.kind == "binary":
        assert (measure.unit, measure.levels) == ("yes/no", ())
    else:
        assert len(measure.levels) >= 2
        assert measure.unit == "level"


@each_measure
def test_a_columns_name_tells_its_kind(measure: Measure) -> None:
    if measure.id.endswith("_z"):
        assert measure.unit == "z-score"
    if measure.id.endswith("_percent"):
        assert (measure.unit, measure.minimum, measure.maximum) == ("percent", 0, 100)
    if measure.id.endswith("_fraction"):
        assert (measure.unit, measure.minimum, measure.maximum) == ("fraction", 0, 1)
    if measure.id.endswith("_copy_number"):
        assert measure.unit == "copies"
    if measure.id.endswith(("_amplified", "_mutated", "_loss", "_positive", "_high")):
        assert measure.kind == "binary"


def test_the_core_columns_are_those_of_the_five_core_biomarkers() -> None:
    assert {m.id for m in measures().values() if m.core} == CORE


@pytest.mark.parametrize(
    ("column", "toward"),
    [
        *[("slc46a3_mrna_z", -1), ("slc46a3_loss", 1), ("pten_h_score", -1), ("pten_loss", 1), ("nf1_loss", 1)],
        *[("ccnb1_mrna_z", -1), ("atp6v1a_mrna_z", -1), ("ctsb_mrna_z", -1), ("epha5_mrna_z", -1)],
        *[("prkca_mrna_z", -1), ("ankrd44_mrna_z", -1), ("mir126_z", -1), ("cdkn1b_percent", -1)],
        *[("top1_mrna_z", -1), ("top1_mutated", 1), ("lysosomal_ph", 1), ("rab5a_mrna_z", 1)],
        *[("her2_ihc", 1), ("her2_cep17_copies", 0), ("pam50_subtype", 0), ("abcb1_mrna_z", 1)],
    ],
)
def test_a_value_points_toward_the_encoded_state_or_away_from_it(column: str, toward: int) -> None:
    assert measures()[column].toward_state == toward


@pytest.mark.parametrize(
    ("column", "routes", "sign"),
    [
        ("her2_ihc", [T_DM1], 1),
        ("her2_ihc", [T_DM1, T_DXD], 1),
        ("her2_ihc", [T_DM1, "auristatin_cleavable"], 0),  # no effect on RC48
        ("slc46a3_mrna_z", [T_DM1], 1),  # loss resists, so response rises with expression
        ("slc46a3_mrna_z", [T_DM1, T_DXD], 0),
        ("her2_heterogeneous", [T_DM1, T_DXD], -1),
        ("p95her2_positive", [T_DM1], 0),  # unknown
        ("pten_loss", [T_DM1], 0),  # conflicting
        ("slx4_mutated", [T_DXD], 0),  # acquired
        ("cdkn1b_percent", [T_DM1], 0),  # dropped
        ("cdk12_amplified", [T_DM1], 0),  # only given ERBB2
        ("her2_ihc", [], 0),
    ],
)
def test_a_monotone_sign_is_derived_only_where_every_route_agrees(column: str, routes: list[Route], sign: int) -> None:
    assert monotone_sign(column, routes) == sign


@given(column=st.sampled_from(sorted(measures())), routes=st.lists(st.sampled_from(ROUTES), max_size=4))
def test_a_wider_cohort_never_gains_a_monotone_sign(column: str, routes: list[Route]) -> None:
    sign = monotone_sign(column, routes)
    for route in ROUTES:
        wider = monotone_sign(column, [*routes, route])
        assert wider in (0, sign) or not routes


@given(column=st.sampled_from(sorted(measures())), route=st.sampled_from(ROUTES))
def test_an_acquired_or_dropped_biomarker_never_constrains_a_model(column: str, route: Route) -> None:
    biomarker = biomarker_of()[column]
    if not (biomarker.baseline and biomarker.usable):
        assert monotone_sign(column, [route]) == 0


def test_every_route_but_the_contrast_is_taken_by_a_her2_targeted_adc() -> None:
    taken = {adc.route for adc in adcs().values() if adc.her2_targeted}
    assert set(ROUTES) - taken == {"trastuzumab"}


def test_the_catalogue_cannot_be_changed_by_its_readers() -> None:
    record = biomarkers()["her2_protein"]
    with pytest.raises(TypeError):
        operator.setitem(biomarkers(), "other", record)
    for field in ("label", "baseline"):
        with pytest.raises(AttributeError):
            setattr(record, field, "other")
