"""What a score is called and what became of a GAN: types that every room reads, so that nobody parses a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class At(str):
    """The name of a score that holds under a condition, and the condition itself, `axis = value`.

    >>> At("mse", "m", 8), At("accuracy", "place", "unseen")
    ('mse@m=8', 'accuracy@unseen')

    It stands wherever the name of a score stands; the name is for people and for equality alone.
    """

    metric: str
    axis: str
    value: float | str

    def __new__(cls, metric: str, axis: str, value: float | str) -> At:
        """Name the score after its condition."""
        name = super().__new__(cls, f"{metric}@{value}" if isinstance(value, str) else f"{metric}@{axis}={value:g}")
        name.metric, name.axis, name.value = metric, axis, value
        return name

    def __getnewargs__(self) -> tuple[str, str, float | str]:  # type: ignore[override]  # copies and pickles stay typed
        """The parts, of which a copy is made."""
        return self.metric, self.axis, self.value

    @property
    def level(self) -> float | None:
        """The value where it is a number, which a figure can draw along an axis."""
        return None if isinstance(self.value, str) else float(self.value)


class State(StrEnum):
    """What became of a GAN. Censored: it had started and not collapsed when its training ended."""

    NEVER_STARTED = "never_started"
    COLLAPSED = "collapsed"
    CENSORED = "censored"


@dataclass(frozen=True)
class Fate:
    """What became of a GAN, and when: `start`, and `time` from there to collapse or censoring [epochs]."""

    state: State
    start: float | None = None
    time: float | None = None


class Point(Protocol):
    """A point of a learning curve."""

    @property
    def step(self) -> int: ...
    @property
    def metric(self) -> str: ...
    @property
    def value(self) -> float: ...


class Course(Protocol):
    """How a training went, which is all that tells a fate: a `Record` is one."""

    @property
    def status(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def curves(self) -> Sequence[Point]: ...
