"""Who descends from a process, and how all of them are ended: those who left its session by setsid, too."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Container, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 2.0  # for what is left to die; one that hangs in the kernel must not hold us
_EMPTY_LOOKS = 3


def adopt_orphans() -> None:
    """Make this process the parent of whatever loses its parent below it, so that it can be ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """Have the system end this process when its parent ends, however that comes; end now if it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def children() -> list[int]:
    """The children of this process, those that have ended and were not waited for among them."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        return [int(pid) for pid in listed.read_text().split()]
    except OSError:  # a kernel that was built without this file
        return [pid for pid, stat in _files("stat") if int(stat.rpartition(b")")[2].split()[1]) == os.getpid()]


def _files(name: str) -> Iterator[tuple[int, bytes]]:
    """The number of each process of the system, with the content of one of its files."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # another user's, or gone
            yield int(pid), Path(f"/proc/{pid}/{name}").read_bytes()


def end_group(pid: int) -> None:
    """End a process and its group; it must not have been waited for, else its number may be another's."""
    for end in (os.killpg, os.kill):  # it may not lead its group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def end_orphans(spared: Container[int]) -> None:
    """End all children of this process but those spared, then theirs, which become ours as their parents die."""
    until = time.monotonic() + _SWEEP_SECONDS
    while (orphans := [pid for pid in children() if pid not in spared]) and time.monotonic() < until:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not any(_reap(pid) for pid in orphans):
            time.sleep(0.001)


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def end_marked(mark: str) -> None:
    """End every process that was started with `mark`, such as NAME=VALUE, in its environment.

    One look is not enough: a process may fork, while we read, a child that our list of processes does not have.
    """
    until = time.monotonic() + _SWEEP_SECONDS
    empty = 0
    while empty < _EMPTY_LOOKS and time.monotonic() < until:
        marked = [pid for pid, variables in _files("environ") if mark.encode() in variables.split(b"\0")]
        empty = 0 if marked else empty + 1
        for pid in marked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
