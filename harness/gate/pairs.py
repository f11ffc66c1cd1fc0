"""Pairs of processes, one of each side, that take turns on one core: what a comparison of speed is decided by."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from coordbench.harness.core.seeds import seed_of
from coordbench.harness.gate import rule
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.side.messages import Ready
from coordbench.harness.gate.sides import LayerError, Side, SideError, Tree

STOLEN, FAULTS = 0.10, 0.02
"""Tolerated within a pair: the share of the core's time that was taken away, the share of time in page faults."""

_FAULT_SECONDS = 5e-7  # one minor fault: the kernel clears a page of 4 KiB and maps it

_LEAST_TURNS, _PAIR_SECONDS = 5, 4.0
"""Where a call is slow a pair takes fewer turns, but never fewer than these."""
SKIPPED = "Skipped"
"""What a side calls the reason of a benchmark that chose not to run."""
_IDLE = 10.0
"""How much longer than what is timed of a call the call may last before a turn holds fewer of them."""

Comparison = tuple[str, str]
"""Label of a layer and its phase, or id of a benchmark and what is timed of it."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """What one pair of processes gave: the median log ratio of its turns, both medians [s], and what disturbed it."""

    ratio: float
    base: float
    candidate: float
    disturbed: str = ""


@dataclass
class Measured:
    """All pairs of a comparison so far; `failure` is the side that could not be timed, and why."""

    pairs: list[Pair] = field(default_factory=list)
    failure: tuple[str, str] | None = None
    skipped: bool = False
    """Whether the failure is a benchmark that chose not to run."""

    @property
    def ratios(self) -> rule.Array:
        """Log ratios (k,)."""
        return np.array([pair.ratio for pair in self.pairs])


class Work(Protocol):
    """What is timed on both sides."""

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """All that is compared."""

    def running(self, trees: Sequence[Tree], seed: int) -> contextlib.AbstractContextManager[tuple[Side, ...]]:
        """A process of each tree, set up alike by `seed`, started together and ended at the end."""

    def prepare(self, side: Side, comparison: Comparison) -> Ready:
        """Make a side ready for its turns in a comparison, kept under its label."""


@dataclass(frozen=True)
class Timer:
    """Everything that the pairs have in common: both trees, what is timed on them, settings."""

    base: Tree
    candidate: Tree
    work: Work
    settings: Settings
    say: Say = lambda line: None

    def measure(self, results: Mapping[Comparison, Measured], numbers: range) -> None:
        """Add one pair to each comparison for each number."""
        start = time.monotonic()
        for number in numbers:
            wanted = [comparison for comparison, measured in results.items() if not measured.failure]
            if not wanted:
                return
            self.say(_progress(number, numbers, len(wanted), time.monotonic() - start))
            generator = np.random.default_rng(seed_of("gate", number))
            order = [wanted[i] for i in generator.permutation(len(wanted))]
            self._pair(order, results, generator)

    def _pair(
        self, order: Sequence[Comparison], results: Mapping[Comparison, Measured], generator: np.random.Generator
    ) -> None:
        """Start a pair of processes and time each comparison; where one dies, a fresh pair goes on, once each."""
        left = list(order)
        deaths: dict[Comparison, int] = {}
        while left:
            with self._processes(generator) as sides:
                try:
                    core = _pin(sides, generator)
                    while left:
                        try:
                            results[left[0]].pairs.append(self._turns(sides, left[0], core, generator))
                        except LayerError as error:
                            results[left[0]].failure = (error.side, error.reason)
                            results[left[0]].skipped = error.kind == SKIPPED
                        left.pop(0)
                except SideError as error:
                    deaths[left[0]] = deaths.get(left[0], 0) + 1
                    if deaths[left[0]] > 1:
                        results[left[0]].failure = (error.side, f"{error.reason}, twice")
                        left.pop(0)

    def _processes(self, generator: np.random.Generator) -> contextlib.AbstractContextManager[tuple[Side, ...]]:
        trees = [self.base, self.candidate]
        if generator.random() < 0.5:  # who starts first gets other addresses
            trees.reverse()
        return self.work.running(trees, int(generator.integers(2**31)))

    def _turns(self, sides: Sequence[Side], comparison: Comparison, core: int, generator: np.random.Generator) -> Pair:
        """All turns of one comparison by one pair of processes, in random order within each turn."""
        label, _ = comparison
        both = {side.tree.name: side for side in sides}
        base, candidate = both["base"], both["candidate"]
        calls, turns = self._amount([self.work.prepare(side, comparison) for side in (base, candidate)])
        before = _core_times(core)
        samples = np.empty((turns, 2, 2))
        for turn in range(turns):
            for i in generator.permutation(2):
                samples[turn, i] = (base, candidate)[i].turn(label, calls)
        stolen = _stolen(before, _core_times(core))
        for side in (base, candidate):
            side.ask("forget", key=label)
        return summarize(samples[..., 0], samples[..., 1] / calls, stolen)

    def _amount(self, ready: Sequence[Ready]) -> tuple[int, int]:
        """Calls in a turn and turns of a pair, out of what both sides say of one call."""
        timed = max(min(side.seconds for side in ready), max(side.whole for side in ready) / _IDLE)
        calls = max(1, math.ceil(self.settings.turn_seconds / timed))
        both = 2 * (calls + 1) * max(side.whole for side in ready)  # a turn begins with one call more
        return calls, min(self.settings.turns, max(_LEAST_TURNS, int(_PAIR_SECONDS / both)))


def summarize(seconds: rule.Array, faults: rule.Array, stolen: float) -> Pair:
    """One pair out of durations and page faults per call (turns, 2), base before candidate."""
    base, candidate = np.median(seconds, axis=0)
    share = float((faults.mean(0) * _FAULT_SECONDS / (base, candidate)).max())
    reasons = {
        f"{stolen:.0%} of the core's time was stolen": stolen > STOLEN,
        f"page faults took {share:.0%} of the time": share > FAULTS,
    }
    disturbed = "; ".join(reason for reason, holds in reasons.items() if holds)
    return Pair(float(np.median(np.log(seconds[:, 1] / seconds[:, 0]))), float(base), float(candidate), disturbed)


def _progress(number: int, numbers: range, timings: int, seconds: float) -> str:
    """Which pair comes now, and the time that is left by those before it."""
    done = number - numbers.start
    left = f", about {seconds / done * (numbers.stop - number):.0f} s left" if done else ""
    return f"pair {number + 1} of {numbers.stop}: {timings} timings{left}"


def _pin(sides: Sequence[Side], generator: np.random.Generator) -> int:
    """Put both processes on one core of those allowed, and return which."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    core = int(generator.choice(cores))
    for side in sides:
        side.send("pin", core=core)
    for side in sides:  # both have started, at the same time
        side.receive()
    return core


def _core_times(core: int) -> tuple[int, int]:
    """Stolen and total time of a core [jiffies]; zeros where the system does not tell."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        times = next(line.split()[1:9] for line in lines if line.startswith(f"cpu{core} "))
    except (OSError, StopIteration):
        return 0, 0
    return int(times[7]), sum(map(int, times))


def _stolen(before: tuple[int, int], after: tuple[int, int]) -> float:
    passed = after[1] - before[1]
    return (after[0] - before[0]) / passed if passed > 0 else 0.0
