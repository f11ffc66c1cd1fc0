"""What this core or GPU can do at best, measured on the spot: products, copies, and the cost of a call.

A busy machine shows less than it can do. So the limits are measured in several short bursts between the parts of a
profile, the best of them counts, and what an operator was seen to reach raises a limit that is below it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Bound = Literal["compute", "memory", "dispatch"]
CACHED_BYTES = 1 << 21
"""What moves fewer bytes in one call is held against a copy in the cache, not one in memory."""
_SIDE, _COPIED, _COPIED_IN_CACHE, _CALLS, _ROUNDS = 768, 1 << 24, 1 << 16, 400, 4


@dataclass(frozen=True)
class Limits:
    """The roof of a roofline: FLOP/s of a matrix product, bytes/s read and written by a copy, seconds of a call."""

    flops_per_second: float
    bytes_per_second: float
    """Of a copy in memory."""
    seconds_per_call: float
    cached_bytes_per_second: float
    """Of a copy that stays in the cache."""

    def best(self, other: Limits) -> Limits:
        """The higher of each limit, of two measurements of one machine."""
        return Limits(
            max(self.flops_per_second, other.flops_per_second),
            max(self.bytes_per_second, other.bytes_per_second),
            min(self.seconds_per_call, other.seconds_per_call),
            max(self.cached_bytes_per_second, other.cached_bytes_per_second),
        )

    def roof(self, flops: int, nbytes: int, calls: int = 1) -> float:
        """The FLOP/s that an operator of this size could reach."""
        return min(self.flops_per_second, flops / nbytes * self._bandwidth(nbytes / calls))

    def raised(self, flops: int, nbytes: int, seconds: float, calls: int = 1) -> Limits:
        """The limits once an operator was seen to do this much: none of them can be lower."""
        in_cache, bandwidth = nbytes / calls <= CACHED_BYTES, nbytes / seconds
        memory, cache = (0.0, bandwidth) if in_cache else (bandwidth, bandwidth)
        return self.best(Limits(flops / seconds, memory, self.seconds_per_call, cache))

    def bound(self, flops: int, nbytes: int, calls: int = 1) -> Bound:
        """Which limit is the nearest: the one that alone would take an operator of this size the longest."""
        least: dict[Bound, float] = {
            "compute": flops / self.flops_per_second,
            "memory": nbytes / self._bandwidth(nbytes / calls),
            "dispatch": calls * self.seconds_per_call,
        }
        return max(least, key=lambda name: least[name])

    def _bandwidth(self, nbytes: float) -> float:
        return self.cached_bytes_per_second if nbytes <= CACHED_BYTES else self.bytes_per_second


def measure_limits(device: str = "cpu") -> Limits:
    """Measure the limits of a device in one short burst, of a fraction of a second."""
    a, b = torch.rand(2, _SIDE, _SIDE, device=device)
    out = torch.empty_like(a)
    small, other = torch.rand(2, 1, device=device)
    product = _fastest(lambda: torch.mm(a, b, out=out), device)
    calls = _fastest(lambda: [torch.add(small, other, out=small) for _ in range(_CALLS)], device) / _CALLS
    copy = _copied_per_second(_COPIED, device, 1)
    cached = _copied_per_second(_COPIED_IN_CACHE, device, 64)
    return Limits(2 * _SIDE**3 / product, copy, calls, max(copy, cached))


def _copied_per_second(numbers: int, device: str, times: int) -> float:
    source, target = torch.rand(2, numbers, device=device)
    seconds = _fastest(lambda: [target.copy_(source) for _ in range(times)], device)
    return float(2 * source.nbytes * times / seconds)


def _fastest(action: Callable[[], object], device: str) -> float:
    durations = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        action()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        durations.append(time.perf_counter() - start)
    return min(durations)
