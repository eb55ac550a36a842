"""What a training says of its model's explanations: records for its report, no patient among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from training.explaining.blocks import Block, correlated_blocks
from training.explaining.interactions import Interaction, strongest_interactions
from training.explaining.knowledge import KnownEffect, against_knowledge
from training.explaining.learned_effects import learned_effects
from training.explaining.mechanism_steps import StepInfluence, step_influences
from training.explaining.refits import Ablation, Refits
from training.explaining.stability import DrugDifference, Stability

if TYPE_CHECKING:
    from features.feature_schema import FeatureSchema
    from training.bootstrap import HeldOut
    from training.metrics import Floats
    from training.training_table import TrainingTable


class ExplanationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model makes of biomarkers in the patients that it learned from.

    Attributes
    ----------
    known : tuple of KnownEffect
        Learned directions beside the catalogue's.
    steps : tuple of StepInfluence
    blocks : tuple of Block
        Columns that share credit.
    refits : int
        Fits on parts of the cohort behind what follows.
    stability : tuple of Stability
    drug_differences : tuple of DrugDifference
    ablation : tuple of Ablation
    interactions : tuple of Interaction
        Of the final model.
    left_out : tuple of Ablation
        Rise of the held-out log loss of models that were fitted without a group; empty where none was asked for.
    """

    known: tuple[KnownEffect, ...]
    steps: tuple[StepInfluence, ...]
    blocks: tuple[Block, ...]
    refits: int
    stability: tuple[Stability, ...]
    drug_differences: tuple[DrugDifference, ...]
    ablation: tuple[Ablation, ...]
    interactions: tuple[Interaction, ...] = ()
    left_out: tuple[Ablation, ...] = ()


def explanation_record(
    table: TrainingTable,
    schema: FeatureSchema,
    shap: Floats,
    refits: Refits,
    held_out: HeldOut,
    model_text: str,
    *,
    left_out: tuple[Ablation, ...] = (),
) -> ExplanationRecord:
    """Sum up what a final model and its refits say.

    Parameters
    ----------
    table : TrainingTable
    schema : FeatureSchema
        With the signs that the model is held to.
    shap : numpy.ndarray of shape (n_patients, n_columns)
        Contributions of the final model.
    refits : Refits
    held_out : HeldOut
    model_text : str
        Trees of the final model.
    left_out : tuple of Ablation, optional
        What models lose that were fitted without a group of columns.

    Returns
    -------
    ExplanationRecord
    """
    matrix = table.features.to_numpy()
    return ExplanationRecord(
        known=against_knowledge(schema, learned_effects(schema, matrix, shap, table.adc)),
        steps=step_influences(schema, shap),
        blocks=correlated_blocks(schema, matrix, shap),
        refits=refits.count,
        stability=refits.stability(),
        drug_differences=refits.drug_differences(),
        ablation=refits.ablation(held_out),
        interactions=strongest_interactions(schema, model_text, matrix),
        left_out=left_out,
    )
