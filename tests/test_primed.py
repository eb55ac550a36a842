"""Literature and cohort together: Laplace fits, signs held or released, trees equal to sums, doubt in the mixture."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from features.cohort import Cohort, CohortSource
from features.feature_table import build_schema, encode
from features.synthetic import simulate_cohort
from training.cohort_prior import CohortPrior
from training.column_scores import MOST_BINS, bin_column, column_scale
from training.laplace import NormalPrior, constrained_mode, posterior
from training.primed import Primed
from training.primed_trees import PrimedTrees, matched_intercept, primed_trees
from training.prior import build_prior
from training.prior_trees import steps_of
from training.prior_worlds import PriorSettings
from training.stacking import mixing_weight
from training.tree_text import Leaf, Split, binned_tree, combine, trees_text, where

OUTCOMES = ["pcr", "objective_response", "best_response", "pfs_months", "pfs_event", "data_origin", "cohort", "site"]


class Fitted:
    """A primed model of simulated patients, and what it was fitted to."""

    def __init__(self, count: int, adcs: list[str], *, reverse: bool = False) -> None:
        simulated = simulate_cohort(count, 21, world=9, adcs=adcs, setting="metastatic").patients
        self.outcome = simulated["objective_response"].to_numpy(dtype=int)
        if reverse:
            self.outcome = 1 - self.outcome
        patients = simulated.drop(columns=OUTCOMES)
        schema = build_schema(Cohort(CohortSource("t", None, ""), patients, tuple(range(count)), count))
        self.matrix = encode(patients, schema).to_numpy()
        prior = build_prior(PriorSettings(worlds=16, patients=600), None)
        self.prior: CohortPrior = prior.of_cohort(schema, adcs, "objective_response")
        self.expected = self.prior.trees.parts(self.matrix)
        self.primed = Primed(self.prior, self.expected, self.matrix, self.outcome)
        self.trees: PrimedTrees = primed_trees(self.primed, self.matrix)
        self.booster = lightgbm.Booster(model_str=combine([self.trees.text], [1.0]))


@pytest.fixture(scope="module")
def one_drug() -> Fitted:
    return Fitted(250, ["T-DM1"])


@pytest.fixture(scope="module")
def two_drugs() -> Fitted:
    return Fitted(250, ["T-DM1", "T-DXd"])


@pytest.fixture(scope="module")
def contradicting() -> Fitted:
    return Fitted(500, ["T-DM1"], reverse=True)


# -- Laplace -----------------------------------------------------------------------------------------------------


def test_without_patients_the_posterior_is_the_prior() -> None:
    fit = posterior(np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros(0), np.array([1.0, 4.0, 0.25]))
    np.testing.assert_allclose(fit.mode, 0)
    np.testing.assert_allclose(fit.variances(np.eye(3)), [1.0, 0.25, 4.0])
    assert fit.log_evidence == pytest.approx(0.0)


def test_with_a_flat_prior_the_mode_is_the_maximum_of_the_likelihood() -> None:
    # Half of 10 and nine of 10: log-odds 0 and ln 9.
    design = np.repeat([[1.0, 0.0], [1.0, 1.0]], 10, axis=0)
    outcome = np.array([1] * 5 + [0] * 5 + [1] * 9 + [0])
    fit = posterior(design, outcome, np.zeros(20), np.full(2, 1e-9))
    np.testing.assert_allclose(fit.mode, [0.0, np.log(9)], atol=1e-6)
    # Inverse of the Fisher information of a 2 x 2 table: 1/5 + 1/5 + 1/9 + 1/1.
    assert fit.variances(np.array([[0.0, 1.0]]))[0] == pytest.approx(0.2 + 0.2 + 1 / 9 + 1, rel=1e-4)


def test_evidence_prefers_the_prior_that_the_outcomes_were_drawn_from() -> None:
    draws = np.random.default_rng(0)
    design = draws.normal(size=(400, 6))
    for size, expected in ((0.05, 100.0), (1.5, 0.5)):
        outcome = (draws.random(400) < expit(design @ draws.normal(0, size, 6))).astype(int)
        evidence = {p: posterior(design, outcome, np.zeros(400), np.full(6, p)).log_evidence for p in (100.0, 0.5)}
        assert max(evidence, key=lambda p: evidence[p]) == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_constrained_mode_keeps_its_signs_and_no_feasible_step_improves_it(seed: int) -> None:
    draws = np.random.default_rng(seed)
    design, truth = draws.normal(size=(80, 7)), draws.normal(size=7)
    outcome = (draws.random(80) < expit(design @ truth)).astype(int)
    signs = draws.choice([-1.0, 0.0, 1.0], 7)
    prior = NormalPrior(draws.normal(0, 0.3, 7), np.eye(7) * 2)
    found = constrained_mode(design, outcome, prior, signs, np.zeros(7))

    def log_likelihood(at: np.ndarray) -> float:
        return float(-np.logaddexp(0, -(2 * outcome - 1) * (design @ at)).sum())

    def log_joint(at: np.ndarray) -> float:
        away = at - prior.mean
        return log_likelihood(at) - float(away @ away)

    assert np.all(found.mode * signs >= 0)
    best = log_joint(found.mode)
    for _ in range(30):
        step = found.mode + draws.normal(0, 0.05, 7)
        assert log_joint(np.where(step * signs < 0, 0.0, step)) <= best + 1e-6
    held = np.flatnonzero(found.held)
    free = constrained_mode(design, outcome, prior, np.where(found.held, 0.0, signs), found.mode)
    if len(held) and np.all(free.mode * signs * ~found.held >= 0):
        won = log_likelihood(free.mode) - log_likelihood(found.mode)
        assert found.gain(held) == pytest.approx(won, rel=0.35, abs=0.1)


def test_a_sign_is_not_given_up_where_only_the_prior_pulls_against_it() -> None:
    # No patient tells anything of the second coefficient, and the prior would have it below 0.
    design = np.column_stack([np.ones(40), np.zeros(40)])
    outcome = np.array([0, 1] * 20)
    prior = NormalPrior(np.array([0.0, -3.0]), np.eye(2) * 4)
    found = constrained_mode(design, outcome, prior, np.array([0.0, 1.0]), np.zeros(2))
    assert found.mode[1] == 0
    assert found.gain(np.array([1])) == pytest.approx(0.0, abs=1e-9)


# -- bins and trees ----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), distinct=st.integers(2, 60))
def test_bins_keep_the_order_of_values_and_none_is_empty(seed: int, distinct: int) -> None:
    draws = np.random.default_rng(seed)
    values = draws.integers(0, distinct, 90).astype(float) ** 1.5
    values[:2] = [0.0, 1.0]
    scale = column_scale(values)
    assert scale is not None
    bins = bin_column(np.append(values, np.nan), scale)
    assert 2 <= len(bins.scores) <= max(MOST_BINS, 12)
    assert bins.counts.min() > 0
    assert bins.missing == 1
    assert np.all(np.diff(bins.scores) > 0)
    np.testing.assert_array_equal(np.bincount(bins.place(values)), bins.counts)
    assert bins.place(np.array([np.nan]))[0] == len(bins.scores)


def test_shapes_of_a_random_walk_are_centred_and_know_no_line_where_there_are_two_values() -> None:
    values = np.random.default_rng(1).normal(size=300)
    scale = column_scale(values)
    assert scale is not None
    bins = bin_column(values, scale)
    shapes, share = bins.shapes(), bins.counts / bins.counts.sum()
    assert shapes.shape == (len(bins.scores), 3)
    np.testing.assert_allclose(share @ shapes, 0, atol=0.01)
    assert 0.8 < (share @ shapes**2).sum() <= 1.0
    two = column_scale(np.array([0.0, 1.0, 1.0]))
    assert two is not None
    assert bin_column(np.array([0.0, 1.0, 1.0]), two).shapes().shape == (2, 0)


def model_of(trees: list[Split | Leaf], columns: int) -> lightgbm.Booster:
    data = np.random.default_rng(0).normal(size=(60, columns))
    settings = {"objective": "binary", "verbosity": -1, "num_leaves": 2, "min_data_in_leaf": 1}
    like = lightgbm.train(settings, lightgbm.Dataset(data, (data[:, 0] > 0).astype(int)), 1)
    return lightgbm.Booster(model_str=combine([trees_text(like.model_to_string(), trees)], [1.0]))


def test_a_tree_of_bins_gives_each_bin_its_value_and_the_missing_their_own() -> None:
    edges, values = np.array([0.0, 1.0, 2.5]), np.array([-1.0, 0.5, 0.5, 2.0])
    tree = binned_tree(1, edges, values, np.array([5, 6, 7, 8]), Leaf(0.25, 4))
    model = model_of([tree], 2)
    rows = np.column_stack([np.zeros(7), [-9.0, 0.0, 0.1, 1.0, 2.5, 2.6, np.nan]])
    np.testing.assert_array_equal(model.predict(rows, raw_score=True), [-1, -1, 0.5, 0.5, 0.5, 2.0, 0.25])
    shap = model.predict(rows, pred_contrib=True)
    np.testing.assert_allclose(shap.sum(axis=1), model.predict(rows, raw_score=True))
    assert tree.count == 30


def test_a_tree_of_a_route_adds_nothing_to_patients_of_another() -> None:
    inner = binned_tree(0, np.array([0.0]), np.array([-1.0, 1.0]), np.array([5, 5]), Leaf(0.0, 1))
    model = model_of([where([(1, 1.0), (2, 0.0)], inner, 9)], 3)
    rows = np.array([[2, 1, 0], [2, 0, 0], [2, 1, 1], [-2, 1, 0], [2, np.nan, 0], [2, 1, np.nan]], dtype=float)
    np.testing.assert_array_equal(model.predict(rows, raw_score=True), [1, 0, 0, -1, 0, 0])


def test_a_tree_of_a_level_knows_that_level_only() -> None:
    model = model_of([Split(0, Leaf(0.7, 3), Leaf(0.0, 5), level=4), Split(0, Leaf(0.1, 3), Leaf(0.0, 5), level=0)], 2)
    rows = np.column_stack([[4.0, 0.0, 1.0, np.nan, 40.0], np.zeros(5)])
    np.testing.assert_allclose(model.predict(rows, raw_score=True), [0.7, 0.1, 0, 0, 0])


# -- literature and cohort ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one_drug", "two_drugs"])
def test_the_trees_add_up_to_the_effects(name: str, request: pytest.FixtureRequest) -> None:
    fitted: Fitted = request.getfixturevalue(name)
    found = fitted.booster.predict(fitted.matrix, raw_score=True)
    np.testing.assert_allclose(found, fitted.trees.additive, atol=1e-9)


def _kept(fitted: Fitted) -> float:
    """Share of the literature's trees that is kept, steps counted by how much they tell patients apart."""
    spread = fitted.expected.std(axis=0)
    return float(spread @ fitted.trees.weights / spread.sum())


