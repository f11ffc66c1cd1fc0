"""The fork server: a process that has imported what trials need, and forks a fresh one for each call.

It starts no thread, holds no output of its driver, adopts what a trial leaves behind and ends it, and ends itself, with
all that it started, when the driver is gone. Each request is one byte with four descriptors: the call to make, and the
pipes for its result, for what it prints and for its status: first its number, then how it ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence

from coordbench.harness.process import child, family

STATUS = struct.Struct("i")
"""A number in the pipe of a status."""
REQUEST = b"c"
DESCRIPTORS = 4


def main(requests: int, preload: Sequence[str]) -> None:
    """Import what is to be there in each process, then answer requests until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends us
    family.wake_with_driver()
    family.adopt_orphans()
    for name in preload:
        with contextlib.suppress(Exception):  # a broken file must not stop us; the trial that needs it says why
            importlib.import_module(name)
    gc.freeze()  # a collection in a trial's process would otherwise touch, and so copy, most of the memory it shares
    Server(socket.socket(fileno=requests)).serve()


class Server:
    """The loop of the fork server: its socket and the status pipes of the trials that run."""

    def __init__(self, requests: socket.socket) -> None:
        self.requests = requests
        self.trials: dict[int, int] = {}
        self.woken, self._waker = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def serve(self) -> None:
        """Answer requests and tell how trials ended, until the driver is gone."""
        poll = select.poll()
        poll.register(self.requests, select.POLLIN)
        poll.register(self.woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self.woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.woken, 1 << 12)
                self._reap()
            if self.requests.fileno() in ready and not self._answer():
                break
        self._end()

    def _answer(self) -> bool:
        """Fork the process that a request asks for; False where the driver is gone."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self.requests, len(REQUEST), DESCRIPTORS)
        except ConnectionError:
            return False
        if len(descriptors) == DESCRIPTORS:
            self._fork(*descriptors)
        else:
            for descriptor in descriptors:
                os.close(descriptor)
        return bool(message)

    def _fork(self, call: int, results: int, log: int, status: int) -> None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._let_go(status)
            child.run(call, results, log, server)
        for descriptor in (call, results, log):
            os.close(descriptor)
        self.trials[pid] = status
        self._tell(status, pid)

    def _let_go(self, status: int) -> None:
        """Close, in a trial's process, all that is the server's."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        self.requests.close()
        for descriptor in (self.woken, self._waker, status, *self.trials.values()):
            os.close(descriptor)

    def _reap(self) -> None:
        """Take note of every process that has ended; with a trial ends what it left behind."""
        while (pid := _next_ended()) is not None:
            if pid not in self.trials:
                os.waitpid(pid, 0)
                continue
            family.end_group(pid)  # before it is waited for: its number stays its own until then
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            status = self.trials.pop(pid)
            family.end_orphans(self.trials)
            self._tell(status, code)
            os.close(status)

    def _tell(self, status: int, number: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # the driver no longer wants to know
            os.write(status, STATUS.pack(number))

    def _end(self) -> None:
        for pid in self.trials:
            family.end_group(pid)
        family.end_orphans(())
        os._exit(0)  # taking all these modules down in order would take seconds


def _next_ended() -> int | None:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
