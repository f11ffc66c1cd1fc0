"""`coordbench comment`: say on a pull request what a gate said, from a job that runs no foreign code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, command
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode


@command("comment", "comment coordbench-results/gate.json --show")
def comment(
    result: Annotated[Positional[Path], arg(help="the gate.json that `coordbench gate` wrote")] = OUT / "gate.json",
    *,
    pull: Annotated[int | None, arg(help="number of the pull request; by default that of GITHUB_EVENT_PATH")] = None,
    sha: Annotated[str | None, arg(help="the commit that was measured; needed beside --pull")] = None,
    author: Annotated[str, arg(help="the account whose comment is edited")] = "github-actions[bot]",
    show: Annotated[bool, arg(help="print the comment and post nothing")] = False,
) -> int:
    """Post a gate's result as one comment, edited in place; the variables GITHUB_... of a job say where."""
    from coordbench.harness.gate.pull import comment as comments
    from coordbench.harness.gate.pull.events import read_event
    from coordbench.harness.gate.pull.github import GitHub
    from coordbench.harness.gate.pull.received import read_report

    report = read_report(result)
    if show:
        print(comments.body(report), end="")
        return ExitCode.OK
    if (pull is None) != (sha is None):
        raise UsageError("--pull and --sha go together: a result is posted only where that commit is the newest")
    if sha is not None:
        target = comments.Target(sha, pull)
    else:
        target = comments.target_of(read_event(Path(_variable("GITHUB_EVENT_PATH"))))
    url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    api = GitHub(url, _variable("GITHUB_REPOSITORY"), _variable("GITHUB_TOKEN"))
    print(*comments.post(api, target, report, author), sep="\n")
    return ExitCode.OK


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise UsageError(f"the environment variable {name} is not set; a job of GitHub Actions has it")
    return value
