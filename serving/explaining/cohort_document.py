"""The page of a cohort: which biomarkers move its scores, in which direction, for which drug, and who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from features.adcs import adcs
from features.feature_table import PAYLOAD_NAMES
from features.report.document import Bar, Bars, Document, DotGroup, Dots, Paragraph, Section, SortableTable, Table
from features.report.words import share
from serving.explaining.measure_next import assay_words, measure_next
from serving.explaining.page_parts import document, model_line, stability, stability_told
from serving.reasons import value_words
from serving.scores import LIKELY, UNCERTAIN, UNLIKELY
from training.explaining.blocks import correlated_blocks
from training.explaining.interactions import strongest_interactions
from training.explaining.knowledge import against_knowledge
from training.explaining.learned_effects import learned_effects
from training.explaining.mechanism_steps import step_influences
from training.explaining.stability import RefitFindings
from training.report.of_explanation import blocks_table, differences_blocks, interaction_blocks, steps_bars
from training.report.of_knowledge import knowledge_blocks, knowledge_sources
from training.report.words import estimate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import pandas as pd
    from numpy.typing import NDArray

    from features.report.document import Block
    from serving.explaining.explained_cohort import ExplainedCohort
    from serving.explaining.measure_next import InformationGain

_MOST_BARS, _MOST_PLOTS, _MOST_DOTS = 15, 6, 400
_MOST_GAINS, _LEAST_BITS = 10, 0.0005
#: Fewer patients than this tell nothing of what acts together.
_FEWEST_PATIENTS = 20
#: Rows that a browser still sorts at once.
_MOST_PATIENTS = 10_000


def cohort_document(explained: ExplainedCohort) -> Document:
    """Put the page of a cohort together.

    Parameters
    ----------
    explained : ExplainedCohort

    Returns
    -------
    Document
    """
    effects = learned_effects(
        explained.schema, explained.matrix, explained.shap, explained.scores["adc"].to_numpy(dtype=str)
    )
    known = against_knowledge(explained.schema, effects)
    unstable = {name for name, found in stability(explained).items() if not found.stable}
    parts = (
        Section("biomarkers", "What moves the scores", tuple(_influences(explained))),
        Section("steps", "Where along the ADC's way", (steps_bars(step_influences(explained.schema, explained.shap)),)),
        Section("values", "By value and drug", tuple(_dependence(explained))),
        Section("interactions", "What acts together", tuple(_interactions(explained))),
        Section("knowledge", "Against what is known", tuple(knowledge_blocks(known, sortable=True, unstable=unstable))),
        Section("measure-next", "Measure next", tuple(_measure_next(explained))),
        Section("patients", "Every patient", tuple(_patients(explained))),
        Section("sources", "Sources", knowledge_sources(known)),
    )
    source = explained.cohort.source.name
    return document(explained, f"Why these scores: {source}", f"{model_line(explained)}.", _headline(explained), parts)


def _headline(explained: ExplainedCohort) -> Iterator[tuple[str, str]]:
    scores, cohort = explained.scores, explained.cohort
    yield "patients scored", f"{len(scores):,} of {cohort.rows_in:,} rows"
    yield "median probability", f"{scores['response_probability'].median():.2f}"
    for band in (LIKELY, UNCERTAIN, UNLIKELY):
        yield f"{band}s" if band != UNCERTAIN else band, share(int((scores["risk_band"] == band).sum()), len(scores))


def _influences(explained: ExplainedCohort) -> Iterator[Block]:
    size = np.abs(explained.shap).mean(axis=0)
    order = [j for j in np.argsort(-size, kind="stable")[:_MOST_BARS] if size[j] > 0]
    if not order:
        yield Paragraph("The model gives every patient the same probability.")
        return
    columns = explained.schema.columns
    bars = tuple(_influence_bar(explained, j, float(size[j])) for j in order)
    told = ", ".join(f"{columns[j].label} {size[j]:.2f}" for j in order[:5])
    caption = (
        "Mean absolute SHAP contribution to the log-odds of response; 0.7 halves or doubles the odds. Rank, and change "
        "of the log-odds from low to high value, with the range of 95% of the training's refits. Grey: these disagree "
        "on its direction, or nobody here has a value, so that it moves all of them alike."
    )
    yield Bars(caption, f"Largest contributions: {told}.", ("biomarker", "", "log-odds"), bars)
    yield from stability_told(explained)
    yield from blocks_table(correlated_blocks(explained.schema, explained.matrix, explained.shap))


def _influence_bar(explained: ExplainedCohort, column: int, size: float) -> Bar:
    known = float(np.isfinite(explained.matrix[:, column]).mean())
    described = explained.schema.columns[column]
    found = stability(explained).get(described.name)
    detail = f"{known:.0%} have a value"
    if found:
        detail += f"; rank {found.rank.value:.0f} ({found.rank.low:.0f} to {found.rank.high:.0f})"
        detail += f"; change {estimate(found.change, signed=True)}" if found.change else ""
        detail += "" if found.stable else ": unstable"
    tone: Literal["step", "unsure"] = "step" if known and (not found or found.stable) else "unsure"
    return Bar(described.label, f"{size:.2f}", 0.0, size, detail, tone)


def _interactions(explained: ExplainedCohort) -> Iterator[Block]:
    if isinstance(explained.record.refits, RefitFindings):
        yield from differences_blocks(explained.record.refits.drug_differences)
    if len(explained.matrix) < _FEWEST_PATIENTS:
        yield Paragraph(f"What acts together is told of {_FEWEST_PATIENTS} patients or more.")
        return
    found = strongest_interactions(explained.schema, explained.bundle.model_text, explained.matrix)
    yield from interaction_blocks(found)


def _dependence(explained: ExplainedCohort) -> Iterator[Block]:
    adc = explained.scores["adc"].to_numpy(dtype=str)
    size = np.abs(explained.shap).mean(axis=0)
    columns = explained.schema.columns
    drawn = [
        j for j in np.argsort(-size, kind="stable")
        if size[j] > 0 and columns[j].source != "adc_profile" and np.isfinite(explained.matrix[:, j]).sum() > 1
    ][:_MOST_PLOTS]  # fmt: skip
    drugs = [str(d) for d in np.unique(adc)]
    if not drawn:
        yield Paragraph("No biomarker that moves the scores has values in several patients.")
        return
    most = f" of at most {_MOST_DOTS} patients" if len(adc) > _MOST_DOTS else ""
    yield Paragraph(f"Contribution to the log-odds (up) by value (across), one mark per patient{most}.")
    for j in drawn:
        yield _dots(explained, j, adc, drugs)
    yield from _by_payload(explained, adc)


def _by_payload(explained: ExplainedCohort, adc: NDArray[Any]) -> Iterator[Block]:
    """Set the payload classes of the cohort side by side, where there are several."""
    payload = np.array([adcs()[a].payload_class if a in adcs() else a for a in adc], dtype=str)
    classes = [str(c) for c in np.unique(payload)]
    if len(classes) < 2:
        return
    changes: dict[str, dict[str, float]] = {}
    for effect in learned_effects(explained.schema, explained.matrix, explained.shap, payload):
        changes.setdefault(effect.label, {})[effect.adc] = effect.change
    largest = sorted(changes, key=lambda label: -max(map(abs, changes[label].values())))[:_MOST_BARS]
    rows = tuple((n, *(f"{changes[n][c]:+.2f}" if c in changes[n] else "-" for c in classes)) for n in largest)
    caption = "Learned change of the log-odds from the low to the high tenth of the values, by payload class."
    yield Table(caption, ("", *(PAYLOAD_NAMES.get(c, c.replace("_", " ")) for c in classes)), rows)


def _dots(explained: ExplainedCohort, j: int, adc: NDArray[Any], drugs: list[str]) -> Dots:
    column, values, shap = explained.schema.columns[j], explained.matrix[:, j], explained.shap[:, j]
    rows = np.flatnonzero(np.isfinite(values))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _MOST_DOTS).astype(int))]
    low, high = float(values[rows].min()), float(values[rows].max())
    groups = []
    for drug in drugs:
        own = rows[adc[rows] == drug]
        # Marks of one level lie side by side, by their place in the file.
        aside = np.zeros(len(own)) if column.kind == "numeric" else 0.4 * (((own * 0.618) % 1.0) - 0.5)
        across = np.clip(values[own] + aside, low - 0.2, high + 0.2)
        groups.append(DotGroup(drug, _plain(across), _plain(shap[own])))
    if column.levels:
        ticks = tuple((float(i), level) for i, level in enumerate(column.levels) if low <= i <= high)
    elif column.kind == "binary":
        ticks = ((0.0, "no"), (1.0, "yes"))
    else:
        ticks = tuple((v, value_words(column, float(f"{v:.2g}"))) for v in (low, high))
    slope = np.corrcoef(values[rows], shap[rows])[0, 1] if np.ptp(values[rows]) and np.ptp(shap[rows]) else 0.0
    way = "rises" if slope > 0.1 else "falls" if slope < -0.1 else "neither rises nor falls"
    told = f"{column.label}: the contribution {way} with the value."
    assay = assay_words(column.name)
    return Dots(f"{column.label} \u00b7 {assay}" if assay else column.label, told, "log-odds", tuple(groups), ticks)


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(v), 3) for v in values)


def _measure_next(explained: ExplainedCohort) -> Iterator[Block]:
    gains = _worth_telling(measure_next(explained.cohort, explained.record.endpoint))
    if not gains:
        yield Paragraph(
            "None of these ADCs is simulated for this endpoint, or hardly a patient lacks a biomarker of weight: there "
            "is nothing to rank."
        )
        return
    yield _gain_bars(
        "Expected gain in information on response, in bits per patient who lacks the biomarker (a coin's outcome holds "
        "one bit), if it alone were measured. By simulation: patients like these on the same ADCs, predicted by the "
        "literature prior with and without it, judged in the prior's worlds. Grey: not a gain in nearly all worlds.",
        "biomarker to measure",
        gains,
    )
    if assays := _worth_telling(measure_next(explained.cohort, explained.record.endpoint, by="assay")):
        caption = (
            "The same for assays that give several biomarkers at once, all of them measured. Biomarkers of one assay "
            "tell partly the same, so that their gains do not add up."
        )
        yield _gain_bars(caption, "assay to add", assays)
    yield Paragraph("What the literature does not know to act, or only guesses, has no gain here.")


def _worth_telling(gains: tuple[InformationGain, ...]) -> list[InformationGain]:
    return [g for g in gains if (g.bits.value or 0.0) > _LEAST_BITS][:_MOST_GAINS]


def _gain_bars(caption: str, head: str, gains: list[InformationGain]) -> Bars:
    bars = tuple(
        Bar(
            f"{g.label} ({g.biomarkers} columns)" if g.biomarkers > 1 else g.label,
            f"{g.bits.value:.3f}",
            0.0,
            g.bits.value or 0.0,
            f"{g.lacking:.0%} lack it; {g.bits.low:+.3f} to {g.bits.high:+.3f} in 95% of the worlds",
            "step" if g.bits.excludes_zero else "unsure",
        )
        for g in gains
    )
    return Bars(caption, f"Largest gain: {bars[0].label}, {bars[0].amount} bits.", (head, "", "bits"), bars)


def _patients(explained: ExplainedCohort) -> Iterator[Block]:
    scores = explained.scores.head(_MOST_PATIENTS)
    names = ["patient_id", "adc", "response_probability", "probability_low", "probability_high", "risk_band"]
    names += [f"reason_{i}" for i in (1, 2, 3)] + ["outside_training_range", "missing_core_biomarkers"]
    texts = [_cells(scores[name]) for name in names]
    head = (
        "patient", "ADC", "probability", "low", "high", "band", "reason 1", "reason 2", "reason 3",
        "outside training range", "core biomarkers missing",
    )  # fmt: skip
    yield Paragraph(
        "The rows of the score file, rounded. 'adcr explain MODEL FILE --patient ID' writes the page of one patient."
    )
    if len(scores) < len(explained.scores):
        told = f"The first {len(scores):,} of {len(explained.scores):,} patients; the score file holds all of them."
        yield Paragraph(told, "warning")
    caption = "Reasons are the largest contributions to the log-odds of response."
    yield SortableTable(caption, head, tuple(zip(*texts, strict=True)), rounded=(2, 3, 4))


def _cells(values: pd.Series) -> list[str]:
    if values.dtype == np.float64:
        return [repr(float(v)) for v in values]
    return values.fillna("").astype(str).tolist()
