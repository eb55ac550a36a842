"""What refits tell: how stable explanations are, where drugs differ, and what is lost without a group of columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from features.core_biomarkers import CORE_BIOMARKERS, CORE_LABELS
from features.report.document import Bars, Figure, Table
from training.bootstrap import HeldOut, resampling_weights
from training.candidates import Boosted
from training.cross_validation import cross_validate
from training.explaining.examination import groups_to_leave_out
from training.explaining.left_out import fitted_without
from training.explaining.refits import FEWEST_REFITS, Refits, spread
from training.metrics import log_losses
from training.report.of_explanation import explanation_sections
from training.splits import assign_folds
from training.validation.optimism import optimism

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.feature_schema import FeatureSchema
    from training.baselines import Candidate
    from training.train import TrainingResult
    from training.training_table import TrainingTable


@pytest.fixture(scope="module")
def held_out(trained: TrainingResult) -> HeldOut:
    table = trained.table
    folds = assign_folds(table.outcome, table.groups, folds=3, repeats=2, seed=0)
    return HeldOut(table.outcome, folds, resampling_weights(table.patient, seed=0, replicates=100))


@pytest.fixture(scope="module")
def refits(trained: TrainingResult, held_out: HeldOut) -> Refits:
    found = Refits(trained.table, seed=0)
    cross_validate(lambda: Boosted(0), trained.table, held_out, refits=found)
    return found


def test_examining_a_candidate_changes_none_of_its_predictions(trained: TrainingResult, held_out: HeldOut) -> None:
    plain = cross_validate(lambda: Boosted(0), trained.table, held_out)
    watched = cross_validate(lambda: Boosted(0), trained.table, held_out, refits=Refits(trained.table, 0))
    assert plain.log_odds is not None
    np.testing.assert_array_equal(plain.log_odds, watched.log_odds)
    assert (plain.id, plain.label) == (watched.id, watched.label)


def test_every_fold_and_every_resample_is_one_refit(trained: TrainingResult, refits: Refits, held_out: HeldOut) -> None:
    assert refits.count == 6
    resampled = Refits(trained.table, 0)
    optimism(lambda: Boosted(0), trained.table, trained.candidates[-1].evaluation, resamples=10, refits=resampled)
    assert resampled.count == 10
    # A resample is judged in the cohort; no patient of it is held out, so nothing is dealt anew.
    assert resampled.ablation(held_out) == ()
    assert resampled.stability()


def test_stability_gives_size_rank_and_direction_with_ranges(refits: Refits) -> None:
    found = {s.name: s for s in refits.stability()}
    assert set(found) == set(refits.table.schema.names)
    sizes = [s.size.value for s in refits.stability()]
    assert sizes == sorted(sizes, reverse=True)
    ihc = found["her2_ihc"]
    assert ihc.change is not None
    assert ihc.change.value is not None
    assert ihc.change.value > 0
    assert ihc.stable
    assert 1 <= (ihc.rank.low or 0) <= (ihc.rank.value or 0) <= (ihc.rank.high or 0)
    assert found["setting"].change is None
    # These patients respond more often on T-DXd, whose payload is no maytansinoid.
    payload = next(s for name, s in found.items() if name == "adc_payload_maytansinoid")
    assert payload.change is not None
    assert (payload.change.value or 0) < 0
    assert not any(d.name.startswith("adc_") for d in refits.drug_differences())


def test_what_the_outcome_follows_is_needed_and_noise_is_not(refits: Refits, held_out: HeldOut) -> None:
    found = {a.label: a for a in refits.ablation(held_out)}
    # Response of these patients follows HER2 and CDK12, nothing of the immune environment.
    her2 = found["HER2 level"]
    assert her2.core
    assert her2.loss.excludes_zero
    assert (her2.loss.value or 0) > 0.02
    immune = found["immune environment"].loss
    assert abs(immune.value or 0) < 0.02
    assert set(found["HER2 level"].columns) == {"her2_ihc", "erbb2_mrna_z", "erbb2_copy_number"}


def test_dealing_anew_keeps_to_patients_of_one_drug_and_leaves_other_columns_alone(trained: TrainingResult) -> None:
    class Seen:
        """Stands for a model; keeps what it is asked about and answers with one column."""

        def __init__(self, column: int) -> None:
            self.column, self.classifier = column, self

        def contributions(self, matrix: np.ndarray) -> np.ndarray:
            return np.zeros((len(matrix), matrix.shape[1] + 1))

        def decision_function(self, matrix: np.ndarray) -> np.ndarray:
            self.asked = matrix
            return np.nan_to_num(matrix[:, self.column])

    table: TrainingTable = trained.table
    position = table.schema.names.index("cdk12_amplified")
    refits, model = Refits(table, 0), Seen(position)
    refits.keep([refits.examiner.examine(model, table).arrays()])  # type: ignore[arg-type]
    tried = model.asked.reshape(-1, table.patients, len(table.schema.columns))
    matrix = table.features.to_numpy()
    changed = [not np.array_equal(one[:, position], matrix[:, position], equal_nan=True) for one in tried]
    # Two deals each of its step and of the core biomarker.
    assert sum(changed) == 4
    for one in tried[changed]:
        for drug in np.unique(table.adc):
            own = table.adc == drug
            assert sorted(one[own, position]) == sorted(matrix[own, position])
    weights = np.ones((table.patients, 10), dtype=np.float32)
    held = HeldOut(table.outcome, np.zeros((1, table.patients), dtype=int), weights)
    loss = {a.label: a.loss.value for a in refits.ablation(held)}["CDK12"]
    base = log_losses(table.outcome, np.nan_to_num(matrix[:, position]))
    rises = [log_losses(table.outcome, one[:, position]).mean() - base.mean() for one in tried[changed][2:]]
    assert loss == pytest.approx(np.mean(rises))


def test_the_order_in_which_folds_end_changes_nothing(refits: Refits, held_out: HeldOut) -> None:
    before = refits.ablation(held_out), refits.stability()
    refits._found.reverse()
    assert (refits.ablation(held_out), refits.stability()) == before


def test_too_few_refits_tell_nothing(trained: TrainingResult, held_out: HeldOut) -> None:
    empty = Refits(trained.table, 0)
    assert empty.count < FEWEST_REFITS
    assert empty.stability() == empty.drug_differences() == empty.ablation(held_out) == ()


def test_the_range_holds_95_percent_of_the_refits() -> None:
    found = spread(np.arange(101.0))
    assert (found.low, found.value, found.high) == (2.5, 50.0, 97.5)


def test_the_core_biomarkers_have_names() -> None:
    assert list(CORE_BIOMARKERS) == list(CORE_LABELS)


def test_an_unstable_biomarker_is_greyed_in_the_report(trained: TrainingResult, refits: Refits) -> None:
    wavering = replace_change(refits)
    record = replace_record(trained, wavering)
    bars = next(b for b in explanation_sections(record)[0].blocks if isinstance(b, Bars))
    assert {b.tone for b in bars.bars} == {"unsure"}
    steps = explanation_sections(record)[1].blocks
    assert any(isinstance(b, Bars) for b in steps)
    assert [b for section in explanation_sections(record) for b in section.blocks if isinstance(b, Table)]
    assert all(f.alternative for s in explanation_sections(record) for f in s.blocks if isinstance(f, Figure))


def replace_change(refits: Refits):  # type: ignore[no-untyped-def]
    """Stability in which no refit agrees with another."""
    from msgspec.structs import replace as renewed

    return tuple(renewed(s, change=spread(np.array([-1.0, 1.0]))) for s in refits.stability())


def replace_record(trained: TrainingResult, stability):  # type: ignore[no-untyped-def]
    """The record of `trained` with another stability."""
    from msgspec.structs import replace as renewed

    return renewed(replace(trained).explanation, stability=stability, refits=6)


def test_a_model_fitted_without_a_group_loses_what_nothing_else_tells(trained: TrainingResult) -> None:
    table, held_out = trained.table, trained.held_out
    seen: list[tuple[str, ...]] = []
    steps: list[int] = []

    def maker_for(schema: FeatureSchema) -> Callable[[], Candidate]:
        seen.append(tuple(schema.names))
        return lambda: Boosted(0)

    whole = cross_validate(lambda: Boosted(0), table, held_out).log_odds
    assert whole is not None
    found = {a.label: a for a in fitted_without(table, held_out, whole, maker_for, progress=steps.append)}
    assert list(found) == list(groups_to_leave_out(table.schema))
    assert sum(steps) == len(found) * len(np.unique(held_out.folds[0]))
    assert not set(found["HER2 level"].columns) & set(seen[list(found).index("HER2 level")])
    # Response of these patients follows HER2, which nothing else tells, and nothing of the immune environment.
    assert found["target and binding"].loss.excludes_zero
    assert (found["target and binding"].loss.value or 0) > 0.02
    immune = found["immune environment"].loss
    assert not (immune.excludes_zero and (immune.value or 0) > 0)
    record = msgspec.structs.replace(trained.explanation, left_out=tuple(found.values()))
    blocks = next(s for s in explanation_sections(record) if s.id == "steps").blocks
    assert sum(isinstance(b, Figure) for b in blocks) == 2
