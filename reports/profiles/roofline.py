"""The roofline: what the machine can do at each ratio of FLOPs to bytes, with the step and its operators below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from coordbench.harness.profiling.profile import StepProfile

WIDTH, HEIGHT = 640, 280
LEFT, BOTTOM = 52, 28
"""Room for the labels of the axes [px]."""


class Point(TypedDict):
    """One operator, or a whole step."""

    label: str
    x: float
    y: float
    radius: float
    series: int
    share_of_roof: float


class RooflineData(TypedDict):
    """Everything that the drawing needs; positions in pixels."""

    roof: str
    cached_roof: str
    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class _Work:
    """What an operator, or a whole step, computes and moves, and the least time that it could take [s]."""

    series: int
    label: str
    flops: int
    nbytes: int
    seconds: float
    least_seconds: float

    @property
    def intensity(self) -> float:
        return self.flops / self.nbytes

    @property
    def speed(self) -> float:
        return self.flops / self.seconds


def roofline_data(profiles: Sequence[StepProfile]) -> RooflineData:
    """Place the operators that compute; those without FLOPs have no place on a roofline."""
    limits = profiles[0].limits
    works = [work for series, profile in enumerate(profiles) for work in _works(series, profile)]
    ridge = limits.flops_per_second / limits.bytes_per_second
    x_range = _decades([*(work.intensity for work in works), ridge / 10, ridge * 10])
    y_range = _decades([*(work.speed for work in works), limits.flops_per_second])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT) * (math.log10(value) - x_range[0]) / (x_range[1] - x_range[0])

    def y(value: float) -> float:
        return (HEIGHT - BOTTOM) * (1 - (math.log10(value) - y_range[0]) / (y_range[1] - y_range[0]))

    def roof(bandwidth: float) -> str:
        corners = (10.0 ** x_range[0], limits.flops_per_second / bandwidth, 10.0 ** x_range[1])
        heights = [y(min(limits.flops_per_second, corner * bandwidth)) for corner in corners]
        return " ".join(f"{x(at):.1f},{min(up, HEIGHT - BOTTOM):.1f}" for at, up in zip(corners, heights, strict=True))

    longest = max((work.seconds for work in works), default=1.0)
    return {
        "roof": roof(limits.bytes_per_second),
        "cached_roof": roof(limits.cached_bytes_per_second),
        "points": [
            {
                "label": work.label,
                "x": round(x(work.intensity), 1),
                "y": round(y(work.speed), 1),
                "radius": round(3 + 6 * math.sqrt(work.seconds / longest), 1),
                "series": work.series,
                "share_of_roof": work.least_seconds / work.seconds,
            }
            for work in works
        ],
        "x_ticks": [(x(10.0**n), f"{10.0**n:g}") for n in range(x_range[0], x_range[1] + 1)],
        "y_ticks": [(y(10.0**n), f"{10.0 ** (n - 9):g}") for n in range(y_range[0], y_range[1] + 1)],
    }


def _works(series: int, profile: StepProfile) -> list[_Work]:
    """The operators that compute, and the whole step, whose products alone could take the sum of their least times."""
    works = []
    for row in profile.rows:
        if row.flops and row.nbytes and row.seconds > 0:
            label = f"{profile.label}: {row.operator} {row.shapes} at {row.place}"
            least = row.flops / profile.limits.roof(row.flops, row.nbytes, row.calls)
            works.append(_Work(series, label, row.flops, row.nbytes, row.seconds, least))
    least = sum(work.least_seconds for work in works)
    whole = _Work(series, f"{profile.label}: the whole step", profile.flops, profile.nbytes, profile.seconds, least)
    return [*works, *([whole] if works else [])]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    logarithms = [math.log10(value) for value in values if value > 0]
    return math.floor(min(logarithms)), math.ceil(max(logarithms) + 0.05)