@pytest.mark.parametrize("name", ["one_drug", "two_drugs"])
def test_the_parts_of_the_steps_add_up_to_the_prior_trees(name: str, request: pytest.FixtureRequest) -> None:
    fitted: Fitted = request.getfixturevalue(name)
    whole = lightgbm.Booster(model_str=fitted.prior.trees.text).predict(fitted.matrix, raw_score=True)
    np.testing.assert_allclose(fitted.expected.sum(axis=1), whole, atol=1e-12)
    weights = np.linspace(0.0, 1.5, len(fitted.prior.trees.steps))
    weighted = lightgbm.Booster(model_str=fitted.prior.trees.weighted(weights))
    np.testing.assert_allclose(weighted.predict(fitted.matrix, raw_score=True), fitted.expected @ weights, atol=1e-12)


def test_a_step_tells_patients_apart_by_its_own_biomarkers_alone(two_drugs: Fitted) -> None:
    trees, columns = two_drugs.prior.trees, two_drugs.prior.schema.columns
    of_step = steps_of(two_drugs.prior.schema)
    for position, step in enumerate(trees.steps):
        if step == "treatment":
            continue
        others = [j for name, js in of_step.items() if name not in (step, "treatment") for j in js]
        changed = two_drugs.matrix.copy()
        changed[:, others] = np.nan
        np.testing.assert_allclose(trees.parts(changed)[:, position], two_drugs.expected[:, position], atol=1e-12)
        assert all(columns[j].source == "biomarker" for j in of_step[step])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_weights_of_the_steps_keep_the_signs(two_drugs: Fitted, data: st.DataObject) -> None:
    trees, columns = two_drugs.prior.trees, two_drugs.prior.schema.columns
    weights = np.array(data.draw(st.lists(st.floats(0, 2), min_size=len(trees.steps), max_size=len(trees.steps))))
    j = data.draw(st.sampled_from([j for j, c in enumerate(columns) if c.monotone]))
    known = two_drugs.matrix[np.isfinite(two_drugs.matrix[:, j]), j]
    low, high = sorted(data.draw(st.tuples(*[st.floats(float(known.min()) - 1, float(known.max()) + 1)] * 2)))
    less, more = two_drugs.matrix[:40].copy(), two_drugs.matrix[:40].copy()
    less[:, j], more[:, j] = low, high
    assert np.all(columns[j].monotone * ((trees.parts(more) - trees.parts(less)) @ weights) >= -1e-12)


