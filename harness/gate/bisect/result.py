"""What a search is asked for, and what it ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate.bisect.commits import Commit
from coordbench.harness.gate.rows import Report


@dataclass(frozen=True)
class Request:
    """What a user asks for."""

    good: str
    bad: str
    row: str
    plugins: Sequence[str] = ()


@dataclass(frozen=True)
class Suspect:
    """A commit after the good one: how likely it is to be the first slow one, and its pairs' relative changes."""

    commit: str
    subject: str
    probability: float
    pairs: Sequence[float]
    problem: str = ""
    """Why it cannot be measured."""


@dataclass(frozen=True)
class Result:
    """What a search ends with; `commits` is one commit, several that cannot be told apart, or none."""

    row: str
    commits: Sequence[Commit]
    suspects: Sequence[Suspect]
    report: Report
    """Of the gate between the commit and its parent; between good and bad where no commit is to blame."""

    @property
    def pairs(self) -> int:
        """How many pairs of processes were measured, those of the gates aside."""
        return sum(len(suspect.pairs) for suspect in self.suspects)

    @property
    def code(self) -> ExitCode:
        """0 for one commit that the gate agrees on; what the gates say otherwise."""
        if len(self.commits) == 1:
            return ExitCode.OK
        failing = self.report.outcome in ("not measured", "not comparable")
        return self.report.code if failing else ExitCode.INCONCLUSIVE

    def plain(self) -> dict[str, object]:
        """Everything as plain values."""
        return {
            "row": self.row, "exit_code": int(self.code), "commits": [asdict(commit) for commit in self.commits],
            "pairs": self.pairs, "suspects": [asdict(suspect) for suspect in self.suspects],
            "report": self.report.plain(),
        }  # fmt: skip
