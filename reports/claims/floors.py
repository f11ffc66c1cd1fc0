"""Claims that ask for less than a floor reaches: they hold, or fail, whatever a network learns, and are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from coordbench.harness.core import registry
from coordbench.harness.plan.planning import Plan
from coordbench.reports.claims.arms import is_of
from coordbench.reports.claims.claims import Claim
from coordbench.reports.text import number

if TYPE_CHECKING:
    from coordbench.harness.training.floors import Floor  # loads torch


class _Metric(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def better(self) -> str: ...


def threshold(claim: Claim) -> float | None:
    """The score that a claim asks for, None where it compares two sides by whatever they reach."""
    return {"level": claim.value, "speedup": claim.threshold, "solves": claim.threshold}.get(claim.measure)


def refusal(claim: Claim, metrics: Sequence[_Metric], task: str, floors: Mapping[str, float]) -> str:
    """Why a claim could tell nothing on a task whose floors score so much; "" where it could."""
    asked = threshold(claim)
    better = next((metric.better for metric in metrics if metric.name == claim.metric), metrics[0].better)
    sign = 1 if better == "higher" else -1
    for name, score in floors.items():
        if asked is not None and (asked - score) * sign <= 0:
            floor = f"the floor of {number(score)} that {name} reaches on {task}"
            return f"its threshold of {number(asked)} lies inside {floor}"
    return ""


def asking_tasks(plan: Plan, claims: Sequence[Claim]) -> list[str]:
    """The tasks of a plan at which a claim asks for a score."""
    return list(dict.fromkeys(task for _, task in _asked(plan, claims)))


def refused(plan: Plan, claims: Sequence[Claim], floors: Sequence[Floor]) -> list[str]:
    """One line for each claim that a plan could not test, with the reason."""
    lines = []
    for claim, task in _asked(plan, claims):
        metrics = registry.select("task", task).entry.metrics
        scored = {
            floor.reference: floor.scores[name]
            for floor in floors
            if floor.task == task and (name := claim.metric or metrics[0].name) in floor.scores
        }
        if reason := refusal(claim, metrics, task, scored):
            lines.append(f"claim {claim.id!r} is refused: {reason}")
    return lines


def _asked(plan: Plan, claims: Sequence[Claim]) -> Iterator[tuple[Claim, str]]:
    cells = dict.fromkeys(trial.cell for trial in plan.trials if trial.cell.variant)
    asking = [claim for claim in claims if claim.kind != "exact" and threshold(claim) is not None]
    for claim in asking:
        tasks = (str(cell.task) for cell in cells if is_of(cell, claim, claim.left))
        yield from ((claim, task) for task in dict.fromkeys(tasks))
