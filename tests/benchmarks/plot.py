"""Plots: lines over a logarithmic axis, as an SVG that a page shows without a script."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 50, 60
COLORS = ("#2563eb", "#ea580c", "#059669", "#7c3aed")
INK, FAINT = "#57606a", "#d0d7de"


def lines_over_sizes(
    title: str, sizes: Sequence[int], lines: Mapping[str, Sequence[float]]
) -> str:
    """A plot of milliseconds by size, both axes logarithmic.

    Args:
        title: what it shows.
        sizes: along the horizontal axis.
        lines: for each name one value a size.
    """
    values = [value for line in lines.values() for value in line]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 28, title, anchor="start", size=15),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "documents"),
    ]
    tick = low
    while tick <= high * 1.001:
        y = _y(tick, low, high)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="{FAINT}"/>'
        )
        parts.append(_text(LEFT - 8, y + 4, f"{tick:g} ms", anchor="end"))
        tick *= 10
    parts += [
        _text(_x(size, sizes), HEIGHT - BOTTOM + 22, f"{size:,}") for size in sizes
    ]
    for color, (name, line) in zip(COLORS, lines.items(), strict=False):
        points = [
            (_x(size, sizes), _y(value, low, high))
            for size, value in zip(sizes, line, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>'
            for x, y in points
        ]
        x, y = points[-1]
        parts.append(_text(x + 10, y + 4, name, anchor="start", color=color))
    return "\n".join([*parts, "</svg>\n"])


def _x(size: int, sizes: Sequence[int]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * _share(size, sizes[0], sizes[-1])


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, low, high)


def _share(value: float, low: float, high: float) -> float:
    """How far along a logarithmic axis; at its beginning if that is its end too."""
    return math.log(value / low) / (math.log(high / low) or 1)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "middle",
    size: int = 13,
    color: str = INK,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{color}">{escape(text)}</text>'
    )
