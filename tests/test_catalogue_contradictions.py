"""What the evidence says not to build on is not built on: one test per contradiction that touches a record."""

from __future__ import annotations

import pytest

from features.adcs import adcs
from features.biomarkers import Biomarker, Direction, Route, biomarker_of, biomarkers, measures
from features.trials import trials

T_DM1: Route = "maytansinoid_noncleavable"
ARX788: Route = "auristatin_noncleavable"
RC48: Route = "auristatin_cleavable"
T_DXD: Route = "topoisomerase1_cleavable"
SYD985: Route = "alkylator_cleavable"
TRASTUZUMAB: Route = "trastuzumab"


def row(evidence_row: str) -> Biomarker:
    """Biomarker of a row of the evidence table."""
    return next(b for b in biomarkers().values() if b.evidence_row == evidence_row)


def direction(evidence_row: str, route: Route) -> Direction:
    """Direction of a row on a route; unknown where none is listed."""
    claim = row(evidence_row).directions.get(route)
    return Direction.UNKNOWN if claim is None else claim.direction


def test_a1_p95her2_and_her2_delta16_are_two_biomarkers_without_a_common_column_or_name() -> None:
    p95, delta16 = row("P95HER2"), row("HER2_D16")
    names = [{n.casefold() for m in b.measures for n in (m.id, *m.synonyms)} for b in (p95, delta16)]
    assert not names[0] & names[1]
    assert not any("16" in name for name in names[0])
    assert not any("p95" in name for name in names[1])
    assert "keeps the trastuzumab epitope" in delta16.note


def test_a2_the_share_of_p95her2_positive_patients_is_not_that_of_the_delta16_transcript() -> None:
    (p95,) = row("P95HER2").prevalence
    assert (p95.fraction, p95.low, p95.high) == (0.30, 0.20, 0.40)
    (delta16,) = row("HER2_D16").prevalence
    assert (delta16.fraction, delta16.low, delta16.high) == (None, 0.02, 0.09)
    assert "transcript" in delta16.population


def test_a3_p95her2_on_trastuzumab_conflicts_and_its_ratio_is_a_column() -> None:
    assert direction("P95HER2", TRASTUZUMAB) is Direction.CONFLICTING
    assert direction("P95HER2", T_DXD) is Direction.DECREASE
    assert "p95her2_ratio" in measures()
    for source in ("chumsri2018", "sperinde2018"):
        assert source in row("P95HER2").conflicts


def test_a4_delta16_has_no_sign() -> None:
    assert direction("HER2_D16", TRASTUZUMAB) is Direction.CONFLICTING
    assert {direction("HER2_D16", r) for r in (T_DM1, ARX788, RC48, T_DXD, SYD985)} == {Direction.UNKNOWN}
    assert "volpi2019" in row("HER2_D16").conflicts


def test_a5_89_percent_is_no_prevalence_of_delta16() -> None:
    for evidence_row in ("HER2_D16", "NODE_POS"):
        assert all(0.89 not in (p.fraction, p.low, p.high) for p in row(evidence_row).prevalence)


@pytest.mark.parametrize("evidence_row", ["HER2_IHC", "HER2_MRNA", "HER2_CEP17"])
def test_a6_the_her2_level_raises_the_response_on_t_dm1(evidence_row: str) -> None:
    assert direction(evidence_row, T_DM1) is Direction.INCREASE
    assert evidence_row == "HER2_CEP17" or "hazard ratio" in row(evidence_row).conflicts + row(evidence_row).note


def test_a7_pik3ca_has_no_effect_on_adcs_and_pten_conflicts_on_t_dm1() -> None:
    assert {direction("PIK3CA", r) for r in (T_DM1, ARX788, RC48, T_DXD)} == {Direction.NONE}
    assert direction("PIK3CA", TRASTUZUMAB) is Direction.DECREASE
    assert direction("PTEN", T_DM1) is Direction.CONFLICTING


