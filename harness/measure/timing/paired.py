"""The duration of one function as a multiple of that of another, measured in turns in one process.

Both sides take turns in random order, so what slows the machine slows both, and the pseudomedian of the pair ratios
forgets the turns that it hit. Raw samples are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from coordbench.harness.measure.timing import noise
from coordbench.harness.measure.timing.clock import Clock, CpuClock, Step
from coordbench.harness.process.tricks import placement
from coordbench.harness.statistics.intervals import pseudomedian

Array = NDArray[np.float64]

TURNS = 30
WARM_UP = 1.0
"""Longest warm-up [s] where the number of turns is given."""

MIN_TURNS = 6
"""Below six pairs there is no interval of 95 %."""

_PLACE_SECONDS, _PLACE_TURNS = 0.01, 2
"""How long compiled kernels are timed from one place in memory, and in at least how many turns (see `placement`)."""

_MAX_TURNS = 400
_PATIENCE, _FEWEST_TURNS = 3.0, 3  # after so many seconds, so many turns have to do, at a lower confidence
_SAMPLE_SECONDS = 5e-4  # one sample lasts at least so long, so that reading the clocks is a hundredth of it
_WAITED = 0.01  # of a turn; a switch to a thread of the kernel and back takes a tenth of that
_STABLE = 0.10
_MIN_WARM_UP = 2  # the first call compiles, tunes and allocates, however long that takes


@dataclass(frozen=True)
class Ratio:
    """How much longer a candidate takes than a baseline, from pairs measured in turns.

    `ratio` is the pseudomedian of the pair ratios with its 95 % interval `low`..`high`, `difference` the median of the
    pair differences [s]; `candidate` and `baseline` are the raw samples [s per call]; `noisy` says why not to trust
    them.
    """

    ratio: float
    low: float
    high: float
    difference: float
    candidate: tuple[float, ...]
    baseline: tuple[float, ...]
    noisy: tuple[str, ...] = ()
    details: dict[str, object] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, object]:
        """Everything but the raw samples, as plain values."""
        return {key: value for key, value in asdict(self).items() if key not in ("candidate", "baseline")}


def paired_ratio(
    candidate: Step, baseline: Step, *, turns: int = TURNS,
    seconds: float | None = None, generator: np.random.Generator, clock: Clock | None = None,
) -> Ratio:  # fmt: skip
    """Time two functions in turns, in random order within each pair, and return the ratio of their durations.

    Takes `turns` pairs, or as many as fit into `seconds` by the clock (at least six, or three slow ones) where that is
    given. A turn during which others held the processor is taken again, unless most are. `clock` is that of the
    processor by default.
    """
    pairs = Pairs(candidate, baseline, generator, clock)
    pairs.take(turns, seconds)
    return pairs.ratio()


class Pairs:
    """Two functions to be timed in turns as `paired_ratio` does, on one occasion or on several."""

    def __init__(
        self, candidate: Step, baseline: Step, generator: np.random.Generator, clock: Clock | None = None
    ) -> None:
        self.processor = CpuClock()
        self.sides, self.generator, self.clock = (candidate, baseline), generator, clock or self.processor
        self.warm_up: _WarmUp | None = None
        self.seconds = 0.0
        self.turns = _Turns()
        self.snapshots: list[tuple[noise.Snapshot, noise.Snapshot]] = []

    def take(self, turns: int = TURNS, seconds: float | None = None, *, share: float = 1.0) -> None:
        """Take turns until there is this share of those wanted, or of the seconds."""
        start = time.perf_counter()
        if self.warm_up is None:
            self.warm_up = _warm_up(self.sides, self.clock, WARM_UP if seconds is None else seconds)
            self.turns.prepare(self.warm_up.fastest)
        code = placement.compiled() if isinstance(self.clock, CpuClock) else []
        while not self.turns.enough(turns, seconds, share):
            self._move(code)
            before = noise.snapshot()
            for _ in range(self.turns.stay):
                if not self.turns.enough(turns, seconds, share):
                    self._turn()
            self.snapshots.append((before, noise.snapshot()))
        self.seconds += time.perf_counter() - start

    def ratio(self) -> Ratio:
        """What the turns tell."""
        assert self.warm_up is not None, "nothing was timed"
        before, after = (noise.add(snapshots) for snapshots in zip(*self.snapshots, strict=True))
        return _summarize(self.turns, noise.between(before, after), self.warm_up, self.seconds)

    def _turn(self) -> None:
        pair, waited = [0.0, 0.0], self.processor.waited()
        for side in self.generator.permutation(2):
            pair[side] = self.clock(self.sides[side], self.turns.calls[side])
        self.turns.add((pair[0], pair[1]), (self.processor.waited() - waited) * 1e-9)

    def _move(self, code: Sequence[placement.Span]) -> None:
        """Let compiled code run from another place; the first call from there waits for it."""
        if sum(placement.relocate(span) for span in code):
            for side in self.sides:
                side()


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


def _settled(history: Array) -> bool:
    before, last = np.median(history[-6:-3], axis=0), np.median(history[-3:], axis=0)
    return bool((np.abs(last - before) <= _STABLE * before).all())


@dataclass
class _Turns:
    """Pairs of durations [s per call], `calls` of each side: clean ones, and those that the scheduler interrupted."""

    calls: list[int] = field(default_factory=list)
    clean: list[tuple[float, float]] = field(default_factory=list)
    interrupted: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    stay: int = 1
    """Turns from one place in memory."""

    def prepare(self, fastest: Sequence[float]) -> None:
        """Choose how much a turn holds, by the fastest call of each side [s]."""
        self.calls = [math.ceil(_SAMPLE_SECONDS / max(seconds, 1e-9)) for seconds in fastest]
        turn = sum(count * seconds for count, seconds in zip(self.calls, fastest, strict=True))
        self.stay = max(_PLACE_TURNS, math.ceil(_PLACE_SECONDS / max(turn, 1e-9)))

    def add(self, pair: tuple[float, float], waited: float) -> None:
        """Add a turn, during which others held the processor for so long [s]."""
        seconds = pair[0] * self.calls[0] + pair[1] * self.calls[1]
        (self.interrupted if waited > _WAITED * seconds else self.clean).append(pair)
        self.seconds += seconds

    def enough(self, turns: int, seconds: float | None, share: float) -> bool:
        """Whether to stop; interrupted turns count where as many were taken as there should be clean ones."""
        count = max(len(self.clean), len(self.interrupted))
        if seconds is None:
            return count >= share * turns
        few = _FEWEST_TURNS if self.seconds > _PATIENCE else MIN_TURNS
        return count >= share * _MAX_TURNS or (count >= share * few and self.seconds >= share * seconds)

    @property
    def usable(self) -> Array:
        """The clean turns, or all where most were interrupted, (turns, 2) [s]."""
        mostly_clean = len(self.clean) >= max(MIN_TURNS, len(self.interrupted))
        return np.array(self.clean if mostly_clean or not self.interrupted else self.clean + self.interrupted)


def _summarize(turns: _Turns, disturbance: noise.Disturbance, warm_up: _WarmUp, seconds: float) -> Ratio:
    candidate, baseline = turns.usable.T
    ratios = candidate / baseline
    ratio, low, high = np.exp(pseudomedian(np.log(ratios))).tolist()
    share = noise.faults_share(disturbance, turns.seconds)
    return Ratio(
        ratio,
        low,
        high,
        float(np.median(candidate - baseline)),
        tuple(candidate.tolist()),
        tuple(baseline.tolist()),
        noise.reasons(ratios, disturbance, share, stable=warm_up.stable),
        {
            "seconds": seconds,
            "turns": len(candidate),
            "interrupted": len(turns.interrupted),
            "calls": turns.calls,
            "warm_up": warm_up.calls,
            **asdict(disturbance),
        },
    )
