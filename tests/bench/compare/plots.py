"""Plots as SVG text, drawn by hand: logarithmic scales, a label at every line, nothing to install."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from attrs import frozen

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
"""Told apart by colour-blind readers, too (Okabe and Ito)."""
_MARKS = ("", "6 3", "2 3", "8 3 2 3", "1 2", "10 4", "")
_WIDTH, _HEIGHT = 360, 240
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 34, 14, 38
_TEXT = 'font-family="sans-serif" font-size="11" fill="#333"'


@frozen(kw_only=True)
class Panel:
    """One drawing: for each line its points, x above zero and milliseconds above zero."""

    title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def lines(title: str, panels: Sequence[Panel], *, x: str, columns: int = 2) -> str:
    """Panels of one scale beside one another, with one legend.

    Raises:
        ValueError: there is no point to draw.
    """
    points = [point for panel in panels for line in panel.lines.values() for point in line]
    if not points:
        raise ValueError(f"{title}: nothing to draw")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    low, high = decades([value for _, value in points])
    marks = sorted({place for place, _ in points})
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    width, legend = columns * _WIDTH, 2 * columns
    height = rows * _HEIGHT + 44 + 18 * math.ceil(len(names) / legend)
    parts = [_head(title, width, height)]
    for number, panel in enumerate(panels):
        left, top = number % columns * _WIDTH, 30 + number // columns * _HEIGHT
        parts.append(f'<g transform="translate({left} {top})">{_panel(panel, names, marks, low, high, x)}</g>')
    for number, name in enumerate(names):
        across = 20 + number % legend * (width - 20) / legend
        top = rows * _HEIGHT + 44 + number // legend * 18
        parts.append(f'<path d="M{across:.1f} {top}h26" {_stroke(number)}/>')
        parts.append(f'<text x="{across + 32:.1f}" y="{top + 4}" {_TEXT}>{escape(name)}</text>')
    return "\n".join((*parts, "</svg>\n"))


def bars(title: str, values: Mapping[str, float], *, unit: str) -> str:
    """One bar for each value above zero, on a logarithmic scale, with its number.

    Raises:
        ValueError: there is no value to draw.
    """
    if not values:
        raise ValueError(f"{title}: nothing to draw")
    low, high = decades(list(values.values()))
    left, row, room = 270, 22, 380
    height = 46 + row * len(values)
    parts = [_head(title, left + room + 90, height)]
    for number, (name, value) in enumerate(values.items()):
        top = 36 + number * row
        length = max(1.0, room * _share(value, low, high))
        parts.append(f'<text x="{left - 8}" y="{top + 12}" text-anchor="end" {_TEXT}>{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{top}" width="{length:.1f}" height="16" fill="{_COLOURS[0]}"/>')
        label = f"{said(value)} {unit}"
        parts.append(f'<text x="{left + length + 6:.1f}" y="{top + 12}" {_TEXT}>{escape(label)}</text>')
    return "\n".join((*parts, "</svg>\n"))


def decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten that enclose all values, at least one apart.

    Raises:
        ValueError: a value has no place on a logarithmic scale.
    """
    if min(values) <= 0:
        raise ValueError(f"{min(values)} has no place on a logarithmic scale")
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def said(value: float) -> str:
    """A number of three digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _share(value: float, low: int, high: int) -> float:
    """Where a value lies between two powers of ten, from 0 to 1."""
    return (math.log10(value) - low) / (high - low)


def _head(title: str, width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">\n<title>{escape(title)}</title>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="12" y="20" font-family="sans-serif" font-size="14" font-weight="bold">{escape(title)}</text>'
    )


def _stroke(number: int) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    dashes = f' stroke-dasharray="{mark}"' if (mark := _MARKS[number % len(_MARKS)]) else ""
    return f'fill="none" stroke="{colour}" stroke-width="2"{dashes}'


def _panel(panel: Panel, names: Sequence[str], marks: Sequence[float], low: int, high: int, x: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    first, last = math.log(marks[0]), math.log(marks[-1])

    def across(place: float) -> float:
        share = 0.5 if first == last else (math.log(place) - first) / (last - first)
        return _LEFT + 8 + share * (right - _LEFT - 16)

    def down(value: float) -> float:
        return bottom - _share(value, low, high) * (bottom - _TOP)

    parts = [f'<text x="{_LEFT}" y="{_TOP - 10}" font-weight="bold" {_TEXT}>{escape(panel.title)}</text>']
    for power in range(low, high + 1):
        top = down(10.0**power)
        parts.append(f'<path d="M{_LEFT} {top:.1f}H{right}" stroke="#ddd" fill="none"/>')
        label = f"{10.0**power:g} ms"
        parts.append(f'<text x="{_LEFT - 5}" y="{top + 4:.1f}" text-anchor="end" {_TEXT}>{label}</text>')
    parts += [
        f'<text x="{across(mark):.1f}" y="{bottom + 15}" text-anchor="middle" {_TEXT}>{mark:,.0f}</text>'
        for mark in marks
    ]
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 30}" text-anchor="middle" {_TEXT}>{escape(x)}</text>')
    for name, points in panel.lines.items():
        placed = [(across(place), down(value)) for place, value in sorted(points)]
        path = "L".join(f"{left:.1f} {top:.1f}" for left, top in placed)
        number = names.index(name)
        parts.append(f'<path d="M{path}" {_stroke(number)}><title>{escape(name)}</title></path>')
        colour = _COLOURS[number % len(_COLOURS)]
        parts += [f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3" fill="{colour}"/>' for left, top in placed]
    return "".join(parts)
