"""Whether a new model takes the alias `champion`: only on proof, and the reason is always told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.feature_table import encode
from training.bootstrap import Estimate, loss_difference

if TYPE_CHECKING:
    from features.cohort import Cohort
    from training.metrics import Floats
    from training.model_bundle import ModelBundle
    from training.training_result import TrainingResult

ALIAS = "champion"


@dataclass(frozen=True)
class ChampionDecision:
    """Whether the alias moves, why, and by how much the log loss differs from that of the present champion."""

    moves: bool
    reason: str
    difference: Estimate | None = None


def decide(result: TrainingResult, cohort: Cohort, champion: ModelBundle | None) -> ChampionDecision:
    """Compare a new model with the baselines and with the present champion, on the new model's cohort.

    The alias moves only where the 95% interval of the difference in log loss lies below zero against every baseline,
    and against the champion. A champion trained on the same cohort is represented by its own held-out predictions.
    Another one is applied to this cohort as it stands, so that the new model is measured by cross-validation and the
    champion by external validation; a champion that has seen some of these patients has the advantage, and the alias
    then rather stays. A model of simulated patients never replaces one of real patients.

    Parameters
    ----------
    result : TrainingResult
    cohort : Cohort
        The cohort that `result` was trained on.
    champion : ModelBundle or None
        The present champion; None where there is none.

    Returns
    -------
    ChampionDecision
    """
    unbeaten = _unbeaten_baselines(result)
    if unbeaten:
        return ChampionDecision(moves=False, reason=f"its log loss is not shown to be lower than that of {unbeaten}")
    if champion is None:
        return ChampionDecision(moves=True, reason="it beats every baseline, and there was no champion")
    refusal = _not_comparable(result, champion)
    if refusal:
        return ChampionDecision(moves=False, reason=refusal)
    theirs, how = _champion_log_odds(result, cohort, champion)
    ours = _held_out(result)
    difference = loss_difference(result.held_out.outcome, ours, theirs, result.held_out.weights)
    if difference.excludes_zero and (difference.value or 0) < 0:
        return ChampionDecision(
            moves=True, reason=f"it beats every baseline and the former champion ({how})", difference=difference
        )
    return ChampionDecision(
        moves=False, reason=f"its log loss is not shown to be lower than the champion's ({how})", difference=difference
    )


def _unbeaten_baselines(result: TrainingResult) -> str:
    differences = result.differences("log_loss")
    names = [
        f"'{c.label}'"
        for c in result.candidates
        if c.baseline
        and c.log_odds is not None
        and not (differences[c.id].excludes_zero and (differences[c.id].value or 0) < 0)
    ]
    return ", ".join(names)


def _not_comparable(result: TrainingResult, champion: ModelBundle) -> str:
    if champion.record.endpoint != result.endpoint:
        return f"the champion predicts another endpoint ({champion.record.endpoint})"
    if result.record.simulated and not champion.record.simulated:
        return "it learned from simulated patients, and the champion from real ones"
    return ""


def _champion_log_odds(result: TrainingResult, cohort: Cohort, champion: ModelBundle) -> tuple[Floats, str]:
    stamp, ours = champion.record.cohort, result.record.cohort
    held_out = np.asarray(champion.record.held_out_log_odds)
    if (stamp.sha256, stamp.patients, stamp.events) == (ours.sha256, ours.patients, ours.events):
        return held_out, "same cohort, both cross-validated"
    patients = cohort.patients.iloc[result.table.rows]
    matrix = encode(patients, champion.record.schema).to_numpy()
    return champion.predict_log_odds(matrix), "champion applied to this cohort as external validation"


def _held_out(result: TrainingResult) -> Floats:
    """One prediction per patient, as the champion's record holds them."""
    return np.asarray(result.record.held_out_log_odds)
