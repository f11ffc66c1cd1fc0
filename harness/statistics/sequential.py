"""Verdicts that hold at every look: the paired rule with its error spent over planned looks.

A p value of one look is turned into what it is worth over all looks (`Design.total`): the smallest total level at which
it would lie beyond the bound of its look. Holm over these is the group sequential Holm procedure (Ye, Li, Liu, Yao,
Statistics in Medicine 2013): any false lead of a family in at most 5 % of runs, whatever is decided early. Leads and
ties (two one-sided tests at the margin) have 5 % each. What is decided gets no more pairs and keeps its verdict.

What is tested: that the mean of the paired differences is 0. Arms that are alike have symmetric differences, and there
the levels hold for normal and heavy-tailed ones; skewed differences around a mean of 0 break them, and shares (does
this seed start?) need their exact test. docs/looks.md has the measured levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from coordbench.harness.statistics.arrays import Floats, Interval, floats
from coordbench.harness.statistics.paired import LEVEL, Comparison, Evidence, decide
from coordbench.harness.statistics.spending import Design


@dataclass(frozen=True)
class LookComparison:
    """A comparison after a look. `final`: decided, or open after the last look.

    Its interval covers the truth at all looks together, so that it holds whenever one stops. `still_possible` is the
    largest effect in it, whichever way.
    """

    comparison: Comparison
    look: int
    final: bool

    @property
    def still_possible(self) -> float:
        """The largest effect, in size, that the interval leaves."""
        return max(abs(self.comparison.low), abs(self.comparison.high))


def judge_looks(
    family: Sequence[Sequence[Evidence]], design: Design, look: int, level: float = LEVEL
) -> list[LookComparison]:
    """Judge a family after a look (counted from 0): the evidence of each comparison at the looks that it took part in.

    A comparison that was decided earlier has no evidence of later looks, and keeps what it came to.
    """
    worth = [at_look(history[-1], design, len(history) - 1) for history in family]
    last = look == len(design.looks) - 1
    return [
        LookComparison(comparison, len(history) - 1, comparison.verdict != "open" or last)
        for comparison, history in zip(decide(worth, level), family, strict=True)
    ]


def at_look(evidence: Evidence, design: Design, look: int) -> Evidence:
    """Evidence of one look as what it is worth over all looks; its interval holds under stopping."""
    low, high = repeated_interval(evidence, design, look)
    p = float(design.total(evidence.p, look, 2))
    return replace(evidence, p=p, p_tied=float(design.total(evidence.p_tied, look, 1)), low=low, high=high)


def repeated_interval(evidence: Evidence, design: Design, look: int, level: float = LEVEL) -> Interval:
    """The interval of the mean that holds at all looks together (Jennison, Turnbull 1989); nan below two pairs."""
    if evidence.pairs < 2:
        return float("nan"), float("nan")
    bound = design.bound(level, look, 2)
    half = (
        float(special.stdtrit(evidence.pairs - 1, 1 - bound / 2)) * evidence.deviation / float(np.sqrt(evidence.pairs))
    )
    return evidence.mean - half, evidence.mean + half


def t_tests(differences: ArrayLike) -> Floats:
    """Two-sided p values of paired differences (..., pairs) by Student's t; 1 where all are equal to 0."""
    values = floats(differences)
    pairs = values.shape[-1]
    mean, error = values.mean(axis=-1), values.std(axis=-1, ddof=1) / np.sqrt(pairs)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(pairs - 1, -np.abs(mean) / error)
    return np.where(error > 0, p, np.where(mean == 0, 1.0, 0.0))


def exact_shares(differences: ArrayLike) -> Floats:
    """Two-sided p values that two arms succeed equally often, of differences (..., pairs) that are -1, 0 or 1.

    The exact sign test of the pairs in which only one arm succeeded (McNemar 1947).
    """
    values = floats(differences)
    ours, theirs = (values > 0).sum(axis=-1), (values < 0).sum(axis=-1)
    tail = stats.binom.cdf(np.minimum(ours, theirs), ours + theirs, 0.5)
    return np.minimum(1.0, 2 * floats(tail))


def failed_as_worst(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    """Differences of merits (pairs,) in which a failed trial (nan) counts as the worst that either arm saw.

    A pair that failed on both sides tells nothing, and is left out.
    """
    pairs = np.stack([floats(ours), floats(theirs)])
    pairs = pairs[:, ~np.isnan(pairs).all(axis=0)]
    if pairs.size:
        pairs = np.where(np.isnan(pairs), np.nanmin(pairs), pairs)
    return floats(pairs[0] - pairs[1])
