"""Two source trees: the work tree of a project, and a base revision checked out beside it for a while."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode

_PREFIX = "coordbench-gate-"


class Unmeasurable(Exception):
    """Nothing can be measured, through no mistake of the user's; the message says why."""

    code = ExitCode.NOTHING_MEASURED


class NotComparable(Unmeasurable):
    """Both sides could be measured, but not by this gate with each other."""

    code = ExitCode.NOT_COMPARABLE


@dataclass(frozen=True)
class Project:
    """A project inside a git repository; `inside` is the path of its folder from the top of the repository."""

    top: Path
    inside: Path

    @property
    def folder(self) -> Path:
        """Where its pyproject.toml lies."""
        return self.top / self.inside

    @property
    def dirty(self) -> bool:
        """Whether the work tree differs from its commit."""
        return bool(git(self.top, "status", "--porcelain", "--untracked-files=normal"))

    def is_at(self, commit: str) -> bool:
        """Whether the work tree holds exactly the files of a commit."""
        return not self.dirty and not git(self.top, "diff", "--name-only", commit)

    def commit(self, revision: str) -> str:
        """The full name of a revision's commit; raise UsageError where there is none."""
        try:
            return git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except subprocess.CalledProcessError as error:
            raise UsageError(
                f"unknown base revision {revision!r} in {self.top}; expected a commit, branch or tag that was fetched "
                "(a shallow clone holds only its newest commit: fetch with full depth)"
            ) from error


def find_project(start: Path) -> Project:
    """The project around a folder: the nearest pyproject.toml above it inside its git repository, else the top."""
    try:
        top = Path(git(start, "rev-parse", "--show-toplevel"))
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{start} is in no git repository; the gate compares two revisions of one") from error
    start = start.resolve()
    above = [folder for folder in (start, *start.parents) if folder.is_relative_to(top)]
    folder = next((folder for folder in above if (folder / "pyproject.toml").is_file()), top)
    return Project(top, folder.relative_to(top))


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for everything that a gate leaves lying about, gone afterwards however that comes."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    except OSError as error:
        raise Unmeasurable(f"no folder for the base revision can be made: {error}") from error
    try:
        yield folder.resolve()
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def checked_out(project: Project, commit: str, folder: Path) -> Iterator[Path]:
    """The project's folder in a git worktree of `commit` at `folder`; the worktree is removed at the end."""
    forget_abandoned(project.top)
    try:
        try:
            git(project.top, "worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
        except subprocess.CalledProcessError as error:
            raise Unmeasurable(f"git cannot check out {commit[:12]}: {' '.join(error.stderr.split())}") from error
        yield folder
    finally:
        with undisturbed():
            _remove(project.top, folder)


def add_submodules(top: Path, commit: str, folder: Path) -> list[str]:
    """Fill the submodules of a checked-out commit from those of the work tree; return the paths of those not there."""
    entries = (line.split(None, 3) for line in git(top, "ls-tree", "-r", "-z", commit).split("\0") if line)
    missing = []
    for _, kind, revision, path in entries:
        if kind == "commit" and not _unpacked(top / path, revision, folder / path):
            missing.append(path)
    return missing


def _unpacked(submodule: Path, revision: str, folder: Path) -> bool:
    """Write the files of a submodule's revision into a folder, if the submodule is checked out and knows it."""
    if not (submodule / ".git").exists():
        return False
    archive = ["git", "-C", str(submodule), "archive", "--format=tar", revision]
    done = subprocess.run(archive, capture_output=True, start_new_session=True)
    if done.returncode:
        return False
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        files.extractall(folder, filter="data")
    return True


def forget_abandoned(top: Path) -> None:
    """Remove worktrees of gates that were killed outright and had no time to tidy up."""
    for line in git(top, "worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and folder.parent.name.startswith(_PREFIX) and not _runs(folder.parent.name):
            _remove(top, folder)
            shutil.rmtree(folder.parent, ignore_errors=True)


def _runs(name: str) -> bool:
    return Path("/proc", name.removeprefix(_PREFIX).partition("-")[0]).exists()


def _remove(top: Path, folder: Path) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        git(top, "worktree", "remove", "--force", "--force", str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(subprocess.CalledProcessError):
        git(top, "worktree", "prune")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints; raise CalledProcessError where it fails."""
    # a session of its own: Ctrl-C is for the gate, which tidies up; git would die of it half way
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, start_new_session=True
    )
    return done.stdout.strip()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM until the end."""
    with _signals(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the gate as Ctrl-C does: by KeyboardInterrupt, so that everything is tidied up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _signals(interrupt):
        yield


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in chosen}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
