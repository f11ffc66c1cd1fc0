"""The course of a search: is the bad revision slower at all, by which commit probably, and does the gate agree?"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coordbench.harness.gate.bisect.commits import Commit, Trees, between
from coordbench.harness.gate.bisect.posterior import Posterior, most_pairs
from coordbench.harness.gate.bisect.result import Request, Result, Suspect
from coordbench.harness.gate.bisect.subject import Subject, parse
from coordbench.harness.gate.pairs import Measured, Say, Timer
from coordbench.harness.gate.rows import GateRow, Report
from coordbench.harness.gate.settings import Settings, read_settings
from coordbench.harness.gate.sides import SideError
from coordbench.harness.gate.stages import speed
from coordbench.harness.gate.trees import Unmeasurable, find_project, interruptible, scratch
from coordbench.harness.process import environment

SURE = 0.99
"""Probability at which a commit is to blame."""


@dataclass
class Search:
    """A search on its way: commits 0 (good) to the last (bad), and the log ratios of each against the good one."""

    subject: Subject
    settings: Settings
    commits: Sequence[Commit]
    trees: Trees
    say: Say
    ratios: dict[int, list[float]] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    timers: dict[int, Timer] = field(default_factory=dict)

    def gate(self, base: int, candidate: int) -> tuple[GateRow, list[float]]:
        """The gate's rule between two commits: its row, and the log ratios."""
        timer = self._timer(base, candidate)
        (row,) = speed.compare(timer)
        return row, np.log1p(row.pairs).tolist()

    def locate(self, ends: Sequence[float]) -> Posterior:
        """Measure until one commit, or those that cannot be told from it, are surely to blame, or it costs too much."""
        last = len(self.commits) - 1
        posterior = Posterior(last, float(np.median(ends)))
        self.ratios[last] = list(ends)
        for ratio in ends:
            posterior.observe(last, ratio)
        for _ in range(most_pairs(last, self.settings.pairs[1])):
            if posterior.share(self.span(posterior)) >= SURE:
                break
            commit = posterior.following(self.measurable)
            measured = self._pair(commit)
            if measured is not None:
                posterior.observe(commit, measured)
                self._progress(commit, measured, posterior)
        return posterior

    def span(self, posterior: Posterior) -> range:
        """The most likely commit, with those that cannot be told from it."""
        return posterior.span(self.measurable)

    @property
    def measurable(self) -> list[int]:
        """The commits that can be measured, as far as that is known."""
        return [commit for commit in range(1, len(self.commits)) if commit not in self.problems]

    def _pair(self, commit: int) -> float | None:
        """The log ratio of one more pair of a commit and the good one; None, with a problem noted, if there is none."""
        try:
            timer = self.timers.get(commit) or self._timer(0, commit)
        except (SideError, Unmeasurable) as error:
            self._skip(commit, str(error))
            return None
        self.timers[commit] = timer
        measured, number = Measured(), sum(map(len, self.ratios.values()))
        timer.measure({self.subject.comparison: measured}, range(number, number + 1))
        if measured.failure or not measured.pairs:
            side, reason = measured.failure or ("candidate", "gave no pair")
            if side == "base":
                raise Unmeasurable(f"{self.commits[0].short} can no longer be measured: it {reason}")
            self._skip(commit, reason)
            return None
        self.ratios.setdefault(commit, []).append(measured.pairs[0].ratio)
        return measured.pairs[0].ratio

    def _timer(self, base: int, candidate: int) -> Timer:
        sides = self.trees.tree(self.commits[base], "base"), self.trees.tree(self.commits[candidate], "candidate")
        return Timer(*sides, self.subject.work(*sides), self.settings)

    def _skip(self, commit: int, reason: str) -> None:
        self.problems[commit] = reason
        self.say(f"skipped {self.commits[commit].short}: {reason}")

    def _progress(self, commit: int, ratio: float, posterior: Posterior) -> None:
        best, share = posterior.best
        self.say(
            f"{self.commits[commit].short}: {math.expm1(ratio):+.1%}; "
            f"most likely {self.commits[best].short}: {share:.0%}"
        )

    def suspects(self, posterior: Posterior | None) -> list[Suspect]:
        """All commits but the good one, with what is known of them."""
        count = len(self.commits) - 1
        shares = posterior.probabilities.tolist() if posterior else [1 / count] * count
        return [
            Suspect(
                commit.name, commit.subject, shares[number - 1],
                tuple(np.expm1(self.ratios.get(number, [])).tolist()), self.problems.get(number, ""),
            )
            for number, commit in enumerate(self.commits[1:], 1)
        ]  # fmt: skip


def run_bisect(request: Request, start: Path, say: Say) -> Result:
    """Search the commit between two revisions of the project around `start` that made a row slower."""
    project = find_project(start)
    settings = read_settings(project.folder)
    settings.thresholds.check(1)
    plugins = [*dict.fromkeys((*settings.plugins, *request.plugins))]
    subject = parse(request.row, settings, plugins)
    commits = between(project, request.good, request.bad)
    with interruptible(), scratch() as folder, contextlib.ExitStack() as stack:
        search = Search(subject, settings, commits, Trees(project, folder, stack), say)
        say(f"{len(commits) - 1} commits; is {commits[-1].short} slower than {commits[0].short}?")
        try:
            row, ends = search.gate(0, len(commits) - 1)
        except SideError as error:
            raise Unmeasurable(str(error)) from error
        if row.outcome != "regressed" or not ends:
            return _unlocated(search, request, row, None, f"{request.bad} is not surely slower than {request.good}")
        return _blamed(search, request, row, search.locate(ends))


def _blamed(search: Search, request: Request, ends: GateRow, posterior: Posterior) -> Result:
    """Let the gate judge between the suspected commit and its parent."""
    span, commits = search.span(posterior), search.commits
    share = posterior.share(span)
    if share < SURE:
        best, probability = posterior.best
        message = f"no commit is surely to blame; most likely {commits[best].short}, with {probability:.0%}"
        return _unlocated(search, request, ends, posterior, message)
    if len(span) > 1:
        message = "one of these commits is to blame, those between cannot be measured: " + ", ".join(
            commits[number].short for number in span
        )
        return _unlocated(search, request, ends, posterior, message, [commits[number] for number in span])
    commit = span.start
    search.say(f"the gate between {commits[commit].short} and its parent")
    row, _ = search.gate(commit - 1, commit)
    message = f"{commits[commit].short} made it slower, with {share:.1%}"
    agreed = row.outcome == "regressed"
    message += "" if agreed else "; the gate does not see it against its parent"
    report = _report(request, row, commits[commit - 1], commits[commit], [message])
    return Result(request.row, [commits[commit]] if agreed else [], search.suspects(posterior), report)


def _unlocated(
    search: Search, request: Request, row: GateRow, posterior: Posterior | None, message: str,
    commits: Sequence[Commit] = (),
) -> Result:  # fmt: skip
    report = _report(request, row, search.commits[0], search.commits[-1], [message])
    return Result(request.row, commits, search.suspects(posterior), report)


def _report(request: Request, row: GateRow, base: Commit, candidate: Commit, notes: Sequence[str]) -> Report:
    return Report(
        base.short, candidate.short, [row], list(notes), commit=base.name, machine=environment.machine(),
        settings={"row": request.row, "good": request.good, "bad": request.bad},
    )  # fmt: skip
