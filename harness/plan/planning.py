"""A preset becomes a list of trials; a wrong name fails here, before anything runs, and lists the valid ones."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell, Match, MemoryFormat, Schedule
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.core.trial import CostJob, Trial
from coordbench.harness.measure import SECONDS

PRESETS = Path(__file__).parents[1] / "presets"
TUNING_SEEDS = (1001, 1002)
"""Seeds that only choose a learning rate; results are reported on the others."""

MOST_SEEDS = 10_000
"""Nobody trains more; a plan of a billion would never be listed."""


@dataclass(frozen=True)
class Sweep:
    """One `[[sweep]]` of a preset: every task x backbone x variant x seed, trained alike."""

    tasks: list[str]
    backbones: list[str]
    variants: list[str]
    steps: int = 300
    seeds: list[int] | int | None = None
    learning_rate: float | None = None
    learning_rates: list[float] | None = None
    schedule: Schedule | None = None
    evaluations: int = 10
    match: Match | None = None
    dtype: str = "float32"
    memory_format: MemoryFormat = "contiguous"
    costs: bool = True


@dataclass(frozen=True)
class Preset:
    """What a run sweeps."""

    name: str
    sweeps: tuple[Sweep, ...]
    seeds: list[int] | int = 3
    deadline_seconds: float = 120.0
    memory_gib: float = 4.0
    checkpoint_seconds: float = 300.0
    cost_seconds: float = SECONDS
    store_patience_seconds: float = 300.0
    """How long a run waits for a store that is away before it puts its records aside and ends."""
    baseline: str = "conv"
    description: str = ""


@dataclass(frozen=True)
class Plan:
    """The trials and cost measurements of a preset, in order; `tuning` chooses learning rates for `trials`."""

    preset: Preset
    tuning: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    costs: tuple[CostJob, ...]
    rates: Mapping[Trial, tuple[float, ...]] = field(default_factory=dict)
    """Trial to be reported -> the learning rates among which its tuning trials choose."""
    notes: Mapping[Trial, dict[str, Any]] = field(default_factory=dict)
    """Trial to be reported -> what its row says about how it was planned."""


def read_preset(name: str) -> Preset:
    """Read a preset by the name of a built-in one or by the path of a TOML file; raise UsageError if it is wrong."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        raise UsageError(f"unknown preset {name!r}; valid: {', '.join(presets())} or the path of a .toml file")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"preset {str(path)!r} cannot be read: {error}") from error
    return parse_preset(content, path.stem)


