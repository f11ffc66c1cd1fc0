"""Compare two variants seed by seed, or two stored runs: numbers become verdicts here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from harness import statistics

Verdict = Literal["better", "tied", "worse", "inconclusive", "none"]
LEVEL = 0.05
MOST_SEEDS = 200
"""More seeds than this nobody will run: `more_seeds` is None beyond it."""


@dataclass(frozen=True)
class Comparison:
    """A paired difference and what it proves: positive is better. `low` and `high` bound its 95 % interval.

    `verdict` is none below two pairs. `detectable` is the smallest effect that so many pairs would have shown,
    `more_seeds` how many further pairs would decide if they went on like these.
    """

    verdict: Verdict
    pairs: int
    mean: float
    low: float
    high: float
    p: float
    detectable: float
    more_seeds: int | None


def judge(family: Sequence[ArrayLike], margins: Sequence[float], level: float = LEVEL) -> list[Comparison]:
    """Judge paired differences, one array (pairs,) per comparison, that are looked at together.

    tied: the mean lies within +-margin; better or worse: it is not 0, and not tied; each at `level` after Holm over
    the whole family. Differences count as at least a quarter margin uncertain, so that seeds which agree exactly
    (both saturated, or both blind) do not decide on the spot.
    """
    arrays = [np.asarray(differences, dtype=np.float64) for differences in family]
    paired = list(zip(arrays, margins, strict=True))
    different = np.array([statistics.paired_t(d, smallest_deviation=m / 4) for d, m in paired])
    alike = np.array([statistics.equivalence_t(d, m, smallest_deviation=m / 4) for d, m in paired])
    adjusted, adjusted_alike = statistics.holm(different), statistics.holm(alike)
    levels = level / (len(arrays) - _ranks(different)) if arrays else np.empty(0)
    return [
        _comparison(d, m, adjusted[i], adjusted_alike[i], level, float(levels[i])) for i, (d, m) in enumerate(paired)
    ]


def _comparison(
    differences: np.ndarray[tuple[int], np.dtype[np.float64]],
    margin: float,
    p: float,
    p_alike: float,
    level: float,
    own_level: float,
) -> Comparison:
    pairs = len(differences)
    mean = float(differences.mean()) if pairs else float("nan")
    if pairs < 2:
        return Comparison("none", pairs, mean, float("nan"), float("nan"), 1.0, float("nan"), None)
    low, high = statistics.mean_interval(differences)
    deviation = max(float(differences.std(ddof=1)), margin / 4)
    verdict: Verdict = "inconclusive"
    if p_alike < level:
        verdict = "tied"
    elif p < level:
        verdict = "better" if mean > 0 else "worse"
    detectable = statistics.smallest_detectable_effect(deviation, pairs, own_level)
    more = _more_seeds(mean, deviation, pairs, margin, own_level) if verdict == "inconclusive" else 0
    return Comparison(verdict, pairs, mean, low, high, float(p), detectable, more)


def _more_seeds(mean: float, deviation: float, pairs: int, margin: float, level: float) -> int | None:
    """How many further pairs with this mean and deviation would decide; None beyond MOST_SEEDS."""
    counts = np.arange(pairs + 1, MOST_SEEDS + 1)
    error = deviation / np.sqrt(counts)
    decided = 2 * stats.t.sf(abs(mean) / error, counts - 1) < level
    decided |= stats.t.sf((margin - abs(mean)) / error, counts - 1) < level
    return int(counts[decided][0]) - pairs if decided.any() else None


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    ranks = np.empty(len(values), dtype=np.intp)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks
