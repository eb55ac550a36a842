"""The simulated joint distribution of biomarkers against the published shares it was built on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from features.synthetic.anchors import arm_tumours
from features.synthetic.assay import IHC_LEVELS, READER_SD, read_staining
from features.synthetic.parameters import HER2_CLASSES, arms, marginals, populations
from features.synthetic.population import STAINING_LIMITS, draw_tumours
from features.synthetic.population_tables import population_tables
from features.synthetic.real_marginals import reference_tumours
from features.synthetic.streams import BLOCK_SIZE, PhiloxDraws, StratifiedDraws

KRISTINE = arm_tumours("KRISTINE T-DM1+pertuzumab", 16_384)


def share(name: str, where: np.ndarray) -> float:
    return float(KRISTINE[name][where].mean())


def test_pik3ca_follows_her2_mrna_as_in_kristine() -> None:
    low = KRISTINE["log10_mrna"] <= np.median(KRISTINE["log10_mrna"])
    assert share("pik3ca_mutated", low) == pytest.approx(0.38, abs=0.02)
    assert share("pik3ca_mutated", ~low) == pytest.approx(0.16, abs=0.02)


def test_pik3ca_follows_the_focus_of_her2_as_in_kristine() -> None:
    focal, variable = KRISTINE["her2_heterogeneous"] > 0, KRISTINE["her2_variable"] > 0
    assert share("pik3ca_mutated", focal) == pytest.approx(0.53, abs=0.03)
    assert share("pik3ca_mutated", variable) == pytest.approx(0.41, abs=0.03)
    assert share("pik3ca_mutated", ~focal & ~variable) == pytest.approx(0.24, abs=0.03)


def test_hormone_receptor_follows_the_ihc_class() -> None:
    is_3 = KRISTINE["class_index"] == HER2_CLASSES.index("3+")
    assert share("hr_status", ~is_3) == pytest.approx(0.81, abs=0.04)
    assert share("hr_status", is_3) == pytest.approx(0.55, abs=0.04)


def test_the_subtype_is_her2_enriched_in_55_percent_and_in_a_third_of_hr_positive() -> None:
    everyone = np.ones(len(KRISTINE["hr_status"]), dtype=bool)
    assert share("pam50_her2_enriched", everyone) == pytest.approx(0.548, abs=0.03)
    assert share("pam50_her2_enriched", KRISTINE["hr_status"] > 0) == pytest.approx(0.32, abs=0.02)


def test_cdk12_is_coamplified_in_nine_of_ten_amplified_tumours() -> None:
    assert share("cdk12_amplified", KRISTINE["erbb2_amplified"] > 0) == pytest.approx(0.90, abs=0.01)


def test_p95her2_is_positive_in_thirty_percent_and_correlates_with_her2() -> None:
    assert KRISTINE["p95her2_positive"].mean() == pytest.approx(0.30, abs=0.03)
    level = KRISTINE["her2_level_z"]
    truncated = np.log(KRISTINE["p95her2_ratio"]) + 0.7 * level
    assert np.corrcoef(truncated, level)[0, 1] ** 2 == pytest.approx(0.48, abs=0.04)


def test_strict_heterogeneity_is_ten_percent_and_loose_twice_that() -> None:
    tumours = arm_tumours("Metzger Filho T-DM1+pertuzumab", 16_384)
    strict = tumours["her2_heterogeneous"].mean()
    assert strict == pytest.approx(16 / 157, abs=0.01)
    assert 0.16 <= strict + tumours["her2_variable"].mean() <= 0.36
    focal = tumours["her2_heterogeneous"] > 0
    assert tumours["her2_negative_fraction"][focal].min() >= 0.5
    assert tumours["her2_negative_fraction"][~focal].max() <= 0.5


def test_hemizygous_deletion_is_six_percent_of_daisy_and_never_in_amplified_tumours() -> None:
    tumours = arm_tumours("DAISY T-DXd", 16_384)
    assert tumours["erbb2_deletion"].mean() == pytest.approx(5 / 88, abs=0.01)
    assert not np.any((tumours["erbb2_deletion"] > 0) & (tumours["erbb2_amplified"] > 0))


@pytest.mark.parametrize(
    ("arm", "name", "published"),
    [
        ("DESTINY-Breast03 T-DXd", "hr_status", 0.506),
        ("DESTINY-Breast04 T-DXd", "hr_status", 0.89),
        ("DESTINY-Breast06 T-DXd", "hr_status", 1.0),
        ("DESTINY-Breast11 T-DXd", "hr_status", 0.735),
        ("DAISY T-DXd", "nf1_loss", 0.08),
        ("KRISTINE T-DM1+pertuzumab", "pdl1_positive", 0.40),
    ],
)
def test_a_population_has_its_published_share(arm: str, name: str, published: float) -> None:
    assert arm_tumours(arm)[name].mean() == pytest.approx(published, abs=0.015)


def test_her2_classes_are_drawn_in_the_shares_of_the_trial() -> None:
    drawn = arm_tumours("DESTINY-Breast04 T-DXd")["class_index"]
    assert np.mean(drawn == HER2_CLASSES.index("1+")) == pytest.approx(0.58, abs=0.005)


def test_shares_of_every_population_sum_to_one() -> None:
    for population in populations().values():
        assert sum(population.classes.values()) == pytest.approx(1.0, abs=0.005), population.id
        assert set(population.classes) <= set(HER2_CLASSES)


def test_every_arm_belongs_to_a_population_and_every_trial_has_an_arm() -> None:
    assert {a.population for a in arms().values()} == set(populations())


def test_every_number_of_the_distribution_has_a_source() -> None:
    assert all(len(m.source) > 10 for m in marginals().values())
    assert all(len(p.source) > 10 for p in populations().values())


def test_standardised_expression_is_standard_normal() -> None:
    for gene in ("slc46a3_mrna_z", "abcc1_mrna_z", "rab5a_mrna_z"):
        assert kstest(KRISTINE[gene][:4096], "norm").pvalue > 0.001, gene


def test_two_readers_agree_about_as_often_as_published() -> None:
    # Eren 2025: kappa 0.62; Karakas 2023: 65 to 74% agreement; ultralow was read as 0 by both.
    level = reference_tumours()["log10_receptors"]
    draw = np.random.default_rng(3)
    first, second = (
        np.maximum(read_staining(level + READER_SD * draw.standard_normal(len(level))) - 1, 0) for _ in range(2)
    )
    agreement = np.mean(first == second)
    chance = sum(np.mean(first == k) * np.mean(second == k) for k in range(4))
    assert (agreement - chance) / (1 - chance) == pytest.approx(0.62, abs=0.05)
    assert 0.65 <= agreement <= 0.75


def test_staining_is_read_at_its_limits() -> None:
    levels = read_staining(np.array([3.0, *STAINING_LIMITS]))
    assert [IHC_LEVELS[i] for i in levels] == ["0", "ultralow", "1+", "2+", "3+"]


def test_a_purpose_always_gives_the_same_numbers_and_another_purpose_others() -> None:
    draws = PhiloxDraws(7, 3, 100)
    np.testing.assert_array_equal(draws.normal("a"), PhiloxDraws(7, 3, 100).normal("a"))
    np.testing.assert_array_equal(draws.normal("a")[:40], PhiloxDraws(7, 3, 40).normal("a"))
    for other in (draws.normal("b"), PhiloxDraws(8, 3, 100).normal("a"), PhiloxDraws(7, 4, 100).normal("a")):
        assert abs(np.corrcoef(draws.normal("a"), other)[0, 1]) < 0.4


def test_random_numbers_are_uniform_and_never_zero_or_one() -> None:
    uniform = PhiloxDraws(1, 0, BLOCK_SIZE).uniform("x")
    assert 0.0 < uniform.min() < uniform.max() < 1.0
    assert kstest(uniform, "uniform").pvalue > 0.001


def test_stratified_numbers_fill_every_stratum_once() -> None:
    uniform = StratifiedDraws(1, 500).uniform("x")
    np.testing.assert_array_equal(np.sort((uniform * 500).astype(int)), np.arange(500))


def test_a_population_of_hr_positive_patients_has_no_other() -> None:
    tables = population_tables([populations()["WSG-ADAPT-TP"]])
    tumours = draw_tumours(tables, np.zeros(500, dtype=np.intp), PhiloxDraws(1, 0, 500))
    assert tumours["hr_status"].all()
    assert (tumours["er_percent"] >= 1.0).all()
