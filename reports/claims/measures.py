"""What claims compare: the scores of a side by seed, and two sides as one number per seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from coordbench.reports.claims.claims import Measure
from coordbench.reports.data.stored import Stored

Floats = NDArray[np.float64]


def scores(run: Stored, side: pd.DataFrame, split: str, metric: str) -> pd.Series[float]:
    """Seed -> a score of a side's trials."""
    table = run.tables.scores
    chosen = table[(table["split"] == split) & (table["metric"] == metric) & table["trial"].isin(side.index)]
    return pd.Series(chosen["value"].to_numpy(float), index=side.loc[chosen["trial"], "seed"].to_numpy())


def compared(measure: Measure, left: ArrayLike, right: ArrayLike | None = None) -> Floats:
    """The left side (seeds,) against the right one; not finite where a ratio has no value."""
    first = np.asarray(left, float)
    if right is None:
        return first
    second = np.asarray(right, float)
    result: Floats = first - second
    if measure == "difference":
        return result
    with np.errstate(divide="ignore", invalid="ignore"):
        result = 10 * (np.log10(first) - np.log10(second)) if measure == "decibels" else first / second
    if measure == "reduction":
        result = 1 - result
    return result
