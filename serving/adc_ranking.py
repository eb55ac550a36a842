"""Each patient under each of several ADCs: what the model expects, how sure it is, and where it must not say.

The model knows an ADC by its parts (payload, linker, drug-to-antibody ratio, bystander effect), so it can be asked
about an ADC that a patient did not receive. Its answer rests on comparisons between patients who were not randomised,
and the parts of two ADCs say alike whatever else differs between those who received them. A ranking is therefore a
hypothesis to be tested, never a recommendation, and is given only where the training cohort can bear it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.adcs import adcs
from features.columns.coded_column import CodedColumn
from features.errors import InputError, ModelError
from features.faults import listed, shown
from features.feature_table import encode_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serving.patients import Patients
    from training.model_bundle import BundleRecord, ModelBundle

    Floats = NDArray[np.float64]

#: Fewer training patients of the same HER2 class on an ADC than this tell nothing of it: with 20 and a response rate of
#: one half, the 95% interval of that rate alone is 27% to 73%.
FEWEST_COMPARABLE = 20
#: Stands in every row of a ranking.
HYPOTHESIS = "hypothesis-generating only; not a treatment recommendation"
SEPARATOR = "; "


def ranked_adcs(text: str, record: BundleRecord) -> tuple[str, ...]:
    """ADCs of the option `--rank-adcs`.

    Parameters
    ----------
    text : str
        Names with commas between them, as `adcr catalogue adcs` lists them.
    record : BundleRecord

    Returns
    -------
    tuple of str
        In the order given, each once.

    Raises
    ------
    InputError
        There are fewer than two, or one is not in the catalogue.
    ModelError
        The model learned from one ADC alone, or knows nothing that tells ADCs apart.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in adcs()]
    if unknown:
        raise InputError(
            f"'{shown(unknown[0])}' is not an ADC of the catalogue.",
            where="--rank-adcs",
            mend="`adcr catalogue adcs` lists the names.",
        )
    if len(names) < 2:
        raise InputError("a ranking needs two ADCs or more.", where="--rank-adcs", mend="Write T-DM1,T-DXd.")
    if not any(column.source == "adc_profile" for column in record.schema.columns):
        raise ModelError(
            f"The model learned from {listed(tuple(record.cohort.adcs)) or 'no ADC'} alone and cannot tell ADCs apart.",
            where="--rank-adcs",
            mend="Train on a cohort with several ADCs.",
        )
    return names


