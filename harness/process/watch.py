"""Watch one process through its pipes: its result, its end, its deadline, and what it prints meanwhile."""

from __future__ import annotations

import os
import pickle
import select
import signal
import threading
import time
from dataclasses import dataclass
from typing import Self

from coordbench.harness.core.record import Status
from coordbench.harness.process import family
from coordbench.harness.process.child import STARTED
from coordbench.harness.process.server import STATUS
from coordbench.harness.process.wire import ForeignBytesError, Inbox

START_SECONDS = 300.0
"""How long the first process may take to start: the fork server imports torch and all its peers meanwhile."""
END_SECONDS = 30.0
"""How long the fork server may take to tell how a process ended that was killed; after that it hangs."""
_POLL_SECONDS = 1.0  # short, so that a stop of ours is seen however much of the deadline is left
_LATE_SECONDS = 1.0
_LOG_BYTES = 4000


@dataclass(frozen=True)
class Ending:
    """How one attempt ended. `value` is the result of an `ok`, else the reason; `code` that of a process that ended."""

    status: Status
    value: object = None
    log: str = ""
    code: int | None = None
    server_died: bool = False
    started: bool = False
    """Whether the process had set itself up, so that what happened then may be its doing."""
    reason: str = ""
    """What the fork server printed last, where it died."""


class Pipes:
    """What connects us with a process: its call, its result, what it prints, its status; use it as a context."""

    def __init__(self, call: bytes) -> None:
        file = os.memfd_create("call")  # not a pipe: nobody waits for a reader
        pairs = [os.pipe() for _ in range(3)]
        self.theirs = [file, *(write for _, write in pairs)]
        self.results, self.log, self.status = (Inbox(read) for read, _ in pairs)
        with open(file, "wb", closefd=False) as stream:
            stream.write(call)
        os.lseek(file, 0, os.SEEK_SET)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.hand_over()
        for inbox in (self.results, self.log, self.status):
            os.close(inbox.descriptor)

    def hand_over(self) -> None:
        """Close the ends that are the process's now, so that its end is seen."""
        while self.theirs:
            os.close(self.theirs.pop())


class Watch:
    """The loop that waits for one process; it reads without blocking, since it alone knows the deadline."""

    def __init__(self, pipes: Pipes, deadline: float) -> None:
        self.pipes, self.deadline = pipes, deadline
        self.until = time.monotonic() + START_SECONDS
        self.pid: int | None = None
        self.code: int | None = None
        self.server_gone = False
        self.started = False
        self._poll = select.poll()
        for inbox in (pipes.results, pipes.log, pipes.status):
            self._poll.register(inbox.descriptor, select.POLLIN)

    def wait(self) -> Ending:
        """Wait for the end, bring it about where that is needed, and say how it came."""
        try:
            status, value = self._result()
            self._end()
        finally:
            _forget(self.pid)
        died = status == "crashed" and value is None and self.code is None
        return Ending(status, value, self._log(), self.code, died, self.started)

    def _result(self) -> tuple[Status, object]:
        """The result, or what there is in place of one."""
        while True:
            self._read()
            try:
                message = self.pipes.results.message()
            except ForeignBytesError:
                return "crashed", "the process wrote into the pipe of its result"
            if message == STARTED:
                self.started = True
                self.until = time.monotonic() + self.deadline
            elif message is not None:
                return _unpack(message)
            elif self.code is not None or self.server_gone:
                return "crashed", None
            elif time.monotonic() >= self.until:
                return ("crashed" if self.pid is None else "timeout"), None

    def _read(self) -> None:
        """Take what has come; wait for something to come where there is still time."""
        began = time.monotonic()
        wait = 0.0 if self.code is not None else min(max(self.until - began, 0.0), _POLL_SECONDS)
        ready = {descriptor for descriptor, _ in self._poll.poll(wait * 1000)}
        if (late := time.monotonic() - began - wait) > _LATE_SECONDS:
            self.until += late  # we were stopped; the process may have waited for us to read
        pipes = self.pipes
        if pipes.status.descriptor in ready and not pipes.status.read():
            self.server_gone = True  # or it has told all
            self._poll.unregister(pipes.status.descriptor)
        self._take_status()
        for inbox in (pipes.results, pipes.log):
            if self.code is not None:
                inbox.drain()  # the process has ended, so all that it wrote is there
            elif inbox.descriptor in ready and not inbox.read():
                self._poll.unregister(inbox.descriptor)
        self.pipes.log.shorten(_LOG_BYTES)

    def _take_status(self) -> None:
        for [number] in STATUS.iter_unpack(self.pipes.status.take(STATUS.size)):
            if self.pid is None:
                self.pid = number
                _note(number)
            else:
                self.code = number

    def _end(self) -> None:
        """End the process, and wait until the server has told so."""
        self.until = time.monotonic() + END_SECONDS
        while self.pid is not None and self.code is None and not self.server_gone and time.monotonic() < self.until:
            family.end_group(self.pid)
            self._read()

    def _log(self) -> str:
        self.pipes.log.drain()
        self.pipes.log.shorten(_LOG_BYTES)
        return self.pipes.log.take(1).decode(errors="replace")


def _unpack(message: bytes) -> tuple[Status, object]:
    try:
        status, value = pickle.loads(message)
    except Exception as error:  # its class may not be importable here
        return "error", f"its result cannot be read: {type(error).__name__}: {error}"
    return status, value


_live: set[int] = set()
_guard = threading.Lock()


def _note(pid: int) -> None:
    with _guard:
        _live.add(pid)


def _forget(pid: int | None) -> None:
    with _guard:
        _live.discard(pid or 0)


def end_all() -> None:
    """End every process that is being watched."""
    with _guard:
        for pid in _live:
            family.end_group(pid)


def describe_death(code: int | None, log: str) -> str:
    """How a process died that gave no result, with the last line that it printed."""
    how = f"exited with code {code} before it gave a result"
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
    return f"the process {how}" + (f": {last[:300]}" if last else "")
