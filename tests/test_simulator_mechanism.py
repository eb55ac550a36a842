"""The ADC's way through the cell: each step does what it claims, to the payloads it claims, and to no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.adcs import adcs
from features.biomarkers import Direction, biomarker_of, measures
from features.synthetic import mechanism
from features.synthetic.anchors import arm_tumours
from features.synthetic.oracle import intervene, interventions
from features.synthetic.parameters import COMPARATOR_ROUTE, effects, modelled_adcs
from features.synthetic.worlds import draw_world

ARM = "DAISY T-DXd"
EARLY_ARM = "KRISTINE T-DM1+pertuzumab"
ROUTES = dict.fromkeys(a.route for a in modelled_adcs().values())
doses = st.floats(1e-6, 20.0)
fractions = st.floats(0.0, 1.0)
modifiers = st.floats(-3.0, 3.0)
steps_up = st.floats(1e-3, 2.0)


def one(value: float) -> np.ndarray:
    return np.array([value])


@given(level=st.floats(3.0, 7.5), rise=steps_up, modifier=modifiers)
def test_more_receptors_and_less_masking_leave_more_antigen_to_reach(
    level: float, rise: float, modifier: float
) -> None:
    before = mechanism.accessible_antigen(one(level), modifier)
    assert mechanism.accessible_antigen(one(level + rise), modifier) > before
    assert mechanism.accessible_antigen(one(level), modifier + rise) > before


@given(receptors=st.floats(1e3, 1e7), rise=steps_up)
def test_more_antigen_binds_more_antibody_and_ever_less_per_receptor(receptors: float, rise: float) -> None:
    half = 10.0**6.2
    before = mechanism.bound_antibody(one(receptors), half)
    after = mechanism.bound_antibody(one(receptors * (1.0 + rise)), half)
    assert before < after < before * (1.0 + rise)
    assert after < 2.0


def test_a_cell_at_half_saturation_binds_the_reference_dose() -> None:
    assert mechanism.bound_antibody(one(10.0**6.2), 10.0**6.2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "step", ["internalised", "lysosomal_processing", "lysosomal_escape", "efflux", "payload_effect"]
)
@given(dose=doses, modifier=modifiers, rise=steps_up)
def test_each_step_passes_on_more_for_a_higher_dose_and_a_higher_modifier(
    step: str, dose: float, modifier: float, rise: float
) -> None:
    act = getattr(mechanism, step)
    assert act(one(dose * (1.0 + rise)), modifier) > act(one(dose), modifier)
    assert act(one(dose), modifier + rise) > act(one(dose), modifier)
    assert act(one(dose), 0.0) == dose


@given(dose=st.floats(0.0, 0.99), share=st.floats(0.01, 0.9), rise=st.floats(0.01, 0.09))
def test_payload_that_needs_no_antigen_helps_cells_with_little_of_it(dose: float, share: float, rise: float) -> None:
    assert mechanism.payload_in_cell(one(dose), share + rise) > mechanism.payload_in_cell(one(dose), share)
    assert mechanism.payload_in_cell(one(1.0), share) == pytest.approx(1.0)


@given(dose=doses, fraction=st.floats(0.0, 0.98), more=st.floats(0.01, 0.02), permeability=fractions)
def test_the_bystander_dose_falls_with_the_share_of_negative_cells(
    dose: float, fraction: float, more: float, permeability: float
) -> None:
    few = mechanism.bystander_dose(one(dose), one(fraction), permeability, 3.0)
    many = mechanism.bystander_dose(one(dose), one(fraction + more), permeability, 3.0)
    assert 0.0 <= many <= few <= dose


def test_a_payload_that_cannot_cross_membranes_has_no_bystander_dose() -> None:
    assert mechanism.bystander_dose(one(2.0), one(0.5), 0.0, 3.0) == 0.0
    assert mechanism.bystander_dose(one(2.0), one(1.0), 0.8, 3.0) == 0.0


@given(positive=doses, negative=doses, fraction=fractions, rise=steps_up)
def test_the_tumour_kill_rises_with_both_doses(positive: float, negative: float, fraction: float, rise: float) -> None:
    def kill(first: float, second: float) -> float:
        return float(mechanism.tumour_kill(one(first), one(second), one(fraction), 3.0)[0])

    before = kill(positive, negative)
    assert before > 0.0
    assert kill(positive + rise, negative) >= before
    assert kill(positive, negative + rise) >= before


@given(dose=doses, fraction=st.floats(0.01, 1.0))
def test_untouched_negative_cells_bound_the_kill_whatever_happens_to_the_others(dose: float, fraction: float) -> None:
    kill = mechanism.tumour_kill(one(dose), one(0.0), one(fraction), 3.0)
    assert kill[0] <= -np.log(fraction) + 1e-9


def test_a_tumour_of_one_cell_population_is_killed_in_proportion_to_the_dose() -> None:
    assert mechanism.tumour_kill(one(0.7), one(0.0), one(0.0), 3.0)[0] == pytest.approx(2.1)


def expected_sign(measure: str, adc: str, endpoint: str) -> int:
    """Direction that the cells of all effects of a measure give for one ADC; they never oppose one another."""
    profile = modelled_adcs()[adc]
    signs = {
        int(np.sign(effect.best_estimate(profile.route)))
        for effect in effects().values()
        if effect.measure == measure
        and endpoint in effect.endpoints
        and not (effect.step == "accessible_antigen" and profile.target != "HER2")
    } - {0}
    assert len(signs) <= 1
    return signs.pop() if signs else 0


@pytest.mark.parametrize("adc", list(modelled_adcs()))
@pytest.mark.parametrize("measure", list(dict.fromkeys(e.measure for e in effects().values())))
def test_every_biomarker_moves_exactly_the_payloads_that_its_cells_name_and_in_their_direction(
    adc: str, measure: str
) -> None:
    for endpoint in ("objective_response", "pcr"):
        low, high = (
            mechanism.response_index(intervene(arm_tumours(ARM), measure, value), adc, draw_world(0), endpoint)
            for value in (0.1, 0.9)
        )
        assert np.all(np.sign(high - low) == expected_sign(measure, adc, endpoint))


@pytest.mark.parametrize("effect", list(effects().values()), ids=lambda e: e.id)
def test_a_question_mark_is_zero_in_every_world(effect: object) -> None:
    for world in range(1, 30):
        for route in ROUTES:
            if effect.cells.get(route, "?") in ("?", 0):
                assert (effect.id, route) not in draw_world(world).effect_sizes


def test_slc46a3_matters_to_the_noncleavable_maytansinoid_alone() -> None:
    cells = effects()["slc46a3_export"].cells
    assert {route for route, cell in cells.items() if cell not in ("?", 0)} == {"maytansinoid_noncleavable"}


def test_cleavable_linkers_need_less_lysosomal_acidity() -> None:
    size = effects()["lysosomal_acidity"].best_estimate
    assert size("maytansinoid_noncleavable") > size("topoisomerase1_cleavable") > size("auristatin_cleavable") == 0.0


#: Cells that differ from the catalogue's direction, and why.
DEPARTURES = {
    ("p95_epitope_loss", "topoisomerase1_cleavable"): "acts through the immune route, by an effect of its own",
    ("pten", "maytansinoid_noncleavable"): "conflicting: small, and of either sign in half of the worlds",
    ("hormone_receptor_pcr", "topoisomerase1_cleavable"): "conflicting between pCR and metastatic response",
    ("earlier_lines", "auristatin_noncleavable"): "treatment history is common to all drugs",
    ("earlier_lines", "auristatin_cleavable"): "treatment history is common to all drugs",
    ("earlier_lines", "alkylator_cleavable"): "treatment history is common to all drugs",
}


@pytest.mark.parametrize("effect", list(effects().values()), ids=lambda e: e.id)
def test_the_sign_of_every_cell_is_the_catalogue_s_direction(effect: object) -> None:
    toward = measures()[effect.measure].toward_state or 1
    expected = {Direction.INCREASE: 1, Direction.DECREASE: -1, Direction.NONE: 0}
    for route in effect.cells:
        if route == COMPARATOR_ROUTE or (effect.id, route) in DEPARTURES:
            continue
        claim = biomarker_of()[effect.measure].directions.get(route)
        known = None if claim is None else expected.get(claim.direction)
        assert np.sign(effect.best_estimate(route)) * toward == (known or 0), (effect.id, route)


@pytest.mark.parametrize("adc", list(modelled_adcs()))
def test_route_and_target_of_a_modelled_adc_are_the_catalogue_s(adc: str) -> None:
    assert modelled_adcs()[adc].route == adcs()[adc].route
    assert adcs()[adc].target.startswith(modelled_adcs()[adc].target)


@pytest.mark.parametrize("adc", list(modelled_adcs()))
def test_an_adc_has_a_bystander_dose_only_if_the_catalogue_does_not_deny_it(adc: str) -> None:
    reaches_neighbours = draw_world(0).constants[f"bystander_{adc}"] > 0.0
    assert reaches_neighbours != (adcs()[adc].bystander is False)


def test_heterogeneity_costs_t_dm1_far_more_than_t_dxd() -> None:
    tumours = arm_tumours(EARLY_ARM)
    loss = {}
    for adc in ("T-DM1", "T-DXd"):
        whole, mixed = (
            mechanism.response_index(intervene(tumours, "her2_negative_fraction", f), adc, draw_world(0), "pcr")
            for f in (0.03, 0.7)
        )
        loss[adc] = float(np.mean(whole - mixed))
    assert loss["T-DM1"] > 3.0
    assert loss["T-DM1"] > 3.0 * loss["T-DXd"] > 0.0


@settings(max_examples=25, deadline=None)
@given(world=st.integers(0, 2**63 - 1), adc=st.sampled_from(list(modelled_adcs())))
def test_the_index_is_finite_for_every_tumour_in_every_world(world: int, adc: str) -> None:
    index = mechanism.response_index(arm_tumours(ARM, 256), adc, draw_world(world), "objective_response")
    assert np.isfinite(index).all()


def test_a_constant_of_the_world_changes_the_step_it_belongs_to() -> None:
    world = draw_world(0)
    leaky = replace(world, constants={**world.constants, "bystander_T-DM1": 0.8})
    mixed = intervene(arm_tumours(EARLY_ARM), "her2_negative_fraction", 0.6)
    before = mechanism.cells(mixed, "T-DM1", world, "pcr")
    after = mechanism.cells(mixed, "T-DM1", leaky, "pcr")
    np.testing.assert_array_equal(before.dose_positive, after.dose_positive)
    assert np.all(after.dose_negative > before.dose_negative)
    assert np.all(after.kill > before.kill)


def test_every_cause_has_an_intervention() -> None:
    keys = {i.key for i in interventions().values()}
    assert {e.measure for e in effects().values()} <= keys | {"pam50_her2_enriched"}
