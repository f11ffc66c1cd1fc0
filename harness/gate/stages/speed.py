"""Is a layer, or a benchmark, slower? Pairs of processes are measured until `rule` can decide by their ratios."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coordbench.harness.gate import rule
from coordbench.harness.gate.pairs import Comparison, Measured, Timer
from coordbench.harness.gate.rows import GateRow, Outcome
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.side.messages import Layer, Ready
from coordbench.harness.gate.sides import Service, Side, Tree, running

_OUTCOMES: dict[int, Outcome] = {
    rule.PASS: "pass",
    rule.IMPROVED: "improved",
    rule.REGRESSED: "regressed",
    rule.INCONCLUSIVE: "inconclusive",
}


@dataclass(frozen=True)
class LayerWork:
    """Layers to be timed in each phase, as each side describes them."""

    layers: Mapping[str, tuple[Layer, Layer]]
    settings: Settings

    @property
    def comparisons(self) -> list[Comparison]:
        """Each layer in each phase."""
        return [(label, phase) for label in self.layers for phase in self.settings.phases]

    def running(self, trees: Sequence[Tree], seed: int) -> contextlib.AbstractContextManager[tuple[Side, ...]]:
        """Processes that build layers."""
        service = Service(variables={"PYTHONHASHSEED": str(seed)})
        return running(*trees, deadline=self.settings.deadline_seconds, service=service)

    def prepare(self, side: Side, comparison: Comparison) -> Ready:
        """Build a layer on its side."""
        label, phase = comparison
        seconds = side.prepare(label, self.layers[label][side.tree.name != "base"], self.settings.case, phase)
        return Ready(seconds, seconds)


def compare(timer: Timer, family: int = 0) -> list[GateRow]:
    """Time everything, what the first look leaves open once more, and judge it.

    `family` is the number of all comparisons that share the false alarms, where there are more than the timer's.
    """
    limits, comparisons = timer.settings.thresholds, timer.work.comparisons
    family = max(family, len(comparisons))
    limits.check(family)
    results = {comparison: Measured() for comparison in comparisons}
    timer.measure(results, range(limits.pairs[0]))
    undecided = {c: m for c, m in results.items() if not m.failure and first_look(m, limits) == rule.OPEN}
    timer.measure(undecided, range(*limits.pairs))
    outcomes = judge(results, limits, family)
    return [row_of(comparison, results[comparison], outcomes[comparison], limits) for comparison in results]


def first_look(measured: Measured, limits: rule.Thresholds) -> int:
    """What the first pairs say, as a code of `rule`."""
    return int(rule.first_look(measured.ratios[: limits.pairs[0]], limits))


def judge(
    results: Mapping[Comparison, Measured], limits: rule.Thresholds, family: int = 0
) -> dict[Comparison, Outcome]:
    """The outcome of each comparison; disturbed pairs make one inconclusive, never regressed."""
    timed = {comparison: measured for comparison, measured in results.items() if not measured.failure}
    codes = {comparison: first_look(measured, limits) for comparison, measured in timed.items()}
    late = [comparison for comparison, code in codes.items() if code == rule.OPEN]
    if late:
        looked = rule.final_look(np.array([timed[c].ratios for c in late]), limits, max(family, len(results)))
        codes |= dict(zip(late, map(int, looked), strict=True))
    return {comparison: _outcome(measured, codes.get(comparison)) for comparison, measured in results.items()}


def _outcome(measured: Measured, code: int | None) -> Outcome:
    if measured.skipped:
        return "listed"
    if measured.failure or code is None:
        return "regressed" if measured.failure and measured.failure[0] == "candidate" else "not measured"
    if 2 * sum(bool(pair.disturbed) for pair in measured.pairs) > len(measured.pairs):
        return "inconclusive"
    return _OUTCOMES[code]


def row_of(comparison: Comparison, measured: Measured, outcome: Outcome, limits: rule.Thresholds) -> GateRow:
    """A row of the report."""
    label, phase = comparison
    if measured.failure:
        side, reason = measured.failure
        return GateRow(label, "speed", phase, outcome, note=f"the {side} side {reason}")
    change, low, high = (math.expm1(value) for value in rule.estimate(measured.ratios, limits))
    disturbed = [pair.disturbed for pair in measured.pairs if pair.disturbed]
    return GateRow(
        label, "speed", phase, outcome,
        float(np.median([pair.base for pair in measured.pairs])),
        float(np.median([pair.candidate for pair in measured.pairs])),
        change, low, high, limits.slower, "s",
        f"{len(measured.pairs)} pairs" + (f", {len(disturbed)} disturbed: {disturbed[0]}" if disturbed else ""),
        tuple(float(ratio) for ratio in np.expm1(measured.ratios)),
    )  # fmt: skip