def test_a_cohort_that_agrees_keeps_the_literature_and_its_signs(one_drug: Fitted) -> None:
    assert one_drug.primed.literature_share > 0.8
    assert _kept(one_drug) > 0.4
    assert len(one_drug.trees.released) <= 2


def test_a_cohort_that_contradicts_takes_weight_and_signs_away(contradicting: Fitted) -> None:
    assert _kept(contradicting) < 0.3
    assert len(contradicting.trees.released) >= 2
    signs = {c.name: c.monotone for c in contradicting.prior.schema.columns}
    kept = {c.name: c.monotone for c in contradicting.trees.schema.columns}
    for name in contradicting.trees.released:
        assert signs[name] != 0
        assert kept[name] == 0


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_sign_that_is_kept_holds_in_the_trees(one_drug: Fitted, data: st.DataObject) -> None:
    columns = one_drug.trees.schema.columns
    signed = [j for j, c in enumerate(columns) if c.monotone]
    j = data.draw(st.sampled_from(signed))
    known = one_drug.matrix[np.isfinite(one_drug.matrix[:, j]), j]
    low, high = sorted(data.draw(st.tuples(*[st.floats(float(known.min()) - 1, float(known.max()) + 1)] * 2)))
    less, more = one_drug.matrix[:30].copy(), one_drug.matrix[:30].copy()
    less[:, j], more[:, j] = low, high
    change = one_drug.booster.predict(more, raw_score=True) - one_drug.booster.predict(less, raw_score=True)
    assert np.all(columns[j].monotone * change >= -1e-12)


