"""Cross-validation that never splits a patient or a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InputError
from training.splits import assign_folds, patient_groups, require_both_outcomes, stratum


def test_no_patient_and_no_group_is_ever_in_two_folds() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 40, 200)
    folds = assign_folds(random.integers(0, 2, 200), groups, folds=5, repeats=3, seed=1)
    for row in folds:
        assert all(len(np.unique(row[groups == g])) == 1 for g in np.unique(groups))


def test_each_patient_is_held_out_once_per_repeat_and_repeats_differ() -> None:
    outcome = np.repeat([0, 1], [60, 40])
    folds = assign_folds(outcome, np.arange(100), folds=5, repeats=3, seed=1)
    assert folds.shape == (3, 100)
    assert (folds >= 0).all()
    assert (folds[0] != folds[1]).any()
    for row in folds:
        assert [outcome[row == k].sum() for k in range(5)] == [8] * 5


def test_equal_seeds_give_equal_folds_and_other_seeds_others() -> None:
    outcome, patients = np.repeat([0, 1], 30), np.arange(60)
    first = assign_folds(outcome, patients, folds=5, repeats=2, seed=7)
    assert (first == assign_folds(outcome, patients, folds=5, repeats=2, seed=7)).all()
    assert (first != assign_folds(outcome, patients, folds=5, repeats=2, seed=8)).any()


def test_folds_are_balanced_by_drug_too_where_the_counts_allow_it() -> None:
    outcome = np.tile([0, 1], 30)
    drugs = np.repeat(["T-DM1", "T-DXd"], 30)
    assert len(np.unique(stratum(outcome, drugs, 5))) == 4
    few = np.array(["T-DXd"] * 3 + ["T-DM1"] * 57)
    assert len(np.unique(stratum(outcome, few, 5))) == 2


def test_a_patient_seen_at_two_sites_joins_both() -> None:
    patients = pd.DataFrame({"patient_id": ["a", "a", "b", "c", "d", "e"], "site": ["x", "y", "y", "x", "z", None]})
    groups = patient_groups(patients, "site")
    assert len(set(groups[:4])) == 1
    assert len(set(groups)) == 3
    assert len(set(patient_groups(patients))) == 5


@pytest.mark.parametrize(("column", "told"), [("hospital", "no column 'hospital'"), ("arm", "does not differ")])
def test_a_group_column_that_is_absent_or_constant_is_refused(column: str, told: str) -> None:
    patients = pd.DataFrame({"patient_id": ["a", "b"], "arm": ["x", "x"]})
    with pytest.raises(InputError, match=told):
        patient_groups(patients, column)


def test_fewer_groups_than_folds_are_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(InputError, match="--folds 3"):
        assign_folds(np.tile([0, 1], 15), np.arange(30) % 3, folds=5, repeats=1, seed=0)


def test_groups_that_leave_one_outcome_to_learn_from_are_refused() -> None:
    outcome = np.repeat([0, 1], 20)
    with pytest.raises(InputError, match="single outcome"):
        require_both_outcomes(outcome, outcome[None, :])


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=6, max_size=25), seed=st.integers(0, 1000))
def test_groups_of_any_sizes_stay_whole(sizes: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    strata = np.random.default_rng(seed).integers(0, 2, len(groups))
    for row in assign_folds(strata, groups, folds=3, repeats=2, seed=seed):
        assert all(len(np.unique(row[groups == g])) == 1 for g in np.unique(groups))
