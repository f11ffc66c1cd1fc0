"""Benchmarks as `pairs` times them: each pair is two processes of pytest, which stop inside of the same benchmark."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coordbench.harness.gate.pairs import Comparison
from coordbench.harness.gate.side.messages import Ready
from coordbench.harness.gate.sides import Side, Tree, running
from coordbench.harness.gate.suites.listing import service

QUANTITY = "call"
"""What is timed of a benchmark."""


@dataclass(frozen=True)
class SuiteWork:
    """Benchmarks, by their ids, in files of the project."""

    labels: Sequence[str]
    files: Sequence[str]
    deadline: float

    @property
    def comparisons(self) -> list[Comparison]:
        """Each benchmark."""
        return [(label, QUANTITY) for label in self.labels]

    @contextlib.contextmanager
    def running(self, trees: Sequence[Tree], seed: int) -> Iterator[tuple[Side, ...]]:
        """Processes that collect the files."""
        with contextlib.ExitStack() as stack:
            services = [(tree, service(tree, self.files, seed)) for tree in trees]
            yield tuple(
                side
                for tree, chosen in services
                for side in stack.enter_context(running(tree, deadline=self.deadline, service=chosen))
            )

    def prepare(self, side: Side, comparison: Comparison) -> Ready:
        """Go into the benchmark."""
        return Ready(**side.ask("prepare", key=comparison[0]))
