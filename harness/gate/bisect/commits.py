"""The commits between two revisions, and the trees of those that are measured."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.sides import Tree
from coordbench.harness.gate.trees import Project, Unmeasurable, add_submodules, checked_out, git


@dataclass(frozen=True)
class Commit:
    """A commit by its full name, and the first line of its message."""

    name: str
    subject: str

    @property
    def short(self) -> str:
        """Its name as people read it."""
        return f"{self.name[:12]} {self.subject}".rstrip()


def between(project: Project, good: str, bad: str) -> list[Commit]:
    """The good commit, then all after it up to the bad one, along first parents; raise UsageError if there are none."""
    first, last = project.commit(good), project.commit(bad)
    try:
        git(project.top, "merge-base", "--is-ancestor", first, last)
    except subprocess.CalledProcessError as error:
        raise UsageError(f"good revision {good!r} is no ancestor of bad revision {bad!r}") from error
    if first == last:
        raise UsageError(f"good revision {good!r} and bad revision {bad!r} are the same commit; give an older good one")
    names = git(project.top, "rev-list", "--first-parent", "--reverse", f"{first}..{last}").splitlines()
    return [Commit(name, git(project.top, "log", "-1", "--format=%s", name)) for name in (first, *names)]


@dataclass
class Trees:
    """Trees of commits, checked out when they are asked for, for as long as `stack` is open."""

    project: Project
    scratch: Path
    stack: contextlib.ExitStack
    folders: dict[str, Path] = field(default_factory=dict)

    def tree(self, commit: Commit, side: str) -> Tree:
        """The project in a commit, as one side of a comparison; raise Unmeasurable where it is not in it."""
        if commit.name not in self.folders:
            folder = self.scratch / commit.name[:12]
            top = self.stack.enter_context(checked_out(self.project, commit.name, folder))
            add_submodules(self.project.top, commit.name, top)
            self.folders[commit.name] = (top / self.project.inside).resolve()
        folder = self.folders[commit.name]
        if not folder.is_dir():
            raise Unmeasurable(f"{commit.short} has no folder {self.project.inside}")
        return Tree(side, folder, self.scratch)