def test_a8_a_direction_known_only_for_trastuzumab_is_never_given_to_an_adc() -> None:
    rows = [b.evidence_row for b in biomarkers().values() if b.evidence_row]
    assert sum(direction(r, T_DM1) is Direction.UNKNOWN for r in rows) == 83
    assert sum(direction(r, T_DXD) is Direction.UNKNOWN for r in rows) == 93
    for evidence_row in ("WNT3_CTNNB1", "NT5E", "NOTCH1", "IGF1R", "MET", "SRC", "AXL", "FASN"):
        assert direction(evidence_row, TRASTUZUMAB) is Direction.DECREASE
        assert direction(evidence_row, T_DM1) is Direction.UNKNOWN


def test_a9_slc46a3_is_spelt_right_and_matters_for_a_maytansinoid_on_a_stable_linker_only() -> None:
    slc46a3 = row("SLC46A3")
    assert slc46a3.symbol == "SLC46A3"
    assert direction("SLC46A3", T_DM1) is Direction.DECREASE
    assert {direction("SLC46A3", r) for r in (ARX788, RC48, T_DXD)} == {Direction.NONE}
    # The misspellings are met in files, so they stay names of the column.
    assert biomarker_of()["slc46a3_mrna_z"] is slc46a3
    assert any("LSC46A3" in name for name in measures()["slc46a3_mrna_z"].synonyms)


def test_a10_cav1_is_a_weak_decrease_and_never_an_efficacy_claim() -> None:
    assert direction("CAV1", T_DM1) is Direction.DECREASE
    assert row("CAV1").evidence_level == "preclinical"
    assert "Low weight" in row("CAV1").conflicts
    assert {direction("CAV1", r) for r in (RC48, T_DXD)} == {Direction.UNKNOWN}


def test_a11_endophilin_keeps_prognosis_and_sensitivity_apart() -> None:
    assert direction("SH3GL1", T_DM1) is Direction.INCREASE
    assert "prognostic and predictive" in row("SH3GL1").note


def test_a12_rab5a_raises_response_on_t_dm1_and_not_on_trastuzumab() -> None:
    assert direction("RAB5A", T_DM1) is Direction.INCREASE
    assert direction("RAB5A", TRASTUZUMAB) is Direction.NONE


def test_a13_the_sign_of_cdk12_holds_only_given_erbb2() -> None:
    assert row("CDK12").conditional_on == "ERBB2"
    assert direction("CDK12", T_DM1) is Direction.DECREASE
    assert row("CDK12").prevalence[0].fraction == 0.90


def test_a14_each_transporter_has_the_payloads_it_was_shown_for() -> None:
    assert {direction("ABCB1", r) for r in (T_DM1, RC48, T_DXD)} == {Direction.DECREASE}
    assert direction("ABCB1", ARX788) is Direction.UNKNOWN
    for evidence_row in ("ABCG2", "ABCC1"):
        assert direction(evidence_row, T_DXD) is Direction.DECREASE
        assert direction(evidence_row, T_DM1) is Direction.UNKNOWN


@pytest.mark.parametrize("evidence_row", ["SLX4", "HER2_LOSS", "ERBB2_D582N", "IFN_ALPHA", "SEROTONIN_GPCR"])
def test_a15_what_is_acquired_or_seen_under_therapy_is_no_baseline_feature(evidence_row: str) -> None:
    assert not row(evidence_row).baseline


def test_a16_uptake_and_her2_class_is_called_weak() -> None:
    assert "weak monotone trend" in row("HER2_IHC").note


def test_a17_d582n_and_slx4_are_both_kept_and_the_single_report_is_marked() -> None:
    assert "single report" in row("ERBB2_D582N").note
    assert row("SLX4").measures[0].id == "slx4_mutated"


@pytest.mark.parametrize("evidence_row", ["ERBB2_MUT", "ERBB2_L755S"])
def test_a18_erbb2_mutation_has_no_effect_on_adcs(evidence_row: str) -> None:
    assert direction(evidence_row, T_DM1) is Direction.NONE
    assert direction(evidence_row, T_DXD) is Direction.NONE
    assert direction(evidence_row, TRASTUZUMAB) is Direction.DECREASE


def test_a19_baseline_pdl1_and_til_raise_the_response() -> None:
    assert direction("PDL1", T_DM1) is Direction.INCREASE
    assert direction("PDL1", TRASTUZUMAB) is Direction.CONFLICTING
    assert direction("CD8_TIL", T_DM1) is Direction.INCREASE
    assert "no baseline predictor" in row("PDL1").note


