"""What a prior was made of, and what it believes, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.biomarkers import measures
from features.cohort import Cohort, CohortSource
from features.feature_table import build_schema, encode
from training.column_scores import column_scale

if TYPE_CHECKING:
    from training.prior import LiteraturePrior

#: Measures shown per ADC and endpoint.
_MOST_SHOWN = 6


@dataclass(frozen=True)
class Tendency:
    """How response changes with a measure over the worlds: log-odds per standard deviation, other columns ignored."""

    label: str
    mean: float
    low: float
    high: float


def tendencies(prior: LiteraturePrior, adc: str, endpoint: str) -> list[Tendency]:
    """Measures by how strongly the worlds tie them to response on an ADC, strongest first.

    Parameters
    ----------
    prior : LiteraturePrior
    adc : str
    endpoint : {"pcr", "objective_response"}

    Returns
    -------
    list of Tendency
        With the 95% range over the worlds; categories are left out.
    """
    patients = prior.evidence.patients
    rows = np.flatnonzero((patients["endpoint"] == endpoint) & (patients["adc"] == adc))
    own = patients.iloc[rows].reset_index(drop=True)
    schema = build_schema(Cohort(CohortSource("prior", None, ""), own, tuple(range(len(own))), len(own)))
    matrix = encode(own, schema).to_numpy()
    found = []
    for j, column in enumerate(schema.columns):
        scale = column_scale(matrix[:, j])
        if column.source != "biomarker" or column.kind == "categorical" or scale is None:
            continue
        known = np.isfinite(matrix[:, j])
        score = scale.score(matrix[known, j])
        slopes = (score - score.mean()) @ prior.evidence.log_odds[rows[known]].astype(np.float64)
        slopes /= score.var() * len(score)
        low, high = np.percentile(slopes, [2.5, 97.5])
        found.append(Tendency(measures()[column.name].label, float(slopes.mean()), float(low), float(high)))
    return sorted(found, key=lambda t: -abs(t.mean))


def prior_text(prior: LiteraturePrior) -> str:
    """Tell what the prior was made of and what it leans towards.

    Parameters
    ----------
    prior : LiteraturePrior

    Returns
    -------
    str
    """
    record, settings = prior.record, prior.record.settings
    lines = [
        "Literature prior: simulated worlds, no patient. Research use only.",
        "",
        f"  hash       {record.key} (catalogue, simulator and settings)",
        f"  folder     {prior.folder or 'not kept: the cache folder cannot be written'}",
        f"  worlds     {settings.worlds}, in {record.altered_worlds} of them biomarkers turned round or removed",
        f"  built in   {record.seconds:.1f} s",
        "",
        f"{'ADC':<10}{'endpoint':<20}{'patients':>9}{'response':>10}",
    ]
    for t in record.treatments:
        lines.append(f"{t['adc']:<10}{t['endpoint']:<20}{t['patients']:>9,}{float(t['response_rate']):>10.0%}")
    lines += ["", "Strongest tendencies: log-odds of response per standard deviation, mean and 95% range over worlds"]
    for t in record.treatments:
        lines += ["", f"{t['adc']}, {t['endpoint']}"]
        for found in tendencies(prior, str(t["adc"]), str(t["endpoint"]))[:_MOST_SHOWN]:
            lines.append(f"  {found.label[:54]:<56}{found.mean:>+6.2f}   {found.low:+.2f} to {found.high:+.2f}")
    return "\n".join(lines)
