"""The three fates of a GAN, by its coverage at fixed steps: never started, collapsed, or censored.

    coverage / real coverage
       1 |            ____
      .5 |--------o--/----\\------- start event: time runs from here
      .1 |-------/---------\\-o-o-o  three in a row below: collapsed at the first of them
         +-------------------------> images seen

A GAN that has not collapsed when its training ends is censored: it lived at least that long.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["never_started", "collapsed", "censored"]
STATES: tuple[State, ...] = ("never_started", "collapsed", "censored")
"""In the order of their numbers in the score `collapse_state`."""
STARTED, COLLAPSED, IN_A_ROW = 0.5, 0.1, 3


@dataclass(frozen=True)
class Fate:
    """What became of a GAN; `start` and `time` (from start to collapse or censoring) count images seen."""

    state: State
    start: int | None = None
    time: int | None = None

    def scores(self) -> dict[str, float]:
        """As numbers: `collapse_state` 0 never started, 1 collapsed, 2 censored; times only where there was a start."""
        numbers: dict[str, float] = {"collapse_state": STATES.index(self.state)}
        if self.start is not None and self.time is not None:
            numbers |= {"start_images": self.start, "collapse_images": self.time}
        return numbers


def fate(course: Sequence[tuple[int, float]], real: float, died_at: int | None = None) -> Fate:
    """Judge a course of (images seen, coverage) against the coverage of real images at the same n.

    `died_at` tells after how many images a loss was no longer finite: a GAN that had started has then collapsed.
    """
    start = next((seen for seen, coverage in course if coverage > STARTED * real), None)
    if start is None:
        return Fate("never_started")
    after = [(seen, coverage) for seen, coverage in course if seen >= start]
    for i, (seen, _) in enumerate(after):
        window = [coverage for _, coverage in itertools.islice(after, i, i + IN_A_ROW)]
        if len(window) == IN_A_ROW and max(window) < COLLAPSED * real:
            return Fate("collapsed", start, seen - start)
    if died_at is not None:
        return Fate("collapsed", start, died_at - start)
    return Fate("censored", start, after[-1][0] - start)
