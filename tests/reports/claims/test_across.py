"""Several runs answer one ledger: who decided speaks, a contradiction stays open, and all are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.statistics.spending import Design
from coordbench.harness.store.store import Store
from coordbench.reports.claims import across
from coordbench.reports.claims.across import Answer, counts
from coordbench.reports.claims.claims import Claim, Finding, Looks, Side, Verdict
from coordbench.reports.data.run import load
from tests.reports.conftest import outcome

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
    assert answer.remark == "runs contradict each other: holds in a, fails in b"


def test_a_secondary_claim_says_that_its_primary_one_has_spent_its_looks() -> None:
    later = replace(CLAIM, id="later", rank="secondary", after="one")
    for taken, spent in ((2, True), (1, False)):
        primary = replace(finding("open", 6), looks=Looks(Design((6, 12)), taken))
        secondary = Answer(Finding(later, "open", reason="look 1 of 2 is next, at 6 seeds"), "b")
        [_, answer] = across._after_their_primary([Answer(primary, "a"), secondary])
        assert (answer.remark == "looked at only once one is decided, whose looks are spent") == spent


def test_verdicts_are_counted() -> None:
    given = [Answer(finding(verdict, 6)) for verdict in ("holds", "holds", "fails", "open", "not run")]
    assert counts(given) == "3 of 5 direction claims decided: 2 hold, 1 fail, 1 are open, 1 were not run"


@pytest.mark.parametrize(
    ("task", "verdict"), [("alpha[canvas=8]", "holds"), ("alpha[canvas=9]", "open"), ("beta", "holds")]
)
def test_a_second_try_is_paid_for(
    store: Store, fill: Any, monkeypatch: pytest.MonkeyPatch, task: str, verdict: Verdict
) -> None:
    """A lead of p = 0.035 counts, also where its very trials are read in a second run, and not beside another try."""

    def record(trial: Trial) -> Record:
        lead = (0.3 + 0.138 * (trial.seed - 2.5)) * (trial.cell.label == "coordconv")
        return replace(outcome(trial), scores={"test": {"accuracy": 0.3 + lead, "mse": 1.0}})

    claim = Claim("c", "", Side("coordconv", "net"), ">", 0.0, task="alpha", right=Side("conv", "net"))
    monkeypatch.setattr(across, "read_claims", lambda: [claim])
    tasks = {"one": "alpha[canvas=8]", "two": task}
    runs = {name: load(fill(["conv", "coordconv"], 6, [where], record), store=store) for name, where in tasks.items()}
    [answer] = across.answers(runs)
    assert answer.finding.verdict == verdict
    monkeypatch.setattr(across, "read_claims", lambda: [replace(claim, earlier_ways=1)])
    [answer] = across.answers(runs)
    assert answer.finding.verdict == "open"  # what was asked before is paid for, too
