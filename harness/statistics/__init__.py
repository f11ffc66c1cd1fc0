"""One small pure function per statistic."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def median_interval(values: Any, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval for the median of values (n,) by the sign test, whatever their distribution.

    Below six values the widest interval, minimum to maximum, is all there is, and its confidence is lower.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
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
    array = _floats(values)
    first, second = np.triu_indices(n := len(array))
    means = np.sort((array[first] + array[second]) / 2)
    spread = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    rank = max(int(n * (n + 1) / 4 - spread - 0.5), 0)
    return float(np.median(means)), float(means[rank]), float(means[-1 - rank])


@dataclass(frozen=True)
class PowerLaw:
    """y = factor * x ** exponent, the interval of the exponent, and the largest factor between a point and the line."""

    exponent: float
    low: float
    high: float
    factor: float
    misfit: float


def power_law(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> PowerLaw:
    """Fit a straight line on log axes by least squares to positive x, y (n,), n >= 3; the interval is Student's."""
    log_x, log_y = np.log(_floats(x)), np.log(_floats(y))
    line = stats.linregress(log_x, log_y)
    reach = float(stats.t.ppf((1 + confidence) / 2, len(log_x) - 2) * line.stderr)
    misfit = float(np.exp(np.abs(log_y - line.intercept - line.slope * log_x).max()))
    slope = float(line.slope)
    return PowerLaw(slope, slope - reach, slope + reach, float(np.exp(line.intercept)), misfit)


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the t interval for the mean of values (n,); (nan, nan) below two values."""
    array = _floats(values)
    if len(array) < 2:
        return np.nan, np.nan
    half = float(special.stdtrit(len(array) - 1, (1 + confidence) / 2)) * _standard_error(array)
    return float(array.mean()) - half, float(array.mean()) + half


def iqm(values: ArrayLike) -> Any:
    """Return the interquartile mean along the last axis: the mean without the lowest and the highest quarter."""
    ordered = np.sort(_floats(values), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def stratified_bootstrap(
    strata: Sequence[ArrayLike],
    statistic: Callable[[Floats], Any],
    generator: np.random.Generator,
    *,
    confidence: float = 0.95,
    repeats: int = 1000,
) -> Interval:
    """Return the percentile interval of a statistic of all values, drawn anew within each stratum (a task's seeds).

    `statistic` maps (repeats, values) to (repeats,).
    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", arXiv 2108.13264.
    """
    arrays = [_floats(stratum) for stratum in strata]
    drawn = [array[generator.integers(len(array), size=(repeats, len(array)))] for array in arrays]
    return _percentiles(statistic(np.concatenate(drawn, axis=1)), confidence)


def hierarchical_bootstrap(
    values: ArrayLike, generator: np.random.Generator, *, confidence: float = 0.95, repeats: int = 1000
) -> Interval:
    """Return the percentile interval for the mean of values (images, seeds), both drawn anew.

    Images of a test set and seeds of a training are crossed, so each repeat draws rows and columns independently.
    """
    array = _floats(values)
    rows, columns = (generator.multinomial(n, np.full(n, 1 / n), size=repeats) / n for n in array.shape)
    return _percentiles(np.einsum("ri,is,rs->r", rows, array, columns), confidence)


def paired_t(differences: ArrayLike, *, smallest_deviation: float = 0.0) -> float:
    """Return the two-sided p value of paired differences (n,) by the t test; 1 below two of them.

    `smallest_deviation` bounds their standard deviation from below: three seeds that agree to the last digit
    are no proof that a fourth would.
    """
    array = _floats(differences)
    if len(array) < 2:
        return 1.0
    error = _standard_error(array, smallest_deviation)
    if error == 0:
        return float(array.mean() == 0)
    return float(2 * special.stdtr(len(array) - 1, -abs(array.mean()) / error))


def equivalence_t(differences: ArrayLike, margin: float, *, smallest_deviation: float = 0.0) -> float:
    """Return the p value against |mean| >= margin, by two one-sided t tests; 1 below two differences."""
    array = _floats(differences)
    if len(array) < 2:
        return 1.0
    room, error = margin - abs(float(array.mean())), _standard_error(array, smallest_deviation)
    if error == 0:
        return float(room <= 0)
    return float(special.stdtr(len(array) - 1, -room / error))


def exact_permutation(differences: ArrayLike) -> float:
    """Return the two-sided p value of paired differences (n <= 20,) over all 2^n assignments of signs."""
    array = _floats(differences)
    if len(array) > 20:
        raise ValueError(f"an exact permutation of {len(array)} pairs is too large; valid: at most 20")
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(array))))
    totals = np.abs(signs @ array)
    return float(np.mean(totals >= totals[0] * (1 - 1e-12)))


def holm(p_values: ArrayLike) -> Floats:
    """Return p values (n,) adjusted for being looked at together (Holm 1979)."""
    p = _floats(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


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
    return _percentiles(total / len(ours), confidence)


def performance_profile(strata: Sequence[ArrayLike], thresholds: ArrayLike) -> Floats:
    """Return the share of runs above each threshold, averaged over tasks; `strata` holds one task's runs each."""
    shares = [(_floats(stratum)[:, None] > _floats(thresholds)).mean(axis=0) for stratum in strata]
    return np.asarray(np.mean(shares, axis=0), dtype=np.float64)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's interval for a share; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def smallest_detectable_effect(deviation: float, pairs: int, level: float = 0.05, power: float = 0.8) -> float:
    """Return the mean difference that a paired t test at `level` finds with `power`; nan below two pairs."""
    if pairs < 2:
        return float("nan")
    quantiles = special.stdtrit(pairs - 1, 1 - level / 2) + special.stdtrit(pairs - 1, power)
    return float(quantiles * deviation / np.sqrt(pairs))


@dataclass(frozen=True)
class Survival:
    """A Kaplan-Meier curve: the share that survives each time of an event."""

    times: Floats
    shares: Floats

    def median(self) -> float:
        """The first time that at most half survive; infinite where more do to the end."""
        below = np.flatnonzero(self.shares <= 0.5)
        return float(self.times[below[0]]) if len(below) else float("inf")


def kaplan_meier(times: ArrayLike, observed: ArrayLike) -> Survival:
    """Estimate survival from times (n,) at which the event was observed (True) or observation ended (False)."""
    time, event = _floats(times), np.asarray(observed, dtype=bool)
    moments = np.unique(time[event])
    at_risk = np.array([np.sum(time >= moment) for moment in moments])
    died = np.array([np.sum(event & (time == moment)) for moment in moments])
    return Survival(moments, np.cumprod(1 - died / at_risk) if len(moments) else np.empty(0))


def log_rank(
    times: ArrayLike, observed: ArrayLike, other_times: ArrayLike, other_observed: ArrayLike
) -> tuple[float, float]:
    """Compare the survival of two groups; return (z, two-sided p), z > 0 where the first sees events sooner."""
    time, event = _floats(times), np.asarray(observed, dtype=bool)
    other, other_event = _floats(other_times), np.asarray(other_observed, dtype=bool)
    excess = variance = 0.0
    for moment in np.unique(np.concatenate([time[event], other[other_event]])):
        n1, n2 = int(np.sum(time >= moment)), int(np.sum(other >= moment))
        d1 = int(np.sum(event & (time == moment)))
        d, n = d1 + int(np.sum(other_event & (other == moment))), n1 + n2
        excess += d1 - d * n1 / n
        variance += d * (n1 / n) * (n2 / n) * (n - d) / (n - 1) if n > 1 else 0.0
    z = excess / np.sqrt(variance) if variance > 0 else 0.0
    return float(z), float(2 * stats.norm.sf(abs(z)))


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _standard_error(array: Floats, smallest_deviation: float = 0.0) -> float:
    return max(float(array.std(ddof=1)), smallest_deviation) / float(np.sqrt(len(array)))


def _wins(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    x, y = _floats(ours)[:, None], _floats(theirs)[None, :]
    return np.asarray((x > y) + 0.5 * (x == y), dtype=np.float64)


def _percentiles(values: ArrayLike, confidence: float) -> Interval:
    low, high = np.quantile(_floats(values), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
