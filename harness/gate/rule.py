"""When is a layer slower? A pure function of log ratios, one per pair of processes.

Each pair of processes gives the median of its turns' log(candidate / base). Bounds and p values are those of the exact
signed-rank test (Wilcoxon 1945): under no change the two sides may be exchanged, which makes the ratios symmetric, and
a few wild pairs move it little. Verdicts are cut at `slower`, `least` and `alpha` of `Thresholds`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coordbench.harness.core.errors import UsageError
from coordbench.harness.statistics.multiple import holm

Array = NDArray[np.float64]
OPEN, PASS, IMPROVED, REGRESSED, INCONCLUSIVE = range(5)
NAMES = ("open", "pass", "improved", "regressed", "inconclusive")


@dataclass(frozen=True)
class Thresholds:
    """What counts as slower: surely below `slower` passes; surely above 0, with a median above `least`, regressed."""

    slower: float = 0.05
    least: float = 0.025
    alpha: float = 0.01
    pass_alpha: float = 0.05
    pairs: tuple[int, int] = (8, 16)

    def check(self, comparisons: int) -> None:
        """Raise UsageError, with the arithmetic, if no measurement of so many comparisons could end in a verdict."""
        first, final = self.pairs
        if 0.5**first > self.pass_alpha:
            least = math.ceil(-math.log2(self.pass_alpha))
            raise UsageError(
                f"pairs={list(self.pairs)}: {first} pairs reach at best p = 1/{2**first} = {0.5**first:.3g}, above "
                f"{self.pass_alpha:g}, so nothing can pass at the first look; use at least {least}"
            )
        needed = self.alpha / max(comparisons, 1)
        if 0.5**final > needed:
            raise UsageError(
                f"pairs={list(self.pairs)}: {final} pairs reach at best p = 1/{2**final} = {0.5**final:.3g}, above "
                f"{self.alpha:g} / {comparisons} comparisons = {needed:.3g}, so nothing can regress; use at least "
                f"{math.ceil(-math.log2(needed))} pairs or compare fewer layers"
            )

    def bearing_one_wild_pair(self, comparisons: int) -> Thresholds:
        """With the pairs, up to half as many again, at which one pair that is far off cannot hide a slowdown.

        One process in twenty is slower than its like for as long as it lives, by where its memory lies.
        """
        first, final = self.pairs
        most = final * 3 // 2
        needed = self.alpha / max(comparisons, 1)
        enough = (n for n in range(final, most) if _tail(n)[n * (n + 1) // 2 - n] <= needed)
        return replace(self, pairs=(first, next(enough, most)))


def first_look(ratios: Array, limits: Thresholds) -> NDArray[np.int8]:
    """Decide the clear cases from log ratios (..., k): PASS or IMPROVED; the others stay OPEN."""
    upper = bound(ratios, limits.pass_alpha)
    verdicts = np.where(upper < math.log1p(limits.slower), PASS, OPEN)
    return np.where(upper < -math.log1p(limits.least), IMPROVED, verdicts).astype(np.int8)


def final_look(ratios: Array, limits: Thresholds, comparisons: int) -> NDArray[np.int8]:
    """Decide what is left from log ratios (..., m, k), m of `comparisons` (those that passed before count with p = 1).

    REGRESSED and IMPROVED hold for all comparisons together at `alpha`, by Holm.
    """
    least, middle = math.log1p(limits.least), np.median(ratios, axis=-1)
    slower = (_adjusted(p_value(ratios), comparisons) <= limits.alpha) & (middle > least)
    faster = (_adjusted(p_value(-ratios), comparisons) <= limits.alpha) & (middle < -least)
    small = bound(ratios, limits.pass_alpha) < math.log1p(limits.slower)
    return np.select([slower, faster, small], [REGRESSED, IMPROVED, PASS], INCONCLUSIVE).astype(np.int8)


def _adjusted(p: Array, comparisons: int) -> Array:
    """P values (..., m) adjusted for a family of `comparisons`."""
    absent = np.ones((*p.shape[:-1], comparisons - p.shape[-1]))
    return np.apply_along_axis(holm, -1, np.concatenate([p, absent], axis=-1))[..., : p.shape[-1]]


def decide(ratios: Array, limits: Thresholds) -> NDArray[np.int8]:
    """Both looks at log ratios (..., m, pairs[1]), of which the first look sees pairs[0]: verdicts (..., m)."""
    early = first_look(ratios[..., : limits.pairs[0]], limits)
    undecided = early == OPEN
    late = final_look(np.where(undecided[..., None], ratios, 0.0), limits, ratios.shape[-2])  # a ratio of 0 has p = 1
    return np.where(undecided, late, early)


def estimate(ratios: Array, limits: Thresholds) -> tuple[float, float, float]:
    """Median of log ratios (k,) with its one-sided bounds from below and above, each at `pass_alpha`."""
    return float(np.median(ratios)), -float(bound(-ratios, limits.pass_alpha)), float(bound(ratios, limits.pass_alpha))


def bound(ratios: Array, alpha: float) -> Array:
    """Upper bound of the center of log ratios (..., k) at one-sided level `alpha`; infinite where k is too small."""
    tail = _tail(ratios.shape[-1])
    excluded = int((tail <= alpha).sum())  # how many values of the rank sum are that extreme
    averages = np.sort(_walsh(ratios), axis=-1)
    return np.asarray(averages[..., -excluded] if excluded else np.full(ratios.shape[:-1], np.inf))


def p_value(ratios: Array) -> Array:
    """One-sided p of the signed-rank test that the center of log ratios (..., k) is above 0."""
    rank_sum = (_walsh(ratios) > 0).sum(-1)
    p: Array = _tail(ratios.shape[-1])[rank_sum]
    return p


def _walsh(ratios: Array) -> Array:
    """The mean of each two values, each with itself too: (..., k) -> (..., k (k + 1) / 2)."""
    i, j = np.triu_indices(ratios.shape[-1])
    averages: Array = (ratios[..., i] + ratios[..., j]) / 2
    return averages


@functools.cache
def _tail(count: int) -> Array:
    """P(rank sum >= t) for t = 0, 1, ..., count (count + 1) / 2, if each sign is a fair coin."""
    mass = np.ones(1)
    for rank in range(1, count + 1):
        coin = np.zeros(rank + 1)
        coin[[0, rank]] = 0.5
        mass = np.convolve(mass, coin)
    tail: Array = mass[::-1].cumsum()[::-1]
    return tail
