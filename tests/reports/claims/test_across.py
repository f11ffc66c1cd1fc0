"""Several runs answer one ledger: who decided speaks, a contradiction stays open, and all are counted."""

from __future__ import annotations

import pytest

from coordbench.reports.claims import across
from coordbench.reports.claims.across import Answer, counts
from coordbench.reports.claims.claims import Claim, Finding, Side, Verdict

CLAIM = Claim("one", "A beats B.", Side("a"), ">", 0.0, task="toy", right=Side("b"))


def finding(verdict: Verdict, seeds: int) -> Finding:
    return Finding(CLAIM, verdict, seeds=seeds)


@pytest.mark.parametrize(
    ("runs", "verdict", "run"),
    [
        ({"a": ("open", 20), "b": ("holds", 6)}, "holds", "b"),
        ({"a": ("holds", 6), "b": ("holds", 12)}, "holds", "b"),
        ({"a": ("not run", 0), "b": ("open", 3)}, "open", "b"),
        ({"a": ("holds", 6), "b": ("fails", 12)}, "open", "b"),
        ({"a": ("not run", 0)}, "not run", ""),
        ({}, "not run", ""),
    ],
)
def test_the_run_that_decided_speaks(runs: dict[str, tuple[Verdict, int]], verdict: Verdict, run: str) -> None:
    answer = across._joined(CLAIM, {name: finding(*said) for name, said in runs.items()})
    assert (answer.finding.verdict, answer.run) == (verdict, run)


def test_a_contradiction_names_both_runs() -> None:
    answer = across._joined(CLAIM, {"a": finding("holds", 6), "b": finding("fails", 12)})
    assert answer.next_step == "runs contradict each other: holds in a, fails in b"


def test_verdicts_are_counted() -> None:
    given = [Answer(finding(verdict, 6)) for verdict in ("holds", "holds", "fails", "open", "not run")]
    assert counts(given) == "3 of 5 direction claims decided: 2 hold, 1 fail, 1 are open, 1 were not run"
