"""A mean over seeds and over things of the test, where both are drawn: every seed meets every thing.

Where a test has few things (photographs, lenses), an interval over seeds alone says what other seeds would bring at the
same things. With effects of seed, of thing and of both, d[s, i] = mu + a_s + b_i + e_si, the variance of the mean is
(MS_seeds + MS_things - MS_rest) / (seeds x things), with Satterthwaite's degrees of freedom (Biometrics Bulletin 2,
1946; Searle, Casella, McCulloch, "Variance components", 1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from coordbench.harness.statistics.arrays import Interval, floats
from coordbench.harness.statistics.intervals import mean_interval


@dataclass(frozen=True)
class Crossed:
    """The mean, its interval where seeds and things are drawn, and its interval where seeds alone are.

    `error` is the standard error of the mean where both are drawn, with so many `degrees` of freedom.
    """

    mean: float
    both: Interval
    seeds: Interval
    error: float = float("nan")
    degrees: float = float("nan")
    of_things: float = float("nan")
    """The share of the mean's variance that is due to the things, which more seeds do not lessen."""

    def p(self, null: float = 0.0) -> float:
        """The two-sided p against a mean of `null`; nan where there is no error."""
        return min(1.0, 2 * self._tail(abs(self.mean - null)))

    def p_tied(self, margin: float) -> float:
        """The p against a mean beyond +-margin."""
        return self._tail(margin - abs(self.mean))

    def _tail(self, distance: float) -> float:
        if self.error == 0:
            return float(distance <= 0)
        return float(special.stdtr(self.degrees, -distance / self.error)) if self.error > 0 else float("nan")


def crossed(values: ArrayLike, confidence: float = 0.95) -> Crossed:
    """Return mean and intervals of values (seeds, things); no interval below two of each.

    The interval over both is never taken narrower than that of seeds or of things alone.
    """
    table = floats(values)
    mean = float(table.mean())
    alone = mean_interval(table.mean(axis=1), confidence)
    if min(table.shape) < 2:
        return Crossed(mean, (np.nan, np.nan), alone)
    n, m = table.shape
    rows, columns = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    rest = table - mean - rows[:, None] - columns
    squares = np.array([m * (rows**2).sum(), n * (columns**2).sum(), (rest**2).sum()])
    freedom = np.array([n - 1, m - 1, (n - 1) * (m - 1)])
    parts = squares / freedom
    variance = max(parts[0] + parts[1] - parts[2], parts[0], parts[1])
    if variance == 0:
        return Crossed(mean, (mean, mean), alone, 0.0, 1.0, 0.0)
    signs = (parts**2 / freedom).sum()
    degrees = min(max(variance**2 / signs, 1.0), float(n * m - 1))
    error = float(np.sqrt(variance / (n * m)))
    half = float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    both = min(mean - half, alone[0]), max(mean + half, alone[1])
    return Crossed(mean, both, alone, error, float(degrees), max(0.0, float(parts[1] - parts[2])) / float(variance))
