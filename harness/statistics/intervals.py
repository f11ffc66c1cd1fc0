"""Intervals of a mean, a standard deviation, a median and a share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from coordbench.harness.statistics.arrays import Interval, floats


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the t interval for the mean of values (n,); (nan, nan) below two values."""
    array = floats(values)
    if len(array) < 2:
        return np.nan, np.nan
    error = float(array.std(ddof=1)) / np.sqrt(len(array))
    half = float(special.stdtrit(len(array) - 1, (1 + confidence) / 2)) * error
    return float(array.mean()) - half, float(array.mean()) + half


def deviation_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the interval for the standard deviation of normal values (n,); (nan, nan) below two values."""
    array = floats(values)
    if (freedom := len(array) - 1) < 1:
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    most, least = (freedom / special.chdtri(freedom, each) for each in (1 - tail, tail))
    deviation = float(array.std(ddof=1))
    return deviation * float(np.sqrt(least)), deviation * float(np.sqrt(most))


def median_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return an interval for the median of values (n,) by the sign test, whatever their distribution.

    Below six values the widest interval, minimum to maximum, is all there is, and its confidence is lower.
    """
    ordered = np.sort(floats(values))
    outside = int(stats.binom.ppf((1 - confidence) / 2, len(ordered), 0.5))
    if stats.binom.cdf(outside, len(ordered), 0.5) > (1 - confidence) / 2:
        outside -= 1
    rank = max(outside, 0)
    return float(ordered[rank]), float(ordered[-1 - rank])


def pseudomedian(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the median of the means of all pairs of values (n,), and its interval by Wilcoxon's signed ranks.

    Hodges, Lehmann 1963: hardly moved by outliers, as a median; nearly as certain as a mean where values are normal.
    Takes their distribution as symmetric. Below six values the interval is minimum to maximum, at a lower confidence.
    """
    array = floats(values)
    first, second = np.triu_indices(n := len(array))
    means = np.sort((array[first] + array[second]) / 2)
    spread = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    rank = max(int(n * (n + 1) / 4 - spread - 0.5), 0)
    return float(np.median(means)), float(means[rank]), float(means[-1 - rank])


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's interval for a share; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
