"""Benchmarks and profiles convolution layers that know where they are.

What a plug-in needs is here:

    >>> from coordbench import variant, task, reference, backbone, Metric, Phase, Problem, Range, Sample
"""

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
    "Range",
    "Sample",
    "Sentence",
    "backbone",
    "reference",
    "seed_of",
    "task",
    "variant",
]
