"""The mechanistic simulator of ADC response: cohorts whose truth is known, calibrated to published trials."""

from features.synthetic.cohort import SimulatedCohort, simulate_cohort
from features.synthetic.cohort_writer import write_cohort

__all__ = ["SimulatedCohort", "simulate_cohort", "write_cohort"]
