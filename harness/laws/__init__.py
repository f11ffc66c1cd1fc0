"""The laws of a layer: what anything that stands where a convolution would stand must obey.

The tests run them over everything registered, `coordbench probe FILE` over a plug-in.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import torch

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Layer
from coordbench.harness.laws import behavior, costs, tools  # noqa: F401  # each registers its laws
from coordbench.harness.laws.law import LAWS

__all__ = ["LAWS", "Verdict", "check", "verdict"]


@dataclass(frozen=True)
class Verdict:
    """Whether a layer obeys a law, with what was looked at or the reason why not."""

    law: str
    passed: bool
    detail: str


def check(selector: str) -> list[Verdict]:
    """Try every law on a layer; raise UsageError only where the selector itself is wrong."""
    layer = registry.layer(selector)
    return [verdict(name, layer) for name in LAWS]


def verdict(name: str, layer: Layer) -> Verdict:
    """Try one law on a layer, with a state of the global generator of its own."""
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Verdict(name, True, LAWS[name](layer))
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__} at {where.name}: "
        return Verdict(name, False, f"{kind}{' '.join(' '.join(lines).split())}"[:500])
