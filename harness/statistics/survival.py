"""Times to an event, some of which ended before it: scipy's estimates of censored data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from coordbench.harness.statistics.arrays import Floats, floats


@dataclass(frozen=True)
class Survival:
    """A Kaplan-Meier curve: the share that survives each time."""

    times: Floats
    shares: Floats

    def median(self) -> float:
        """The first time that at most half survive; infinite where more do to the end."""
        below = np.flatnonzero(self.shares <= 0.5 + 1e-12)  # a product such as 8/10 * 6/8 * 5/6 is not exactly one half
        return float(self.times[below[0]]) if len(below) else float("inf")


def kaplan_meier(times: ArrayLike, observed: ArrayLike) -> Survival:
    """Estimate survival from times (n,) at which the event was observed (True) or observation ended (False)."""
    curve = stats.ecdf(_censored(times, observed)).sf
    return Survival(floats(curve.quantiles), floats(curve.probabilities))


def log_rank(
    times: ArrayLike, observed: ArrayLike, other_times: ArrayLike, other_observed: ArrayLike
) -> tuple[float, float]:
    """Compare the survival of two groups; return (z, two-sided p), z > 0 where the first sees events sooner.

    Without any event there is nothing to compare: (0, 1).
    """
    if not (np.any(observed) or np.any(other_observed)):
        return 0.0, 1.0
    with np.errstate(invalid="ignore"):  # 0 / 0 where every event comes to all who are left
        result = stats.logrank(_censored(times, observed), _censored(other_times, other_observed))
    return (float(result.statistic), float(result.pvalue)) if np.isfinite(result.statistic) else (0.0, 1.0)


def _censored(times: ArrayLike, observed: ArrayLike) -> stats.CensoredData:
    time, event = floats(times), np.asarray(observed, dtype=bool)
    return stats.CensoredData(uncensored=time[event], right=time[~event])
