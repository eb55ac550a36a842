"""What pages say of learned directions beside the catalogue's, and of the sources behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.report.document import Paragraph, SortableTable, Table
from training.explaining.knowledge import cited_sources
from training.explaining.learned_effects import FEWEST_PATIENTS, NEGLIGIBLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from features.report.document import Block
    from training.explaining.knowledge import KnownEffect

#: Shown beside a verdict on a sign that training held the model to, and on one that refits disagree on.
HELD_MARK, _UNSTABLE = "held", ", unstable"


def knowledge_blocks(
    known: tuple[KnownEffect, ...], *, sortable: bool, unstable: Collection[str] = ()
) -> Iterator[Block]:
    """Set learned directions beside the catalogue's, with sources: the table that a paper would print.

    Parameters
    ----------
    known : tuple of KnownEffect
    sortable : bool
        Whether the page may hold a script.
    unstable : collection of str
        Columns on whose direction the refits of the training disagree.

    Yields
    ------
    Block
        The table, without its sources.
    """
    if not known:
        yield Paragraph(
            f"No direction can be told: each needs {FEWEST_PATIENTS} patients on one ADC whose values differ."
        )
        return
    clear = [k for k in known if k.verdict in ("agrees", "disagrees")]
    free = [k for k in clear if not k.held]
    yield Paragraph(
        f"Of {len(clear)} directions (of a measure on an ADC) that the catalogue knows and the model shows, "
        f"{sum(k.verdict == 'agrees' for k in clear)} agree. Of the {len(free)} that training did not hold to their "
        f"sign, {sum(k.verdict == 'agrees' for k in free)} agree; only these are evidence, and the model starts from "
        "the same literature unless it was trained without it."
    )
    against = [k for k in known if k.verdict == "disagrees"]
    if against:
        marks = [_UNSTABLE if k.effect.name in unstable else "" for k in against]
        told = "; ".join(
            f"{k.effect.label} on {k.effect.adc} ({k.effect.change:+.2f}{mark})"
            for k, mark in zip(against[:5], marks, strict=False)
        )
        more = f"; {len(against) - 5} more in the table" if len(against) > 5 else ""
        yield Paragraph(f"Against the catalogue: {told}{more}.", "warning")
    head = ("biomarker", "ADC", "learned", "known", "support", "verdict", "sources")
    caption = (
        "Learned: change of the log-odds from the low to the high tenth of the values (from no to yes), by the slope "
        f"of the contributions; below {NEGLIGIBLE:g} no clear effect. Known: what more of the measure does to response "
        f"on the ADC's route. {HELD_MARK}: training held the model to this sign."
        + (" unstable: refits of the training disagree on its direction." if unstable else "")
    )
    rows = tuple(_knowledge_row(k, digits=6 if sortable else 2, unstable=k.effect.name in unstable) for k in known)
    yield SortableTable(caption, head, rows, rounded=(2,)) if sortable else Table(caption, head, rows)


def knowledge_sources(known: tuple[KnownEffect, ...]) -> tuple[Block, ...]:
    """Spell out the sources behind the directions that the catalogue knows and a model shows.

    Parameters
    ----------
    known : tuple of KnownEffect

    Returns
    -------
    tuple of Block
    """
    clear = [k for k in known if k.verdict in ("agrees", "disagrees")]
    return sources_table(cited_sources(dict.fromkeys(k.effect.name for k in clear)))


def _knowledge_row(known: KnownEffect, *, digits: int, unstable: bool) -> tuple[str, ...]:
    verdict = f"{known.verdict} ({HELD_MARK})" if known.held and known.verdict == "agrees" else known.verdict
    verdict += _UNSTABLE if unstable and known.verdict != "no clear effect" else ""
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
