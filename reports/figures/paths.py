"""The path of a comparison over its looks: its estimate, and the interval that holds at all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT, EDGE = 180, 48, 6


@dataclass(frozen=True)
class Point:
    """What one look showed, at so many pairs of seeds."""

    pairs: int
    mean: float
    low: float
    high: float


def drawn(points: Sequence[Point], looks: Sequence[int], margin: float, null: float, title: str) -> Markup:
    """Estimates with their intervals at the looks taken, `null` as a line, the margin around it shaded, looks as ticks.

    Positions are in pixels of a drawing of WIDTH x HEIGHT; a point without an interval is a dot alone.
    """
    known = [value for p in points for value in (p.mean, p.low, p.high) if value == value]
    low, high = min([null - margin, *known]), max([null + margin, *known])
    scale = _Scale(looks[-1], low, high if high > low else low + 1)
    shown = [point for point in points if point.mean == point.mean]
    parts = [
        scale.box(null - margin, null + margin) if margin > 0 else "",
        f'<path class="null" d="M0 {scale.y(null):.1f}H{WIDTH}"/>',
        *(f'<path class="tick" d="M{scale.x(look):.1f} {HEIGHT}v-4"/>' for look in looks),
        *(scale.whisker(p) for p in points if p.low == p.low and p.high == p.high),
        f'<polyline points="{" ".join(map(scale.at, shown))}"/>',
        *(
            f'<circle cx="{scale.x(p.pairs):.1f}" cy="{scale.y(p.mean):.1f}" r="2.5"/>'
            for p in points
            if p.mean == p.mean
        ),
    ]
    opening = f'<svg class="path" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    return Markup(f"{opening}{''.join(parts)}</svg>")


@dataclass(frozen=True)
class _Scale:
    """Pairs from 0 to `most` across, values from low to high upwards."""

    most: int
    low: float
    high: float

    def x(self, pairs: int) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * pairs / self.most

    def y(self, value: float) -> float:
        return EDGE + (HEIGHT - 2 * EDGE) * (self.high - value) / (self.high - self.low)

    def at(self, point: Point) -> str:
        return f"{self.x(point.pairs):.1f},{self.y(point.mean):.1f}"

    def whisker(self, point: Point) -> str:
        return f'<path d="M{self.x(point.pairs):.1f} {self.y(point.low):.1f}V{self.y(point.high):.1f}"/>'

    def box(self, low: float, high: float) -> str:
        top = self.y(high)
        return f'<rect class="margin" x="0" y="{top:.1f}" width="{WIDTH}" height="{self.y(low) - top:.1f}"/>'
