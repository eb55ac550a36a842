"""The five core biomarkers, and the columns by which a cohort may know each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The core biomarkers and the columns that measure each; one measured column is enough.
CORE_BIOMARKERS: Mapping[str, tuple[str, ...]] = {
    "her2_level": ("her2_ihc", "her2_ish_ratio", "erbb2_copy_number", "erbb2_mrna_z", "her2_h_score"),
    "her2_heterogeneity": ("her2_heterogeneous", "her2_negative_fraction"),
    "p95her2": ("p95her2_ratio", "p95her2_positive"),
    "cdk12": ("cdk12_amplified", "cdk12_copy_number"),
    "erbb2_deletion": ("erbb2_deletion",),
}
#: Their names as a reader meets them.
CORE_LABELS: Mapping[str, str] = {
    "her2_level": "HER2 level",
    "her2_heterogeneity": "HER2 heterogeneity",
    "p95her2": "p95HER2",
    "cdk12": "CDK12",
    "erbb2_deletion": "ERBB2 deletion",
}
