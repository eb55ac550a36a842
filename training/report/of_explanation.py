"""What a report says of explanations: steps, blocks, the table against the catalogue, stability, ablation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Bar, Bars, Figure, Paragraph, Section, Series, SortableTable, Table
from training.explaining.knowledge import cited_sources
from training.explaining.learned_effects import NEGLIGIBLE
from training.report.words import estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.report.document import Block
    from training.explaining.blocks import Block as CorrelatedBlock
    from training.explaining.knowledge import KnownEffect
    from training.explaining.mechanism_steps import StepInfluence
    from training.explaining.record import ExplanationRecord
    from training.explaining.refits import Stability

_MOST_BARS, _MOST_ROWS, _MOST_DIFFERENCES = 15, 30, 10
#: Shown beside a verdict on a sign that training held the model to.
HELD_MARK = "held"


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
        Section("drug-differences", "Where the drugs differ", tuple(_differences(found))),
        Section("knowledge", "Against what is known", tuple(knowledge_blocks(found.known, sortable=False))),
    )


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
            "stable" if s.stable else "unstable",
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
    needed = [a for a in found.ablation if a.loss.excludes_zero and (a.loss.value or 0) > 0]
    told = ", ".join(f"{a.label} {estimate(a.loss, digits=3, signed=True)}" for a in needed) or "none"
    yield Paragraph(f"Held-out log loss rises clearly without: {told}.")
    values = [a.loss for a in found.ablation]
    series = Series(
        "",
        tuple(v.value or 0.0 for v in values),
        (),
        tuple(v.low if v.low is not None else v.value or 0.0 for v in values),
        tuple(v.high if v.high is not None else v.value or 0.0 for v in values),
    )
    yield Figure(
        "intervals",
        "Rise of the held-out log loss where a step's (or core biomarker's) values are dealt out anew among held-out "
        "patients on the same ADC (the drug: among all), with the 95% interval of the paired difference; above 0 the "
        "model needs it. "
        "Biomarkers of another step that go along with it make up for part of the loss.",
        f"Needed: {told}.",
        "rise of the log loss",
        "",
        (series,),
        categories=tuple(f"{a.label} (core)" if a.core else a.label for a in found.ablation),
    )


def _differences(found: ExplanationRecord) -> Iterator[Block]:
    if not found.drug_differences:
        yield Paragraph("No biomarker clearly works differently by drug, or there are not several drugs to compare.")
        return
    rows = tuple(
        (
            d.label,
            f"{d.adc} {d.change:+.2f}",
            f"{d.other} {d.change_other:+.2f}",
            estimate(d.difference, signed=True),
        )
        for d in found.drug_differences[:_MOST_DIFFERENCES]
    )
    caption = (
        "Interactions of biomarker and drug: learned change of the log-odds from low to high value where it is highest "
        "and lowest, and the difference with the range of 95% of the refits."
    )
    yield Table(caption, ("", "higher on", "lower on", "difference"), rows)


def knowledge_blocks(known: tuple[KnownEffect, ...], *, sortable: bool) -> Iterator[Block]:
    """Set learned directions beside the catalogue's, with sources: the table that a paper would print.

    Parameters
    ----------
    known : tuple of KnownEffect
    sortable : bool
        Whether the page may hold a script.

    Yields
    ------
    Block
    """
    clear = [k for k in known if k.verdict in ("agrees", "disagrees")]
    free = [k for k in clear if not k.held]
    yield Paragraph(
        f"Of {len(clear)} directions that the catalogue knows and the model shows, "
        f"{sum(k.verdict == 'agrees' for k in clear)} agree. Of the {len(free)} that training did not hold to their "
        f"sign, {sum(k.verdict == 'agrees' for k in free)} agree; only these are evidence, and the model starts from "
        "the same literature unless it was trained with --no-prior."
    )
    against = [k for k in known if k.verdict == "disagrees"]
    if against:
        told = "; ".join(f"{k.effect.label} on {k.effect.adc} ({k.effect.change:+.2f})" for k in against[:5])
        yield Paragraph(f"Against the catalogue: {told}.", "warning")
    head = ("biomarker", "ADC", "learned", "known", "support", "verdict", "sources")
    caption = (
        "Learned: change of the log-odds from the low to the high tenth of the values (from no to yes), by the slope "
        f"of the contributions; below {NEGLIGIBLE:g} no clear effect. Known: what more of the measure does to response "
        f"on the ADC's route. {HELD_MARK}: training held the model to this sign."
    )
    rows = tuple(_knowledge_row(k, digits=6 if sortable else 2) for k in known)
    yield SortableTable(caption, head, rows, rounded=(2,)) if sortable else Table(caption, head, rows)
    yield from sources_table(cited_sources(dict.fromkeys(k.effect.name for k in clear)))


def _knowledge_row(known: KnownEffect, *, digits: int) -> tuple[str, ...]:
    verdict = f"{known.verdict} ({HELD_MARK})" if known.held and known.verdict == "agrees" else known.verdict
    expected = f"{known.expected}, given {known.condition}" if known.condition else known.expected
    effect = known.effect
    support = known.support if known.support != "none" else ""
    sources = ", ".join(known.citations)
    return (effect.label, effect.adc, f"{effect.change:+.{digits}f}", expected, support, verdict, sources)


def sources_table(sources: tuple[str, ...]) -> tuple[Block, ...]:
    """List sources by their short names.

    Parameters
    ----------
    sources : tuple of str
        As `features.sources.spelled_out` gives them.

    Returns
    -------
    tuple of Block
    """
    if not sources:
        return ()
    rows = tuple((name, text.strip()) for name, _, text in (source.partition(":") for source in sources))
    return (Table("Sources by the short names above.", ("source", "reference"), rows, numeric=False),)
