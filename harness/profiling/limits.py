"""What this core or GPU can do at best, measured on the spot: products, copies, and the cost of a call."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Bound = Literal["compute", "memory", "dispatch"]
_SIDE, _COPIED, _CALLS = 768, 1 << 24, 400


@dataclass(frozen=True)
class Limits:
    """The roof of a roofline: FLOP/s of a matrix product, bytes/s read and written by a copy, seconds of a call."""

    flops_per_second: float
    bytes_per_second: float
    seconds_per_call: float

    def least_seconds(self, flops: int, nbytes: int, calls: int = 1) -> dict[Bound, float]:
        """The time below which no operator of this size can stay, by each limit [s]."""
        return {
            "compute": flops / self.flops_per_second,
            "memory": nbytes / self.bytes_per_second,
            "dispatch": calls * self.seconds_per_call,
        }

    def bound(self, flops: int, nbytes: int, calls: int = 1) -> Bound:
        """Which limit is the nearest."""
        least = self.least_seconds(flops, nbytes, calls)
        return max(least, key=lambda name: least[name])


@functools.cache
def measure_limits(device: str = "cpu") -> Limits:
    """Measure the limits of a device; about a second."""
    a, b = torch.rand(2, _SIDE, _SIDE, device=device)
    out = torch.empty_like(a)
    source, target = torch.rand(2, _COPIED, device=device)
    small, other = torch.rand(2, 1, device=device)
    product = _fastest(lambda: torch.mm(a, b, out=out), device)
    copy = _fastest(lambda: target.copy_(source), device)
    calls = _fastest(lambda: [torch.add(small, other, out=small) for _ in range(_CALLS)], device)
    return Limits(2 * _SIDE**3 / product, 2 * source.nbytes / copy, calls / _CALLS)


def _fastest(action: Callable[[], object], device: str, rounds: int = 8) -> float:
    durations = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        durations.append(time.perf_counter() - start)
    return min(durations)
