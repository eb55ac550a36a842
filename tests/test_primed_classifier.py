"""The classifier with the literature inside: one model text, additive, monotone, reproducible, and able to let go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from features.cohort import Cohort, CohortSource
from features.feature_table import build_schema, encode
from features.synthetic import simulate_cohort
from training import tuning
from training.boosting import AdcResponseClassifier
from training.cohort_prior import CohortPrior
from training.prior import build_prior
from training.prior_worlds import PriorSettings
from training.tuning import TuningPlan, tune

OUTCOMES = ["pcr", "objective_response", "best_response", "pfs_months", "pfs_event", "data_origin", "cohort", "site"]


class Case:
    """Simulated patients to learn from and to judge, with the literature's expectation of them."""

    def __init__(self, count: int = 260, adcs: tuple[str, ...] = ("T-DM1",)) -> None:
        simulated = simulate_cohort(count + 800, 31, world=12, adcs=list(adcs), setting="metastatic").patients
        self.y = simulated["objective_response"].to_numpy(dtype=int)
        patients = simulated.drop(columns=OUTCOMES)
        first = patients.iloc[:count].reset_index(drop=True)
        self.schema = build_schema(Cohort(CohortSource("t", None, ""), first, tuple(range(count)), count))
        self.X = encode(patients, self.schema).to_numpy()
        self.count = count
        self.prior: CohortPrior = build_prior(PriorSettings(worlds=24, patients=800), None).of_cohort(
            self.schema, adcs, "objective_response"
        )

    def fit(self, outcome: np.ndarray | None = None, prior: CohortPrior | None = None, **options: Any) -> Any:
        y = (self.y if outcome is None else outcome)[: self.count]
        return AdcResponseClassifier(self.schema, prior, bags=2, **options).fit(self.X[: self.count], y)

    def loss(self, model: AdcResponseClassifier, outcome: np.ndarray | None = None) -> float:
        y = (self.y if outcome is None else outcome)[self.count :]
        return float(np.logaddexp(0, -(2 * y - 1) * model.decision_function(self.X[self.count :])).mean())


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


@pytest.fixture(scope="module")
def primed(case: Case) -> AdcResponseClassifier:
    return case.fit(prior=case.prior)


def test_the_literature_makes_the_same_cohort_worth_more(case: Case, primed: AdcResponseClassifier) -> None:
    assert case.loss(primed) < case.loss(case.fit()) - 0.01
    assert primed.literature_ is not None
    assert primed.literature_.weight > 0.4


def test_a_literature_that_is_entirely_wrong_costs_at_most_two_percent(case: Case) -> None:
    reversed_outcome = 1 - case.y
    primed, alone = case.fit(reversed_outcome, case.prior), case.fit(reversed_outcome)
    assert case.loss(primed, reversed_outcome) < 1.02 * case.loss(alone, reversed_outcome)
    assert primed.literature_.weight < 0.25
    assert primed.literature_.contradicted


def test_contributions_add_up_and_the_text_alone_predicts_the_same(case: Case, primed: AdcResponseClassifier) -> None:
    rows = case.X[-60:]
    np.testing.assert_allclose(primed.contributions(rows).sum(axis=1), primed.decision_function(rows), atol=1e-9)
    alone = lightgbm.Booster(model_str=primed.model_text_).predict(rows, raw_score=True)
    np.testing.assert_array_equal(alone, primed.decision_function(rows))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_every_sign_that_the_model_keeps_holds_in_the_merged_model(
    case: Case, primed: AdcResponseClassifier, data: st.DataObject
) -> None:
    columns = primed.schema_.columns
    j = data.draw(st.sampled_from([j for j, c in enumerate(columns) if c.monotone]))
    known = case.X[np.isfinite(case.X[:, j]), j]
    low, high = sorted(data.draw(st.tuples(*[st.floats(float(known.min()) - 1, float(known.max()) + 1)] * 2)))
    first = data.draw(st.integers(0, len(case.X) - 20))
    less, more = case.X[first : first + 20].copy(), case.X[first : first + 20].copy()
    less[:, j], more[:, j] = low, high
    change = primed.decision_function(more) - primed.decision_function(less)
    assert np.all(columns[j].monotone * change >= -1e-12), columns[j].name


def test_trees_stay_small(primed: AdcResponseClassifier) -> None:
    sizes = [t["num_leaves"] for t in primed._booster.dump_model()["tree_info"]]
    assert max(sizes) <= 16


def test_a_strong_column_that_no_catalogue_knows_is_learned(case: Case) -> None:
    draws = np.random.default_rng(5)
    lab = draws.normal(size=len(case.y))
    outcome = (draws.random(len(lab)) < 1 / (1 + np.exp(-2.5 * lab))).astype(int)
    patients = simulate_cohort(len(lab), 31, world=12, adcs=["T-DM1"], setting="metastatic").patients
    patients = patients.drop(columns=OUTCOMES).assign(lab=lab)
    source = CohortSource("t", None, "")
    schema = build_schema(Cohort(source, patients, tuple(range(len(lab))), len(lab)), extra_features=["lab"])
    own = build_prior(PriorSettings(worlds=12, patients=500), None).of_cohort(schema, ["T-DM1"], "objective_response")
    matrix = encode(patients, schema).to_numpy()
    model = AdcResponseClassifier(schema, own, bags=2).fit(matrix[:200], outcome[:200])
    shap = np.abs(model.contributions(matrix[200:400])[:, :-1]).mean(axis=0)
    assert schema.names[int(shap.argmax())] == "lab"


def test_a_prior_of_other_columns_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="other columns"):
        AdcResponseClassifier(None, case.prior).fit(case.X[:100, :5], case.y[:100])


