"""The duration of one function as a multiple of that of another, measured in turns in one process.

Both sides take turns in random order, so what slows the machine slows both, and the median of the pair ratios forgets
the turns that it hit. Raw samples are kept.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from harness import statistics
from harness.measure import noise
from harness.measure.clock import Clock, CpuClock
from harness.measure.subject import Step

TURNS = 30
WARM_UP = 1.0
"""Longest warm-up [s] where the number of turns is given."""

MIN_TURNS = 6
"""Below six pairs no interval of 95 % exists for a median."""

_MAX_TURNS = 400
_PATIENCE, _FEWEST_TURNS = 3.0, 3  # after so many seconds, so many turns have to do, at a lower confidence
_SAMPLE_SECONDS = 5e-4  # one sample lasts at least so long, so that reading the clocks is a hundredth of it
_STABLE = 0.10
_MIN_WARM_UP = 2  # the first call compiles, tunes and allocates, however long that takes


@dataclass(frozen=True)
class Ratio:
    """How much longer a candidate takes than a baseline, from pairs measured in turns.

    `ratio` is the median of the pair ratios with its 95 % interval `low`..`high`, `difference` the median of the pair
    differences [s]; `candidate` and `baseline` are the raw samples [s per call]; `noisy` says why not to trust them.
    """

    ratio: float
    low: float
    high: float
    difference: float
    candidate: tuple[float, ...]
    baseline: tuple[float, ...]
    noisy: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, Any]:
        """Everything but the raw samples, as plain values."""
        return {key: value for key, value in asdict(self).items() if key not in ("candidate", "baseline")}


def paired_ratio(
    candidate: Step, baseline: Step, *, turns: int = TURNS,
    seconds: float | None = None, generator: np.random.Generator, clock: Clock | None = None,
) -> Ratio:  # fmt: skip
    """Time two functions in turns, in random order within each pair, and return the ratio of their durations.

    Takes `turns` pairs, or as many as fit into `seconds` by the clock (at least six, or three slow ones) where that is
    given. A turn during which the scheduler took the processor away is taken again, unless most are. `clock` is that
    of the processor by default.
    """
    clock = clock or CpuClock()
    warm_up = _warm_up((candidate, baseline), clock, WARM_UP if seconds is None else seconds)
    calls = [math.ceil(_SAMPLE_SECONDS / max(fastest, 1e-9)) for fastest in warm_up.fastest]
    taken, before = _Turns(calls), noise.snapshot()
    while not taken.enough(turns, seconds):
        pair, switches = [0.0, 0.0], noise.involuntary_switches()
        for side in generator.permutation(2):
            pair[side] = clock((candidate, baseline)[side], calls[side])
        taken.add((pair[0], pair[1]), interrupted=noise.involuntary_switches() > switches)
    return _summarize(taken, noise.between(before, noise.snapshot()), warm_up)


@dataclass
class _WarmUp:
    """How many calls each side took until its durations stopped changing, and the fastest call of each [s]."""

    calls: int
    stable: bool
    fastest: tuple[float, ...]


def _warm_up(sides: tuple[Step, Step], clock: Clock, seconds: float) -> _WarmUp:
    """Call both sides until the last three durations of each are within 10 % of the three before, or time is up."""
    history = np.empty((0, 2))
    while True:
        history = np.vstack([history, [clock(side, 1) for side in sides]])
        spent = history.sum()
        late = spent > seconds and (len(history) >= _MIN_WARM_UP or spent > _PATIENCE)
        stable = len(history) >= 6 and _settled(history)
        if stable or late:
            return _WarmUp(len(history), stable, tuple(history.min(axis=0).tolist()))


def _settled(history: np.ndarray[Any, Any]) -> bool:
    before, last = np.median(history[-6:-3], axis=0), np.median(history[-3:], axis=0)
    return bool((np.abs(last - before) <= _STABLE * before).all())


@dataclass
class _Turns:
    """Pairs of durations [s per call], `calls` of each side: clean ones, and those that the scheduler interrupted."""

    calls: list[int]
    clean: list[tuple[float, float]] = field(default_factory=list)
    interrupted: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, pair: tuple[float, float], *, interrupted: bool) -> None:
        (self.interrupted if interrupted else self.clean).append(pair)
        self.seconds += pair[0] * self.calls[0] + pair[1] * self.calls[1]

    def enough(self, turns: int, seconds: float | None) -> bool:
        """Whether to stop; interrupted turns count where as many were taken as there should be clean ones."""
        taken = max(len(self.clean), len(self.interrupted))
        if seconds is None:
            return taken >= turns
        few = _FEWEST_TURNS if self.seconds > _PATIENCE else MIN_TURNS
        return taken >= _MAX_TURNS or (taken >= few and self.seconds >= seconds)

    @property
    def kept(self) -> np.ndarray[Any, Any]:
        """The clean turns, or all where most were interrupted, (turns, 2) [s]."""
        mostly_clean = len(self.clean) >= max(MIN_TURNS, len(self.interrupted))
        return np.array(self.clean if mostly_clean or not self.interrupted else self.clean + self.interrupted)


def _summarize(turns: _Turns, disturbance: noise.Disturbance, warm_up: _WarmUp) -> Ratio:
    candidate, baseline = turns.kept.T
    ratios = candidate / baseline
    low, high = statistics.median_interval(ratios)
    share = noise.faults_share(disturbance, turns.seconds)
    return Ratio(
        float(np.median(ratios)),
        low,
        high,
        float(np.median(candidate - baseline)),
        tuple(candidate.tolist()),
        tuple(baseline.tolist()),
        noise.reasons(ratios, disturbance, share, stable=warm_up.stable),
        {
            "turns": len(candidate),
            "interrupted": len(turns.interrupted),
            "calls": turns.calls,
            "warm_up": warm_up.calls,
            **asdict(disturbance),
        },
    )
