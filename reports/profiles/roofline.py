"""The roofline: what the machine can do at each ratio of FLOPs to bytes, with the step and its operators below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def roofline_data(profiles: Sequence[StepProfile]) -> RooflineData:
    """Place the operators that compute; those without FLOPs have no place on a roofline."""
    limits = profiles[0].limits
    rows = [
        (series, f"{profile.label}: {name}", flops, nbytes, seconds)
        for series, profile in enumerate(profiles)
        for name, flops, nbytes, seconds in _computing(profile)
    ]
    intensities = [flops / nbytes for _, _, flops, nbytes, _ in rows]
    speeds = [flops / seconds for _, _, flops, _, seconds in rows]
    ridge = limits.flops_per_second / limits.bytes_per_second
    x_range = _decades([*intensities, ridge / 10, ridge * 10])
    y_range = _decades([*speeds, limits.flops_per_second])

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT) * (math.log10(value) - x_range[0]) / (x_range[1] - x_range[0])

    def y(value: float) -> float:
        return (HEIGHT - BOTTOM) * (1 - (math.log10(value) - y_range[0]) / (y_range[1] - y_range[0]))

    def roof(intensity: float) -> float:
        return min(limits.flops_per_second, intensity * limits.bytes_per_second)

    corners = (10.0 ** x_range[0], ridge, 10.0 ** x_range[1])
    longest = max((row[-1] for row in rows), default=1.0)
    return {
        "roof": " ".join(f"{x(corner):.1f},{min(y(roof(corner)), HEIGHT - BOTTOM):.1f}" for corner in corners),
        "points": [
            {
                "label": label,
                "x": round(x(flops / nbytes), 1),
                "y": round(y(flops / seconds), 1),
                "radius": round(3 + 6 * math.sqrt(seconds / longest), 1),
                "series": series,
                "share_of_roof": flops / seconds / roof(flops / nbytes),
            }
            for series, label, flops, nbytes, seconds in rows
        ],
        "x_ticks": [(x(10.0**n), f"{10.0**n:g}") for n in range(x_range[0], x_range[1] + 1)],
        "y_ticks": [(y(10.0**n), f"{10.0 ** (n - 9):g}") for n in range(y_range[0], y_range[1] + 1)],
    }


def _computing(profile: StepProfile) -> list[tuple[str, int, int, float]]:
    rows = [
        (f"{row.operator} {row.shapes} at {row.place}", row.flops, row.nbytes, row.seconds)
        for row in profile.rows
        if row.flops and row.nbytes and row.seconds > 0
    ]
    whole = ("the whole step", profile.flops, profile.nbytes, profile.seconds)
    return [*rows, *([whole] if profile.flops and profile.nbytes else [])]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    logarithms = [math.log10(value) for value in values if value > 0]
    return math.floor(min(logarithms)), math.ceil(max(logarithms) + 0.05)
