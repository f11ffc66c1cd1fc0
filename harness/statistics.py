"""One small pure function per statistic."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats


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
