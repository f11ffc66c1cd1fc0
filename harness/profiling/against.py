"""Two profiles side by side: what one step does more than the other, in seconds, calls and bytes.

Operators are matched by direction, name and shapes, since two layers have no lines of source in common; what is left
over on either side has no partner. The seconds of all differences add up to the difference of the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordbench.harness.profiling.profile import Row, StepProfile


@dataclass(frozen=True)
class Difference:
    """What a step does more (or, below 0, less) than the other by one operator at some shapes."""

    direction: str
    operator: str
    shapes: str
    places: tuple[str, ...]
    calls: int
    seconds: float
    nbytes: int
    base_seconds: float

    def __str__(self) -> str:
        calls = f"{self.calls:+d} " if self.calls else ""
        copied = f", {abs(self.nbytes) / 1e6:.3g} MB {'more' if self.nbytes > 0 else 'fewer'}" if self.nbytes else ""
        where = f", {self.places[0]}" if self.places else ""
        return f"{calls}{self.operator} ({self.direction}){copied}, {1e3 * self.seconds:+.3g} ms{where}"


def differences(profile: StepProfile, base: StepProfile) -> list[Difference]:
    """What `profile` does more than `base`, the most expensive first."""
    after, before = _grouped(profile.rows), _grouped(base.rows)
    rows = [_difference(key, after.get(key, []), before.get(key, [])) for key in {**after, **before}]
    return sorted((row for row in rows if row.seconds or row.calls or row.nbytes), key=lambda row: -abs(row.seconds))


_Key = tuple[str, str, str]


def _grouped(rows: Sequence[Row]) -> dict[_Key, list[Row]]:
    groups: dict[_Key, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.direction, row.operator, _matched(row.shapes)), []).append(row)
    return groups


def _matched(shapes: str) -> str:
    """The first two shapes: one layer adds its bias inside a convolution, the other beside it."""
    return "], ".join(shapes.split("], ")[:2]).removesuffix("]") + "]" if shapes else ""


def _difference(key: _Key, after: Sequence[Row], before: Sequence[Row]) -> Difference:
    direction, operator, shapes = key
    base_seconds = sum(row.seconds for row in before)
    return Difference(
        direction=direction,
        operator=operator,
        shapes=shapes,
        places=tuple(dict.fromkeys(row.place for row in (*after, *before) if row.place)),
        calls=sum(row.calls for row in after) - sum(row.calls for row in before),
        seconds=sum(row.seconds for row in after) - base_seconds,
        nbytes=sum(row.nbytes for row in after) - sum(row.nbytes for row in before),
        base_seconds=base_seconds,
    )
