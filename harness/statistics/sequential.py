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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from coordbench.harness.statistics.arrays import Floats, Interval, floats
from coordbench.harness.statistics.paired import LEVEL, Comparison, Evidence, decide
from coordbench.harness.statistics.spending import Design

D = TypeVar("D")
V = TypeVar("V")


@dataclass(frozen=True)
class History:
    """A comparison: its evidence at each look that could be taken so far, and when looks are taken.

    Without a design there is one look, at all the pairs that there are. `first` is the place of the look that the first
    evidence is of; `early`: it is of no look yet, and decides nothing.
    """

    evidence: tuple[Evidence, ...]
    design: Design | None = None
    first: int = 0
    early: bool = False

    @property
    def taken(self) -> int:
        """How many looks were taken."""
        return 0 if self.early else self.first + len(self.evidence)

    @property
    def worth(self) -> list[Evidence]:
        """The evidence as what it is worth over all looks."""
        if self.early:
            return [replace(at_look(one, self.design, 0), p=1.0, p_tied=1.0) for one in self.evidence]
        return [at_look(one, self.design, self.first + i) for i, one in enumerate(self.evidence)]

    @property
    def ended(self) -> bool:
        """Whether all looks were taken."""
        return not self.early and (self.design is None or self.taken >= len(self.design.looks))


@dataclass(frozen=True)
class LookComparison:
    """A comparison after its looks. `path` is what it came to at each, the last of which stands.

    `final`: decided, or open after the last look; `taken` counts the looks. Its interval covers the truth at all looks
    together, so that it holds whenever one stops.
    """

    path: tuple[Comparison, ...]
    design: Design | None
    final: bool
    taken: int
    planned: bool = True
    """Whether further looks will be taken, where there are any."""

    @property
    def comparison(self) -> Comparison:
        """What it came to last."""
        return self.path[-1]

    @property
    def next(self) -> str:
        """Which look is next, in words; "" where there is none."""
        looks = self.design.looks if self.design else ()
        if self.final or not self.planned or self.taken >= len(looks):
            return ""
        return f"look {self.taken + 1} of {len(looks)} is next, at {looks[self.taken]} seeds"

    @property
    def still_possible(self) -> float:
        """The largest effect, in size, that the interval leaves."""
        return max(abs(self.comparison.low), abs(self.comparison.high))


def take_looks(family: Sequence[History], level: float = LEVEL) -> list[LookComparison]:
    """Judge a family look by look; each comparison needs evidence of one look at least.

    What is decided keeps its verdict, whatever is decided later. The open ones after their last look are final once
    nothing of the family goes on, since Holm asks less of them as others are decided.
    """
    paths = over_looks(
        [history.worth for history in family], lambda evidence: decide(evidence, level), lambda c: c.verdict != "open"
    )
    over = all(path[-1].verdict != "open" or history.ended for path, history in zip(paths, family, strict=True))
    return [
        LookComparison(
            tuple(path),
            history.design,
            path[-1].verdict != "open" or over,
            0 if history.early else history.first + len(path),
        )
        for path, history in zip(paths, family, strict=True)
    ]


def over_looks(
    family: Sequence[Sequence[D]], judge: Callable[[list[D]], list[V]], decided: Callable[[V], bool]
) -> list[list[V]]:
    """What each of a family comes to at each of its looks, until it is decided; it takes part by its last evidence.

    One that has no further evidence is judged again with the others, as Holm's procedure does.
    """
    paths: list[list[V]] = [[] for _ in family]
    last: list[D] = [history[0] for history in family]
    for look in range(max(map(len, family), default=0)):
        going = [i for i, path in enumerate(paths) if not path or not decided(path[-1])]
        last = [family[i][look] if i in going and look < len(family[i]) else last[i] for i in range(len(family))]
        verdicts = judge(last)
        for i in going:
            paths[i][min(look, len(family[i]) - 1) :] = [verdicts[i]]
    return paths


def at_look(evidence: Evidence, design: Design | None, look: int) -> Evidence:
    """Evidence of one look as what it is worth over all looks; its interval holds under stopping."""
    if design is None or len(design.looks) == 1:
        return evidence
    low, high = repeated_interval(evidence.mean, evidence.error, evidence.pairs - 1, design, look)
    p = float(design.total(evidence.p, look, 2))
    return replace(evidence, p=p, p_tied=float(design.total(evidence.p_tied, look, 1)), low=low, high=high)


def repeated_interval(
    mean: float, error: float, degrees: float, design: Design, look: int, level: float = LEVEL
) -> Interval:
    """The interval of a mean that holds at all looks together (Jennison, Turnbull 1989); nan below two pairs.

    `error` is the standard error of the mean, with so many `degrees` of freedom.
    """
    if not degrees >= 1:
        return float("nan"), float("nan")
    half = float(special.stdtrit(degrees, 1 - design.bound(level, look, 2) / 2)) * error
    return mean - half, mean + half


def t_tests(differences: ArrayLike) -> Floats:
    """Two-sided p values of paired differences (..., pairs) by Student's t; 1 where all are equal to 0."""
    values = floats(differences)
    pairs = values.shape[-1]
    mean, error = values.mean(axis=-1), values.std(axis=-1, ddof=1) / np.sqrt(pairs)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(pairs - 1, -np.abs(mean) / error)
    return np.where(error > 0, p, np.where(mean == 0, 1.0, 0.0))


def failed_as_worst(ours: ArrayLike, theirs: ArrayLike) -> Floats:
    """Differences of merits (pairs,) in which a failed trial (nan) counts as the worst that either arm saw.

    A pair that failed on both sides tells nothing, and is left out.
    """
    pairs = np.stack([floats(ours), floats(theirs)])
    pairs = pairs[:, ~np.isnan(pairs).all(axis=0)]
    if pairs.size:
        pairs = np.where(np.isnan(pairs), np.nanmin(pairs), pairs)
    return floats(pairs[0] - pairs[1])
