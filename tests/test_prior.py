"""The literature prior: made from worlds, kept by hash, read with a cohort's eyes, and given up where it is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from scipy.special import expit

from features.cohort import Cohort, CohortSource
from features.errors import ModelError
from features.feature_table import FeatureSchema, build_schema, encode
from features.synthetic import simulate_cohort
from training import prior as prior_module
from training.cohort_prior import CohortPrior, term_scores
from training.literature_model import literature_bundle
from training.literature_name import literature_endpoint
from training.prior import LiteraturePrior, build_prior, literature_prior, prior_key
from training.prior_report import prior_text, tendencies
from training.prior_worlds import Evidence, PriorSettings, modelled_treatments, prior_world, simulate_evidence

SMALL = PriorSettings(worlds=16, patients=500)
OUTCOMES = ["pcr", "objective_response", "best_response", "pfs_months", "pfs_event", "data_origin", "cohort", "site"]


@pytest.fixture(scope="module")
def prior() -> LiteraturePrior:
    return build_prior(SMALL, None)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(prior_module, "cache_folder", lambda: tmp_path / "cache")
    literature_prior.cache_clear()
    return tmp_path / "cache"


def cohort_of(count: int, seed: int, **options: object) -> tuple[Cohort, np.ndarray]:
    simulated = simulate_cohort(count, seed, world=7, **options)  # type: ignore[arg-type]
    patients = simulated.patients.drop(columns=OUTCOMES)
    outcome = simulated.patients["objective_response"].fillna(simulated.patients["pcr"]).to_numpy(dtype=int)
    return Cohort(CohortSource("test", None, ""), patients, tuple(range(count)), count), outcome


def of_cohort(prior: LiteraturePrior, cohort: Cohort, endpoint: str) -> tuple[FeatureSchema, CohortPrior]:
    schema = build_schema(cohort)
    return schema, prior.of_cohort(schema, cohort.patients["adc"], endpoint)


# -- worlds ------------------------------------------------------------------------------------------------------


def test_every_simulated_adc_is_covered_in_every_setting_that_it_is_given_in(prior: LiteraturePrior) -> None:
    covered = {(t["adc"], t["endpoint"]) for t in prior.record.treatments}
    endpoint = {"neoadjuvant": "pcr", "metastatic": "objective_response"}
    assert covered == {(adc, endpoint[setting]) for adc, setting in modelled_treatments()}
    assert {adc for adc, _ in covered} >= {"T-DM1", "T-DXd", "SYD985", "RC48", "ARX788"}


def test_equal_settings_give_the_same_evidence_bit_by_bit(prior: LiteraturePrior) -> None:
    again = simulate_evidence(SMALL)
    np.testing.assert_array_equal(again.log_odds, prior.evidence.log_odds)
    assert again.patients.equals(prior.evidence.patients)


def test_some_worlds_have_biomarkers_turned_round_or_removed() -> None:
    from features.synthetic.worlds import draw_world
    from training.prior_worlds import FIRST_WORLD

    changed = 0
    for number in range(20):
        drawn, used = draw_world(FIRST_WORLD + number).effect_sizes, prior_world(number, SMALL).effect_sizes
        assert all(abs(used[k]) in (0.0, abs(drawn[k])) for k in drawn)
        changed += drawn != used
    assert 4 <= changed <= 16


def test_no_outcome_and_no_label_of_the_simulation_is_among_the_patients_columns(prior: LiteraturePrior) -> None:
    assert not set(OUTCOMES) & set(prior.evidence.patients.columns)


# -- cache -------------------------------------------------------------------------------------------------------


def test_a_second_call_reads_what_the_first_one_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = literature_prior(SMALL)
    literature_prior.cache_clear()
    monkeypatch.setattr(prior_module, "build_prior", lambda *_: pytest.fail("built twice"))
    second = literature_prior(SMALL)
    assert second.record == first.record
    np.testing.assert_array_equal(second.evidence.log_odds, first.evidence.log_odds)
    assert second.evidence.patients.equals(first.evidence.patients)


def test_other_settings_and_other_roots_have_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = prior_key(SMALL)
    assert prior_key(PriorSettings(worlds=17, patients=500)) != before
    roots = list(prior_module._roots())
    names = [name for name, _ in roots]
    assert {"features/biomarkers.toml", "features/adcs.toml", "features.synthetic/effects.toml"} <= set(names)
    changed = [(name, content + b"#") if name.endswith("effects.toml") else (name, content) for name, content in roots]
    monkeypatch.setattr(prior_module, "_roots", lambda: iter(changed))
    assert prior_key(SMALL) != before


def test_a_damaged_file_in_the_cache_is_replaced(cache: Path) -> None:
    folder = literature_prior(SMALL).folder
    assert folder is not None
    (folder / prior_module.LOG_ODDS_FILE).write_bytes(b"cut off")
    literature_prior.cache_clear()
    assert literature_prior(SMALL).evidence.log_odds.shape[1] == SMALL.worlds
    assert np.load(folder / prior_module.LOG_ODDS_FILE).shape[1] == SMALL.worlds


def test_builders_that_start_together_build_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(settings: PriorSettings, folder: Path | None) -> LiteraturePrior:
        built.append(folder)
        return build_prior(settings, folder)

    monkeypatch.setattr(prior_module, "build_prior", build)
    fresh = literature_prior.__wrapped__
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(fresh, [SMALL] * 3))
    assert len(built) == 1
    assert len({f.folder for f in found}) == 1
    assert not list(cache.glob(".building-*"))


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(prior_module, "cache_folder", lambda: tmp_path / "file" / "prior")
    literature_prior.cache_clear()
    found = literature_prior(SMALL)
    assert found.folder is None
    assert len(found.evidence.patients)


def test_priors_of_older_versions_are_cleared_away_but_for_the_newest(cache: Path) -> None:
    for worlds in (2, 3, 4, 5):
        literature_prior(PriorSettings(worlds=worlds, patients=60))
    assert len([p for p in cache.iterdir() if p.is_dir()]) == 3


# -- with a cohort's eyes ----------------------------------------------------------------------------------------


def test_the_prior_ranks_patients_of_a_cohort_that_it_never_saw(prior: LiteraturePrior) -> None:
    cohort, outcome = cohort_of(1500, 3, setting="metastatic")
    schema, own = of_cohort(prior, cohort, "objective_response")
    matrix = encode(cohort.patients, schema).to_numpy()
    log_odds = lightgbm.Booster(model_str=own.trees.text).predict(matrix, raw_score=True)
    wins = log_odds[outcome == 1][:, None] > log_odds[outcome == 0]
    assert wins.mean() > 0.65


def test_any_subset_of_the_columns_will_do(prior: LiteraturePrior) -> None:
    cohort, _ = cohort_of(200, 4, setting="neoadjuvant")
    whole = build_schema(cohort)
    for names in (["her2_ihc"], ["slc46a3_mrna_z", "hr_status", "til_percent"], list(whole.names[::7])):
        schema = FeatureSchema(tuple(c for c in whole.columns if c.name in names))
        own = prior.of_cohort(schema, cohort.patients["adc"], "pcr")
        assert own.schema is schema
        assert np.isfinite(own.covariance).all()
        assert np.linalg.eigvalsh(own.covariance).min() > -1e-9


def test_a_column_that_the_simulator_does_not_know_is_left_to_the_cohort(prior: LiteraturePrior) -> None:
    cohort, _ = cohort_of(200, 5, setting="metastatic")
    cohort.patients["lab_x"] = np.random.default_rng(0).normal(size=200)
    schema = build_schema(cohort, extra_features=["lab_x"])
    own = prior.of_cohort(schema, cohort.patients["adc"], "objective_response")
    position = schema.names.index("lab_x")
    assert own.scales[position] is None
    mine = [i for i, t in enumerate(own.terms) if t.column == position]
    assert np.all(own.mean[mine] == 0)
    assert np.all(own.covariance[mine] == 0)


def test_an_adc_that_is_not_simulated_borrows_those_of_its_payload(prior: LiteraturePrior) -> None:
    schema = FeatureSchema(tuple(c for c in build_schema(cohort_of(200, 6)[0]).columns if c.name == "her2_ihc"))
    assert "same payload" in prior.of_cohort(schema, ["ZW49"], "objective_response").source
    assert "no ADC of the cohort" in prior.of_cohort(schema, ["BDC-1001"], "objective_response").source


def test_effects_are_kept_apart_by_payload_only_where_there_are_several(prior: LiteraturePrior) -> None:
    mixed, _ = cohort_of(300, 8, setting="metastatic", adcs=["T-DM1", "T-DXd"])
    alone, _ = cohort_of(300, 8, setting="metastatic", adcs=["T-DM1"])
    schema, own = of_cohort(prior, mixed, "objective_response")
    matrix = encode(mixed.patients, schema).to_numpy()
    assert len(own.routes) == 2
    assert set(own.route_of(matrix)) == {0, 1}
    assert of_cohort(prior, alone, "objective_response")[1].routes == ((),)
    # SLC46A3 carries the payload of T-DM1 out of the lysosome and of no other: on T-DXd nothing is uncertain about it.
    slc46a3 = [i for i, t in enumerate(own.terms) if schema.names[t.column] == "slc46a3_mrna_z"]
    variance = {own.terms[i].route: own.covariance[i, i] for i in slc46a3}
    route_of_dm1 = int(own.route_of(matrix[mixed.patients["adc"].to_numpy() == "T-DM1"])[0])
    assert variance[route_of_dm1] > 4 * variance[1 - route_of_dm1]


def test_scores_of_terms_are_centred_and_of_unit_spread_where_known(prior: LiteraturePrior) -> None:
    cohort, _ = cohort_of(1500, 9, setting="metastatic", adcs=["T-DM1"])
    schema, own = of_cohort(prior, cohort, "objective_response")
    matrix = encode(cohort.patients, schema).to_numpy()
    scores = term_scores(own, matrix)
    numeric = [i for i, t in enumerate(own.terms) if schema.columns[t.column].kind == "numeric"]
    for i in numeric:
        known = np.isfinite(matrix[:, own.terms[i].column])
        assert np.all(scores[~known, i] == 0)
        assert abs(scores[known, i].mean()) < 0.35
        assert 0.5 < scores[known, i].std() < 1.5


def test_the_prior_trees_keep_the_signs_of_the_schema(prior: LiteraturePrior) -> None:
    cohort, _ = cohort_of(300, 10, setting="metastatic", adcs=["T-DM1"])
    schema, own = of_cohort(prior, cohort, "objective_response")
    matrix = encode(cohort.patients, schema).to_numpy()
    booster = lightgbm.Booster(model_str=own.trees.text)
    for j, column in enumerate(schema.columns):
        if column.monotone and column.kind == "numeric":
            low, high = matrix.copy(), matrix.copy()
            low[:, j], high[:, j] = np.nanquantile(matrix[:, j], [0.1, 0.9])
            change = booster.predict(high, raw_score=True) - booster.predict(low, raw_score=True)
            assert np.all(column.monotone * change >= -1e-12), column.name


# -- told and scored ---------------------------------------------------------------------------------------------


def test_what_the_prior_was_made_of_is_told(prior: LiteraturePrior) -> None:
    text = prior_text(prior)
    assert "16, in " in text
    assert prior.record.key in text
    assert "no patient" in text
    assert all(len(line) < 100 for line in text.splitlines() if "folder" not in line)
    strongest = tendencies(prior, "T-DM1", "objective_response")[:8]
    assert any("HER2" in t.label for t in strongest)
    assert all(t.low <= t.mean <= t.high for t in strongest)


def test_the_literature_alone_is_a_model_that_says_so(tmp_path: Path, prior: LiteraturePrior) -> None:
    kept = LiteraturePrior(prior.record, prior.evidence, tmp_path)
    bundle = literature_bundle("pcr", kept)
    assert bundle.record.simulated
    assert bundle.record.cohort.name == "literature"
    assert bundle.record.endpoint == "pcr"
    cohort, outcome = cohort_of(600, 11, setting="neoadjuvant")
    matrix = encode(cohort.patients, bundle.record.schema).to_numpy()
    log_odds = bundle.predict_log_odds(matrix)
    low, high = bundle.interval(log_odds)
    probability = bundle.probability(log_odds)
    assert np.all((low <= probability) & (probability <= high))
    assert expit(log_odds).mean() == pytest.approx(outcome.mean(), abs=0.12)
    np.testing.assert_allclose(bundle.contributions(matrix[:50]).sum(axis=1), log_odds[:50], atol=1e-9)
    assert literature_bundle("pcr", kept).record == bundle.record


def test_the_literature_model_is_known_by_its_name() -> None:
    assert literature_endpoint("literature") == "objective_response"
    assert literature_endpoint("literature:pcr") == "pcr"
    assert literature_endpoint("models:/literature@champion") is None
    with pytest.raises(ModelError, match="literature:pcr"):
        literature_endpoint("literature:os")


def test_an_empty_prior_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    folder = tmp_path / prior_key(SMALL)
    folder.mkdir()
    assert prior_module._read(folder) is None
    assert isinstance(simulate_evidence(PriorSettings(worlds=1, patients=20)), Evidence)
