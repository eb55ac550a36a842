"""Looks for every doubt of `rules.RULES` in a cohort that is about to be learned from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from features.biomarkers import biomarker_of
from features.errors import InputError
from features.faults import listed
from features.feature_table import SAME_VALUE
from training.checks import rules
from training.validation.accuracy import placements
from training.validation.sample_size import required_patients

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from features.cohort import Cohort
    from training.cohort_prior import CohortPrior
    from training.training_table import Attrition, TrainingTable
    from training.validation.records import CheckFinding

_EVENTS_PER_COLUMN = 10
#: A column that separates this well alone, in as many patients of each outcome, is no biomarker.
_SUSPECT_AUROC, _SUSPECT_PATIENTS = 0.98, 10
#: Chance among the dozens of columns that are looked at.
_CLEAR_P = 0.001
_SEPARATED_PATIENTS = 8
_COVERED_SHARE = 0.4
_ALIKE_COLUMNS = 6
_SHOWN_ROWS = 6
_LATER = re.compile(
    r"(?:^|[_\W])(post|residual|rcb|surg|progress|relapse|recurr|follow|fu|week\d*|cycle\d*|c\d+d\d+|ontreat\w*|"
    r"on_treat\w*|eot|response|best|shrinkage|delta|change|pfs|os|dfs|efs|death|dead|vital|last|months?_to|days?_to)"
    r"(?=$|[_\W\d])",
    flags=re.IGNORECASE,
)
_BATCH = re.compile(r"assay|batch|platform|plate|kit|antibody|scanner|laborator|(?:^|_)lab(?:$|_)", re.IGNORECASE)


def check_before_training(
    cohort: Cohort,
    table: TrainingTable,
    attrition: Attrition,
    prior: CohortPrior | None,
    *,
    ignore: Collection[str] = (),
) -> tuple[CheckFinding, ...]:
    """Every doubt about a cohort, in the order of the codes.

    Parameters
    ----------
    cohort : Cohort
    table : TrainingTable
    attrition : Attrition
    prior : CohortPrior or None
    ignore : collection of str
        Codes that the user has answered; their findings are kept and marked.

    Returns
    -------
    tuple of CheckFinding

    Raises
    ------
    InputError
        A code to ignore does not exist.
    """
    known = [rule.code for rule in rules.RULES]
    unknown = sorted(set(ignore) - set(known))
    if unknown:
        raise InputError(
            f"There is no check {listed(unknown)}.", where="--ignore", mend=f"Codes go from {known[0]} to {known[-1]}."
        )
    patients = cohort.patients.iloc[table.rows].reset_index(drop=True)
    found = [
        *_sizes(table),
        *_leakage(table),
        *_acquired(patients),
        *_later_columns(table),
        *_by_place(patients, table),
        *_duplicates(patients, table, cohort),
        *_constant(attrition),
        *_separation(table),
        *_prior_ranges(table, prior),
        *_missing_by_outcome(table),
    ]
    found.sort(key=lambda f: f.code)
    return tuple(msgspec.structs.replace(f, ignored=f.code in ignore) for f in found)


def _sizes(table: TrainingTable) -> Iterator[CheckFinding]:
    columns, rarer = len(table.schema.columns), min(table.events, table.patients - table.events)
    if rarer < _EVENTS_PER_COLUMN * columns:
        yield rules.EVENTS_PER_PARAMETER.finding(events=rarer, columns=columns, ratio=rarer / columns)
    rate = table.events / table.patients
    required = required_patients(columns, rate).required
    if table.patients < required:
        yield rules.SAMPLE_SIZE.finding(patients=table.patients, required=required, columns=columns, rate=rate)


def _leakage(table: TrainingTable) -> Iterator[CheckFinding]:
    for column in table.schema.columns:
        values = table.features[column.name].to_numpy()
        known = np.isfinite(values)
        outcome = table.outcome[known]
        if column.kind == "categorical" or min(outcome.sum(), len(outcome) - outcome.sum()) < _SUSPECT_PATIENTS:
            continue
        area = float(placements(values[known][outcome == 1], values[known][outcome == 0])[0].mean())
        if max(area, 1 - area) >= _SUSPECT_AUROC:
            yield rules.LEAKAGE.finding(column=column.name, auroc=max(area, 1 - area), patients=int(known.sum()))


def _acquired(patients: pd.DataFrame) -> Iterator[CheckFinding]:
    for name in patients.columns.intersection(list(biomarker_of())):
        if not biomarker_of()[name].baseline and patients[name].notna().any():
            yield rules.ACQUIRED.finding(column=name)


def _later_columns(table: TrainingTable) -> Iterator[CheckFinding]:
    for column in table.schema.columns:
        if column.source == "extra" and _LATER.search(column.name):
            yield rules.AFTER_TREATMENT.finding(column=column.name)


def _by_place(patients: pd.DataFrame, table: TrainingTable) -> Iterator[CheckFinding]:
    for column in patients.columns:
        place = column in ("site", "cohort")
        if not place and not (_BATCH.search(column) and column not in biomarker_of()):
            continue
        level = patients[column].astype(object)
        counts = level.value_counts()
        if not 2 <= len(counts) <= max(2, len(patients) // 5):
            continue
        rates = pd.Series(table.outcome).groupby(level.to_numpy()).mean()
        p = _independence(level, pd.Series(table.outcome))
        if p < _CLEAR_P:
            rule = rules.OUTCOME_BY_SITE if place else rules.OUTCOME_BY_ASSAY
            told = {"column": column, "lowest": rates.min(), "highest": rates.max(), "p": p}
            yield rule.finding(**told, question=f"new-{column}" if place else "")
        drugs = pd.Series(table.adc).groupby(level.to_numpy()).nunique()
        if place and len(set(table.adc)) > 1 and (drugs == 1).all():
            yield rules.ONE_DRUG_PER_SITE.finding(column=column)


def _independence(one: pd.Series[Any], other: pd.Series[Any]) -> float:
    """Chance of a table as uneven, by the chi-squared test."""
    from scipy.stats import chi2_contingency

    counts = pd.crosstab(one.to_numpy(), other.to_numpy()).to_numpy()
    if min(counts.shape) < 2:
        return 1.0
    return float(chi2_contingency(counts).pvalue)


def _duplicates(patients: pd.DataFrame, table: TrainingTable, cohort: Cohort) -> Iterator[CheckFinding]:
    names = [c.name for c in table.schema.columns if c.source in ("biomarker", "extra")]
    matrix = table.features[names].to_numpy()
    # Only values that differ from patient to patient can give one away.
    telling = [j for j in range(matrix.shape[1]) if len(np.unique(matrix[np.isfinite(matrix[:, j]), j])) > 10]
    if len(telling) < 3:
        return
    known = np.isfinite(matrix[:, telling]).sum(axis=1)
    seen: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    for row in range(len(matrix)):
        if known[row] < min(_ALIKE_COLUMNS, len(telling)):
            continue
        key = np.nan_to_num(matrix[row], nan=-9.87654321e300).tobytes()
        if key in seen and patients["patient_id"].iloc[row] != patients["patient_id"].iloc[seen[key]]:
            pairs.append((seen[key], row))
        seen.setdefault(key, row)
    if pairs:
        rows = listed([str(cohort.rows[table.rows[r]]) for pair in pairs for r in pair][:_SHOWN_ROWS])
        yield rules.DUPLICATES.finding(pairs=len(pairs), columns=min(_ALIKE_COLUMNS, len(telling)), rows=rows)


def _constant(attrition: Attrition) -> Iterator[CheckFinding]:
    same = [name for name, why in attrition.columns.items() if why == SAME_VALUE]
    if same:
        yield rules.CONSTANT.finding(number=len(same), columns=listed(same))


def _separation(table: TrainingTable) -> Iterator[CheckFinding]:
    for column in table.schema.columns:
        if column.source == "adc_profile" or column.kind == "numeric":
            continue
        values = table.features[column.name].to_numpy()
        for value in np.unique(values[np.isfinite(values)]):
            outcome = table.outcome[values == value]
            if len(outcome) >= _SEPARATED_PATIENTS and len(np.unique(outcome)) == 1:
                level = column.levels[int(value)] if column.levels else ("present" if value else "absent")
                did = "responded" if outcome[0] else "did not respond"
                yield rules.SEPARATION.finding(patients=len(outcome), column=column.name, level=level, did=did)


def _prior_ranges(table: TrainingTable, prior: CohortPrior | None) -> Iterator[CheckFinding]:
    if prior is None:
        return
    for column, scale in zip(table.schema.columns, prior.scales, strict=True):
        values = table.features[column.name].to_numpy()
        values = values[np.isfinite(values)]
        if scale is None or column.kind != "numeric" or column.source != "biomarker" or len(values) < 2:
            continue
        # A scale holds every simulated value once; its own tails are trimmed like the cohort's.
        low, high = np.quantile(scale.values, [0.01, 0.99])
        own_low, own_high = np.quantile(values, [0.01, 0.99])
        covered = max(0.0, min(high, own_high) - max(low, own_low)) / max(high - low, 1e-12)
        if covered < _COVERED_SHARE:
            yield rules.PRIOR_ONLY.finding(column=column.name, share=covered, low=low, high=high)


def _missing_by_outcome(table: TrainingTable) -> Iterator[CheckFinding]:
    for column in table.schema.columns:
        missing = table.features[column.name].isna().to_numpy()
        if not _SEPARATED_PATIENTS <= missing.sum() <= len(missing) - _SEPARATED_PATIENTS:
            continue
        p = _independence(pd.Series(missing), pd.Series(table.outcome))
        if p < _CLEAR_P:
            responders, others = missing[table.outcome == 1].mean(), missing[table.outcome == 0].mean()
            yield rules.MISSING_BY_OUTCOME.finding(column=column.name, responders=responders, others=others, p=p)
