"""How much of the error each look may spend, and the bounds that follow (Lan, DeMets 1983).

At a share t of the pairs, a test of total level g has spent f(t) g. The bounds are those of a normal score that grows
by independent increments (Armitage, McPherson, Rowe 1969), as levels for the p value of the look: a t test compares
its own p with them. Statistics of t at two looks hang together less than normal scores do, which would make 5.3 % of
5 %; as if each look had `LOOSE` pairs fewer, the level holds from 5 pairs on (`python -m tests.benchmarks.looks`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from coordbench.harness.core.errors import UsageError
from coordbench.harness.statistics.arrays import Floats, floats

Spending = Literal["linear", "power", "pocock", "obrien_fleming"]
Sides = Literal[1, 2]
FEWEST = 5
"""Pairs below which no look decides."""
LOOSE = 4
"""Pairs fewer, as which the dependence of t tests at two looks counts."""

_LEVELS = np.geomspace(1e-9, 0.9999, 140)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)
_REACH = 9.0  # standard deviations beyond which nothing happens


@dataclass(frozen=True)
class Design:
    """The numbers of pairs at which verdicts are read, and how error is spent over them."""

    looks: tuple[int, ...]
    spending: Spending = "linear"

    def __post_init__(self) -> None:
        looks, rising = list(self.looks), sorted(set(self.looks))
        if not looks or looks != rising:
            raise UsageError(f"looks = {looks}: each must be larger than the one before, such as [6, 10, 16, 24]")
        if looks[0] < FEWEST:
            raise UsageError(f"looks = {looks}: fewer than {FEWEST} pairs decide nothing; begin at {FEWEST} or more")
        if self.spending not in get_args(Spending):
            raise UsageError(f"spending = {self.spending!r} is not valid; valid: {', '.join(get_args(Spending))}")

    def spent(self, level: ArrayLike) -> Floats:
        """What tests of these total levels have spent after each look: (looks, levels)."""
        share = np.array(self.looks)[:, None] / self.looks[-1]
        return _SPENDING[self.spending](share, floats(level))

    def bound(self, level: float, look: int, sides: Sides = 2) -> float:
        """The level for the p value of one look (from 0) of a test of this total level."""
        levels, bounds = _bounds(self, sides)
        return float(np.exp(np.interp(np.log(level), levels, bounds[look])))

    def total(self, p: ArrayLike, look: int, sides: Sides = 2) -> Floats:
        """The smallest total level at which p values of one look would reject: what they are worth over all looks."""
        levels, bounds = _bounds(self, sides)
        with np.errstate(divide="ignore"):
            total = np.exp(np.interp(np.log(floats(p)), bounds[look], levels))
        return np.where(floats(p) >= np.exp(bounds[look][-1]), 1.0, total)


def _obrien_fleming(share: Floats, level: Floats) -> Floats:
    return floats(2 * special.ndtr(special.ndtri(level / 2) / np.sqrt(share)))


_SPENDING: dict[Spending, Callable[[Floats, Floats], Floats]] = {
    "linear": lambda share, level: level * share,
    "power": lambda share, level: level * share**1.5,
    "pocock": lambda share, level: level * np.log1p((np.e - 1) * share),
    "obrien_fleming": _obrien_fleming,
}


@functools.lru_cache(maxsize=32)
def _bounds(design: Design, sides: Sides) -> tuple[Floats, Floats]:
    """Logarithms of total levels (levels,), and of the bounds for p at each look (looks, levels)."""
    z = normal_bounds([pairs - LOOSE for pairs in design.looks], design.spent(_LEVELS), sides)
    bounds = stats.norm.logsf(z) + np.log(sides)
    return np.log(_LEVELS), np.maximum.accumulate(bounds, axis=1)


def normal_bounds(information: Sequence[float], spent: Floats, sides: Sides) -> Floats:
    """The bounds z (looks, levels) of a normal score with this information at each look, of which so much is spent."""
    score = _Score(sides)
    steps = np.diff(spent, axis=0, prepend=0.0)
    return floats([score.advance(amount, step) for amount, step in zip(information, steps, strict=True)])


class _Score:
    """The density of the score of tests that go on, at quadrature nodes (levels, nodes)."""

    def __init__(self, sides: Sides) -> None:
        self.sides, self.information = sides, 0.0
        self.nodes = self.mass = np.empty((0, 0))

    def advance(self, information: float, spent: Floats) -> Floats:
        """Find the bounds z (levels,) that spend so much at this information, and go on below them."""
        low, high = np.full(len(spent), -_REACH if self.sides == 1 else 0.0), np.full(len(spent), 38.0)
        for _ in range(60):
            middle = (low + high) / 2
            more = self._crossed(information, middle) > spent
            low, high = np.where(more, middle, low), np.where(more, high, middle)
        z = floats((low + high) / 2)
        self._go_on(information, z)
        return z

    def _crossed(self, information: float, z: Floats) -> Floats:
        """The mass that lies beyond bounds z."""
        if self.information == 0:
            return floats(self.sides * special.ndtr(-z))
        step, edge = np.sqrt(information - self.information), (z * np.sqrt(information))[:, None]
        beyond = special.ndtr((self.nodes - edge) / step)
        if self.sides == 2:
            beyond = beyond + special.ndtr((-edge - self.nodes) / step)
        return floats((self.mass * beyond).sum(axis=1))

    def _go_on(self, information: float, z: Floats) -> None:
        """The density inside the bounds becomes the next start."""
        top = np.minimum(z, _REACH) * np.sqrt(information)
        bottom = -top if self.sides == 2 else np.full_like(top, -_REACH * np.sqrt(information))
        half = (top - bottom)[:, None] / 2
        nodes = bottom[:, None] + half * (_NODES + 1)
        step = np.sqrt(information - self.information)
        if self.information == 0:
            density = stats.norm.pdf(nodes / step) / step
        else:
            apart = (nodes[:, :, None] - self.nodes[:, None, :]) / step
            density = np.einsum("lj,lij->li", self.mass, np.exp(-(apart**2) / 2)) / (step * np.sqrt(2 * np.pi))
        self.nodes, self.mass, self.information = nodes, density * half * _WEIGHTS, information
