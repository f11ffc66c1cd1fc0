"""Run a function in a fresh process with a deadline and a memory cap, and say how it died.

The process is a fork of a server that has torch imported already, so it is fresh and yet costs milliseconds. It leads
a session of its own: whatever it started ends with it, and it ends with the driver, however that ends. A process that
takes the server with it harms no other: those that ran beside it are run again, each alone.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

from coordbench.harness.core.record import Status
from coordbench.harness.process import client
from coordbench.harness.process.child import Call
from coordbench.harness.process.turns import Turns
from coordbench.harness.process.watch import Ending, Pipes, Watch, describe_death, end_all

ALONE = 2
"""How often a call is made again, alone, after the fork server died while it ran."""
ATTEMPTS = 8
"""How often at most where the fork server dies before the call has begun, which is no fault of the call."""

T = TypeVar("T")

_turns = Turns()
_stopping = threading.Event()


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How a call ended: its value, or a status, a reason of one line and the end of what it printed."""

    status: Status
    value: T | None = None
    error: str = ""
    log: str = ""
    seconds: float = 0.0
    attempts: int = 1
    """More than one where the fork server died while it ran, and it was run again, alone."""


def call(
    function: Callable[..., T],
    *arguments: object,
    deadline: float = float("inf"),
    memory_bytes: int | None = None,
    preload: tuple[str, ...] = (),
) -> Outcome[T]:
    """Call an importable function in a fresh process; never raise for what happens in there.

    `deadline` [s], from when the process has started, ends it as `timeout`; `memory_bytes` caps what it may allocate
    beyond its start, and exceeding it ends it as `out_of_memory`. A process that dies of a signal or exits early is
    `crashed`, an exception `error`. `preload` names the modules that the process finds imported: calls that name the
    same ones share a fork server, so a program should name few.
    """
    start = time.monotonic()
    packed = pickle.dumps(Call(tuple(sys.path), _folder(), memory_bytes, pickle.dumps((function, arguments))))
    attempts = deaths = 0
    while True:
        with _turns.alone() if attempts else _turns.shared():
            ending = _attempt(packed, deadline, preload)
        attempts += 1
        deaths += ending.server_died and ending.started
        if not ending.server_died or deaths > ALONE or attempts >= ATTEMPTS or stopping():
            break
    outcome = cast(Outcome[T], _outcome(ending, deadline, guilty=deaths > ALONE))
    return replace(outcome, attempts=attempts, seconds=time.monotonic() - start)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _attempt(packed: bytes, deadline: float, preload: tuple[str, ...]) -> Ending:
    """Make a call once, to its end."""
    with Pipes(packed) as pipes:
        server = client.server(preload)
        try:
            server.request(*pipes.theirs)
        except OSError:
            return Ending("crashed", reason=server.bury(), server_died=True)
        pipes.hand_over()
        ending = Watch(pipes, deadline).wait()
    # where a process ended and the server does not say so, it is dead, or was stopped and would answer nobody else
    return ending if ending.code is not None else replace(ending, reason=server.bury())


def _outcome(ending: Ending, deadline: float, *, guilty: bool) -> Outcome[object]:
    """How a call ended, in words."""
    status, error = ending.status, "" if ending.value is None else str(ending.value)
    if status == "ok":
        return Outcome("ok", ending.value, log=ending.log)
    if status == "timeout":
        error = f"no result within {deadline:g} s"
    elif ending.server_died:
        error = _server_death(ending.reason, guilty=guilty)
    elif status == "crashed":
        error = error or describe_death(ending.code, ending.log)
        status = "out_of_memory" if "bad_alloc" in ending.log else "crashed"
    return Outcome(status, error=error, log=ending.log)


def _server_death(reason: str, *, guilty: bool) -> str:
    last = f": {reason}" if reason else ""
    if guilty:
        return f"it ended the fork server: that died each time this ran, twice with nothing beside it{last}"
    return f"the fork server died{last}"


def stop() -> None:
    """End every running call, as `crashed`, and let none be tried again; for a driver that is interrupted."""
    _stopping.set()
    end_all()


def stopping() -> bool:
    """Whether `stop` was called."""
    return _stopping.is_set()
