"""A document as a page: self-contained HTML without script, every text escaped."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from features.report.document import Checklist, Figure, Paragraph, Table
from features.report.drawing import draw

if TYPE_CHECKING:
    from features.report.document import Block, Document

_KINDS = {Paragraph: "paragraph", Table: "table", Figure: "figure", Checklist: "checklist"}


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

    template = files("features.report").joinpath("template.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(document=document, kind_of=kind_of, draw=drawn)