@pytest.mark.parametrize("evidence_row", ["CDKN1B", "MIR221"])
def test_a20_a21_a_sign_that_its_review_contradicts_is_dropped(evidence_row: str) -> None:
    assert not row(evidence_row).usable
    assert direction(evidence_row, TRASTUZUMAB) is Direction.CONFLICTING


def test_only_the_two_dropped_biomarkers_are_unusable() -> None:
    assert {b.evidence_row for b in biomarkers().values() if not b.usable} == {"CDKN1B", "MIR221"}


def test_a22_the_receptor_is_ror1() -> None:
    assert row("ROR1").symbol == "ROR1"
    assert "ror1_mrna_z" in measures()
    assert not any("ror2" in name for name in measures())


def test_a23_heterogeneity_has_a_strict_and_a_loose_prevalence() -> None:
    strict, loose, _ = row("HER2_ITH").prevalence
    assert ("strict" in strict.population, strict.fraction, strict.source) == (True, 0.10, "metzger2021")
    assert ("loose" in loose.population, loose.fraction, loose.low, loose.high) == (True, 0.20, 0.16, 0.36)
    assert "strict definition only" in row("HER2_ITH").note


def test_a24_ihc_3_needs_more_than_10_percent_of_cells() -> None:
    assert "more than 10% of tumour cells" in row("HER2_IHC").note


def test_a25_15_to_20_percent_of_breast_cancers_are_her2_positive() -> None:
    positive = row("HER2_IHC").prevalence[0]
    assert (positive.low, positive.high) == (0.15, 0.20)


@pytest.mark.parametrize("evidence_row", ["WNT3_CTNNB1", "GSE1", "CCNE1", "VATPASE", "LYSO_PH", "CAV1"])
def test_a26_gastric_data_count_as_preclinical_and_are_named(evidence_row: str) -> None:
    biomarker = row(evidence_row)
    assert biomarker.evidence_level == "preclinical"
    assert "gastric" in f"{biomarker.note} {biomarker.conflicts}".casefold()


def test_a27_symbols_that_the_reviews_garble_are_right() -> None:
    assert row("FCGR3A").symbol == "FCGR3A"
    assert "TGFBI" in row("TGFB1_NMU").note
    assert row("TGFB1_NMU").symbol == "TGFB1"
    assert "MIB1 ubiquitin ligase" in row("PRKCA").note
    assert biomarker_of()["ki67_percent"].symbol == "MKI67"


# Trials and ADCs


def test_b1_destiny_breast03_has_its_own_numbers() -> None:
    rates = {r.regimen: r.value for r in trials().values() if r.trial == "DESTINY-Breast03" and r.endpoint == "ORR"}
    assert rates == {"T-DXd": 79.7, "T-DM1": 34.2}
    assert (trials()["TR038"].trial, trials()["TR038"].value) == ("DESTINY-Breast01", 60.9)


def test_b2_clinical_benefit_is_not_called_response() -> None:
    assert trials()["TR041"].endpoint == "CBR_6mo"


def test_b3_syd985_rates_from_reviews_do_not_calibrate_and_tulip_does() -> None:
    assert (trials()["TR077"].value, trials()["TR077"].calibrates) == (33.0, False)
    assert not trials()["TR078"].calibrates
    assert (trials()["TR075"].value, trials()["TR075"].calibrates) == (27.8, True)
    assert (trials()["TR076"].value, trials()["TR076"].calibrates) == (7.0, True)


def test_b4_the_registry_number_of_syd985_is_that_of_its_paper() -> None:
    assert any("NCT02277717" in trial for trial in adcs()["SYD985"].trial_ids)
    assert not any("NCT04602117" in trial for trial in adcs()["SYD985"].trial_ids)


def test_b5_zw49_is_one_drug() -> None:
    assert [adc.id for adc in adcs().values() if "zovodotin" in adc.name] == ["ZW49"]


