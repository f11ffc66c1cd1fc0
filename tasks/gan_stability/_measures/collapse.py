"""The three fates of a GAN, by its coverage at fixed steps: never started, collapsed, or censored.

    coverage / real coverage
       1 |            ____
      .5 |--------o--/----\\------- start event: time runs from here
      .1 |-------/---------\\-o-o-o  three in a row below: collapsed at the first of them
         +-------------------------> epochs

A GAN that has not collapsed when its training ends is censored: it lived at least that long.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordbench.harness.core.scores import Fate, State

STARTED, COLLAPSED, IN_A_ROW = 0.5, 0.1, 3


def fate(course: Sequence[tuple[float, float]], real: float, died_at: float | None = None) -> Fate:
    """Judge a course of (epoch, coverage) against the coverage of real images at the same n.

    `died_at` is the epoch at which a loss was no longer finite: a GAN that had started has then collapsed.
    """
    start = next((epoch for epoch, coverage in course if coverage > STARTED * real), None)
    if start is None:
        return Fate(State.NEVER_STARTED)
    after = [(epoch, coverage) for epoch, coverage in course if epoch >= start]
    for i, (epoch, _) in enumerate(after):
        window = [coverage for _, coverage in after[i : i + IN_A_ROW]]
        if len(window) == IN_A_ROW and max(window) < COLLAPSED * real:
            return Fate(State.COLLAPSED, start, epoch - start)
    if died_at is not None:
        return Fate(State.COLLAPSED, start, died_at - start)
    return Fate(State.CENSORED, start, after[-1][0] - start)
