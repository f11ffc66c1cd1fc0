"""Claims at the looks that were taken: what each look showed and is worth, and what an open claim still leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from coordbench.harness.plan.looks import Shared, shared
from coordbench.harness.statistics.paired import FEWEST_PAIRS, MOST_PAIRS, pairs_needed
from coordbench.harness.statistics.sequential import repeated_interval
from coordbench.harness.statistics.spending import Design
from coordbench.reports.claims.claims import Claim, Finding, Looks
from coordbench.reports.claims.evidence import arms, measure, shown
from coordbench.reports.claims.exact import counted
from coordbench.reports.data.stored import Stored
from coordbench.reports.text import number

TESTED = ("direction", "control")
"""The kinds of claims that looks decide."""


def drafts(run: Stored, claim: Claim) -> list[Finding]:
    """What a claim shows at each look that is judged; before the first look it decides nothing.

    Ways in which it was asked before are paid for.
    """
    if claim.kind == "exact":
        return [counted(claim)]
    return [paid(draft, 1 + claim.earlier_ways) for draft in _drafts(run, claim)]


def paid(draft: Finding, ways: int) -> Finding:
    """A draft whose p values count as many times as its claim was tested (Bonferroni)."""
    if draft.p is None:
        return draft
    more = ways / draft.ways
    return replace(draft, p=min(1.0, more * draft.p), p_tied=min(1.0, more * draft.p_tied), ways=ways)


def _drafts(run: Stored, claim: Claim) -> list[Finding]:
    cells = arms(run, claim)
    now = replace(measure(run, claim), arms=cells)
    if claim.kind == "figure":
        return [shown(now)]
    looks = shared(*(run.facts.looks.get(cell) for cell in cells))
    if looks is None or now.p is None:
        return [now]
    due = looks.due(min(run.tried(cell) for cell in cells))
    if not due:
        return [_early(now, looks)]
    return [_at_look(run, claim, looks.design, place) for place in due]


def _early(draft: Finding, looks: Shared) -> Finding:
    """A claim before its first look."""
    waiting = Looks(looks.design, 0)
    return replace(draft, p=None, p_tied=1.0, looks=waiting, reason=draft.reason or waiting.next)


def _at_look(run: Stored, claim: Claim, design: Design, place: int) -> Finding:
    """What one look shows, as what it is worth over all looks."""
    seen = run.until(design.looks[place])
    draft = replace(measure(seen, claim), arms=arms(seen, claim))
    if len(design.looks) == 1:
        return draft
    low, high = np.nan, np.nan
    if draft.error > 0:
        low, high = repeated_interval(draft.measured, draft.error, draft.degrees, design, place)
    return replace(
        draft,
        p=None if draft.p is None else float(design.total(draft.p, place)),
        p_tied=float(design.total(draft.p_tied, place, 1)),
        low=low,
        high=high,
        looks=Looks(design, place + 1),
    )


def concluded(paths: Sequence[Sequence[Finding]]) -> list[Finding]:
    """What each claim of a family came to last, with its way there."""
    over = all(path[-1].decided or not (path[-1].looks and path[-1].looks.next) for path in paths)
    return [_concluded(path, over=over) for path in paths]


def _concluded(path: Sequence[Finding], *, over: bool) -> Finding:
    finding = path[-1]
    if finding.looks is None:
        return finding
    looks = replace(finding.looks, path=tuple(path), final=finding.decided or over)
    more = f"; {looks.next}" if finding.reason and looks.next not in finding.reason and not finding.stuck else ""
    return replace(finding, looks=looks, reason=finding.reason + more or _left(finding, looks))


def _left(finding: Finding, looks: Looks) -> str:
    """What an open claim is about to be asked, or what it leaves after the last look."""
    if finding.decided:
        return ""
    if looks.next:
        return looks.next
    last = "open after the last look"
    possible = max(abs(bound - finding.claim.value) for bound in (finding.low, finding.high))
    if possible == possible:
        last += f": the largest effect still possible is {number(possible)}{finding.unit}"
    return f"{last}; {_would_decide(finding)}"


def _would_decide(finding: Finding) -> str:
    """What another try needs: unseen seeds, whose p will count once more, or more of what the test draws."""
    if finding.limit:
        return f"more {finding.limit} in the test may decide"
    if not finding.error > 0:
        return "more seeds, unseen so far, may decide"
    if finding.lone:
        return f"one seed of {finding.seeds} makes most of the spread, and while such seeds occur no mean may decide"
    deviation, effect = finding.error * np.sqrt(finding.seeds), abs(finding.measured - finding.claim.value)
    needed = pairs_needed(deviation, max(effect, finding.margin - effect), finding.level / (finding.ways + 1))
    if needed is None:
        return f"if the true effect is the measured one, {MOST_PAIRS:,} unseen seeds would not decide"
    needed = max(needed, FEWEST_PAIRS)
    return (
        f"if the true effect is the measured one, {needed} unseen seeds, read once, would decide it four times in five"
    )
