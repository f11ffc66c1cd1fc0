"""Who descends from a process, and how all of them are ended: those who left its session by setsid, too."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Container, Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 2.0  # for what is left to die; one that hangs in the kernel must not hold us
_QUIET_LOOKS = 2  # a process shows no environment while it begins another program


def adopt_orphans() -> None:
    """Make this process the parent of whatever loses its parent below it, so that it can be ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def wake_with_driver() -> None:
    """Have the system wake this process when the thread that started it ends: one that is stopped sees nothing."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


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
        return [pid for pid in _pids() if _parent(pid) == os.getpid()]


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


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

    A process may fork, while we look, a child that our list of processes does not have. The system numbers processes
    one after the other, so we look at those that were started meanwhile, until none was.
    """
    until = time.monotonic() + _SWEEP_SECONDS
    quiet_looks = 0
    while quiet_looks < _QUIET_LOOKS and time.monotonic() < until:
        last = _newest()
        quiet = not _end_those(_pids(), mark)
        while (newest := _newest()) > last and time.monotonic() < until:
            quiet = not _end_those(range(newest, last, -1), mark) and quiet
            last = newest
        quiet_looks = quiet_looks + 1 if quiet else 0


def _end_those(pids: Iterable[int], mark: str) -> int:
    """End the processes among these that carry a mark; return how many there were."""
    count = 0
    for pid in pids:
        if mark.encode() in _read(pid, "environ").split(b"\0"):
            count += 1
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    return count


def _newest() -> int:
    """The number of the process, or thread, that was started last in the whole system."""
    return int(Path("/proc/loadavg").read_text().split()[-1])


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    """A file of a process; empty where it is gone or another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
