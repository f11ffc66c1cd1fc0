"""What a notebook calls: the same plan, run, store, analysis and report as the command line, as functions.

>>> import coordbench as cb
>>> run = cb.run("quick", variants=["conv", RotaryGate], seeds=5)  # RotaryGate: a class, from a cell or a module
>>> run.verdicts
>>> run.figure("curves", contest=0)
"""

from coordbench.harness.api.functions import check, costs, load, profile, run
from coordbench.harness.api.profiling import Profiled
from coordbench.harness.api.results import Run

__all__ = ["Profiled", "Run", "check", "costs", "load", "profile", "run"]
