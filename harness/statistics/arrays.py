"""What all statistics take and give."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]


def floats(values: ArrayLike) -> Floats:
    """Values of any kind as 64-bit floats."""
    return np.asarray(values, dtype=np.float64)


def percentiles(values: ArrayLike, confidence: float) -> Interval:
    """The middle `confidence` of values (n,)."""
    low, high = np.quantile(floats(values), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
