"""The laws of a layer: what anything that stands where a convolution would stand must obey.

The tests run them over everything registered, `coordbench check FILE` over a plug-in.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import torch

from coordbench.harness.core import registry
from coordbench.harness.core.entries import Layer
from coordbench.harness.laws import behavior, costs, repeats, tools  # noqa: F401  # each registers its laws
from coordbench.harness.laws.law import LAWS

__all__ = ["LAWS", "LawResult", "check", "try_law"]

FIRST = "builds"
"""The law without which no other can be tried."""


@dataclass(frozen=True)
class LawResult:
    """Whether a layer obeys a law, what was looked at or why not; what the law means, and how to mend a layer."""

    law: str
    passed: bool
    detail: str
    meaning: str
    mend: str


def check(selector: str) -> list[LawResult]:
    """Try every law on a layer, or the first alone where the layer cannot be built.

    Raises UsageError only where the selector itself is wrong.
    """
    layer = registry.layer(selector)
    first = try_law(FIRST, layer)
    return [first, *(try_law(name, layer) for name in LAWS if name != FIRST and first.passed)]


def try_law(name: str, layer: Layer) -> LawResult:
    """Try one law on a layer, with a state of the global generator that is its alone."""
    law = LAWS[name]
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return LawResult(name, True, law.examine(layer), law.meaning, law.mend)
    except Exception as error:
        return LawResult(name, False, _reason(error), law.meaning, law.mend)


def _reason(error: Exception) -> str:
    """One line: what was broken, or what was raised and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__} at {where.name}: "
    return f"{kind}{' '.join(str(error).split())}"[:500]