def test_it_is_cloned_with_its_prior(case: Case, primed: AdcResponseClassifier) -> None:
    again = clone(primed).fit(case.X[: case.count], case.y[: case.count])
    assert again.model_text_ == primed.model_text_


def test_any_number_of_threads_gives_the_same_model_bit_by_bit() -> None:
    script = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2])\n"
        "from test_primed_classifier import Case\n"
        "case = Case(120, ('T-DM1', 'T-DXd'))\n"
        "print(hashlib.sha256(case.fit(prior=case.prior).model_text_.encode()).hexdigest())\n"
    )
    here = Path(__file__).resolve().parent
    found = set()
    for threads in ("1", "8"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-c", script, str(here), str(here.parent)],
            capture_output=True, text=True, check=True, env={**os.environ, **dict.fromkeys(names, threads)},
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1


# What a model of named biomarker columns cannot do, and why.
EXCLUDED = {
    # Columns are checked against the schema where a cohort is encoded, and the class takes them by position.
    "check_dataframe_column_names_consistency": "columns are checked when a cohort is encoded",
}


def test_it_passes_scikit_learns_checks_but_for_those_that_named_biomarkers_rule_out() -> None:
    results = check_estimator(
        AdcResponseClassifier(bags=1, most_rounds=10), expected_failed_checks=EXCLUDED, on_fail=None, on_skip=None
    )
    failed = {r["check_name"]: repr(r["exception"])[:160] for r in results if r["status"] == "failed"}
    assert not failed, json.dumps(failed, indent=1)
    assert sum(r["status"] == "passed" for r in results) >= 25


# -- tuning ------------------------------------------------------------------------------------------------------


def test_a_search_that_was_broken_off_goes_on_and_ends_with_the_same_settings(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = small_search(case)
    whole = tune(*arguments)

    run_trial = tuning._run_trial

    def run_and_stop(*given: Any, **named: Any) -> None:
        run_trial(*given, **named)
        raise KeyboardInterrupt

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(tuning, "_run_trial", run_and_stop)
            with pytest.raises(KeyboardInterrupt):
                tune(*arguments, journal=tmp_path)
    # As a search leaves it that the disk has no more room for.
    (journal,) = tmp_path.glob("*.journal")
    with journal.open("ab") as end:
        end.write(b'{"op_code":6,"worker')
    resumed = tune(*arguments, journal=tmp_path)
    assert resumed.resumed >= 1
    assert resumed.settings == whole.settings
    assert resumed.log_loss == whole.log_loss
    assert whole.trials == 6


def test_two_searches_of_the_same_at_once_end_with_the_same_settings(case: Case, tmp_path: Path) -> None:
    search = small_search(case)
    alone = tune(*search)
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda _: tune(*search, journal=tmp_path), range(2)))
    assert [f.settings for f in found] == [alone.settings] * 2
    assert sorted(f.resumed for f in found) == [0, 6]


@pytest.mark.parametrize(
    "spoilt",
    [b"\x00\xff\n", b"[]\n", b"no json\n", b"{}\n", b'{"op_code": 99, "worker_id": "x"}\n'],
    ids=["bytes", "list", "text", "no record", "strange record"],
)
def test_a_search_begins_anew_where_its_journal_is_spoilt(case: Case, tmp_path: Path, spoilt: bytes) -> None:
    search = small_search(case)
    found = tune(*search, journal=tmp_path)
    (journal,) = tmp_path.glob("*.journal")
    journal.write_bytes(spoilt + journal.read_bytes())
    again = tune(*search, journal=tmp_path)
    assert again.resumed == 0
    assert again.settings == found.settings


def test_a_search_that_ran_out_of_time_stays_as_it_is_whoever_asks_again(case: Case, tmp_path: Path) -> None:
    *search, _ = small_search(case)
    brief = TuningPlan(trials=200, seconds=0.3)
    first, again = (tune(*search, brief, journal=tmp_path) for _ in range(2))
    assert first.timed_out
    assert (again.trials, again.settings, again.log_loss) == (first.trials, first.settings, first.log_loss)


def test_a_search_takes_nothing_over_from_other_code_or_libraries(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = small_search(case)
    tune(*search, journal=tmp_path)
    assert tune(*search, journal=tmp_path).resumed == 6
    monkeypatch.setattr(tuning, "code_and_libraries", lambda: "other")
    assert tune(*search, journal=tmp_path).resumed == 0


def test_a_search_goes_without_a_journal_that_cannot_be_had(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    search = small_search(case)
    assert tune(*search, journal=tmp_path / "file") == tune(*search)


def small_search(case: Case) -> tuple[Any, ...]:
    """What `tune` needs for six trials with 120 patients."""
    classifier = AdcResponseClassifier(case.schema, most_rounds=30)
    X, y = case.X[:120], case.y[:120]
    folds = classifier.inner_folds_of(y, np.arange(120))
    return X, y, folds, case.schema.columns, classifier.tree_settings(), TuningPlan(trials=6)


def test_a_search_has_a_time_limit_and_starts_from_the_usual_settings(case: Case) -> None:
    classifier = AdcResponseClassifier(case.schema, most_rounds=20)
    folds = classifier.inner_folds_of(case.y[:100], np.arange(100))
    start = classifier.tree_settings()
    found = tune(case.X[:100], case.y[:100], folds, case.schema.columns, start, TuningPlan(trials=1))
    assert found.settings["leaves"] == classifier.leaves
    late = tune(case.X[:100], case.y[:100], folds, case.schema.columns, start, TuningPlan(trials=5, seconds=0.0))
    assert late.timed_out
    assert late.settings == {}
