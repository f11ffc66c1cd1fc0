"""What a fresh process does: set itself up, make one call, send how it went, and end."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from coordbench.harness.core.record import Status
from coordbench.harness.process import family, wire
from coordbench.harness.process.settings import WORKER

STARTED = b"started"
_ERROR_CHARACTERS = 2000


@dataclass(frozen=True)
class Call:
    """A function with its arguments, pickled, and where it is called: import path, folder, and cap on memory."""

    path: tuple[str, ...]
    folder: str | None
    memory_bytes: int | None
    packed: bytes


def run(call: int, results: int, log: int, server: int) -> NoReturn:
    """Make the call that a file descriptor holds, and never return."""
    code = 1
    try:
        os.setsid()
        family.end_with_parent(server)  # the server ends with the driver, and this with it
        family.adopt_orphans()  # who daemonizes below us stays below us, and is ended when we are
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        with open(call, "rb") as file:
            _make(pickle.load(file), results)
        code = 0
    except BaseException:  # such as a result that nobody reads any more
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def _make(call: Call, results: int) -> None:
    sys.path[:] = call.path
    if call.folder is not None:
        os.chdir(call.folder)
    WORKER.apply()
    wire.send(results, STARTED)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    try:
        if call.memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (_within(limit[1], _address_space() + call.memory_bytes), limit[1]))
        function: Callable[..., object]
        function, arguments = pickle.loads(call.packed)
        packed = pickle.dumps(("ok", function(*arguments)))
    except BaseException as error:  # whatever it is, it becomes a record
        resource.setrlimit(resource.RLIMIT_AS, limit)
        with contextlib.suppress(Exception):
            traceback.print_exception(error)  # into the log, for whoever wrote the layer
        packed = pickle.dumps(explain(error))
    wire.send(results, packed)


_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "CUDA out of memory",
    "bad_alloc",
    "Cannot allocate memory",
    "failed to map segment",
)
"""What is said where memory ran out: whichever of torch, the C library and the loader asked for it first."""


def explain(error: BaseException) -> tuple[Status, str]:
    """Status and reason of an exception: its type, message and the innermost line of its traceback."""
    message = _message(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    status: Status = "out_of_memory" if any(map(_is_of_memory, _causes(error))) else "error"
    return status, f"{type(error).__name__}: {message}{where}"


def _message(error: BaseException) -> str:
    """What an exception says, its notes among it, as one line."""
    text = str(error) + "".join(getattr(error, "__notes__", ()))
    return " ".join(text.split())[:_ERROR_CHARACTERS]


def _is_of_memory(error: BaseException) -> bool:
    message = _message(error)
    return isinstance(error, MemoryError) or any(sign in message for sign in _OUT_OF_MEMORY)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those while whose handling it was raised: without memory the handling fails, too."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _within(hard: int, wanted: int) -> int:
    """A soft limit that the system takes: not above the hard one (which may be none), nor beyond its numbers."""
    wanted = min(wanted, sys.maxsize)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
