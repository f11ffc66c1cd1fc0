"""Which of `count` commits made something slower, by log ratios of single pairs against the good revision.

The first slow commit, the size of the step and the noise are unknown, and every pair speaks of all three. A pair's log
ratio is `step` on and after the first slow commit, 0 before it, with noise of Student's t: a few wild pairs count
little. As in git-bayesect (noisy bisection, Burnashev and Zigangirov 1974), what is measured next is the commit that
splits the probability in half.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

_FREEDOM = 4
_STEPS, _NOISES = 33, 24


class Posterior:
    """Probabilities of commits 1, 2, .., `count`, of which the last is bad; commit 0 is the good one."""

    def __init__(self, count: int, step: float) -> None:
        """Start from a step that was measured between the first and the last, roughly."""
        self.count = count
        self.steps = step * np.linspace(0.25, 1.75, _STEPS)
        self.noises = np.geomspace(abs(step) / 100, abs(step) * 10, _NOISES)
        self._log = np.zeros((count, _STEPS, _NOISES))
        self._log -= np.log(self.noises)  # a scale is as likely to be small as large

    def observe(self, commit: int, ratio: float) -> None:
        """Take account of the log ratio of a pair of commit `commit` and the good one."""
        slow = _likelihood(ratio - self.steps[:, None], self.noises)
        fast = _likelihood(np.full((_STEPS, 1), ratio), self.noises)
        self._log[:commit] += slow
        self._log[commit:] += fast
        self._log -= self._log.max()

    @property
    def probabilities(self) -> Array:
        """Of each commit, that it is the first slow one."""
        weights = np.exp(self._log).sum((1, 2))
        share: Array = weights / weights.sum()
        return share

    @property
    def best(self) -> tuple[int, float]:
        """The most likely commit and its probability."""
        first = int(self.probabilities.argmax())
        return first + 1, float(self.probabilities[first])

    def following(self, measurable: Iterable[int]) -> int:
        """The commit to measure next: the one before which half of the probability lies, nearly."""
        before = self.probabilities.cumsum()
        return min(measurable, key=lambda commit: (abs(before[commit - 1] - 0.5), commit))

    def span(self, measurable: Iterable[int]) -> range:
        """The commits among which the best one cannot be told apart, since those between cannot be measured."""
        commit, _ = self.best
        stops = [0, *sorted(measurable), self.count]
        return range(
            max(stop for stop in stops if stop < commit) + 1, min(stop for stop in stops if stop >= commit) + 1
        )

    def share(self, commits: range) -> float:
        """The probability of all these commits together."""
        return float(self.probabilities[commits.start - 1 : commits.stop - 1].sum())


def _likelihood(distance: Array, noises: Array) -> Array:
    """Log likelihoods (steps, noises) of a distance from what was expected."""
    density: Array = np.asarray(stats.t.logpdf(distance / noises, _FREEDOM)) - np.log(noises)
    return density


def most_pairs(count: int, pairs: int) -> int:
    """What a search may cost: no more than git bisect with a whole gate at each step."""
    return pairs * math.ceil(math.log2(max(count, 2)))
