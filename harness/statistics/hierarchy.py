"""Comparisons that are looked at in an order: some at once, others only after a parent is decided.

Bretz, Maurer, Brannath, Posch, "A graphical approach to sequentially rejective multiple test procedures", Statistics in
Medicine 28 (2009), 586-604. Each comparison starts with a share of the level; one that is decided hands its share on.
Without children it is Holm's procedure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from coordbench.harness.statistics.arrays import Floats, floats

TO_CHILDREN = 0.5
"""What a decided comparison hands to its children, where others are still open beside it."""


def hierarchical(
    p_values: ArrayLike, parents: Sequence[int | None], reserve: float = 0.0, level: float = 0.05
) -> tuple[Floats, Floats]:
    """Adjust p values (n,) of a family in which `parents[i]` is None or the index of what must be decided before i.

    Returns the adjusted p values and the share of the level that each could use: at its turn, or, where it is open at
    this level, once all that are decided had handed on theirs. Whatever is true, the chance of any false decision stays
    below the level. Children begin with the share `reserve` together, which is theirs whatever
    becomes of their parents; without it their p is 1 where a parent is never decided.
    """
    p, shares = floats(p_values), _first_shares(parents, reserve)
    handed = _handed_on(parents)
    adjusted, turns = np.ones(len(p)), np.zeros(len(p))
    waiting, highest, usable = list(range(len(p))), 0.0, shares
    while waiting:
        ratios = [p[i] / shares[i] if shares[i] > 0 else np.inf for i in waiting]
        chosen = waiting.pop(int(np.argmin(ratios)))
        if highest < level:  # all before it are decided
            usable = shares
        highest = max(highest, min(1.0, min(ratios)))
        turns[chosen] = usable[chosen]
        adjusted[chosen] = highest
        shares, handed = _without(chosen, waiting, shares, handed)
    return adjusted, turns


def _first_shares(parents: Sequence[int | None], reserve: float) -> Floats:
    first = floats([parent is None for parent in parents])
    later = 1 - first
    kept = reserve if later.any() else 0.0
    return floats((1 - kept) * first / max(1.0, float(first.sum())) + kept * later / max(1.0, float(later.sum())))


def _handed_on(parents: Sequence[int | None]) -> Floats:
    """(n, n) shares that each hands to each: to its children and those beside it; children to one another, then up."""
    n = len(parents)
    handed = np.zeros((n, n))
    for i in range(n):
        children = [j for j in range(n) if parents[j] == i]
        beside = [j for j in range(n) if j != i and parents[j] is None]
        alike = [j for j in range(n) if j != i and parents[i] is not None and parents[j] == parents[i]]
        groups = [group for group in ((children, beside) if parents[i] is None else (alike, beside)) if group]
        for group in groups:
            share = 1.0 if len(groups) == 1 else TO_CHILDREN
            handed[i, group] += share / len(group)
    return handed


def _without(gone: int, waiting: Sequence[int], shares: Floats, handed: Floats) -> tuple[Floats, Floats]:
    """Shares and hand-overs of those that wait, once one is decided."""
    new_shares, new_handed = shares.copy(), np.zeros_like(handed)
    for i in waiting:
        new_shares[i] = shares[i] + shares[gone] * handed[gone, i]
        back = handed[i, gone] * handed[gone, i]
        for j in waiting:
            if j != i and back < 1:
                new_handed[i, j] = (handed[i, j] + handed[i, gone] * handed[gone, j]) / (1 - back)
    return new_shares, new_handed
