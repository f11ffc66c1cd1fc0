"""Many comparisons looked at together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from coordbench.harness.statistics.arrays import Floats, floats


def holm(p_values: ArrayLike) -> Floats:
    """Return p values (..., n) adjusted for being looked at together along the last axis (Holm 1979)."""
    p = floats(p_values)
    order = np.argsort(p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(ranked, axis=-1), 1.0), axis=-1)
    return adjusted


def holm_levels(p_values: ArrayLike, level: float) -> Floats:
    """The level that Holm leaves to each p value (n,): the smallest must stay below level / n, the largest below it."""
    order = np.argsort(floats(p_values), kind="stable")
    levels = np.empty(len(order))
    levels[order] = level / np.arange(len(order), 0, -1)
    return levels