def presets() -> list[str]:
    """The names of the built-in presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def parse_preset(content: Mapping[str, Any], name: str) -> Preset:
    """Check the content of a preset and turn it into its dataclasses."""
    _check_keys(content, ("run", "sweep"), f"preset {name!r}")
    sweeps = content.get("sweep", [])
    if not isinstance(sweeps, list) or not all(isinstance(table, dict) for table in sweeps):
        raise UsageError(f"preset {name!r}: sweep must be tables, each headed [[sweep]]")
    made = tuple(_make(Sweep, table, f"preset {name!r}, sweep {i + 1}") for i, table in enumerate(sweeps))
    run = content.get("run", {})
    if not isinstance(run, dict):
        raise UsageError(f"preset {name!r}: run must be a table, headed [run]")
    _check_keys(run, {item.name for item in fields(Preset)} - {"name", "sweeps"}, f"preset {name!r}, run")
    preset: Preset = _make(Preset, {"name": name, "sweeps": made, **run}, f"preset {name!r}, run")
    seeds_of(preset.seeds)
    if not made:
        raise UsageError(f"preset {name!r} holds no sweep; write at least one table, headed [[sweep]]")
    return preset


def narrow(preset: Preset, variants: Sequence[str] = (), tasks: Sequence[str] = (), seeds: int | None = None) -> Preset:
    """Replace the variants, keep the tasks with these base names, replace the number of seeds."""
    base = {registry.select("task", task).entry.name for task in tasks}
    sweeps = []
    for sweep in preset.sweeps:
        kept = [task for task in sweep.tasks if not base or Selector.parse(task).name in base]
        if kept:
            own_seeds = sweep.seeds if seeds is None else None
            sweeps.append(replace(sweep, tasks=kept, variants=list(variants) or sweep.variants, seeds=own_seeds))
    if preset.sweeps and not sweeps:
        known = sorted({Selector.parse(task).name for sweep in preset.sweeps for task in sweep.tasks})
        raise UsageError(
            f"preset {preset.name!r} holds none of the tasks {', '.join(tasks)}; it holds {', '.join(known)}"
        )
    return replace(preset, sweeps=tuple(sweeps), seeds=preset.seeds if seeds is None else seeds)


def make_plan(preset: Preset, device: str = "cpu") -> Plan:
    """List the trials of a preset: references first, then every variant; equal trials appear once."""
    tuning: list[Trial] = []
    trials: list[Trial] = []
    costs: list[CostJob] = []
    rates: dict[Trial, tuple[float, ...]] = {}
    planned: dict[Trial, tuple[float, ...]] = {}
    registry.select("variant", preset.baseline)
    for sweep in preset.sweeps:
        seeds = seeds_of(preset.seeds if sweep.seeds is None else sweep.seeds)
        for names in itertools.product(sweep.tasks, sweep.backbones):
            task, backbone = _fit(*names, sweep.variants)
            trials += _reference_trials(task, seeds)
            for variant in sweep.variants:
                cell = _cell(sweep, task, backbone, variant, device)
                own = [Trial(cell, seed) for seed in seeds]
                grid = tuple(sorted(set(sweep.learning_rates or ())))
                for trial in own:
                    if planned.setdefault(trial, grid) != grid:
                        raise UsageError(
                            f"preset {preset.name!r}: {cell.label} in {backbone} on {task} is planned twice, with "
                            f"learning_rates={list(planned[trial])} and {list(grid)}; give one sweep a `learning_rate`"
                        )
                trials += own
                if grid:
                    rates |= dict.fromkeys(own, grid)
                    tuning += tuning_trials(cell, grid)
                if sweep.costs:
                    costs.append(CostJob(cell))
    return Plan(preset, _once(tuning), _once(trials), _once(costs), rates)


def tuning_trials(cell: Cell, rates: Iterable[float]) -> list[Trial]:
    """The trials that try learning rates for one cell: same effort for every variant, and only their end is scored."""
    budgets = [replace(cell.budget, learning_rate=rate, evaluations=1) for rate in rates]
    cells = [replace(cell, budget=budget) for budget in budgets]
    return [Trial(tried, seed, "tune") for tried in cells for seed in TUNING_SEEDS]


def with_rate(trial: Trial, rate: float) -> Trial:
    """The trial at another learning rate."""
    return replace(trial, cell=replace(trial.cell, budget=replace(trial.cell.budget, learning_rate=rate)))


def seeds_of(seeds: list[int] | int) -> list[int]:
    """The seeds of a preset: a list, or 0, 1, 2, ... by their number."""
    listed = list(range(min(seeds, MOST_SEEDS + 1))) if isinstance(seeds, int) else seeds
    if not 0 < len(listed) <= MOST_SEEDS or min(listed) < 0 or len(set(listed)) < len(listed):
        raise UsageError(f"seeds={seeds} must be a number of seeds from 1 to {MOST_SEEDS}, or different ones from 0 on")
    return listed


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
    chosen, network = registry.select("task", task), registry.select("backbone", backbone)
    allowed = chosen.entry.backbones
    if network.entry.name not in allowed:
        raise UsageError(f"task {task!r} takes no backbone {backbone!r}; valid: {', '.join(allowed)}")
    arms = [registry.select("variant", variant).selector for variant in variants]
    if reason := registry.refusal(chosen, network, arms):
        raise UsageError(f"{network.label} on {chosen.label} could tell nothing: {reason}")
    return chosen.selector, network.selector


def _once(jobs: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(jobs))


def _check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in set(known):
            raise UsageError(f"{where}: unknown key {key!r}; valid: {', '.join(sorted(known))}")


def _make(kind: type[Any], table: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass from a TOML table; unknown, missing and mistyped keys are a UsageError."""
    hints = get_type_hints(kind)
    _check_keys(table, hints, where)
    for item in fields(kind):
        if item.name in table and not _matches(table[item.name], hints[item.name]):
            raise UsageError(
                f"{where}: {item.name}={table[item.name]!r} is not valid; expected {_expected(hints[item.name])}"
            )
    try:
        made = kind(**table)
    except TypeError as error:
        missing = [
            item.name for item in fields(kind) if item.name not in table and item.default is item.default_factory
        ]
        raise UsageError(f"{where}: missing keys {', '.join(missing)}") from error
    _check_ranges(made, where)
    return made


def _check_ranges(made: Any, where: str) -> None:
    positive = (
        "steps",
        "learning_rate",
        "evaluations",
        "deadline_seconds",
        "memory_gib",
        "checkpoint_seconds",
        "cost_seconds",
        "store_patience_seconds",
    )
    for name in positive:
        value = getattr(made, name, None)
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{where}: {name}={value!r} must be positive and finite")
    for rate in getattr(made, "learning_rates", None) or ():
        if not 0 < rate < float("inf"):
            raise UsageError(f"{where}: learning_rates={made.learning_rates!r} must be positive and finite")
    for name in ("tasks", "backbones", "variants", "learning_rates"):
        if getattr(made, name, None) == []:
            raise UsageError(f"{where}: {name} must not be empty")
    if getattr(made, "dtype", "float32") not in ("float32", "float64", "bfloat16"):
        raise UsageError(f"{where}: dtype={made.dtype!r} is not valid; expected one of float32, float64, bfloat16")


def _matches(value: Any, hint: Any) -> bool:
    origin, arguments = getattr(hint, "__origin__", None), get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_matches(item, arguments[0]) for item in value)
    if origin is tuple:
        return isinstance(value, tuple)
    if arguments:
        return any(_matches(value, argument) for argument in arguments)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _expected(hint: Any) -> str:
    chosen = [part for part in (hint, *get_args(hint)) if getattr(part, "__origin__", None) is Literal]
    if chosen:
        return "one of " + ", ".join(map(str, get_args(chosen[0])))
    return str(getattr(hint, "__name__", hint)).replace("typing.", "").replace(" | None", "")
