"""The fixture `benchmark`, with the interface of pytest-benchmark's; how long is measured is not the test's to say."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from .rounds import Arguments, Call

P = ParamSpec("P")
T = TypeVar("T")
Measure = Callable[[Call], list[float]]
"""Answers the driver's requests for turns until it has enough; returns the seconds of each."""


class AlreadyUsed(Exception):
    """A test may use its benchmark once."""


class Statistics:
    """What a test may read of its benchmark afterwards: `benchmark.stats["mean"]`, `benchmark.stats.stats.min`."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.data = list(seconds) or [0.0]
        self.min, self.max, self.total, self.rounds = min(self.data), max(self.data), sum(self.data), len(self.data)
        self.mean, self.median = statistics.fmean(self.data), statistics.median(self.data)
        self.stddev = statistics.stdev(self.data) if len(self.data) > 1 else 0.0
        self.ops = 1 / self.mean if self.mean else 0.0
        self.stats = self

    def __getitem__(self, name: str) -> object:
        return getattr(self, name)


class Benchmark:
    """`benchmark(function, *arguments)` or `benchmark.pedantic(function, ..)`, once in a test."""

    enabled = True
    disabled = False
    has_error = False

    def __init__(self, fullname: str, group: str | None, measure: Measure) -> None:
        self.fullname, self.name, self.group = fullname, fullname.rpartition("::")[2], group
        self.extra_info: dict[str, object] = {}
        self.options: dict[str, object] = {}
        self.stats: Statistics | None = None
        self.was_used = False
        self._measure = measure

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Measure a call of a function and return what it gives."""
        self._run(Call(function, args, kwargs))
        return function(*args, **kwargs)

    def pedantic(
        self, target: Callable[..., object], args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None,
        setup: Callable[[], Arguments | None] | None = None, teardown: Callable[..., object] | None = None,
        rounds: int = 1, warmup_rounds: int = 0, iterations: int = 1,
    ) -> object:  # fmt: skip
        """Measure a function with arguments that `setup` may make anew for each call; the counts are the driver's."""
        if setup is not None and (args or kwargs):
            raise TypeError("a setup that makes the arguments leaves no room for args or kwargs")
        call = Call(target, args, kwargs or {}, setup, teardown)
        self._run(call)
        return call.once()

    def weave(self, *_: object, **__: object) -> None:
        """Refuse what pytest-benchmark does by changing other people's functions."""
        raise NotImplementedError("benchmark.weave is not measured by the gate; call benchmark(function) instead")

    patch = weave

    def _run(self, call: Call) -> None:
        if self.was_used:
            raise AlreadyUsed(f"{self.fullname} uses its benchmark twice; a test may use it once")
        self.was_used = True
        self.stats = Statistics(self._measure(call))
