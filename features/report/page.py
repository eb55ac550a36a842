"""A document as a page: self-contained HTML, every text escaped, no script but that of sortable tables."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from features.report.document import Bars, Checklist, Dots, Figure, Paragraph, SortableTable, Table
from features.report.drawing import draw
from features.report.small_drawings import bar_svgs, dots_svg, key_svgs
from features.report.sorting import content_policy, sorting_script

if TYPE_CHECKING:
    from features.report.document import Block, Document

_KINDS = {
    Paragraph: "paragraph",
    Table: "table",
    Figure: "figure",
    Checklist: "checklist",
    SortableTable: "sortable",
    Bars: "bars",
    Dots: "dots",
}

#: A column of a sortable table with a longer text than this, in its first rows, is given room.
_LONG, _LOOKED_AT = 30, 100


def page(document: Document) -> str:
    """HTML of a report.

    Parameters
    ----------
    document : Document

    Returns
    -------
    str
        One file: styles and figures inside, nothing fetched.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

    def kind_of(block: Block) -> str:
        return _KINDS[type(block)]

    def drawn(figure: Figure) -> Markup:
        # Drawn by matplotlib, which escapes its texts itself.
        return Markup(draw(figure))  # noqa: S704

    def small(block: Bars | Dots) -> list[Markup]:
        # Numbers and escaped texts.
        svgs = bar_svgs(block) if isinstance(block, Bars) else [dots_svg(block)]
        return [Markup(svg) for svg in svgs]  # noqa: S704

    def key(block: Dots) -> list[tuple[str, Markup]]:
        return [(label, Markup(svg)) for label, svg in key_svgs(block)]  # noqa: S704

    def rounded(text: str) -> str:
        return f"{float(text):{'+' if text.startswith('+') else ''}.3f}" if text else ""

    def wide(block: SortableTable) -> set[int]:
        rows = block.rows[:_LOOKED_AT]
        return {j for j in range(len(block.head)) if any(len(row[j]) > _LONG for row in rows)}

    sortable = any(isinstance(block, SortableTable) for section in document.sections for block in section.blocks)
    script = sorting_script() if sortable else ""
    template = files("features.report").joinpath("template.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        document=document,
        kind_of=kind_of,
        draw=drawn,
        small=small,
        key=key,
        rounded=rounded,
        wide=wide,
        script=Markup(script),  # noqa: S704
        policy=content_policy(script),
    )
