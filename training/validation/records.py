"""What a validation found, as plain records: the one source of its JSON, its report and its text.

Whatever can be missing carries the reason. No patient is in them: the smallest thing counted is a subgroup.
"""

from __future__ import annotations

import msgspec

from training.estimate import Estimate


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model or baseline on patients that it did not learn from.

    Attributes
    ----------
    metrics : dict of str to Estimate
        By the names of `training.metrics.METRICS`.
    difference : Estimate or None
        Log loss of the model minus that of this one; below 0 the model is better. None for the model itself.
    reason : str
        Why it could not be fitted, else empty.
    """

    id: str
    label: str
    baseline: bool
    metrics: dict[str, Estimate]
    difference: Estimate | None = None
    reason: str = ""


class BinnedRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patients of similar prediction: mean prediction and observed share with its 95% (Wilson) interval."""

    predicted: float
    observed: float
    low: float
    high: float
    patients: int


class CalibrationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Agreement of predicted and observed response.

    Attributes
    ----------
    slope, intercept : Estimate
        Ideal 1 and 0.
    ici : Estimate
        Mean distance between prediction and a smooth curve of the observed response; 0 is ideal.
    bins : tuple of BinnedRate
    curve : tuple of (float, float)
        Smooth curve: predicted probability, observed share.
    recalibration : str
        What was applied to the model's log-odds, in words.
    """

    slope: Estimate
    intercept: Estimate
    ici: Estimate
    bins: tuple[BinnedRate, ...]
    curve: tuple[tuple[float, float], ...]
    recalibration: str


class NetBenefit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Net benefit at one threshold, per patient, with the interval of the model's."""

    threshold: float
    model: float
    low: float
    high: float
    treat_all: float
    her2_ihc: float | None


class Stratum(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patients of one level: counts, and metrics where there are enough of them.

    Attributes
    ----------
    by : str
        What patients are divided by, in words.
    reason : str
        Why there are no metrics, else empty.
    """

    by: str
    level: str
    patients: int
    events: int
    metrics: dict[str, Estimate]
    reason: str = ""


class WithinStrata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Discrimination among patients of the same ADC or the same HER2 class, beside the pooled one."""

    by: str
    auroc: Estimate
    pooled: Estimate
    #: plain sentence where the pooled figure is only the drug or the class speaking, else empty
    warning: str


class Optimism(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Apparent and corrected performance by resampling, every step refitted in each resample.

    Attributes
    ----------
    apparent : float
        In the patients that the model learned from.
    optimism, harrell : float
        Mean over resamples of performance there less that in the whole cohort, and what is left of the apparent one.
    left_out : float
        Mean performance in the patients that a resample did not draw.
    corrected : Estimate
        By .632+, which weighs `apparent` and `left_out` by how much is overfitted; .632 for the slope.
    """

    metric: str
    apparent: float
    optimism: float
    harrell: float
    left_out: float
    corrected: Estimate


class OptimismRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The resampling: resamples done, those lost, and what they found."""

    resamples: int
    lost: int
    metrics: tuple[Optimism, ...]
    reason: str = ""


class ComparatorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the score tells who responds to the ADC, or who responds to anything.

    Attributes
    ----------
    auroc_adc, auroc_comparator, difference : Estimate
        Discrimination in the arm with the ADC and in the comparator arm; their difference.
    interaction : Estimate
        Slope of the outcome's log-odds on the score in the ADC arm minus that in the comparator arm.
    """

    arm: str
    scored_as: str
    patients_adc: int
    events_adc: int
    patients_comparator: int
    events_comparator: int
    auroc_adc: Estimate
    auroc_comparator: Estimate
    difference: Estimate
    interaction: Estimate
    sentence: str


class CheckFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A doubt about the data or the plan, found before training."""

    code: str
    severity: str
    what: str
    remedy: str
    ignored: bool = False


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How patients were held out, and which question that answers."""

    question: str
    sentence: str
    folds: int
    repeats: int
    #: what each fold held out, where folds are cohorts, sites or drugs
    held_out: tuple[str, ...] = ()
    resampled: str = "patients"


class ValidationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a validation found."""

    split: Split
    candidates: tuple[Judged, ...]
    calibration: CalibrationRecord | None
    decision_curve: tuple[NetBenefit, ...]
    within: tuple[WithinStrata, ...]
    subgroups: tuple[Stratum, ...]
    optimism: OptimismRecord
    checks: tuple[CheckFinding, ...]
    #: one plain sentence: is there a signal at all?
    signal: str
    #: what could not be said, and why
    unsaid: tuple[str, ...] = ()


class ExternalRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finished model on a cohort: as it is, and recalibrated.

    Attributes
    ----------
    own_cohort : bool
        The cohort is the one that the model learned from: its held-out predictions were judged.
    as_it_is : Judged
    recalibrated : tuple of Judged
        After correction of the intercept, and of slope and intercept, fitted on nine tenths and judged on the rest.
    calibration, calibration_recalibrated : CalibrationRecord or None
    columns_missing : tuple of str
        Columns of the model that no patient here has.
    """

    model: str
    model_version: str
    endpoint: str
    trained_on: str
    cohort: str
    cohort_kind: str
    patients: int
    events: int
    left_out: dict[str, int]
    adcs: dict[str, int]
    own_cohort: bool
    as_it_is: Judged
    recalibrated: tuple[Judged, ...]
    calibration: CalibrationRecord | None
    calibration_recalibrated: CalibrationRecord | None
    decision_curve: tuple[NetBenefit, ...]
    within: tuple[WithinStrata, ...]
    subgroups: tuple[Stratum, ...]
    comparator: ComparatorRecord | None
    columns_missing: tuple[str, ...]
    signal: str
    unsaid: tuple[str, ...] = ()
