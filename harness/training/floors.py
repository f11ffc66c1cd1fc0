"""What the floors of tasks score, computed at once: the answers of solvers that know nothing of what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.training.train import build


@dataclass(frozen=True)
class Floor:
    """A task's reference of kind floor with its test scores."""

    task: str
    reference: str
    scores: Mapping[str, float]


def floors(tasks: Sequence[str]) -> list[Floor]:
    """Evaluate the floors of tasks, canonical selectors; a fraction of a second each."""
    return [
        _evaluated(task, entry.name) for task in tasks for entry in registry.references(task) if entry.bound == "floor"
    ]


def _evaluated(task: str, reference: str) -> Floor:
    problem = build(Cell(registry.select("task", task).selector, reference=reference), 0)
    with torch.no_grad():
        scores = problem.evaluate(registry.solve(reference, problem), "test")
    return Floor(task, reference, {str(name): float(value) for name, value in scores.items()})
