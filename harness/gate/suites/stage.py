"""The stage of a gate that times a project's own benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from coordbench.harness.gate.pairs import Say, Timer
from coordbench.harness.gate.rows import GateRow
from coordbench.harness.gate.settings import Settings
from coordbench.harness.gate.sides import Tree
from coordbench.harness.gate.stages import speed
from coordbench.harness.gate.suites import listing
from coordbench.harness.gate.suites.work import SuiteWork


@dataclass
class Suites:
    """Files of benchmarks on both sides, and what they share once they are listed."""

    base: Tree
    candidate: Tree
    files: Sequence[str]
    settings: Settings
    say: Say
    listed: listing.Listing = field(default_factory=listing.Listing)

    def collect(self, *, equal: bool) -> None:
        """Collect both sides, or neither where their trees are `equal`."""
        if equal:
            note = "both sides have the same files"
            self.listed.rows.append(GateRow(listing.ALL, "speed", "sources", "pass", note=note))
        elif self.files:
            self.say(f"collecting benchmarks of {', '.join(self.files)}")
            self.listed = listing.compare(self.base, self.candidate, self.files, self.settings.deadline_seconds)

    def time(self, family: int) -> list[GateRow]:
        """Time what both sides share; `family` counts all comparisons of the gate."""
        if not self.listed.labels:
            return []
        work = SuiteWork(self.listed.labels, self.files, self.settings.deadline_seconds)
        settings = wide_enough(self.settings, family)
        return speed.compare(Timer(self.base, self.candidate, work, settings, self.say), family)


def wide_enough(settings: Settings, family: int) -> Settings:
    """Settings with enough pairs for so many comparisons of short calls."""
    return replace(settings, pairs=list(settings.thresholds.bearing_one_wild_pair(family).pairs))
