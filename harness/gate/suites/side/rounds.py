"""The turns of one benchmark: how it is called, and what of a call is timed."""

from __future__ import annotations

import contextlib
import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_WARM_UP, _WARM_UP_SECONDS = 5, 1.0
_BLOCKS = 9

Arguments = tuple[Sequence[object], Mapping[str, object]]


@dataclass(frozen=True)
class Call:
    """A function to be timed; `setup` makes its arguments anew for each call, outside of what is timed."""

    function: Callable[..., object]
    args: Sequence[object] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    setup: Callable[[], Arguments | None] | None = None
    teardown: Callable[..., object] | None = None

    def once(self) -> object:
        """Call it as a whole, untimed, and return what the function gives."""
        args, kwargs = self._arguments()
        result = self.function(*args, **kwargs)
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
        return result

    def seconds(self, calls: int) -> float:
        """The duration of a call of the function, out of so many [s]: the median over blocks of calls.

        On a busy core the system takes a process away for longer than a turn; that spoils one block, not the turn.
        """
        return statistics.median(self._mean(block) for block in _blocks(calls))

    def _mean(self, calls: int) -> float:
        if self.setup is None and self.teardown is None:
            return _timed(self.function, self.args, self.kwargs, calls) / calls
        return sum(self._alone() for _ in range(calls)) / calls

    def _alone(self) -> float:
        args, kwargs = self._arguments()
        seconds = _timed(self.function, args, kwargs, 1)
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
        return seconds

    def _arguments(self) -> Arguments:
        fresh = self.setup() if self.setup is not None else None
        return fresh or (self.args, self.kwargs)


def _blocks(calls: int) -> list[int]:
    """So many calls in blocks of nearly equal size."""
    count = min(_BLOCKS, calls)
    return [calls // count + (number < calls % count) for number in range(count)]


def _timed(function: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object], calls: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        function(*args, **kwargs)
    return max(time.perf_counter_ns() - start, 1) * 1e-9


def ready(call: Call) -> dict[str, float]:
    """Warm up: the fastest call as far as it is timed, and as a whole [s]."""
    until = time.perf_counter() + _WARM_UP_SECONDS
    seconds, whole = [], []
    for _ in range(_WARM_UP):
        start = time.perf_counter()
        seconds.append(call.seconds(1))
        whole.append(time.perf_counter() - start)
        if time.perf_counter() > until:
            break
    return {"seconds": min(seconds), "whole": min(whole)}


def turn(call: Call, calls: int) -> dict[str, float]:
    """Time so many calls, after one call more: the other side has had the caches."""
    call.once()
    with _no_garbage_collection():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        seconds = call.seconds(calls)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return {"seconds": seconds, "faults": faults}


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
