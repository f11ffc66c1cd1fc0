"""The memory of a step as stacked areas, and what stands at its peak."""

from __future__ import annotations

from typing import TypedDict, get_args

from coordbench.harness.profiling.profile import StepProfile
from coordbench.harness.profiling.recorded.memory import Allocation, Category, StepMemory

WIDTH, HEIGHT = 640, 150
"""Of the drawing [px]."""


class Area(TypedDict):
    """One category: its name, and the points of its polygon."""

    name: Category
    points: str
    peak_bytes: int


class MemoryData(TypedDict):
    """What the page draws of one profile."""

    label: str
    peak_bytes: int
    resident_bytes: int
    peak_x: float
    areas: list[Area]
    at_peak: list[Allocation]


def memory_data(profile: StepProfile) -> MemoryData:
    """Stack the categories over the moments of the step, each moment an allocation or a free."""
    memory = profile.memory
    held = memory.held()
    top = max(memory.peak_bytes, 1)
    below = [0] * len(held)
    areas: list[Area] = []
    for category in get_args(Category):
        own = StepMemory(tuple(a for a in memory.allocations if a.category == category), 0).held()
        above = [low + (own[i] if i < len(own) else (own[-1] if own else 0)) for i, low in enumerate(below)]
        areas.append({"name": category, "points": _polygon(below, above, top), "peak_bytes": max(own, default=0)})
        below = above
    peak = held.index(max(held)) if held else 0
    return {
        "label": profile.label,
        "peak_bytes": memory.peak_bytes,
        "resident_bytes": memory.resident_bytes,
        "peak_x": WIDTH * peak / max(1, len(held) - 1),
        "areas": areas,
        "at_peak": memory.at_peak()[:8],
    }


def _polygon(below: list[int], above: list[int], top: int) -> str:
    last = max(1, len(below) - 1)
    steps = [i for i in range(len(below)) if i in (0, last) or (below[i], above[i]) != (below[i - 1], above[i - 1])]
    upper = [f"{WIDTH * i / last:.1f},{HEIGHT * (1 - above[i] / top):.1f}" for i in steps]
    lower = [f"{WIDTH * i / last:.1f},{HEIGHT * (1 - below[i] / top):.1f}" for i in reversed(steps)]
    return " ".join((*upper, *lower))
