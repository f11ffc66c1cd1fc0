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


def holm(p_values: Any, comparisons: int | None = None) -> Any:
    """Return p values (..., m) adjusted for all `comparisons` (m where left out) of a family, by Holm's steps down."""
    given = np.asarray(p_values, dtype=float)
    total = given.shape[-1] if comparisons is None else comparisons
    order = np.argsort(given, axis=-1)
    stepped = np.take_along_axis(given, order, -1) * (total - np.arange(given.shape[-1]))
    adjusted = np.empty_like(given)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(stepped, -1), 1.0), -1)
    return adjusted
