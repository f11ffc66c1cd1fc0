"""Where a series of measurements changes its level for good, or for a while.

Whether it does is decided by permutations, which are exact whatever the noise: first for one step, then for a span that
differs from the rest (circular binary segmentation, Olshen et al. 2004). Where it does is said by `ruptures` (Truong et
al. 2020); each step that it proposes must hold between its two neighbors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import ruptures
from numpy.typing import NDArray

Array = NDArray[np.float64]
Strength = Callable[[Array], Array]

ONE_STEP, ONE_SPAN = 1.2e-3, 3e-4
"""Series of equal level in which a step, or a span, is seen; together three in two thousand."""
SHORTEST = 3
"""Measurements that a level has at least: one or two that are wild are no change."""
_NEIGHBORS = 0.02
_DRAWS, _CHUNK = 9999, 500
_CLIPPED = 5.0
_PENALTY = 6.0


@dataclass(frozen=True)
class Change:
    """A step in a series: the first measurement after it, and the medians on both sides."""

    index: int
    before: float
    after: float

    @property
    def relative(self) -> float:
        """The step as a share of the level before it; infinite if that is 0."""
        return (self.after - self.before) / abs(self.before) if self.before else math.copysign(math.inf, self.after)


def changes(values: Array) -> list[Change]:
    """The steps of a series that is measured with noise, in order."""
    if len(values) < 2 * SHORTEST:
        return []
    series = _steady(np.asarray(values, dtype=np.float64))
    if not np.ptp(series) or not _changes(series):
        return []
    return _described(values, _steps(series))


def exact_changes(values: Array) -> list[Change]:
    """The steps of a series without noise: wherever it differs from what was before."""
    return _described(values, (1 + np.flatnonzero(np.diff(values))).tolist())


def _described(values: Array, steps: list[int]) -> list[Change]:
    bounds = [0, *steps, len(values)]
    levels = [float(np.median(values[i:j])) for i, j in itertools.pairwise(bounds)]
    return [Change(step, *pair) for step, pair in zip(steps, itertools.pairwise(levels), strict=True)]


def _steady(values: Array) -> Array:
    """Logarithms, where all are positive, of which wild ones are clipped: permutations remain as exact as they were."""
    series = np.log(values) if (values > 0).all() else values
    noise, middle = _noise(series), np.median(series)
    return np.clip(series, middle - _CLIPPED * noise, middle + _CLIPPED * noise) if noise else series


def _noise(series: Array) -> float:
    """Standard deviation of single measurements, by differences of neighbors, which steps hardly touch."""
    return float(np.median(np.abs(np.diff(series)))) * 1.4826 / math.sqrt(2) if len(series) > 1 else 0.0


def _changes(series: Array) -> bool:
    return _rejects(series, _one_step, ONE_STEP) or _rejects(series, _one_span, ONE_SPAN)


def _rejects(series: Array, strength: Strength, alpha: float) -> bool:
    """Whether few enough of the permutations are as strong as the series; stop when they can no longer be few."""
    generator = np.random.default_rng(len(series))
    observed = strength(series[None])[0] * (1 - 1e-12)
    tolerated, stronger, drawn = math.floor(alpha * (_DRAWS + 1)) - 1, 0, 0
    while drawn < _DRAWS and stronger <= tolerated:
        count = min(_CHUNK, _DRAWS - drawn)
        shuffled = generator.permuted(np.tile(series, (count, 1)), axis=1)
        stronger += int((strength(shuffled) >= observed).sum())
        drawn += count
    return stronger <= tolerated


def _one_step(series: Array) -> Array:
    """The largest standardized difference between a beginning and the rest, of series (draws, n)."""
    n = series.shape[1]
    sums = (series - series.mean(1, keepdims=True)).cumsum(1)[:, SHORTEST - 1 : n - SHORTEST]
    lengths = np.arange(SHORTEST, n - SHORTEST + 1)
    strength: Array = (np.abs(sums) / np.sqrt(lengths * (n - lengths))).max(1)
    return strength


def _one_span(series: Array) -> Array:
    """The largest standardized difference between a span and the rest, of series (draws, n)."""
    count, n = series.shape
    sums = np.concatenate([np.zeros((count, 1)), (series - series.mean(1, keepdims=True)).cumsum(1)], axis=1)
    largest = np.zeros(count)
    for length in range(SHORTEST, n - SHORTEST + 1):
        differences = np.abs(sums[:, length:] - sums[:, :-length]).max(1) / math.sqrt(length * (n - length))
        largest = np.maximum(largest, differences)
    return largest


def _steps(series: Array) -> list[int]:
    """Steps that the library proposes, less those that do not hold between their neighbors, the smallest first."""
    penalty = _PENALTY * max(_noise(series), 1e-9) ** 2 * math.log(len(series))
    search = ruptures.Pelt(model="l2", min_size=SHORTEST, jump=1).fit(series)
    steps = [int(step) for step in search.predict(pen=penalty)[:-1]]
    while steps:
        bounds = [0, *steps, len(series)]
        windows = [(series[i:k], j - i) for i, j, k in zip(bounds, bounds[1:], bounds[2:], strict=False)]
        doubtful = [number for number, window in enumerate(windows) if _chance(*window) > _NEIGHBORS]
        if not doubtful:
            break
        del steps[min(doubtful, key=lambda number: _gain(*windows[number]))]
    return steps


def _gain(window: Array, step: int) -> float:
    """By how much a step lessens the squared deviations."""
    size = len(window)
    return float((window[:step].mean() - window[step:].mean()) ** 2 * step * (size - step) / size)


def _chance(window: Array, step: int) -> float:
    """The share of permutations of two neighboring levels that differ as much as they do."""
    generator = np.random.default_rng(step)
    shuffled = generator.permuted(np.tile(window, (_CHUNK, 1)), axis=1)
    drawn = np.abs(shuffled[:, :step].mean(1) - shuffled[:, step:].mean(1))
    observed = abs(window[:step].mean() - window[step:].mean()) * (1 - 1e-12)
    return float((1 + (drawn >= observed).sum()) / (1 + _CHUNK))
