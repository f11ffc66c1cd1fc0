"""What a gate finds: one row per layer and quantity, and the exit code of all rows together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from coordbench.harness.core.exit_codes import ExitCode

Verdict = Literal["pass", "improved", "regressed", "inconclusive", "not measured", "not comparable", "listed"]
"""`listed` is none: a layer that only one side has."""

CODES: dict[Verdict, int] = {
    "not comparable": ExitCode.NOT_COMPARABLE,
    "regressed": ExitCode.REGRESSED,
    "not measured": ExitCode.NOTHING_MEASURED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}
"""Verdicts that fail a gate, the first that occurs decides its exit code."""


@dataclass(frozen=True)
class Finding:
    """One quantity of one layer on both sides; `change` is relative for costs and speed, absolute for scores.

    `low` and `high` bound the change. `pairs` are the changes of the single pairs, of processes or of seeds.
    """

    layer: str
    stage: Literal["layer", "costs", "speed", "accuracy"]
    quantity: str
    verdict: Verdict
    base: Any = None
    candidate: Any = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""
    pairs: tuple[float, ...] = ()


@dataclass
class Report:
    """All findings of a gate, and what was compared with what."""

    base: str
    candidate: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict over all findings; nothing compared is not measured."""
        found = [finding.verdict for finding in self.findings if finding.verdict != "listed"]
        return worst(found)

    @property
    def code(self) -> int:
        """The exit code."""
        return CODES.get(self.verdict, ExitCode.OK)

    def plain(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {"verdict": self.verdict, "exit_code": self.code, **asdict(self)}


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that decides over several; of none at all: not measured."""
    if not verdicts:
        return "not measured"
    return next((verdict for verdict in CODES if verdict in verdicts), "pass")
