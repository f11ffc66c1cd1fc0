"""Scores of many tasks as one number, with its interval.

Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", arXiv 2108.13264.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from coordbench.harness.statistics.arrays import Floats, Interval, floats, percentiles


def iqm(values: ArrayLike) -> Floats:
    """Return the interquartile mean along the last axis: the mean without the lowest and the highest quarter."""
    return floats(stats.trim_mean(floats(values), 0.25, axis=-1))


def stratified_bootstrap(
    strata: Sequence[ArrayLike],
    statistic: Callable[[Floats], Floats],
    generator: np.random.Generator,
    *,
    confidence: float = 0.95,
    repeats: int = 1000,
) -> Interval:
    """Return the percentile interval of a statistic of all values, drawn anew within each stratum (a task's seeds).

    `statistic` maps (repeats, values) to (repeats,).
    """
    arrays = [floats(stratum) for stratum in strata]
    draws = [array[generator.integers(len(array), size=(repeats, len(array)))] for array in arrays]
    return percentiles(statistic(np.concatenate(draws, axis=1)), confidence)


def probability_of_improvement(ours: Sequence[ArrayLike], theirs: Sequence[ArrayLike]) -> float:
    """Return the chance that a run of ours beats one of theirs, ties as a half, averaged over tasks."""
    return float(np.mean([_wins(x, y).mean() for x, y in zip(ours, theirs, strict=True)]))


def improvement_interval(
    ours: Sequence[ArrayLike],
    theirs: Sequence[ArrayLike],
    generator: np.random.Generator,
    *,
    confidence: float = 0.95,
    repeats: int = 1000,
) -> Interval:
    """Return the stratified bootstrap interval of the probability of improvement."""
    total = np.zeros(repeats)
    for x, y in zip(ours, theirs, strict=True):
        wins = _wins(x, y)
        rows, columns = (generator.multinomial(n, np.full(n, 1 / n), size=repeats) / n for n in wins.shape)
        total += np.einsum("rj,rj->r", rows @ wins, columns)
    return percentiles(total / len(ours), confidence)


def performance_profile(strata: Sequence[ArrayLike], thresholds: ArrayLike) -> Floats:
    """Return the share of runs above each threshold, averaged over tasks; `strata` holds one task's runs each."""
    shares = [(floats(stratum)[:, None] > floats(thresholds)).mean(axis=0) for stratum in strata]
    return floats(np.mean(shares, axis=0))


def _wins(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    x, y = floats(ours)[:, None], floats(theirs)[None, :]
    return floats((x > y) + 0.5 * (x == y))
