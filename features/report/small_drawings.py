"""Small drawings as SVG without matplotlib: bars that share a scale with the rows of a table, and scatter plots."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from features.report.document import DotGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.report.document import Bar, Bars, Dots

#: Told apart by people with any colour vision (Okabe and Ito), and by shape.
_COLOURS = ("#0072b2", "#b3261e", "#009e73", "#8a6d00", "#7f4f9e", "#555555")
#: A scatter plot in pixels: its frame's left, top, right and bottom, and the size.
_LEFT, _TOP, _RIGHT, _BOTTOM, _WIDTH, _HEIGHT = 44.0, 8.0, 300.0, 158.0, 310, 180
_THINNEST = 0.4
#: Width of a letter in pixels, about; and the span of the y axis from which one decimal tells enough.
_LETTER, _COARSE = 6.6, 0.5
#: Circle, square, triangle and cross around a point.
_MARKS = ("m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0", "m-2-2h4v4h-4z", "m0-2.4l2.2 4h-4.4z", "m-2-2l4 4m0-4l-4 4")


def bar_svgs(block: Bars) -> list[str]:
    """Draw one SVG per bar, all on the scale of the block; zero is a line.

    Parameters
    ----------
    block : Bars

    Returns
    -------
    list of str
    """
    ends = [0.0, *(v for bar in block.bars for v in (bar.start, bar.end))]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(1 + 98 * (value - low) / span, 2)

    return [_bar(bar, place(bar.start), place(bar.end), place(0.0)) for bar in block.bars]


def _bar(bar: Bar, start: float, end: float, zero: float) -> str:
    left, width = min(start, end), max(abs(end - start), _THINNEST)
    colour = {"total": "sum", "unsure": "unsure", "range": "range"}.get(
        bar.tone, "up" if bar.end >= bar.start else "down"
    )
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{colour}" x="{left}" y="1.5" width="{width:.2f}" height="7"/>'
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="10" stroke-width="0.3"/></svg>'
    )


def dots_svg(block: Dots) -> str:
    """Draw a scatter plot.

    Parameters
    ----------
    block : Dots

    Returns
    -------
    str
    """
    xs = [v for g in block.groups for v in g.x] + [place for place, _ in block.ticks]
    ys = [0.0, *(v for g in block.groups for v in g.y)]
    x_low, x_span = min(xs), (max(xs) - min(xs)) or 1.0
    y_low, y_span = min(ys), (max(ys) - min(ys)) or 1.0

    def across(x: float) -> float:
        return _LEFT + 6 + (_RIGHT - _LEFT - 12) * (x - x_low) / x_span

    def down(y: float) -> float:
        return _BOTTOM - 5 - (_BOTTOM - _TOP - 10) * (y - y_low) / y_span

    # Names of many levels find room aslant.
    aslant = sum(len(text) for _, text in block.ticks) * _LETTER > _RIGHT - _LEFT
    height = _HEIGHT + (0.6 * _LETTER * max(len(text) for _, text in block.ticks) if aslant else 0)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" aria-hidden="true">']
    parts.append(f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="#d8dde3"/>')
    parts.append(f'<path d="M{_LEFT} {down(0.0):.1f}H{_RIGHT}" fill="none" stroke="#8a929c" stroke-dasharray="3 3"/>')
    for position, group in enumerate(block.groups):
        parts.append(_marks(group, across, down, position))
    for value in _y_ticks(y_low, y_low + y_span):
        told = f"{value:+.{1 if y_span >= _COARSE else 2}f}" if value else "0"
        parts.append(f'<text x="{_LEFT - 4}" y="{down(value) + 4:.1f}" text-anchor="end">{told}</text>')
    for place, text in block.ticks:
        x = across(place)
        if aslant:
            turned = f'transform="rotate(-35 {x:.1f} {_BOTTOM + 12})" text-anchor="end"'
            parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 12}" {turned}>{escape(text)}</text>')
            continue
        # At the ends a text grows inwards.
        anchor = "start" if x < _LEFT + 20 else "end" if x > _RIGHT - 20 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="{anchor}">{escape(text)}</text>')
    return "".join([*parts, "</svg>"])


def key_svgs(block: Dots) -> list[tuple[str, str]]:
    """Draw the mark of each group for the key of a scatter plot.

    Parameters
    ----------
    block : Dots

    Returns
    -------
    list of (str, str)
        Label and SVG.
    """
    centre = DotGroup("", (0.0,), (0.0,))
    found = []
    for position, group in enumerate(block.groups):
        mark = _marks(centre, float, float, position)
        found.append((group.label, f'<svg viewBox="-3.5 -3.5 7 7" aria-hidden="true">{mark}</svg>'))
    return found


def _marks(group: DotGroup, across: Callable[[float], float], down: Callable[[float], float], position: int) -> str:
    """One path for all marks of a group: circles, then squares, triangles and crosses."""
    colour, mark = _COLOURS[position % len(_COLOURS)], _MARKS[position % len(_MARKS)]
    drawn = "".join(f"M{across(x):.1f} {down(y):.1f}{mark}" for x, y in zip(group.x, group.y, strict=True))
    stroke = f' stroke="{colour}"' if mark == _MARKS[-1] else ""
    return f'<path d="{drawn}" fill="{colour}" fill-opacity="0.55"{stroke}/>'


def _y_ticks(low: float, high: float) -> list[float]:
    """Zero, and the ends that are not too near to it to be read."""
    room = 0.12 * (high - low)
    return [v for v in (low, high) if abs(v) > room] + [0.0]
