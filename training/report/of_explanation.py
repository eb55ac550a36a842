"""What a report says of explanations: steps, blocks, stability, ablation, interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Bar, Bars, Figure, Paragraph, Section, Series, Table
from training.explaining.interactions import LEAST
from training.report.of_knowledge import knowledge_blocks, knowledge_sources
from training.report.words import estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.report.document import Block
    from training.explaining.blocks import Block as CorrelatedBlock
    from training.explaining.interactions import Interaction
    from training.explaining.mechanism_steps import StepInfluence
    from training.explaining.record import ExplanationRecord
    from training.explaining.refits import Ablation
    from training.explaining.stability import DrugDifference, Stability

_MOST_BARS, _MOST_ROWS, _MOST_DIFFERENCES, _MOST_PAIRS = 15, 30, 10, 8
#: Rank correlation from which an interaction has a simple pattern.
_CLEAR_WAY = 0.3


def explanation_sections(found: ExplanationRecord) -> tuple[Section, ...]:
    """Sections of a training's report.

    Parameters
    ----------
    found : ExplanationRecord

    Returns
    -------
    tuple of Section
    """
    return (
        Section("explanation", "What the model builds on", tuple(_builds_on(found))),
        Section("steps", "Where along the ADC's way", (steps_bars(found.steps), *_ablation(found))),
        Section("drug-differences", "Where the drugs differ", tuple(differences_blocks(found.drug_differences))),
        Section("interactions", "What acts together", tuple(interaction_blocks(found.interactions))),
        Section("knowledge", "Against what is known", tuple(_knowledge(found))),
    )


def _knowledge(found: ExplanationRecord) -> Iterator[Block]:
    unstable = {s.name for s in found.stability if not s.stable}
    yield from knowledge_blocks(found.known, sortable=False, unstable=unstable)
    yield from knowledge_sources(found.known)


def _builds_on(found: ExplanationRecord) -> Iterator[Block]:
    shown = [s for s in found.stability if (s.size.value or 0) > 0]
    if not shown:
        yield Paragraph("Too few refits, or a model that gives every patient the same probability: nothing to show.")
        return
    largest = shown[:_MOST_BARS]
    told = ", ".join(f"{s.label} {s.size.value:.2f}" for s in largest[:5])
    yield Bars(
        f"Mean absolute SHAP contribution to the log-odds of response: median of {found.refits} refits on parts of the "
        "cohort. Grey: not all refits agree on its direction.",
        f"Largest contributions: {told}.",
        ("biomarker", "", "log-odds"),
        tuple(_stability_bar(s) for s in largest),
    )
    rows = tuple(
        (
            s.label,
            estimate(s.size),
            f"{s.rank.value:.0f} ({s.rank.low:.0f} to {s.rank.high:.0f})",
            estimate(s.change, signed=True) if s.change else "-",
            "-" if s.change is None else "stable" if s.stable else "unstable",
        )
        for s in shown[:_MOST_ROWS]
    )
    caption = (
        f"Over {found.refits} refits of the cross-validation and the resampling: median with the range of 95% of them. "
        "Parts of one cohort overlap, so another cohort may differ by more. Change: of the log-odds from low to high "
        "value."
    )
    yield Table(caption, ("", "mean |SHAP|", "rank", "change", "direction"), rows)
    yield from blocks_table(found.blocks)


def _stability_bar(found: Stability) -> Bar:
    size = found.size.value or 0.0
    detail = "" if found.stable else "unstable: refits disagree on its direction"
    return Bar(found.label, f"{size:.2f}", 0.0, size, detail, "step" if found.stable else "unsure")


def blocks_table(blocks: tuple[CorrelatedBlock, ...]) -> Iterator[Block]:
    """List the blocks that share credit, with the warning.

    Parameters
    ----------
    blocks : tuple of Block

    Yields
    ------
    Block
        Nothing where no columns go together.
    """
    if not blocks:
        return
    yield Paragraph(
        "Biomarkers that go together share credit: what the model gives to one of a block may belong to another. "
        "Read each block as one.",
        "warning",
    )
    rows = tuple((", ".join(b.labels), f"{b.strongest:.2f}", f"{b.mean_abs_shap:.2f}") for b in blocks)
    caption = "Blocks of correlated biomarkers, with their contribution together."
    yield Table(caption, ("block", "largest rank correlation", "log-odds together"), rows)


def steps_bars(steps: tuple[StepInfluence, ...]) -> Bars:
    """Draw the mechanism steps in the order of the ADC's way.

    Parameters
    ----------
    steps : tuple of StepInfluence

    Returns
    -------
    Bars
    """
    bars = tuple(
        Bar(s.label, f"{s.mean_abs_shap:.2f}", 0.0, s.mean_abs_shap, _columns_text(len(s.columns))) for s in steps
    )
    largest = max(steps, key=lambda s: s.mean_abs_shap)
    return Bars(
        "Mean absolute contribution of each mechanism step, its columns added up, in the order of the ADC's way.",
        f"The largest step is {largest.label} with {largest.mean_abs_shap:.2f}.",
        ("mechanism step", "", "log-odds"),
        bars,
    )


def _columns_text(count: int) -> str:
    return f"{count} column{'s' if count != 1 else ''}"


def _ablation(found: ExplanationRecord) -> Iterator[Block]:
    if not found.ablation:
        return
    told = _clear_rises(found.ablation)
    yield Paragraph(
        f"Held-out log loss rises clearly where the values of these are dealt out anew: {told}. The model is not "
        "refitted without them: this tells what this model relies on, not what another one could do without."
    )
    yield _rises(
        found.ablation,
        "Rise of the held-out log loss where a step's (or core biomarker's) values are dealt out anew among held-out "
        "patients on the same ADC (the drug: among all), with the 95% interval of the paired difference; above 0 the "
        "model needs it. Biomarkers of another step that go along with it make up for part of the loss.",
        told,
    )
    if not found.left_out:
        yield Paragraph("'adcr train --leave-out' refits the model without each of them.")
        return
    told = _clear_rises(found.left_out)
    yield Paragraph(f"Fitted anew without them, held-out log loss rises clearly without: {told}.")
    yield _rises(
        found.left_out,
        "Rise of the held-out log loss of models that were fitted without a step (or core biomarker), in the folds of "
        "the first repeat, with the 95% interval of the paired difference: what nothing else in the cohort tells. "
        "Below 0 the model is better without it.",
        told,
    )


def _clear_rises(rises: tuple[Ablation, ...]) -> str:
    needed = [a for a in rises if a.loss.excludes_zero and (a.loss.value or 0) > 0]
    return ", ".join(f"{a.label} {estimate(a.loss, digits=3, signed=True)}" for a in needed) or "none"


def _rises(rises: tuple[Ablation, ...], caption: str, told: str) -> Figure:
    values = [a.loss for a in rises]
    series = Series(
        "",
        tuple(v.value or 0.0 for v in values),
        (),
        tuple(v.low if v.low is not None else v.value or 0.0 for v in values),
        tuple(v.high if v.high is not None else v.value or 0.0 for v in values),
    )
    labels = tuple(f"{a.label} (core)" if a.core else a.label for a in rises)
    return Figure("intervals", caption, f"Needed: {told}.", "rise of the log loss", "", (series,), categories=labels)


def differences_blocks(differences: tuple[DrugDifference, ...]) -> Iterator[Block]:
    """List the biomarkers that work differently by drug, as the refits of a training agree.

    Parameters
    ----------
    differences : tuple of DrugDifference

    Yields
    ------
    Block
    """
    if not differences:
        yield Paragraph("No biomarker clearly works differently by drug, or there are not several drugs to compare.")
        return
    rows = tuple(
        (
            d.label,
            f"{d.adc} {d.change:+.2f}",
            f"{d.other} {d.change_other:+.2f}",
            estimate(d.difference, signed=True),
        )
        for d in differences[:_MOST_DIFFERENCES]
    )
    caption = (
        "Interactions of biomarker and drug in the training cohort: learned change of the log-odds from low to high "
        "value where it is highest and lowest, and the difference with the range of 95% of the training's refits."
    )
    yield Table(caption, ("", "higher on", "lower on", "difference"), rows)


def interaction_blocks(found: tuple[Interaction, ...]) -> Iterator[Block]:
    """List the pairs of columns that the model reads together: those with the drug first, then the others.

    Parameters
    ----------
    found : tuple of Interaction

    Yields
    ------
    Block
    """
    if not found:
        yield Paragraph("The model adds its columns up: no two of them move the scores together.")
        return
    yield Paragraph(
        "What two columns move together, beyond what each moves alone: the mean absolute SHAP interaction value, in "
        "log-odds. It was not tested over refits; small ones may be chance."
    )
    titles = {
        True: ("Biomarker and property of the drug.", "with the property, more of it"),
        False: ("Two biomarkers.", "response likelier where"),
    }
    for with_drug, (title, way) in titles.items():
        pairs = [f for f in found if f.with_drug == with_drug]
        rows = tuple((f.label, f.other_label, f"{f.size:.2f}", _way(f)) for f in pairs[:_MOST_PAIRS])
        if rows:
            left = f" {len(pairs) - len(rows)} smaller ones are not shown." if len(pairs) > len(rows) else ""
            yield Table(title + left, ("", "with", "log-odds", way), rows, numeric=False)
        else:
            yield Paragraph(f"{title[:-1]}: none of {LEAST:g} or more.")


def _way(found: Interaction) -> str:
    if found.same_way is None or abs(found.same_way) < _CLEAR_WAY:
        return "no simple pattern"
    if found.with_drug:
        return "helps more or harms less" if found.same_way > 0 else "harms more or helps less"
    return "both are high or both low" if found.same_way > 0 else "one is high, the other low"
