"""Curves fitted to measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from coordbench.harness.statistics.arrays import floats


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
    log_x, log_y = np.log(floats(x)), np.log(floats(y))
    line = stats.linregress(log_x, log_y)
    reach = float(stats.t.ppf((1 + confidence) / 2, len(log_x) - 2) * line.stderr)
    misfit = float(np.exp(np.abs(log_y - line.intercept - line.slope * log_x).max()))
    slope = float(line.slope)
    return PowerLaw(slope, slope - reach, slope + reach, float(np.exp(line.intercept)), misfit)
