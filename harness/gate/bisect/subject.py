"""The row whose commit is searched: a layer in a phase, or a benchmark, and how both are timed on two trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, get_args

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate import selection
from coordbench.harness.gate.pairs import Comparison, Work
from coordbench.harness.gate.settings import Phase, Settings
from coordbench.harness.gate.side.messages import Layer
from coordbench.harness.gate.sides import Tree, running
from coordbench.harness.gate.stages.speed import LayerWork
from coordbench.harness.gate.suites import listing
from coordbench.harness.gate.suites.work import QUANTITY, SuiteWork
from coordbench.harness.gate.trees import Unmeasurable

PHASES: tuple[Phase, ...] = get_args(Phase)


class Subject(Protocol):
    """What is followed through the commits."""

    @property
    def comparison(self) -> Comparison:
        """What `pairs` calls it."""

    def work(self, base: Tree, candidate: Tree) -> Work:
        """How it is timed on both; raise Unmeasurable or SideError where one of them does not hold it."""


@dataclass(frozen=True)
class LayerSubject:
    """A layer in a phase."""

    label: str
    phase: Phase
    settings: Settings
    plugins: Sequence[str]

    @property
    def comparison(self) -> Comparison:
        """The layer and its phase."""
        return self.label, self.phase

    def work(self, base: Tree, candidate: Tree) -> LayerWork:
        """The layer as both sides describe it."""
        settings = replace(self.settings, phases=[self.phase])
        return LayerWork({self.label: (self._layer(base), self._layer(candidate))}, settings)

    def _layer(self, tree: Tree) -> Layer:
        with running(tree, deadline=self.settings.deadline_seconds) as (side,):
            described = side.describe(self.plugins, [self.label])
        selection.verify(tree, described)
        layer = described.layers.get(described.chosen[self.label].label)
        if layer is None:
            raise Unmeasurable(f"it has no layer {self.label!r}")
        return layer


@dataclass(frozen=True)
class BenchmarkSubject:
    """A benchmark of the project's own."""

    label: str
    settings: Settings

    @property
    def comparison(self) -> Comparison:
        """The benchmark's id, and what is timed of it."""
        return self.label, QUANTITY

    def work(self, base: Tree, candidate: Tree) -> SuiteWork:
        """The benchmark alone out of its file."""
        listed = listing.compare(base, candidate, [self.label], self.settings.deadline_seconds)
        if self.label not in listed.labels:
            row = next(row for row in listed.rows if row.layer == self.label or row.outcome != "listed")
            raise Unmeasurable(row.note if row.outcome != "listed" else f"{self.label} is {row.note}")
        return SuiteWork([self.label], [self.label], self.settings.deadline_seconds)


def parse(row: str, settings: Settings, plugins: Sequence[str]) -> Subject:
    """The subject of a row by its name, as the gate prints it; raise UsageError for what is none."""
    if "::" in row:
        return BenchmarkSubject(row.removesuffix(f": {QUANTITY}"), settings)
    label, _, name = row.rpartition(": ")
    phase = next((phase for phase in PHASES if phase == name), None)
    if not label or phase is None:
        raise UsageError(
            f"row {row!r} is none of speed; expected a layer and a phase, such as 'coordconv: {PHASES[0]}' (phases: "
            f"{', '.join(PHASES)}), or a benchmark, such as 'tests/bench_mine.py::test_sort'"
        )
    return LayerSubject(label, phase, settings, plugins)
