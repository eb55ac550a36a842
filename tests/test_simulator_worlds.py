"""Worlds: draws of all effect sizes around their best estimates."""

from __future__ import annotations

import numpy as np
import pytest

from features.synthetic.calibration import regimen_offsets
from features.synthetic.fitted_parameters import fitted_effects, regimen_calibrations
from features.synthetic.parameters import constants, effects
from features.synthetic.worlds import SIZE_SPREAD, draw_world

WORLDS = [draw_world(seed) for seed in range(1, 401)]


def ratios(effect: str, route: str) -> np.ndarray:
    """Effect of each world over the best estimate."""
    best = draw_world(0).effect_sizes[effect, route]
    return np.array([w.effect_sizes[effect, route] / best for w in WORLDS])


def test_world_zero_holds_the_best_estimates() -> None:
    world = draw_world(0)
    for effect in effects().values():
        for route in effect.cells:
            expected = effect.best_estimate(route) * fitted_effects().get(effect.id, 1.0)
            assert world.effect_sizes.get((effect.id, route), 0.0) == pytest.approx(expected)


def test_a_seed_names_a_world() -> None:
    assert draw_world(12) == draw_world(12)
    assert draw_world(12) != draw_world(13)


@pytest.mark.parametrize(
    ("effect", "route"),
    [
        ("early_endosome", "maytansinoid_noncleavable"),
        ("mrp1", "topoisomerase1_cleavable"),
        ("slc46a3_export", "maytansinoid_noncleavable"),
        ("pten", "maytansinoid_noncleavable"),
        ("cdk12", "topoisomerase1_cleavable"),
    ],
)
def test_signs_turn_as_often_as_stated_and_sizes_spread_with_the_evidence(effect: str, route: str) -> None:
    found = ratios(effect, route)
    record = effects()[effect]
    assert np.mean(found < 0) == pytest.approx(record.sign_wrong, abs=0.08)
    assert np.std(np.log(np.abs(found))) == pytest.approx(SIZE_SPREAD[record.evidence], rel=0.15)
    assert np.median(np.abs(found)) == pytest.approx(1.0, abs=0.12)


def test_better_evidence_means_a_narrower_spread_and_fewer_wrong_signs() -> None:
    assert SIZE_SPREAD["clinical_trial"] < SIZE_SPREAD["clinical_retrospective"] < SIZE_SPREAD["preclinical"]
    trial = max(e.sign_wrong for e in effects().values() if e.evidence == "clinical_trial")
    preclinical = min(e.sign_wrong for e in effects().values() if e.evidence == "preclinical")
    assert trial < preclinical


def test_conflicting_evidence_has_either_sign() -> None:
    assert all(e.sign_wrong == 0.5 for e in effects().values() if e.evidence == "conflicting")


def test_constants_without_uncertainty_are_the_same_in_every_world() -> None:
    for name, constant in constants().items():
        values = {w.constants[name] for w in WORLDS[:50]}
        assert (len(values) == 1) == (constant.evidence is None), name


def test_shares_of_a_dose_stay_below_one() -> None:
    for world in WORLDS:
        for name, value in world.constants.items():
            assert value >= 0.0
            assert not name.startswith(("unspecific_", "bystander_")) or value < 1.0


def test_offsets_of_another_world_differ_and_cover_every_regimen() -> None:
    best, drawn = regimen_offsets(0), regimen_offsets(3)
    assert set(best) == set(drawn) == set(regimen_calibrations())
    assert any(abs(best[key] - drawn[key]) > 0.01 for key in best)