def test_doubt_draws_predictions_towards_the_mean(one_drug: Fitted) -> None:
    assert 0.5 < one_drug.primed.slope < 1.0
    assert one_drug.primed.shares.sum() == pytest.approx(1.0)


def test_leaving_a_patient_out_moves_the_prediction_away_from_its_outcome(one_drug: Fitted) -> None:
    primed = one_drug.primed
    fitted = primed.effects.log_odds(primed.trees, primed.terms, primed.bends)
    centred = primed.slope * (fitted - fitted.mean()) + primed.held_out.mean()
    away = np.where(one_drug.outcome == 1, centred - primed.held_out, primed.held_out - centred)
    assert (away > -0.02).mean() > 0.9


def test_the_intercept_gives_the_observed_rate() -> None:
    draws = np.random.default_rng(3)
    log_odds, outcome = draws.normal(2, 1, 200), (draws.random(200) < 0.3).astype(int)
    found = matched_intercept(log_odds, outcome)
    assert expit(log_odds + found).mean() == pytest.approx(outcome.mean())


# -- mixture -----------------------------------------------------------------------------------------------------


def test_the_better_model_gets_the_weight_and_the_first_one_the_benefit_of_doubt() -> None:
    draws = np.random.default_rng(4)
    truth = draws.normal(0, 1.5, 600)
    outcome = (draws.random(600) < expit(truth)).astype(int)
    noise = draws.normal(0, 1.5, 600)
    assert mixing_weight(outcome, truth, noise) < 0.1
    assert mixing_weight(outcome, noise, truth) > 0.85
    assert mixing_weight(outcome, truth, truth) < 0.5
    assert mixing_weight(outcome[:5], truth[:5], noise[:5]) < 0.5
