"""What is about to be compared, so that a task or a backbone can refuse what could tell nothing, before it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coordbench.harness.core.selector import Selector


@dataclass(frozen=True)
class Contest:
    """A task and a backbone with all their options, defaults included, and the variants that compete in them."""

    task: Mapping[str, object]
    backbone: str
    network: Mapping[str, object]
    variants: tuple[Selector, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """The task's maps: `canvas` pixels on each of `dims` axes, or `length`; () where a task has neither option."""
        if "length" in self.task:
            return (_whole(self.task["length"]),)
        if "canvas" not in self.task:
            return ()
        return (_whole(self.task["canvas"]),) * _whole(self.task.get("dims", 2))

    def differ_by(self, option: str) -> bool:
        """Whether the variants differ in an option such as `padding`."""
        return len({dict(variant.options).get(option) for variant in self.variants}) > 1


Refuse = Callable[[Contest], str]
"""A contest -> why it could tell nothing; "" where it could."""


def accepts(contest: Contest) -> str:
    """Refuse nothing: what stands for a task or backbone that names no reason."""
    return ""


def last_map(size: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """The size of a map after layers of these strides, each of which rounds up."""
    for stride in strides:
        size = tuple(-(-n // stride) for n in size)
    return size


def one_pixel(contest: Contest, strides: tuple[int, ...]) -> str:
    """Why a network of these strides under a global head could tell nothing; "" where its last map has places."""
    size = contest.size
    if not size or set(last_map(size, strides)) != {1}:
        return ""
    shape, last = (" x ".join(map(str, side)) for side in (size, last_map(size, strides)))
    return f"{contest.backbone} makes {shape} pixels a last map of {last}, whose global mean reads every place"


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no number of pixels or axes")
    return value
