"""A preset becomes a list of trials; a wrong name fails here, before anything runs, and lists the valid ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.registry.names import MOST_OF_TEXT, is_line
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import CostJob, Job, Trial
from coordbench.harness.plan.preset import PRESETS as PRESETS
from coordbench.harness.plan.preset import Preset, Sweep, looks_of, seeds_of
from coordbench.harness.plan.preset import narrow as narrow
from coordbench.harness.plan.preset import parse_preset as parse_preset
from coordbench.harness.plan.preset import presets as presets
from coordbench.harness.plan.preset import read_preset as read_preset
from coordbench.harness.plan.validation import show

J = TypeVar("J", bound=Job)

TUNING_SEED = 1001
"""The first of the seeds that only choose a learning rate; results are reported on seeds that are no pilots."""


@dataclass(frozen=True)
class Grid:
    """The learning rates among which a cell chooses, and how many pilot seeds try each."""

    rates: tuple[float, ...]
    seeds: int

    def trials(self, cell: Cell, rates: Iterable[float] | None = None) -> list[Trial]:
        """The trials that try these rates, or others, for a cell: same effort for all, and only their end is scored."""
        tried = self.rates if rates is None else rates
        budgets = [replace(cell.budget, learning_rate=rate, evaluations=1) for rate in tried]
        cells = [replace(cell, budget=budget) for budget in budgets]
        return [Trial(each, seed, "tune") for each in cells for seed in range(TUNING_SEED, TUNING_SEED + self.seeds)]

    def __str__(self) -> str:
        return f"learning_rates={list(self.rates)} of {self.seeds} tuning_seeds"


@dataclass(frozen=True)
class Plan:
    """The trials and cost measurements of a preset, in order; `tuning` chooses learning rates for `trials`."""

    preset: Preset
    tuning: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    costs: tuple[CostJob, ...]
    grids: Mapping[Trial, Grid] = field(default_factory=dict)
    """Trial to be reported -> the learning rates among which its tuning trials choose."""
    notes: Mapping[Trial, Mapping[str, object]] = field(default_factory=dict)
    """Trial to be reported -> what its row says about how it was planned."""
    looks: Mapping[Cell, tuple[int, ...]] = field(default_factory=dict)
    """Cell to be reported -> the numbers of its seeds at which verdicts are read; others have one look at all seeds."""


def make_plan(preset: Preset, device: str = "cpu") -> Plan:
    """List the trials of a preset: references first, then every variant; equal trials appear once."""
    tuning: list[Trial] = []
    trials: list[Trial] = []
    costs: list[CostJob] = []
    grids: dict[Trial, Grid] = {}
    planned: dict[Trial, Grid] = {}
    looks: dict[Cell, tuple[int, ...]] = {}
    registry.select("variant", preset.baseline)
    for i, sweep in enumerate(preset.sweeps):
        design = looks_of(preset, sweep, f"preset {preset.name!r}, sweep {i + 1}")
        seeds = seeds_of(preset.seeds if sweep.seeds is None else sweep.seeds, pilot=preset.pilot)
        for names in itertools.product(sweep.tasks, sweep.backbones):
            task, backbone = _fit(*names, sweep.variants)
            trials += _reference_trials(task, seeds)
            for variant in sweep.variants:
                cell = _cell(sweep, task, backbone, variant, device)
                seeded = [Trial(cell, seed) for seed in seeds]
                grid = Grid(tuple(sorted(set(sweep.learning_rates or ()))), sweep.tuning_seeds)
                for trial in seeded:
                    if planned.setdefault(trial, grid) != grid:
                        raise UsageError(
                            f"preset {preset.name!r}: {cell.label} in {backbone} on {task} is planned twice, with "
                            f"{planned[trial]} and {grid}; give one sweep a `learning_rate`"
                        )
                trials += seeded
                if design is not None and looks.setdefault(cell, design.looks) != design.looks:
                    raise UsageError(
                        f"preset {preset.name!r}: {cell.label} in {backbone} on {task} is planned twice, with "
                        f"looks={list(looks[cell])} and {list(design.looks)}; give it one of them"
                    )
                if grid.rates:
                    grids |= dict.fromkeys(seeded, grid)
                    tuning += grid.trials(cell)
                if sweep.costs:
                    costs.append(CostJob(cell))
    return Plan(preset, _once(tuning), _once(trials), _once(costs), grids, looks=looks)


def with_rate(trial: Trial, rate: float) -> Trial:
    """The trial at another learning rate."""
    return replace(trial, cell=replace(trial.cell, budget=replace(trial.cell.budget, learning_rate=rate)))


def _cell(sweep: Sweep, task: Selector, backbone: Selector, variant: str, device: str) -> Cell:
    budget = Budget(sweep.steps, sweep.learning_rate, sweep.schedule, sweep.evaluations)
    return Cell(
        task, backbone, registry.select("variant", variant).selector, budget=budget, device=device,
        dtype=sweep.dtype, memory_format=sweep.memory_format, match=sweep.match,
    )  # fmt: skip


def _reference_trials(task: Selector, seeds: Sequence[int]) -> list[Trial]:
    # references run on the CPU, whatever the variants run on
    return [Trial(Cell(task, reference=entry.name), seed) for entry in registry.references(task) for seed in seeds]


def _fit(task: str, backbone: str, variants: Sequence[str]) -> tuple[Selector, Selector]:
    """Canonical selectors of a task and a backbone that it takes, and in which variants can be told apart."""
    for text in (task, backbone, *variants):
        _check_text(text)
    chosen, network = registry.select("task", task), registry.select("backbone", backbone)
    allowed = chosen.entry.backbones
    if network.entry.name not in allowed:
        raise UsageError(f"task {task!r} takes no backbone {backbone!r}; valid: {', '.join(allowed)}")
    arms = [registry.select("variant", variant).selector for variant in variants]
    if reason := registry.refusal(chosen, network, arms):
        raise UsageError(f"{network.label} on {chosen.label} could tell nothing: {reason}")
    return chosen.selector, network.selector


def _check_text(selector: str) -> None:
    """Refuse an option that no table and no page could show in one line."""
    for name, value in Selector.parse(selector).options:
        if value and not is_line(value, MOST_OF_TEXT):
            raise UsageError(
                f"option {name}={show(value)} is not valid; write 1 to {MOST_OF_TEXT} printable characters in one line"
            )


def _once(jobs: Iterable[J]) -> tuple[J, ...]:
    return tuple(dict.fromkeys(jobs))