def test_b6_the_heterogeneity_result_belongs_to_metzger_and_not_to_kristine() -> None:
    assert trials()["TR034"].trial == "Metzger Filho phase II"
    assert not any("heterogeneous" in r.subgroup for r in trials().values() if r.trial == "KRISTINE")


def test_b7_ace_breast_03_is_arx788_and_destiny_breast12_is_phase_3b_4() -> None:
    assert any("ACE-Breast-03" in trial for trial in adcs()["ARX788"].trial_ids)
    assert "3b/4" in trials()["TR059"].note


def test_b8_misprints_of_table_1_are_mended() -> None:
    assert adcs()["moxetumomab pasudotox"].linker == "none (fusion protein)"
    assert adcs()["sacituzumab govitecan"].dar == 7.6
    assert "status" in adcs()["Dato-DXd"].unverified_fields


def test_b9_unusable_numbers_of_wang2022_have_no_value_or_never_calibrate() -> None:
    assert trials()["TR112"].value is None
    assert not any(trials()[i].calibrates for i in ("TR108", "TR110", "TR112", "TR113"))


def test_b10_the_dual_payload_adc_supports_no_claim_over_t_dm1() -> None:
    assert "no claim over T-DM1" in adcs()["Tmab-vcMMAE-SMCC-DM1"].note


def test_b11_the_i_spy2_prediction_is_no_anchor_of_the_adc_alone() -> None:
    assert (trials()["TR035"].endpoint, trials()["TR035"].calibrates) == ("predicted_pCR", False)


def test_b12_adcs_that_were_dropped_say_so() -> None:
    assert "discontinued" in adcs()["BDC-1001"].status
    assert "abandoned" in adcs()["XMT-1522"].status
    assert "deprioritised" in adcs()["ZW49"].status


def test_b13_the_protac_conjugate_degrades_brd4() -> None:
    assert "BRD4" in adcs()["trastuzumab-PROTAC"].payload
    assert "HER2-dependent degradation of BRD4" in adcs()["trastuzumab-PROTAC"].note


# The interactions of biomarkers with payload and linker, cell by cell: T-DM1, ARX788, RC48, T-DXd.


@pytest.mark.parametrize(
    ("evidence_row", "signs"),
    [
        ("HER2_ITH", "- - 0 -"),
        ("HER2_IHC", "+ + 0 +"),  # the same line, seen from high HER2
        ("SLC46A3", "- 0 0 0"),
        ("VATPASE", "- - 0 -"),
        ("LYSO_PH", "- - 0 -"),
        ("CATHEPSIN", "- - 0 -"),
        ("CAV1", "- - ? ?"),
        ("ABCB1", "- ? - -"),
        ("ABCG2", "? ? ? -"),
        ("ABCC1", "? ? ? -"),
        ("NF1", "+ + + 0"),
        ("SLX4", "0 0 0 -"),
        ("CCNE1", "? 0 0 -"),
        ("DDR_UP", "- 0 0 -"),
        ("CCNB1", "- ? ? 0"),
        ("PLK1", "- ? ? 0"),
        ("TUBB3", "- ? ? 0"),
        ("RAB5A", "+ ? ? ?"),
        ("SH3GL1", "+ ? ? ?"),
        ("PIK3CA", "0 0 0 0"),
        ("MAPK_ALT", "0 0 0 0"),
        ("P95HER2", "? ? ? -"),
    ],
)
def test_an_interaction_with_payload_and_linker_is_as_in_the_evidence(evidence_row: str, signs: str) -> None:
    words = {"+": Direction.INCREASE, "-": Direction.DECREASE, "0": Direction.NONE, "?": Direction.UNKNOWN}
    found = [direction(evidence_row, route) for route in (T_DM1, ARX788, RC48, T_DXD)]
    assert found == [words[sign] for sign in signs.split()]


@pytest.mark.parametrize("evidence_row", ["CAV1", "ABCB1", "ABCG2", "ABCC1", "CCNB1", "PLK1", "TUBB3", "RAB5A"])
def test_a_cell_without_evidence_says_so(evidence_row: str) -> None:
    claims = row(evidence_row).directions
    empty = [claims[route] for route in (ARX788, RC48) if claims[route].direction is Direction.UNKNOWN]
    assert all("No evidence found" in claim.note for claim in empty)
