"""How long a forward pass and the parts of a training step take, beside the plain convolution in the same process.

The figure to quote is the ratio to the plain convolution: both sides take turns in random order, so what slows the
machine slows both, and the median of the pair ratios forgets the turns that it hit. Raw samples are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from harness import statistics
from harness.measure import noise
from harness.measure.backend import backends
from harness.measure.clock import Clock, clocks_of, cpu_clock
from harness.measure.modes import Mode, compile_models, step_of
from harness.measure.subject import PHASES, Step, Subject, subject
from harness.spec import CostJob, seed_of

BASELINE = "conv"
TURNS = 30
WARM_UP = 1.0
"""Longest warm-up [s] where the number of turns is given."""

MIN_TURNS = 6
"""Below six pairs no interval of 95 % exists for a median."""

_MAX_TURNS = 400
_SAMPLE_SECONDS = 1e-4  # one sample lasts at least so long, so that reading the clock is less than a thousandth of it
_STABLE = 0.05


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
    seconds: float | None = None, generator: np.random.Generator, clock: Clock = cpu_clock,
) -> Ratio:  # fmt: skip
    """Time two functions in turns, in random order within each pair, and return the ratio of their durations.

    Takes `turns` pairs, or as many as fit into `seconds` (at least six) where that is given. A turn during which the
    scheduler took the processor away is taken again, unless too few turns go undisturbed.
    """
    warm_up = _warm_up((candidate, baseline), clock, WARM_UP if seconds is None else seconds)
    calls = max(1, math.ceil(_SAMPLE_SECONDS / max(warm_up.fastest, 1e-9)))
    before, start = noise.snapshot(), time.perf_counter()
    turns_taken = _Turns()
    while not turns_taken.enough(turns, seconds, time.perf_counter() - start):
        pair, switches = [0.0, 0.0], noise.involuntary_switches()
        for side in generator.permutation(2):
            pair[side] = clock((candidate, baseline)[side], calls)
        turns_taken.add((pair[0], pair[1]), interrupted=noise.involuntary_switches() > switches)
    passed = time.perf_counter() - start
    return _summarize(turns_taken, noise.between(before, noise.snapshot()), warm_up, calls, passed)


def measure_latency(job: CostJob, seconds: float = 0.15, mode: Mode = "eager") -> dict[str, Any]:
    """Time each phase of a job against the same job with the plain convolution, `seconds` per phase and clock."""
    made = subject(job)
    plain = made if job.variant == BASELINE else subject(replace(job, variant=BASELINE))
    if mode == "compiled":
        compile_models(made)
        compile_models(plain)
    generator = np.random.default_rng(seed_of(job, "latency"))
    clocks = clocks_of(job.device)
    found: dict[str, Ratio | str] = {}
    for phase in PHASES:
        pair = (step_of(made, phase, mode), step_of(plain, phase, mode))
        for suffix, clock in clocks.items():
            found[phase + suffix] = _ratio(pair, seconds, generator, clock)
    return _part(made, found, mode)


def _ratio(
    pair: tuple[Step | str, Step | str], seconds: float, generator: np.random.Generator, clock: Clock
) -> Ratio | str:
    """The ratio of a pair of steps, or the reason why a side has none."""
    candidate, baseline = pair
    if isinstance(candidate, str) or isinstance(baseline, str):
        return candidate if isinstance(candidate, str) else str(baseline)
    return paired_ratio(candidate, baseline, seconds=seconds, generator=generator, clock=clock)


def _part(made: Subject, found: Mapping[str, Ratio | str], mode: Mode) -> dict[str, Any]:
    """What the store keeps: raw samples of both sides, medians, ratios with intervals, and how they came about."""
    ratios = {name: ratio for name, ratio in found.items() if isinstance(ratio, Ratio)}
    medians = {name: float(np.median(ratio.candidate)) for name, ratio in ratios.items()}
    samples = {name: list(ratio.candidate) for name, ratio in ratios.items()}
    samples |= {f"{name}/{BASELINE}": list(ratio.baseline) for name, ratio in ratios.items()}
    details = {
        "mode": mode,
        "batch_size": made.batch_size,
        "samples_per_second": {name: made.batch_size / median for name, median in medians.items()},
        "ratios": {name: r.summary if isinstance(r, Ratio) else {"reason": r} for name, r in found.items()},
        "noisy": sorted({reason for ratio in ratios.values() for reason in ratio.noisy}),
        "backends": backends(made) if mode == "eager" else {},
        "settings": noise.settings(),
    }
    return {
        "latency_forward_seconds": medians.get("forward"),
        "latency_step_seconds": medians.get("step"),
        "latencies": samples,
        "details": details,
    }


@dataclass
class _WarmUp:
    """How many calls each side took until its durations stopped changing, and its fastest call [s]."""

    calls: int
    stable: bool
    fastest: float


def _warm_up(sides: tuple[Step, Step], clock: Clock, seconds: float) -> _WarmUp:
    """Call both sides until the last three durations of each are within 5 % of the three before, or time is up."""
    start, history = time.perf_counter(), np.empty((0, 2))
    while True:
        history = np.vstack([history, [clock(side, 1) for side in sides]])
        late = time.perf_counter() - start > seconds
        stable = len(history) >= 6 and _settled(history)
        if stable or late:
            return _WarmUp(len(history), stable, float(history.min()))


def _settled(history: np.ndarray[Any, Any]) -> bool:
    before, last = np.median(history[-6:-3], axis=0), np.median(history[-3:], axis=0)
    return bool((np.abs(last - before) <= _STABLE * before).all())


@dataclass
class _Turns:
    """Pairs of durations [s]: those that ran through, and those that the scheduler interrupted."""

    clean: list[tuple[float, float]] = field(default_factory=list)
    interrupted: list[tuple[float, float]] = field(default_factory=list)

    def add(self, pair: tuple[float, float], *, interrupted: bool) -> None:
        (self.interrupted if interrupted else self.clean).append(pair)

    def enough(self, turns: int, seconds: float | None, passed: float) -> bool:
        """Whether to stop; interrupted turns count where as many were taken as there should be clean ones."""
        taken = max(len(self.clean), len(self.interrupted))
        if seconds is None:
            return taken >= turns
        return taken >= _MAX_TURNS or (taken >= MIN_TURNS and passed >= seconds)

    @property
    def kept(self) -> np.ndarray[Any, Any]:
        """The clean turns, or all where those are too few, (turns, 2) [s]."""
        enough = len(self.clean) >= MIN_TURNS or not self.interrupted
        return np.array(self.clean if enough else self.clean + self.interrupted)


def _summarize(turns: _Turns, disturbance: noise.Disturbance, warm_up: _WarmUp, calls: int, passed: float) -> Ratio:
    candidate, baseline = turns.kept.T
    ratios = candidate / baseline
    low, high = statistics.median_interval(ratios)
    share = noise.faults_share(disturbance, passed)
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
            "calls": calls,
            "warm_up": warm_up.calls,
            **asdict(disturbance),
        },
    )
