"""Benchmarks and profiles convolution layers that know where they are.

What a notebook calls:

    >>> import coordbench as cb
    >>> run = cb.run("quick", variants=["conv", "coordconv"])  # also cb.load, cb.costs, cb.profile, cb.check

What a plug-in needs:

    >>> from coordbench import variant, task, reference, backbone, Metric, Phase, Problem, Range, Sample
"""

from __future__ import annotations

import importlib

from coordbench.harness.core.description import About, Axes, Sentence
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import backbone, reference, task, variant
from coordbench.harness.core.scores import At
from coordbench.harness.core.seeds import seed_of

__all__ = [
    "About",
    "At",
    "Axes",
    "Metric",
    "Optimizer",
    "Phase",
    "Problem",
    "Profiled",
    "Range",
    "Run",
    "Sample",
    "Sentence",
    "backbone",
    "check",
    "costs",
    "load",
    "profile",
    "reference",
    "run",
    "seed_of",
    "task",
    "variant",
]


def __getattr__(name: str) -> object:
    """Import what a notebook calls when it is first asked for.

    By its name alone: a plug-in that imports this package depends on no table, no figure and no command.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("coordbench.harness.api"), name)


def __dir__() -> list[str]:
    """The public names, before they are imported too."""
    return sorted({*globals(), *__all__})
