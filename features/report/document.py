"""What a report is made of; its JSON is the only thing that the page is made from."""

from __future__ import annotations

from typing import Literal

import msgspec


class Paragraph(msgspec.Struct, frozen=True, tag="paragraph", forbid_unknown_fields=True):
    """A sentence or two; `tone` "warning" is set apart."""

    text: str
    tone: Literal["plain", "warning", "good"] = "plain"


class Table(msgspec.Struct, frozen=True, tag="table", forbid_unknown_fields=True):
    """Rows of text; the first column is the label, `numeric` columns are set right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: bool = True


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line, or points with intervals, of a figure."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    style: Literal["line", "thin", "dashed", "points"] = "line"


class Figure(msgspec.Struct, frozen=True, tag="figure", forbid_unknown_fields=True):
    """A plot as data: drawn when the page is made.

    Attributes
    ----------
    kind : {"lines", "square", "bars", "intervals"}
        Lines over x; the unit square with its diagonal; horizontal bars, or points with intervals (labels in
        `categories`, values in `x` of one series).
    alternative : str
        What it shows, for those who do not see it.
    """

    kind: Literal["lines", "square", "bars", "intervals"]
    caption: str
    alternative: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    categories: tuple[str, ...] = ()


class ChecklistItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item of a reporting standard: filled from the run, or left to a person."""

    number: str
    title: str
    answer: str
    by_person: bool


class Checklist(msgspec.Struct, frozen=True, tag="checklist", forbid_unknown_fields=True):
    """A reporting standard's items."""

    caption: str
    items: tuple[ChecklistItem, ...]


class SortableTable(msgspec.Struct, frozen=True, tag="sortable", forbid_unknown_fields=True):
    """Rows that a reader can sort and search; without script all of them are shown.

    `rounded` columns hold numbers in full, which the page rounds to three decimals and sorts by.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rounded: tuple[int, ...] = ()


class Bar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bar from `start` to `end`, with its label, a line below it, and its amount.

    Of the tones, "total" is no step but what steps add up to, "range" is what lies between two ends.
    """

    label: str
    amount: str
    start: float
    end: float
    detail: str = ""
    tone: Literal["step", "total", "unsure", "range"] = "step"


class Bars(msgspec.Struct, frozen=True, tag="bars", forbid_unknown_fields=True):
    """Horizontal bars on one scale: a waterfall where each starts at the end of the one before."""

    caption: str
    alternative: str
    head: tuple[str, str, str]
    bars: tuple[Bar, ...]


class DotGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dots of one colour and shape."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Dots(msgspec.Struct, frozen=True, tag="dots", forbid_unknown_fields=True):
    """A small scatter plot; `ticks` name places on the x axis, several plots stand side by side."""

    caption: str
    alternative: str
    y_label: str
    groups: tuple[DotGroup, ...]
    ticks: tuple[tuple[float, str], ...]


Block = Paragraph | Table | Figure | Checklist | SortableTable | Bars | Dots


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the report with a heading of its own."""

    id: str
    title: str
    blocks: tuple[Block, ...]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A report.

    Attributes
    ----------
    schema_version : int
    kind : {"training", "validation", "comparison", "harmonisation", "explanation"}
    title, subtitle : str
    banner : str
        Where patients are simulated, what no number may be used for; else empty.
    use : str
        What it is for, and not for.
    headline : tuple of (str, str)
        Few figures with their names, on top.
    """

    schema_version: int
    kind: Literal["training", "validation", "comparison", "harmonisation", "explanation"]
    title: str
    subtitle: str
    banner: str
    use: str
    headline: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
