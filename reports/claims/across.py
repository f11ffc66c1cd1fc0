"""What several runs say to each claim: the run that decided it speaks, and what contradicts itself stays open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from coordbench.reports.claims.arms import presets_of
from coordbench.reports.claims.claims import Claim, Finding, Kind, Verdict
from coordbench.reports.claims.evidence import UNTESTED
from coordbench.reports.claims.exact import counted
from coordbench.reports.claims.ledger import decide
from coordbench.reports.claims.looking import drafts, paid
from coordbench.reports.claims.reading import read_claims
from coordbench.reports.data.stored import Stored
from coordbench.reports.text import plural

WORDS: Mapping[Verdict, str] = {"holds": "hold", "fails": "fail", "open": "are open", "not run": "were not run"}


@dataclass(frozen=True)
class Answer:
    """A finding, and the run that it is from: "" for what is counted, and for what no run tests."""

    finding: Finding
    run: str = ""

    @property
    def claim(self) -> Claim:
        """The claim that it answers."""
        return self.finding.claim

    @property
    def remark(self) -> str:
        """What an open claim lacks, or which preset would test it; what else must be known of a number."""
        if self.finding.verdict == "not run" and self.finding.reason in ("", UNTESTED):
            given = f", given {self.claim.needs}" if self.claim.needs else ""
            return f"the preset {presets_of(self.claim)[0]} would test it{given}"
        return self.finding.reason


def answers(runs: Mapping[str, Stored]) -> list[Answer]:
    """One answer per claim, in the order of the ledger. Each run may test a part of a family: see `ledger`.

    A claim that was tried in several ways, other steps, rates or networks, pays for each: its p counts as many times.
    """
    claims = read_claims()
    trained = [claim for claim in claims if claim.kind != "exact"]
    histories = {name: {claim.id: drafts(run, claim) for claim in trained} for name, run in runs.items()}
    tries = {claim.id: _tries(claim, [listed[claim.id][-1] for listed in histories.values()]) for claim in trained}
    findings = {
        name: decide([[paid(draft, tries[key]) for draft in history] for key, history in listed.items()])
        for name, listed in histories.items()
    }
    by_claim = {name: {finding.claim.id: finding for finding in listed} for name, listed in findings.items()}

    def answer(claim: Claim) -> Answer:
        if claim.kind == "exact":
            return Answer(counted(claim))
        return _joined(claim, {name: listed[claim.id] for name, listed in by_claim.items()})

    return _after_their_primary([answer(claim) for claim in claims])


def _after_their_primary(given: Sequence[Answer]) -> list[Answer]:
    """The answers; an open secondary claim whose primary one has spent its looks says that, not what its run lacks."""
    by_id = {answer.claim.id: answer.finding for answer in given}

    def said(answer: Answer) -> Answer:
        primary = by_id.get(answer.claim.after)
        if primary is None or answer.finding.verdict != "open" or primary.verdict != "open":
            return answer
        if primary.looks is None or primary.looks.next:
            return answer
        reason = f"looked at only once {answer.claim.after} is decided, whose looks are spent"
        return replace(answer, finding=replace(answer.finding, reason=reason))

    return [said(answer) for answer in given]


def _tries(claim: Claim, newest: Iterable[Finding]) -> int:
    """In how many ways a claim was tested: runs of the same two arms are one, since they share their seeds.

    What was asked before, and is judged no longer, counts, too.
    """
    return len({draft.arms for draft in newest if draft.p is not None}) + claim.earlier_ways


def counts(given: Sequence[Answer], kind: Kind = "direction") -> str:
    """How the claims of one kind stand, in words."""
    findings = [answer.finding for answer in given if answer.claim.kind == kind]
    verdicts, decided = [finding.verdict for finding in findings], sum(finding.decided for finding in findings)
    each = ", ".join(f"{verdicts.count(v)} {word}" for v, word in WORDS.items() if v in verdicts)
    return f"{decided} of {plural(len(verdicts), f'{kind} claim')} decided: {each}"


def _joined(claim: Claim, findings: Mapping[str, Finding]) -> Answer:
    """The answer of the runs together: of those that decide it, or else test it, the one with most seeds."""
    tested = {name: finding for name, finding in findings.items() if finding.verdict != "not run"}
    if not tested:
        return Answer(next(iter(findings.values()), Finding(claim, "not run")))
    decided = {name: finding for name, finding in tested.items() if finding.decided}
    chosen = max(decided or tested, key=lambda name: tested[name].seeds)
    if len({finding.verdict for finding in decided.values()}) > 1:
        said = ", ".join(f"{finding.verdict} in {name}" for name, finding in decided.items())
        return Answer(replace(tested[chosen], verdict="open", reason=f"runs contradict each other: {said}"), chosen)
    return Answer(tested[chosen], chosen)
