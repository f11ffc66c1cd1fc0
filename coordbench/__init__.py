"""Benchmarks and profiles convolution layers that know where they are.

What a plug-in needs is here:

    >>> from coordbench import variant, task, reference, backbone, Metric, Phase, Problem, Range, Sample
"""

from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import backbone, reference, task, variant
from coordbench.harness.core.seeds import seed_of

__all__ = [
    "Metric",
    "Optimizer",
    "Phase",
    "Problem",
    "Range",
    "Sample",
    "backbone",
    "reference",
    "seed_of",
    "task",
    "variant",
]
