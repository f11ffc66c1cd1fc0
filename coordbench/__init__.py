"""Benchmarks and profiles convolution layers that know where they are.

What a notebook calls:

    >>> import coordbench as cb
    >>> run = cb.run("quick", variants=["conv", "coordconv"])  # also cb.load, cb.costs, cb.profile, cb.check

What a plug-in needs:

    >>> from coordbench import variant, task, reference, backbone, Metric, Phase, Problem, Range, Sample
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordbench.harness.core.description import About, Axes, Sentence
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import backbone, reference, task, variant
from coordbench.harness.core.scores import At
from coordbench.harness.core.seeds import seed_of

if TYPE_CHECKING:
    from coordbench.harness.api import Profiled, Run, check, costs, load, profile, run

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
    """Import what a notebook calls when it is first asked for: a plug-in or a worker needs no tables and no figures."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from coordbench.harness import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """The public names, before they are imported too."""
    return sorted({*globals(), *__all__})
