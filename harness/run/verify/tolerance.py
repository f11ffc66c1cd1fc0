"""How far a score may lie from the stored one on another platform: measured, never guessed.

A training that another platform throws off its way ends at most where another seed would have ended, so five stored
seeds of the same cell say how far: widely, since five know little of their spread. Where the metric was measured, too,
the narrower bound counts: `python -m tests.benchmarks.tolerances` trains the same trials under settings of threads and
kernels that stand for platforms, or takes records of two processors, and writes how far their scores lie apart into
`tolerances.json`, with what they were measured on.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from coordbench.harness.core.cell import Cell
from coordbench.harness.statistics.paired import FEWEST_PAIRS

FILE = Path(__file__).with_name("tolerances.json")
_COVERED, _CONFIDENCE = 0.9999, 0.95
"""A row has dozens of scores, and none of them may leave its bound by chance."""

_ROUNDING = 8 * float(np.finfo(np.float32).eps)
"""Of a value: three bits of 24."""


@dataclass(frozen=True)
class Tolerance:
    """How far a metric of a task may differ, out of so many measured differences."""

    task: str
    metric: str
    count: int
    largest: float
    tolerance: float


def bound(differences: Sequence[float]) -> float:
    """What nearly all such differences stay within, with 95 % confidence, and at least the largest that was seen.

    Differences are taken as normal around 0; their spread is set to the upper end of its 95 % interval. Where no bit
    ever differed none may.
    """
    values = np.asarray(differences, dtype=np.float64)
    return max(float(np.abs(values).max()), _reach((values**2).sum(), len(values)))


def bound_of_seeds(values: Sequence[float]) -> float | None:
    """What the difference of two seeds stays within, out of a score of several; None where they do not tell."""
    listed = np.asarray(values, dtype=np.float64)
    if len(listed) < FEWEST_PAIRS or listed.std() == 0:
        return None
    squares = 2 * ((listed - listed.mean()) ** 2).sum()  # a difference varies twice as much as each of its seeds
    return _reach(squares, len(listed) - 1)


def is_rounding(gap: float, value: float) -> bool:
    """Whether a difference is no more than what another order of a sum of 32-bit numbers makes of it.

    Says something of scores that are equal for all seeds, of which neither seeds nor measurements tell how far they go.
    """
    return gap <= _ROUNDING * abs(value)


def _reach(squares: float, degrees: int) -> float:
    """What _COVERED of normal values around 0 stays within, by the sum of the squares of some of them."""
    scale = np.sqrt(squares / stats.chi2.ppf(1 - _CONFIDENCE, degrees))
    return float(stats.norm.ppf((1 + _COVERED) / 2) * scale)


@functools.cache
def tolerances(file: Path = FILE) -> Mapping[tuple[str, str], Tolerance]:
    """Task and metric, both without options or condition, -> their tolerance."""
    content = json.loads(file.read_text(encoding="utf-8"))
    listed = [Tolerance(**row) for row in content["tolerances"]]
    return {(row.task, row.metric): row for row in listed}


def tolerance(cell: Cell, metric: str) -> float | None:
    """How far a metric may differ in a cell, None where nobody measured it."""
    known = tolerances().get((cell.task.name, metric))
    return known.tolerance if known else None
