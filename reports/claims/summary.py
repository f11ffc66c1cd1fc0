"""The ledger as a page shows it: by kind, counted apart, with what a run did not test at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from coordbench.reports.claims.claims import Finding, Kind

TITLES: dict[Kind, str] = {
    "direction": "Who leads",
    "exact": "Exact: counted, not trained",
    "figure": "Figures: measured beside published",
    "control": "Controls of ours",
}


@dataclass(frozen=True)
class Summary:
    """All findings of a run; those of the papers' directions are the ones that are counted."""

    findings: Sequence[Finding]

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.claim.kind == kind]

    @cached_property
    def directions(self) -> list[Finding]:
        """The papers' claims of who leads."""
        return self.of("direction")

    @property
    def holds(self) -> int:
        """How many directions hold."""
        return sum(finding.verdict == "holds" for finding in self.directions)

    @property
    def fails(self) -> int:
        """How many directions fail."""
        return sum(finding.verdict == "fails" for finding in self.directions)

    @property
    def decided(self) -> int:
        """How many directions hold or fail."""
        return self.holds + self.fails

    @property
    def tested(self) -> bool:
        """Whether the run is about any claim; exact ones are counted whatever a run does."""
        return any(finding.verdict != "not run" for finding in self.findings if finding.claim.kind != "exact")

    @property
    def sections(self) -> list[tuple[str, list[Finding]]]:
        """Title and findings of each kind, without those that were not run; directions without a verdict apart."""
        tested = {kind: [f for f in self.of(kind) if f.verdict != "not run"] for kind in TITLES}
        undecided = [finding for finding in tested["direction"] if finding.verdict == "open"]
        tested["direction"] = [finding for finding in tested["direction"] if finding.verdict != "open"]
        first, *others = ((title, tested[kind]) for kind, title in TITLES.items())
        return [first, ("Who leads: not decided here", undecided), *others]

    @property
    def untested(self) -> list[Finding]:
        """What this run does not test."""
        return [finding for finding in self.findings if finding.verdict == "not run"]
