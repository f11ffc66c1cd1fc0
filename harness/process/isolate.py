"""Run a function in a fresh process with a deadline and a memory cap, and say how it died.

The process is a fork of a server that has torch imported already, so it is fresh and yet costs milliseconds. It leads
a session of its own: whatever it started ends with it, and it ends with the driver, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from coordbench.harness.core.record import Status
from coordbench.harness.process import environment

_LOG_BYTES = 4000
_ERROR_CHARACTERS = 2000
_PR_SET_PDEATHSIG = 1
_STARTED = "started"
_START_SECONDS = 300.0  # the first process waits until the fork server has imported torch and all its peers

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["coordbench.harness.run.preload"])
_starting = threading.Lock()  # multiprocessing reaps children of other threads while it starts one
_live: set[Any] = set()
_stopping = threading.Event()


@dataclass(frozen=True)
class Outcome:
    """How a call ended: its value, or a status, a reason of one line and the end of what it printed."""

    status: Status
    value: Any = None
    error: str = ""
    log: str = ""
    seconds: float = 0.0


def call(
    function: Callable[..., Any], *arguments: Any, deadline: float = float("inf"), memory_bytes: int | None = None
) -> Outcome:
    """Call an importable function in a fresh process; never raise for what happens in there.

    `deadline` [s], from when the process has started, ends it as `timeout`; `memory_bytes` caps what it may allocate
    beyond its start, and exceeding it ends it as `out_of_memory`. A process that dies of a signal or exits early is
    `crashed`, an exception `error`.
    """
    start = time.monotonic()
    results, child_results = _context.Pipe(duplex=False)
    log, child_log = _context.Pipe(duplex=False)
    process = _context.Process(target=_child, args=(child_results, child_log, memory_bytes, function, arguments))
    try:
        with _starting, _allowed_to_start():
            os.environ.update(environment.WORKER)
            with _without_main(function):
                process.start()
            _live.add(process)
    except (OSError, EOFError) as error:  # the server was killed just now; the next start makes another
        return Outcome("crashed", error=f"the fork server died: {type(error).__name__}")
    finally:
        child_results.close()
        child_log.close()
    try:
        status, value, tail = _wait(process, results, log, deadline)
    finally:
        _end(process)
        results.close()
        log.close()
    seconds = time.monotonic() - start
    if status == "timeout":
        return Outcome("timeout", error=f"no result within {deadline:g} s", log=tail, seconds=seconds)
    if status == "crashed":
        return _crash(process.exitcode, tail, seconds)
    return Outcome(status, value if status == "ok" else None, "" if status == "ok" else str(value), tail, seconds)


@contextlib.contextmanager
def _allowed_to_start() -> Iterator[None]:
    """Let a daemonic process, such as a cluster's worker, start ours too: they end with it by another way."""
    facts = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    daemon = facts.pop("daemon", None)
    try:
        yield
    finally:
        if daemon is not None:
            facts["daemon"] = daemon


@contextlib.contextmanager
def _without_main(function: Callable[..., Any]) -> Iterator[None]:
    """Spare the process the import of the driver's program, a second on a cluster's worker, unless it is needed."""
    main = sys.modules["__main__"]
    known = {name: getattr(main, name, None) for name in ("__spec__", "__file__")}
    hidden = dict.fromkeys(known) if function.__module__ != "__main__" else known
    try:
        vars(main).update(hidden)
        yield
    finally:
        vars(main).update(known)


def _wait(process: Any, results: Connection, log: Connection, deadline: float) -> tuple[Status, Any, str]:
    """Wait for result, death or deadline, and drain what the process prints meanwhile."""
    tail = b""
    waiting: list[Any] = [results, log, process.sentinel]
    until = time.monotonic() + _START_SECONDS
    while True:
        left = until - time.monotonic()
        ready = multiprocessing.connection.wait(waiting, None if left == float("inf") else max(left, 0.0))
        if log in ready:
            chunk = os.read(log.fileno(), 1 << 16)
            tail = (tail + chunk)[-_LOG_BYTES:]
            if not chunk:
                waiting.remove(log)
        if results in ready:
            message = _receive(results)
            if message is None:
                waiting.remove(results)
            elif message[0] == _STARTED:
                until = time.monotonic() + deadline
            else:
                return message[0], message[1], tail.decode(errors="replace")
        elif process.sentinel in ready and log not in ready:
            return "crashed", None, tail.decode(errors="replace")
        elif not ready:
            return "timeout", None, tail.decode(errors="replace")


def _receive(results: Connection) -> tuple[Any, Any] | None:
    """A message of the process, or None where it died before it had sent one whole."""
    try:
        message: tuple[Any, Any] = pickle.loads(results.recv_bytes())
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    return message


def _end(process: Any) -> None:
    """End the process and all it started, and reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with _starting:
        if process.exitcode is None:
            process.kill()  # it may not have become the leader of its group yet
    multiprocessing.connection.wait([process.sentinel])
    with _starting:
        process.join()
        _live.discard(process)


def stop() -> None:
    """End every running call, as `crashed`, and let none be tried again; for a driver that is interrupted."""
    _stopping.set()
    for process in list(_live):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def stopping() -> bool:
    """Whether `stop` was called."""
    return _stopping.is_set()


def _crash(exitcode: int | None, tail: str, seconds: float) -> Outcome:
    how = f"exited with code {exitcode} before it gave a result"
    if exitcode is not None and exitcode < 0:
        how = f"was killed by {signal.Signals(-exitcode).name}"
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
    status: Status = "out_of_memory" if "bad_alloc" in tail else "crashed"
    return Outcome(status, error=f"the process {how}" + (f": {last[:300]}" if last else ""), log=tail, seconds=seconds)


def _child(
    results: Connection,
    log: Connection,
    memory_bytes: int | None,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.setsid()
    _let_the_server_go()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the server dies with the driver, and this with it
    for stream in (1, 2):
        os.dup2(log.fileno(), stream)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    environment.configure()
    results.send_bytes(pickle.dumps((_STARTED, None)))
    limit = resource.getrlimit(resource.RLIMIT_AS)
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory_bytes, limit[1]))
    try:
        message: tuple[Status, Any] = ("ok", function(*arguments))
        packed = pickle.dumps(message)
    except BaseException as error:  # whatever it is, it becomes a record
        resource.setrlimit(resource.RLIMIT_AS, limit)
        packed = pickle.dumps(_explain(error))
    results.send_bytes(packed)


def _let_the_server_go() -> None:
    """Close the pipe by which a child keeps its fork server alive: only the driver may, or both outlive it."""
    server: Any = multiprocessing.forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = server._forkserver_address = None


def _explain(error: BaseException) -> tuple[Status, str]:
    """Status and reason of an exception: its type, message and the innermost line of its traceback."""
    told = str(error) + "".join(getattr(error, "__notes__", ()))
    message = " ".join(told.split())[:_ERROR_CHARACTERS]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    memory = isinstance(error, MemoryError) or "DefaultCPUAllocator" in message or "CUDA out of memory" in message
    return "out_of_memory" if memory else "error", f"{type(error).__name__}: {message}{where}"


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
