"""What a training leaves: the model, and how it compares with the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from training.bootstrap import Estimate, HeldOut
    from training.cohort_prior import CohortPrior
    from training.cross_validation import CandidateResult
    from training.explaining.record import ExplanationRecord
    from training.explanations import Influence
    from training.learning_curve import CurvePoint
    from training.literature_use import LiteratureUse
    from training.metrics import Floats
    from training.model_bundle import BundleRecord
    from training.training_plan import Plan
    from training.training_table import Attrition, Endpoint, TrainingTable
    from training.validation.records import ValidationRecord


@dataclass(frozen=True)
class TrainingResult:
    """A trained model, and how it compares with the baselines on patients that it did not see.

    Attributes
    ----------
    candidates : tuple of CandidateResult
        Baselines first, then the model.
    resampled : str
        What the intervals resample: "patients" or the group column.
    shap : numpy.ndarray of shape (n_patients, n_columns)
        Contributions of the final model to its training patients.
    explanation : ExplanationRecord
        What it makes of biomarkers, against the catalogue, and how stable that is.
    literature : LiteratureUse or None
        What the final model kept of the literature; None where it was left out.
    prior : CohortPrior or None
        The literature as this cohort sees it.
    curve : tuple of CurvePoint
        Learning curve, where one was asked for.
    """

    name: str
    endpoint: Endpoint
    plan: Plan
    table: TrainingTable
    attrition: Attrition
    held_out: HeldOut
    resampled: str
    candidates: tuple[CandidateResult, ...]
    record: BundleRecord
    model_text: str
    rounds: int
    influences: tuple[Influence, ...]
    literature: LiteratureUse | None
    prior: CohortPrior | None
    curve: tuple[CurvePoint, ...]
    shap: Floats
    explanation: ExplanationRecord
    validation: ValidationRecord
    seconds: float

    @property
    def model(self) -> CandidateResult:
        """The model of the bundle."""
        return self.candidates[-1]

    @property
    def best(self) -> CandidateResult:
        """The candidate with the lowest held-out log loss; it may be a baseline."""
        losses = [c.evaluation.estimate("log_loss").value for c in self.candidates]
        return self.candidates[int(np.argmin([np.inf if loss is None else loss for loss in losses]))]

    def differences(self, metric: str) -> dict[str, Estimate]:
        """Model minus each baseline in the same patients.

        Parameters
        ----------
        metric : str

        Returns
        -------
        dict of str to Estimate
            By the baseline's id; for losses, below zero is better.
        """
        return {c.id: d for c, d in self._differences(metric) if c.baseline}

    def differences_of_models(self, metric: str) -> dict[str, Estimate]:
        """Model minus each other model (literature alone, LightGBM without it) in the same patients.

        Parameters
        ----------
        metric : str

        Returns
        -------
        dict of str to Estimate
            By the other model's id.
        """
        return {c.id: d for c, d in self._differences(metric) if not c.baseline and c.id != self.model.id}

    def _differences(self, metric: str) -> list[tuple[CandidateResult, Estimate]]:
        return [(c, self.model.evaluation.difference(c.evaluation, metric)) for c in self.candidates]

    @property
    def beats_baselines(self) -> bool:
        """Whether the interval of the difference in log loss excludes zero against every baseline."""
        fitted = {c.id for c in self.candidates if c.baseline and c.log_odds is not None}
        differences = self.differences("log_loss")
        return all(differences[b].excludes_zero and (differences[b].value or 0) < 0 for b in fitted)
