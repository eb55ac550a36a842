"""Contributions by the step of the ADC's way that a column belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from features.feature_schema import FeatureColumn, FeatureSchema
    from training.metrics import Floats, Integers

#: Drug and treatment setting are no step of the catalogue.
TREATMENT, ADDED = "treatment", "added"
#: In the order of the ADC's way through tumour and cell.
STEP_LABELS = {
    TREATMENT: "drug and setting",
    "target_binding": "target and binding",
    "internalisation": "internalisation",
    "trafficking": "trafficking",
    "lysosome": "lysosome",
    "payload_release": "payload release",
    "efflux": "efflux of the payload",
    "payload_target": "target of the payload",
    "dna_damage_response": "DNA damage response",
    "survival_signalling": "survival signalling",
    "stemness": "stemness",
    "metabolism": "metabolism",
    "immune_tme": "immune environment",
    "clinical": "patient and disease",
    ADDED: "columns added by the user",
}


class StepInfluence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a mechanism step moves: the mean absolute sum of its columns' contributions, log-odds."""

    step: str
    label: str
    columns: tuple[str, ...]
    mean_abs_shap: float


def step_of(column: FeatureColumn) -> str:
    """Mechanism step of a column, one of STEP_LABELS.

    Parameters
    ----------
    column : FeatureColumn

    Returns
    -------
    str
    """
    if column.source in ("adc_profile", "context"):
        return TREATMENT
    return column.mechanism_step or ADDED


def step_columns(schema: FeatureSchema) -> dict[str, Integers]:
    """Positions of the columns of each step that the model has, along the ADC's way.

    Parameters
    ----------
    schema : FeatureSchema

    Returns
    -------
    dict of str to numpy.ndarray of int
    """
    steps = [step_of(column) for column in schema.columns]
    return {
        step: np.array([j for j, own in enumerate(steps) if own == step], dtype=np.int64)
        for step in STEP_LABELS
        if step in steps
    }


def step_influences(schema: FeatureSchema, shap: Floats) -> tuple[StepInfluence, ...]:
    """Say where along the ADC's way the model tells patients apart.

    Parameters
    ----------
    schema : FeatureSchema
    shap : numpy.ndarray of shape (n_patients, n_columns)
        Contributions without the base value.

    Returns
    -------
    tuple of StepInfluence
        In the order of the way.
    """
    return tuple(
        StepInfluence(
            step,
            STEP_LABELS[step],
            tuple(schema.names[j] for j in columns),
            float(np.abs(shap[:, columns].sum(axis=1)).mean()),
        )
        for step, columns in step_columns(schema).items()
    )
