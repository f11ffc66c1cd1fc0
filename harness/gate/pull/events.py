"""What a job of GitHub Actions is told of the pull request that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from coordbench.harness.core.errors import UsageError


@dataclass(frozen=True)
class Commit:
    """The commit that a pull request asks to merge."""

    sha: str


@dataclass(frozen=True)
class Pull:
    """A pull request."""

    number: int
    head: Commit
    state: str = "open"


@dataclass(frozen=True)
class Owner:
    """An account."""

    login: str


@dataclass(frozen=True)
class Repository:
    """A repository, of a fork where the pull request comes from one."""

    owner: Owner


@dataclass(frozen=True)
class WorkflowRun:
    """The workflow that has ended; its own list of pull requests is empty for forks, so it is not asked."""

    head_sha: str
    head_branch: str | None = None
    head_repository: Repository | None = None


@dataclass(frozen=True)
class Event:
    """The file of GITHUB_EVENT_PATH, as far as it is needed here."""

    pull_request: Pull | None = None
    workflow_run: WorkflowRun | None = None


def read_event(path: Path) -> Event:
    """Read the event; raise UsageError where it is none."""
    try:
        return TypeAdapter(Event).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH={str(path)!r} holds no event of GitHub Actions") from error
