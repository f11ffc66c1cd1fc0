"""Is a layer slower? Pairs of processes, one of each side, take turns on one core; `rule` judges their ratios."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coordbench.harness.core.seeds import seed_of
from coordbench.harness.gate import rule
from coordbench.harness.gate.findings import Finding, Verdict
from coordbench.harness.gate.probe import Layer
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.sides import LayerError, Side, SideError, Tree, running

STOLEN, FAULTS = 0.10, 0.02
"""Tolerated within a pair: the share of the core's time that was taken away, the share of time in page faults."""

_FAULT_SECONDS = 5e-7  # one minor fault: the kernel clears a page of 4 KiB and maps it

Comparison = tuple[str, str]
"""Label of a layer, phase."""
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

    @property
    def ratios(self) -> rule.Array:
        """Log ratios (k,)."""
        return np.array([pair.ratio for pair in self.pairs])


@dataclass(frozen=True)
class Stage:
    """Everything that the pairs have in common: both trees, what each says of its layers, settings."""

    base: Tree
    candidate: Tree
    layers: Mapping[str, tuple[Layer, Layer]]
    settings: Settings
    say: Say = lambda line: None

    def run(self) -> list[Finding]:
        """Time all layers and judge them."""
        settings = self.settings
        comparisons: list[Comparison] = [(label, phase) for label in self.layers for phase in settings.phases]
        limits = settings.thresholds
        limits.check(len(comparisons))
        found = {comparison: Measured() for comparison in comparisons}
        self.measure(found, range(limits.pairs[0]))
        open_ = [c for c in comparisons if not found[c].failure and verdict_of(found[c], limits) == rule.OPEN]
        self.measure({comparison: found[comparison] for comparison in open_}, range(*limits.pairs))
        final = judge(found, limits)
        return [describe(comparison, found[comparison], final[comparison], limits) for comparison in comparisons]

    def measure(self, found: Mapping[Comparison, Measured], numbers: range) -> None:
        """Add one pair to each comparison for each number."""
        for number in numbers:
            wanted = [comparison for comparison, measured in found.items() if not measured.failure]
            if not wanted:
                return
            self.say(f"pair {number + 1}: {len(wanted)} comparisons")
            generator = np.random.default_rng(seed_of("gate", number))
            order = [wanted[i] for i in generator.permutation(len(wanted))]
            self._pair(order, found, generator)

    def _pair(
        self, order: Sequence[Comparison], found: Mapping[Comparison, Measured], generator: np.random.Generator
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
                            found[left[0]].pairs.append(self._turns(sides, left[0], core, generator))
                        except LayerError as error:
                            found[left[0]].failure = (error.side, error.reason)
                        left.pop(0)
                except SideError as error:
                    deaths[left[0]] = deaths.get(left[0], 0) + 1
                    if deaths[left[0]] > 1:
                        found[left[0]].failure = (error.side, f"{error.reason}, twice")
                        left.pop(0)

    def _processes(self, generator: np.random.Generator) -> Any:
        trees = [self.base, self.candidate]
        if generator.random() < 0.5:  # who starts first gets other addresses
            trees.reverse()
        return running(*trees, deadline=self.settings.deadline_seconds)

    def _turns(self, sides: Sequence[Side], comparison: Comparison, core: int, generator: np.random.Generator) -> Pair:
        """All turns of one comparison by one pair of processes, in random order within each turn."""
        label, phase = comparison
        both = {side.tree.name: side for side in sides}
        base, candidate = both["base"], both["candidate"]
        fastest = []
        for side, layer in zip((base, candidate), self.layers[label], strict=True):
            fastest.append(side.ask("prepare", key=label, layer=layer, case=self.settings.case, phase=phase))
        calls = max(1, math.ceil(self.settings.turn_seconds / min(fastest)))
        before = _core_times(core)
        samples = np.empty((self.settings.turns, 2, 2))
        for turn in range(self.settings.turns):
            for i in generator.permutation(2):
                samples[turn, i] = (base, candidate)[i].ask("turn", key=label, calls=calls)
        stolen = _stolen(before, _core_times(core))
        for side in (base, candidate):
            side.ask("forget", key=label)
        return summarize(samples[..., 0], samples[..., 1] / calls, stolen)


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


def verdict_of(measured: Measured, limits: rule.Thresholds) -> int:
    """The verdict of the first look."""
    return int(rule.first_look(measured.ratios[: limits.pairs[0]], limits))


def judge(found: Mapping[Comparison, Measured], limits: rule.Thresholds) -> dict[Comparison, Verdict]:
    """The verdict of each comparison; disturbed pairs make one inconclusive, never regressed."""
    timed = {comparison: measured for comparison, measured in found.items() if not measured.failure}
    early = {comparison: verdict_of(measured, limits) for comparison, measured in timed.items()}
    late = [comparison for comparison, verdict in early.items() if verdict == rule.OPEN]
    if late:
        looked = rule.final_look(np.array([timed[c].ratios for c in late]), limits, len(found))
        early |= dict(zip(late, map(int, looked), strict=True))
    verdicts: dict[Comparison, Any] = {comparison: rule.NAMES[code] for comparison, code in early.items()}
    for comparison, measured in found.items():
        if measured.failure:
            verdicts[comparison] = "regressed" if measured.failure[0] == "candidate" else "not measured"
        elif 2 * sum(bool(pair.disturbed) for pair in measured.pairs) > len(measured.pairs):
            verdicts[comparison] = "inconclusive"
    return verdicts


def describe(comparison: Comparison, measured: Measured, verdict: Verdict, limits: rule.Thresholds) -> Finding:
    """A row of the report."""
    label, phase = comparison
    if measured.failure:
        side, reason = measured.failure
        return Finding(label, "speed", phase, verdict, note=f"the {side} side {reason}")
    change, low, high = (math.expm1(value) for value in rule.estimate(measured.ratios, limits))
    base, candidate = (float(np.median([getattr(p, side) for p in measured.pairs])) for side in ("base", "candidate"))
    disturbed = next((pair.disturbed for pair in measured.pairs if pair.disturbed), "")
    count = sum(bool(pair.disturbed) for pair in measured.pairs)
    note = f"{len(measured.pairs)} pairs" + (f", {count} disturbed: {disturbed}" if count else "")
    changes = tuple(float(change) for change in np.expm1(measured.ratios))
    return Finding(label, "speed", phase, verdict, base, candidate, change, low, high, "s", note, changes)


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
