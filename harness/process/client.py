"""The driver's end of a fork server: start it, ask it for processes, notice that it is gone."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from coordbench.harness.process import family
from coordbench.harness.process.server import REQUEST
from coordbench.harness.process.settings import WORKER

_MARK = "COORDBENCH_SERVER"
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]);"
    "from coordbench.harness.process import server; server.main(int(sys.argv[1]), sys.argv[3:])"
)
_END_SECONDS = 10.0

T = TypeVar("T")


class Client:
    """A running fork server, which imports some modules before its first process."""

    def __init__(self, preload: Sequence[str] = ()) -> None:
        import json

        mark = secrets.token_hex(8)
        self.mark = f"{_MARK}={mark}"
        self._socket, theirs = socket.socketpair()
        self._over = threading.Event()
        self._errors = os.memfd_create("errors")  # a file, not a pipe: nobody need read it, and no output is held
        program = [*_interpreter(), "-c", _PROGRAM, str(theirs.fileno()), json.dumps(sys.path), *preload]
        with theirs:
            variables = os.environ | WORKER.variables() | {_MARK: mark}
            self.process = _in_lasting_thread(
                lambda: subprocess.Popen(
                    program, stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors,
                    start_new_session=True, pass_fds=[theirs.fileno()], env=variables,
                ),
                self._over,
            )  # fmt: skip
        self._lock = threading.Lock()
        self._buried = False

    def request(self, *descriptors: int) -> None:
        """Ask for a process; raise OSError where the server is gone."""
        socket.send_fds(self._socket, [REQUEST], descriptors)

    @property
    def running(self) -> bool:
        """Whether it was neither ended nor found dead."""
        return not self._buried and self.process.poll() is None

    def bury(self) -> str:
        """End it and all that it started, also what has left its session; return the last line that it printed."""
        with self._lock:
            if not self._buried:
                self._buried = True
                self._socket.close()
                self.process.kill()
                self.process.wait()
                self._over.set()
                family.end_marked(self.mark)
        lines = os.pread(self._errors, 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""

    def close(self) -> None:
        """Let it end by itself, as it does when its driver is gone."""
        with contextlib.suppress(OSError):
            self._socket.close()
        try:
            self.process.wait(_END_SECONDS)
            self._over.set()
        except subprocess.TimeoutExpired:
            self.bury()


def _interpreter() -> list[str]:
    return [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]


def _in_lasting_thread(start: Callable[[], T], over: threading.Event) -> T:
    """Start something in a thread that lasts until `over`: the system takes the end of that thread for ours."""
    started: Future[T] = Future()

    def begin() -> None:
        try:
            started.set_result(start())
        except BaseException as error:
            started.set_exception(error)
        else:
            over.wait()

    threading.Thread(target=begin, name="fork server", daemon=True).start()
    return started.result()


_starting = threading.Lock()
_clients: dict[tuple[str, ...], Client] = {}


def server(preload: tuple[str, ...] = ()) -> Client:
    """The fork server of this process that imports these modules; another one where the last has died."""
    with _starting:
        if not _clients:
            atexit.register(_close)
        client = _clients.get(preload)
        if client is None or not client.running:
            if client is not None:
                client.bury()
            client = _clients[preload] = Client(preload)
        return client


def _close() -> None:
    for client in _clients.values():
        if client.running:
            client.close()
