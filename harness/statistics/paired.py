"""The one rule by which paired differences become verdicts.

Equal seeds make pairs, a difference is positive where the side asked about is better, and everything that is looked at
together is adjusted together (Holm), as leads and as ties. The page, `compare`, the ledger of claims and the gate's
accuracy stage all judge by this module.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from coordbench.harness.statistics.arrays import Floats, Interval, floats
from coordbench.harness.statistics.intervals import mean_interval
from coordbench.harness.statistics.multiple import holm, holm_levels

Verdict = Literal["better", "tied", "worse", "open"]
LEVEL = 0.05
FEWEST_PAIRS = 5
"""Fewer paired seeds decide nothing."""
MOST_PAIRS = 1000
"""Beyond so many no number of pairs is proposed."""


@dataclass(frozen=True)
class Evidence:
    """What one comparison shows before it is judged together with others.

    `low` and `high` bound the 95 % interval of the mean; `p` speaks against `null`, two-sided, and `p_tied` against a
    mean beyond +-`margin`. Tests of another kind (a log rank, a ratio of spreads) give evidence too.
    """

    pairs: int
    mean: float
    p: float
    p_tied: float = 1.0
    low: float = float("nan")
    high: float = float("nan")
    deviation: float = float("nan")
    margin: float = 0.0
    null: float = 0.0

    @property
    def error(self) -> float:
        """The standard error of the mean over its pairs; nan without any."""
        return self.deviation / float(np.sqrt(self.pairs)) if self.pairs else float("nan")


@dataclass(frozen=True)
class Comparison:
    """A verdict and what it came from; positive is better. `p` and `p_tied` are adjusted for the family.

    `detectable` is the smallest effect that so many pairs would have shown.
    """

    verdict: Verdict
    pairs: int
    mean: float
    low: float
    high: float
    p: float
    p_tied: float
    detectable: float


def measure(
    differences: ArrayLike,
    margin: float = 0.0,
    *,
    null: float = 0.0,
    sides: Literal["both", "worse"] = "both",
    least_deviation: float | None = None,
    shares: bool = False,
) -> Evidence:
    """Test differences (pairs,) by Student's t: for a mean other than `null`, and for one within +-margin.

    Differences count as at least `least_deviation`, by default a quarter margin, uncertain, so that seeds which agree
    exactly (both saturated, or both blind) do not decide on the spot. Without a margin nothing is tied. Where only
    what is `worse` matters, leads have p = 1 and help no other comparison of the family. With `shares` the values are
    -1, 0 or 1, whether only one arm succeeded, and leads are tested exactly.
    """
    values = floats(differences)
    mean = float(values.mean()) if len(values) else float("nan")
    if len(values) < 2:
        return Evidence(len(values), mean, 1.0, margin=margin, null=null)
    least = margin / 4 if least_deviation is None else least_deviation
    low, high = mean_interval(values)
    p = paired_t(values - null, smallest_deviation=least) if sides == "both" or mean < null else 1.0
    p = float(exact_shares(values)) if shares else p
    p_tied = equivalence_t(values, margin, smallest_deviation=least) if margin > 0 else 1.0
    deviation = max(float(values.std(ddof=1)), least)
    return Evidence(len(values), mean, p, p_tied, low, high, deviation, margin, null)


def judge(family: Sequence[ArrayLike], margins: Sequence[float], level: float = LEVEL) -> list[Comparison]:
    """Judge paired differences, one array (pairs,) per comparison, that are looked at together."""
    return decide([measure(values, margin) for values, margin in zip(family, margins, strict=True)], level)


def decide(family: Sequence[Evidence], level: float = LEVEL) -> list[Comparison]:
    """Judge all comparisons of a family, each at `level` after Holm over the whole family.

    tied: the mean lies within +-margin, whether or not it is surely another than `null` (real, and too small to
    matter). better or worse: it is surely above or below `null`, and not tied. open: neither is sure, or there are
    fewer than FEWEST_PAIRS pairs.
    """
    p, p_tied = (holm([getattr(e, name) for e in family]) for name in ("p", "p_tied"))
    levels = holm_levels([e.p for e in family], level)
    return [_comparison(e, float(p[i]), float(p_tied[i]), level, float(levels[i])) for i, e in enumerate(family)]


def _comparison(e: Evidence, p: float, p_tied: float, level: float, holm_level: float) -> Comparison:
    verdict = _verdict(e, p, p_tied, level)
    detectable = smallest_detectable_effect(e.deviation, e.pairs, holm_level)
    return Comparison(verdict, e.pairs, e.mean, e.low, e.high, p, p_tied, detectable)


def _verdict(e: Evidence, p: float, p_tied: float, level: float) -> Verdict:
    if e.pairs < FEWEST_PAIRS or min(p, p_tied) >= level:
        return "open"
    if p_tied < level:
        return "tied"
    return "better" if e.mean > e.null else "worse"


def paired_t(differences: ArrayLike, *, smallest_deviation: float = 0.0) -> float:
    """Return the two-sided p value of paired differences (n,) by the t test; 1 below two of them.

    `smallest_deviation` bounds their standard deviation from below: three seeds that agree to the last digit
    are no proof that a fourth would.
    """
    values = floats(differences)
    if len(values) < 2:
        return 1.0
    error = _standard_error(values, smallest_deviation)
    if error == 0:
        return float(values.mean() == 0)
    return float(2 * special.stdtr(len(values) - 1, -abs(values.mean()) / error))


def equivalence_t(differences: ArrayLike, margin: float, *, smallest_deviation: float = 0.0) -> float:
    """Return the p value against |mean| >= margin, by two one-sided t tests; 1 below two differences."""
    values = floats(differences)
    if len(values) < 2:
        return 1.0
    room, error = margin - abs(float(values.mean())), _standard_error(values, smallest_deviation)
    if error == 0:
        return float(room <= 0)
    return float(special.stdtr(len(values) - 1, -room / error))


def exact_shares(differences: ArrayLike) -> Floats:
    """Two-sided p values that two arms succeed equally often, of differences (..., pairs) that are -1, 0 or 1.

    The exact sign test of the pairs in which only one arm succeeded (McNemar 1947).
    """
    values = floats(differences)
    ours, theirs = (values > 0).sum(axis=-1), (values < 0).sum(axis=-1)
    tail = stats.binom.cdf(np.minimum(ours, theirs), ours + theirs, 0.5)
    return np.minimum(1.0, 2 * floats(tail))


def interval(evidence: Evidence, confidence: float = 1 - LEVEL) -> Interval:
    """The t interval of the mean by the deviation that the tests used, its smallest included; nan below two pairs."""
    if evidence.pairs < 2:
        return float("nan"), float("nan")
    quantile = float(special.stdtrit(evidence.pairs - 1, (1 + confidence) / 2))
    half = quantile * evidence.deviation / float(np.sqrt(evidence.pairs))
    return evidence.mean - half, evidence.mean + half


def smallest_detectable_effect(deviation: float, pairs: int, level: float = LEVEL, power: float = 0.8) -> float:
    """Return the mean difference that a paired t test at `level` shows with `power`; nan below two pairs.

    By the noncentral t, and so exact for normal differences of this standard deviation.
    """
    if pairs < 2:
        return float("nan")
    threshold = special.stdtrit(pairs - 1, 1 - level / 2)
    return float(special.nctdtrinc(pairs - 1, 1 - power, threshold) * deviation / np.sqrt(pairs))


def pairs_needed(deviation: float, effect: float, level: float = LEVEL, power: float = 0.8) -> int | None:
    """Return the fewest pairs that detect a mean difference of `effect`; None where `MOST_PAIRS` are too few."""
    counts = range(2, MOST_PAIRS + 1)

    def detects(pairs: int) -> bool:
        return smallest_detectable_effect(deviation, pairs, level, power) <= abs(effect)

    place = bisect_left(counts, True, key=detects)
    return counts[place] if place < len(counts) else None


def _standard_error(values: Floats, smallest_deviation: float = 0.0) -> float:
    return max(float(values.std(ddof=1)), smallest_deviation) / float(np.sqrt(len(values)))
