"""The flame graph as plain boxes: depth, start, width and, against a baseline, how much more a box takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from coordbench.harness.profiling.against import differences
from coordbench.harness.profiling.profile import Frame, StepProfile

LEAST = 5e-4
"""Boxes below this share of the step are left out: nobody could see them."""


class Box(TypedDict):
    """A box of the graph; `start` and `width` are shares of the step, `more` is seconds over the baseline."""

    name: str
    depth: int
    start: float
    width: float
    milliseconds: float
    more: float | None


def flame_data(profile: StepProfile, base: StepProfile | None) -> list[Box]:
    """The boxes of a step, from the outside in."""
    more: dict[tuple[str, str], float] | None = None
    if base is not None:
        more = {}
        for row in differences(profile, base):
            key = row.direction, row.operator
            more[key] = more.get(key, 0.0) + row.seconds
    return list(_boxes(profile.flame, 0, 0.0, profile.seconds, more, ""))


def _boxes(
    frame: Frame, depth: int, start: float, total: float, more: dict[tuple[str, str], float] | None, direction: str
) -> Iterator[Box]:
    width = frame.seconds / total
    if width < LEAST:
        return
    direction = frame.name if depth == 1 else direction
    over = None if more is None else more.get((direction, frame.name))
    yield {
        "name": frame.name,
        "depth": depth,
        "start": round(start, 5),
        "width": round(width, 5),
        "milliseconds": round(1e3 * frame.seconds, 4),
        "more": None if over is None else round(1e3 * over, 4),
    }
    for child in frame.children:
        yield from _boxes(child, depth + 1, start, total, more, direction)
        start += child.seconds / total
