"""What a model makes of biomarkers: steps, blocks and learned directions, against the catalogue and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import spearmanr

from features.cohort_file import cohort_from_table
from features.feature_schema import FeatureColumn, FeatureSchema
from features.synthetic.cohort import simulate_cohort
from features.synthetic.oracle import interventions, patient_effects
from training.candidates import Boosted
from training.explaining.against_truth import REPORTS, CheckedEffect, TruthCheck, against_truth, summarised
from training.explaining.blocks import correlated_blocks, rank_correlations
from training.explaining.knowledge import against_knowledge, cited_sources, expected_direction, verdict_of
from training.explaining.learned_effects import ends, learned_effects, slope_of
from training.explaining.mechanism_steps import STEP_LABELS, step_columns, step_influences
from training.train import Plan, prepare_training

if TYPE_CHECKING:
    from training.train import TrainingResult


def column(name: str, kind: str = "numeric", **more: object) -> FeatureColumn:
    return FeatureColumn(name, name, kind, "", "biomarker", **more)  # type: ignore[arg-type]


def drawn(seed: int, *, prior: bool = True, adcs: list[str] | None = None) -> TruthCheck:
    """Truth check of a model of a simulated metastatic cohort of 1,000."""
    patients = simulate_cohort(1000, seed, setting="metastatic", adcs=adcs).patients
    prepared = prepare_training(
        cohort_from_table(patients, name="simulated"), "objective_response", Plan(prior=prior, optimism=0)
    )
    table = prepared.table
    model = Boosted(0, prepared.prior).fit(table).classifier
    true = patient_effects(1000, seed, setting="metastatic", adcs=adcs).iloc[table.rows].mean(numeric_only=True)
    shap = model.contributions(table.features)[:, :-1]
    return against_truth(table.schema, table.features.to_numpy(), shap, table.adc, true.to_dict())


# -- steps ---------------------------------------------------------------------------------------------------------


def test_every_column_belongs_to_one_step_and_the_steps_add_up(trained: TrainingResult) -> None:
    schema = trained.table.schema
    columns = step_columns(schema)
    assert sorted(np.concatenate(list(columns.values()))) == list(range(len(schema.columns)))
    parts = [trained.shap[:, own].sum(axis=1) for own in columns.values()]
    np.testing.assert_allclose(np.sum(parts, axis=0), trained.shap.sum(axis=1), atol=1e-12)
    influences = {s.step: s.mean_abs_shap for s in step_influences(schema, trained.shap)}
    assert influences == {step: pytest.approx(np.abs(part).mean()) for step, part in zip(columns, parts, strict=True)}
    assert list(influences) == [step for step in STEP_LABELS if step in influences]


# -- learned effects -----------------------------------------------------------------------------------------------


def test_the_learned_effect_is_the_slope_times_the_step_within_each_drug() -> None:
    schema = FeatureSchema((column("a"), column("b", "binary")))
    draw = np.random.default_rng(0)
    matrix = np.column_stack([draw.normal(size=200), draw.integers(0, 2, 200)]).astype(float)
    adc = np.where(np.arange(200) < 100, "T-DM1", "T-DXd")
    shap = np.column_stack([np.where(adc == "T-DM1", 2.0, -1.0) * matrix[:, 0], 0.3 * matrix[:, 1]])
    matrix[5, 0] = np.nan
    found = {(e.name, e.adc): e for e in learned_effects(schema, matrix, shap, adc)}
    low, high = ends(schema.columns[0], matrix[:, 0])
    assert found["a", "T-DM1"].change == pytest.approx(2.0 * (high - low))
    assert found["a", "T-DXd"].change == pytest.approx(-1.0 * (high - low))
    assert found["a", "T-DM1"].patients == 99
    assert found["b", "T-DXd"].change == pytest.approx(0.3)
    assert [found[key].sign for key in found] == [1, -1, 1, 1]


def test_no_slope_is_told_of_few_patients_or_of_values_that_do_not_differ() -> None:
    assert slope_of(np.arange(9.0), np.arange(9.0)) is None
    assert slope_of(np.ones(20), np.arange(20.0)) is None


# -- against the catalogue -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "sign", "verdict"),
    [
        ("increase", 1, "agrees"),
        ("increase", -1, "disagrees"),
        ("decrease", -1, "agrees"),
        ("decrease", 0, "no clear effect"),
        ("none", 0, "agrees"),
        ("none", 1, "disagrees"),
        ("unknown", -1, "not known before"),
        ("conflicting", 1, "sources disagree"),
    ],
)
def test_a_learned_sign_is_compared_with_the_catalogues_direction(expected: str, sign: int, verdict: str) -> None:
    assert verdict_of(expected, sign) == verdict


def test_the_direction_of_a_measure_is_turned_where_more_of_it_is_less_of_the_state() -> None:
    assert expected_direction("her2_ihc", "T-DM1") == ("increase", "clinical")
    # A higher HER2-negative share is more heterogeneity; more SLC46A3 is less of its loss.
    assert expected_direction("her2_negative_fraction", "T-DM1")[0] == "decrease"
    assert expected_direction("slc46a3_mrna_z", "T-DM1")[0] == "increase"
    assert expected_direction("her2_ihc", "Trodelvy-like") == ("unknown", "none")


def test_the_table_tells_verdict_step_constraint_condition_and_sources(trained: TrainingResult) -> None:
    schema, matrix = trained.record.schema, trained.table.features.to_numpy()
    effects = learned_effects(schema, matrix, trained.shap, trained.table.adc)
    known = {(k.effect.name, k.effect.adc): k for k in against_knowledge(schema, effects)}
    ihc = known["her2_ihc", "T-DM1"]
    assert (ihc.expected, ihc.verdict, ihc.step) == ("increase", "agrees", "target_binding")
    assert ihc.held == (schema.columns[schema.names.index("her2_ihc")].monotone != 0)
    assert "guidi2023" in ihc.citations
    assert known["cdk12_amplified", "T-DM1"].condition == "ERBB2"
    told = cited_sources(["her2_ihc", "cdk12_amplified"])
    assert len(told) == len({t.partition(":")[0] for t in told})
    assert any(t.startswith("guidi2023: Guidi") for t in told)


# -- blocks --------------------------------------------------------------------------------------------------------


def test_columns_that_go_together_are_one_block_whose_contributions_are_added() -> None:
    draw = np.random.default_rng(1)
    first, alone = draw.normal(size=(2, 300))
    matrix = np.column_stack([first, alone, -first + 0.1 * draw.normal(size=300)])
    shap = np.column_stack([first, alone, -0.5 * first])
    (block,) = correlated_blocks(FeatureSchema((column("a"), column("b"), column("c"))), matrix, shap)
    assert block.names == ("a", "c")
    assert block.strongest > 0.9
    assert block.mean_abs_shap == pytest.approx(np.abs(0.5 * first).mean())


def test_rank_correlations_are_spearmans_over_those_who_have_both_values() -> None:
    draw = np.random.default_rng(2)
    matrix = draw.normal(size=(400, 4))
    matrix[:, 1] = np.exp(matrix[:, 0] + 0.5 * matrix[:, 1])
    matrix[:, 3] = 1.0
    np.testing.assert_allclose(rank_correlations(matrix)[:3, :3], spearmanr(matrix[:, :3]).statistic, atol=1e-12)
    assert (rank_correlations(matrix)[3] == 0).all()
    gaps = matrix.copy()
    gaps[draw.random(gaps.shape) < 0.2] = np.nan
    gaps[:, 2] = np.nan
    found = rank_correlations(gaps)
    expected = spearmanr(gaps[:, :2], nan_policy="omit").statistic
    assert found[0, 1] == pytest.approx(expected, abs=0.02)
    assert (found[2] == 0).all()


def test_erbb2_and_cdk12_of_a_simulated_cohort_are_one_block() -> None:
    patients = simulate_cohort(600, 5, setting="metastatic").patients
    prepared = prepare_training(cohort_from_table(patients, name="c"), "objective_response", Plan(optimism=0))
    table = prepared.table
    blocks = correlated_blocks(table.schema, table.features.to_numpy(), np.ones(table.features.shape))
    assert any({"erbb2_amplified", "cdk12_amplified"} <= set(b.names) for b in blocks)


# -- against the truth ---------------------------------------------------------------------------------------------


def test_agreement_with_the_truth_is_counted_over_the_larger_half_of_the_effects() -> None:
    effects = [CheckedEffect(n, n, "0", "1", t, e) for n, t, e in
               (("a", 1.0, 0.5), ("b", -0.8, 0.1), ("c", 0.2, -0.1), ("d", -0.1, -0.2), ("e", 0.0, 0.0))]  # fmt: skip
    found = summarised(effects)
    assert found.sign_agreement == 0.5
    assert [e.name for e in found.effects] == ["a", "b", "c", "d", "e"]
    assert found.rank_correlation == pytest.approx(0.3)


def test_reports_of_a_cause_are_no_causes_of_their_own_or_stand_with_it() -> None:
    reports = {r for own in REPORTS.values() for r in own}
    assert set(REPORTS) <= set(interventions())
    # Both set the share of HER2-negative cells.
    assert reports & set(interventions()) == {"her2_heterogeneous"}


def test_explanations_of_a_cohort_of_1000_find_the_true_directions_and_their_order() -> None:
    found = drawn(1)
    assert found.sign_agreement >= 0.9
    assert found.rank_correlation >= 0.7


def test_cdk12_gets_no_credit_once_erbb2_is_known_where_the_truth_gives_it_none() -> None:
    found = drawn(2, adcs=["SYD985", "RC48", "ARX788"])
    assert next(e.true for e in found.effects if e.name == "cdk12_amplified") == 0.0
    assert abs(found.learned("cdk12_amplified")) < 0.1
    assert found.learned("her2_ihc") > 0.2
