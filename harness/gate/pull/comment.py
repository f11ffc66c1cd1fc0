"""One comment on a pull request, edited in place; none where nothing changed.

It is posted by a job of its own, which runs no foreign code: the report of the job that did is data. Which pull request
it is for is asked of GitHub by the event, never read from the report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.output import headline, urgent
from coordbench.harness.gate.pull.events import Event, Pull
from coordbench.harness.gate.pull.github import ApiAway, Comment, GitHub
from coordbench.harness.gate.pull.markdown import escaped, markdown
from coordbench.harness.gate.rows import Report

MARKER = "<!-- coordbench gate -->"
AUTHOR = "github-actions[bot]"
"""Whose comment is edited: anyone may write one with the marker."""

WAITS = (2.0, 10.0, 30.0)
"""Seconds before each further try."""

Deed = Literal["posted", "edited", "unchanged", "silent", "outdated"]


@dataclass(frozen=True)
class Done:
    """What was done on which pull request, and where it can be seen."""

    deed: Deed
    pull: int | None = None
    url: str = ""

    def __str__(self) -> str:
        """One line for the log of the job."""
        where = f" on pull request {self.pull}" if self.pull else ""
        reasons: dict[Deed, str] = {
            "silent": ": nothing changed",
            "outdated": ": no open pull request has this commit as its newest",
        }
        return f"{self.deed}{where}{reasons.get(self.deed, '')}{f': {self.url}' if self.url else ''}"


@dataclass(frozen=True)
class Target:
    """The pull request that is meant, as the event or the command line says; `sha` is the commit that was measured."""

    sha: str
    number: int | None = None
    owner: str = ""
    branch: str = ""

    def pulls(self, api: GitHub) -> list[Pull]:
        """The pull requests whose newest commit was measured: none, where it has moved on since."""
        if self.number is not None:
            asked = [api.pull(self.number)]
        else:
            asked = api.pulls(self.owner, self.branch) if self.owner and self.branch else []
        return [pull for pull in asked if pull.head.sha == self.sha and pull.state == "open"]


def target_of(event: Event) -> Target:
    """The pull request of an event: of itself, or of the workflow that has ended; raise UsageError for any other."""
    if event.pull_request is not None:
        return Target(event.pull_request.head.sha, event.pull_request.number)
    run = event.workflow_run
    if run is None:
        raise UsageError(
            "this event is of no pull request; use `pull_request` or `workflow_run`, or give --pull and --sha"
        )
    owner = run.head_repository.owner.login if run.head_repository else ""
    return Target(run.head_sha, None, owner, run.head_branch or "")


def post(
    api: GitHub, target: Target, report: Report, author: str = AUTHOR, wait: Callable[[float], object] = time.sleep
) -> list[Done]:
    """Say what a report says on its pull requests; an API that is away is asked again, from the start."""
    for seconds in WAITS:
        try:
            return _post(api, target, report, author)
        except ApiAway:
            wait(seconds)
    return _post(api, target, report, author)


def _post(api: GitHub, target: Target, report: Report, author: str) -> list[Done]:
    pulls = target.pulls(api)
    return [_say(api, pull.number, report, author) for pull in pulls] or [Done("outdated", target.number)]


def _say(api: GitHub, pull: int, report: Report, author: str) -> Done:
    earlier = _earlier(api.comments(pull), author)
    if earlier is None and is_quiet(report):
        return Done("silent", pull)
    text = body(report)
    if earlier is None:
        return Done("posted", pull, api.create(pull, text).html_url)
    if (earlier.body or "").replace("\r\n", "\n").strip() == text.strip():
        return Done("unchanged", pull, earlier.html_url)
    return Done("edited", pull, api.edit(earlier, text).html_url)


def _earlier(comments: Sequence[Comment], author: str) -> Comment | None:
    """The comment of an earlier report, by its author and its marker."""
    return next((c for c in comments if c.user and c.user.login == author and (c.body or "").startswith(MARKER)), None)


def is_quiet(report: Report) -> bool:
    """Whether there is nothing to say: all passed, and nothing is better, worse or accepted."""
    return report.outcome == "pass" and not urgent(report.rows)


def body(report: Report) -> str:
    """The text of the comment; where nothing changed, that there is no longer anything to look at."""
    if is_quiet(report):
        return f"{MARKER}\n### ✅ no change any longer\n\n{escaped(headline(report))}\n"
    return f"{MARKER}\n{markdown(report)}"