def ranking_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Columns that a ranking adds to the score table.

    Parameters
    ----------
    names : sequence of str
        ADCs.

    Returns
    -------
    tuple of str
        Per ADC the response probability, its interval and the difference to the best one; then the ADC that is ranked
        first, "" where the model abstains; why it abstains; and what a ranking is worth.
    """
    parts = ("probability", "probability_low", "probability_high", "probability_difference_to_best")
    return (
        *(f"{part}_{name}" for name in names for part in parts),
        *("adc_ranked_first", "adc_ranking_abstains", "adc_ranking_use"),
    )


def rank(bundle: ModelBundle, patients: Patients, names: Sequence[str]) -> dict[str, Any]:
    """Score each patient under each ADC.

    Parameters
    ----------
    bundle : ModelBundle
    patients : Patients
    names : sequence of str
        ADCs.

    Returns
    -------
    dict of str to pyarrow.Array
        As `ranking_columns` names them. Of an ADC that the training cohort does not hold, or with too few patients of
        this patient's HER2 class, the probabilities are null.
    """
    rows = len(patients)
    estimates = {name: _under(bundle, patients, name) for name in names}
    doubts = {name: _too_few(bundle.record, patients, name) for name in names}
    supported = {
        name: np.array([text == "" for text in texts], dtype=bool)[codes] for name, (codes, texts) in doubts.items()
    }
    p = np.column_stack([np.where(supported[name], estimates[name][0], np.nan) for name in names])
    best = np.where(np.isnan(p), -1.0, p).argmax(axis=1) if rows else np.zeros(0, dtype=np.intp)
    highest = p[np.arange(rows), best]
    data: dict[str, Any] = {}
    for j, name in enumerate(names):
        none = ~supported[name]
        probability, low, high = estimates[name]
        data[f"probability_{name}"] = pa.array(probability, mask=none)
        data[f"probability_low_{name}"] = pa.array(low, mask=none)
        data[f"probability_high_{name}"] = pa.array(high, mask=none)
        data[f"probability_difference_to_best_{name}"] = pa.array(p[:, j] - highest, mask=none)
    reasons = _abstentions(names, estimates, supported, doubts, best)
    sure = np.array([reason == "" for reason in reasons], dtype=bool)
    first: Any = np.where(sure, np.array(names, dtype=object)[best], "") if rows else []
    data["adc_ranked_first"] = pa.array(list(first), type=pa.string())
    data["adc_ranking_abstains"] = pa.array(reasons, type=pa.string())
    data["adc_ranking_use"] = pa.array([HYPOTHESIS] * rows, type=pa.string())
    return data


def _under(bundle: ModelBundle, patients: Patients, name: str) -> tuple[Floats, Floats, Floats]:
    """Response probability and its interval, were every patient to receive this ADC."""
    rows = len(patients)
    if not rows:
        return np.empty(0), np.empty(0), np.empty(0)
    given = CodedColumn(np.zeros(rows, dtype=np.intp), np.array([name], dtype=object))
    matrix = encode_columns({**patients.columns, "adc": given}, rows, bundle.record.schema)
    log_odds = bundle.predict_log_odds(matrix)
    low, high = bundle.interval(log_odds)
    return bundle.probability(log_odds), low, high


def _too_few(record: BundleRecord, patients: Patients, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """Why the training cohort cannot speak of this ADC in each patient: a text by code, "" where it can."""
    codes = np.zeros(len(patients), dtype=np.int64)
    if not record.cohort.adcs.get(name):
        return codes, [f"{name}: never seen in training"]
    by_class: Mapping[str, int] = record.cohort.adcs_by_her2.get(name, {})
    column = patients.columns.get("her2_class")
    if not by_class or not isinstance(column, CodedColumn):
        return codes, [_doubt(name, "", record.cohort.adcs[name])]
    classes = sorted({str(text) for text in column.texts if text is not None})
    for code, level in enumerate(classes, start=1):
        codes[column.isin((level,))] = code
    texts = [_doubt(name, "", record.cohort.adcs[name])]
    return codes, [*texts, *(_doubt(name, level, by_class.get(level, 0)) for level in classes)]


def _doubt(name: str, level: str, number: int) -> str:
    if number >= FEWEST_COMPARABLE:
        return ""
    kind = f" with HER2 {level}" if level else ""
    return f"{name}: {number} training patient{'' if number == 1 else 's'}{kind}, fewer than {FEWEST_COMPARABLE}"


def _abstentions(
    names: Sequence[str],
    estimates: Mapping[str, tuple[Floats, Floats, Floats]],
    supported: Mapping[str, NDArray[np.bool_]],
    doubts: Mapping[str, tuple[NDArray[np.int64], list[str]]],
    best: NDArray[np.intp],
) -> list[str]:
    """Why no ADC is ranked first, patient by patient; "" where one is."""
    rows = len(best)
    low = np.column_stack([estimates[name][1] for name in names])
    high = np.column_stack([np.where(supported[name], estimates[name][2], -np.inf) for name in names])
    here = np.arange(rows)
    others = high.copy()
    others[here, best] = -np.inf
    next_best = others.argmax(axis=1) if rows else best
    overlap = others[here, next_best] >= low[here, best]
    reasons = []
    for row in range(rows):
        # An ADC of which nothing is known could be the best: beside it none is ranked first.
        unknown = [doubts[name][1][doubts[name][0][row]] for name in names if not supported[name][row]]
        if not unknown and overlap[row]:
            unknown = [f"the intervals of {names[best[row]]} and {names[next_best[row]]} overlap"]
        reasons.append(SEPARATOR.join(unknown))
    return reasons
