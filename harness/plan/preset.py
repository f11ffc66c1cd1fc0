"""A preset: a TOML file that says what a run sweeps, read into types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Match, MemoryFormat, Schedule
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.selector import Selector
from coordbench.harness.measure import SECONDS
from coordbench.harness.plan.validation import Names, Positive, Whole, check_keys, read_toml, show, validate
from coordbench.harness.statistics.spending import Design

PRESETS = Path(__file__).parents[1] / "presets"

PILOT_SEEDS = 1000
"""Seeds from here on are pilots: they choose rates, steps and regimes, and no verdict rests on them."""


Range = Annotated[str, Field(pattern=r"^[0-9]{1,9}-[0-9]{1,9}$", description="a range such as '20-39'")]

Seeds = list[int] | int | Range
"""Seeds by name, such as [3, 5] or "20-39", or 0, 1, 2, ... by their number."""


@dataclass(frozen=True)
class Sweep:
    """One `[[sweep]]` of a preset: every task x backbone x variant x seed, trained alike.

    A table may hold lists of `steps` and of `learning_rate`, as pilots do: then it is as many sweeps, one of each pair.
    """

    tasks: Names
    backbones: Names
    variants: Names
    steps: Whole = 300
    seeds: Seeds | None = None
    looks: list[int] | None = None
    learning_rate: Positive | None = None
    learning_rates: Annotated[list[Positive], Field(min_length=1)] | None = None
    """The rates among which each cell chooses by the mean of `tuning_seeds` pilot seeds."""
    tuning_seeds: Annotated[Whole, Field(le=100)] = 2
    schedule: Schedule | None = None
    evaluations: Whole = 10
    match: Match | None = None
    dtype: Literal["float32", "float64", "bfloat16"] = "float32"
    memory_format: MemoryFormat = "contiguous"
    costs: bool = True


@dataclass(frozen=True)
class Preset:
    """What a run sweeps."""

    name: str
    sweeps: tuple[Sweep, ...]
    seeds: Seeds = 3
    looks: list[int] | None = None
    """Numbers of seeds at which verdicts are read; what is decided gets no more. Without them there is one look."""
    families: Names | None = None
    """The families of comparisons that end by a verdict: `layers`, or families of claims; all by default."""
    pilot: bool = False
    """Whether the seeds are pilots, 1000, 1001, ..: such a run chooses a regime for one variant and compares none."""
    deadline_seconds: Positive = 120.0
    memory_gib: Positive = 4.0
    checkpoint_seconds: Positive = 300.0
    cost_seconds: Positive = SECONDS
    store_patience_seconds: Positive = 300.0
    """How long a run waits for a store that is away before it puts its records aside and ends."""
    scheduler_patience_seconds: Positive = 300.0
    """How long a run waits for a cluster's scheduler that went away before it ends."""
    baseline: str = "conv"
    include: Names | None = None
    """Built-in presets whose sweeps come first, each with the seeds and looks of its preset."""
    description: str = ""
    text: str = ""
    """The TOML that it was read from."""


def read_preset(name: str) -> Preset:
    """Read a preset by the name of a built-in one or by the path of a TOML file; raise UsageError if it is wrong."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not _is_file(path):
        raise UsageError(f"unknown preset {name!r}; valid: {', '.join(presets())} or the path of a .toml file")
    preset = parse_preset(read_toml(path, "preset"), path.stem)
    return replace(preset, text=path.read_text(encoding="utf-8"))


def presets() -> list[str]:
    """The names of the built-in presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def parse_preset(content: Mapping[str, object], name: str) -> Preset:
    """Check the content of a preset and turn it into its dataclasses; the sweeps that it includes come first."""
    where = f"preset {name!r}"
    check_keys(content, ("run", "sweep"), where)
    tables, run = content.get("sweep", []), content.get("run", {})
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{where}: sweep must be tables, each headed [[sweep]]")
    if not isinstance(run, dict):
        raise UsageError(f"{where}: run must be a table, headed [run]")
    given = ("name", "sweeps")
    check_keys(run, set(Preset.__dataclass_fields__) - {*given, "text"}, f"{where}, run")
    sweeps = tuple(sweep for i, table in enumerate(tables) for sweep in _sweeps(table, f"{where}, sweep {i + 1}"))
    preset = validate(Preset, {"name": name, "sweeps": sweeps, **run}, f"{where}, run", given)
    sweeps = (*_included(preset, where), *sweeps)
    preset = replace(preset, sweeps=sweeps)
    seeds_of(preset.seeds, pilot=preset.pilot)
    if preset.pilot and (len({name for sweep in sweeps for name in sweep.variants}) > 1 or preset.looks):
        raise UsageError(f"{where}: a pilot holds one variant and no looks: it chooses a regime and compares no layers")
    for i, sweep in enumerate(sweeps):
        looks_of(preset, sweep, f"{where}, sweep {i + 1}")
    if not sweeps:
        raise UsageError(f"{where} holds no sweep; write at least one table, headed [[sweep]]")
    return preset


def _sweeps(table: Mapping[str, object], where: str) -> Iterator[Sweep]:
    """The sweeps of a table, one for each pair of its steps and learning rates."""
    wanted = {key: table.get(key) for key in ("steps", "learning_rate")}
    lists = {key: values for key, values in wanted.items() if isinstance(values, list)}
    for key, values in lists.items():
        if not values or len(set(map(show, values))) < len(values):
            raise UsageError(f"{where}: {key} = {show(values)} must be one value or a list of different ones")
    for point in itertools.product(*lists.values()):
        yield validate(Sweep, {**table, **dict(zip(lists, point, strict=True))}, where)


def _included(preset: Preset, where: str) -> list[Sweep]:
    """The sweeps of the presets that one includes, with what their own `[run]` says of seeds and looks."""
    sweeps: list[Sweep] = []
    for name in preset.include or ():
        if name not in presets():
            raise UsageError(f"{where}: include={name!r} is no built-in preset; valid: {', '.join(presets())}")
        part = read_preset(name)
        if part.include or part.pilot or part.baseline != preset.baseline or preset.looks:
            raise UsageError(
                f"{where} cannot include {name!r}: neither may it have looks of its own, nor may that be a pilot, "
                "include others or have another baseline"
            )
        for sweep in part.sweeps:
            seeds = part.seeds if sweep.seeds is None else sweep.seeds
            sweeps.append(replace(sweep, seeds=seeds, looks=sweep.looks or part.looks))
    return sweeps


def narrow(preset: Preset, variants: Sequence[str] = (), tasks: Sequence[str] = (), seeds: int | None = None) -> Preset:
    """Replace the variants, keep the tasks with these base names, replace the number of seeds, at which is one look."""
    base = {registry.select("task", task).entry.name for task in tasks}
    sweeps = []
    for sweep in preset.sweeps:
        chosen = [task for task in sweep.tasks if not base or Selector.parse(task).name in base]
        if chosen:
            counts = (sweep.seeds, sweep.looks) if seeds is None else (None, None)
            chosen_variants = list(variants) or sweep.variants
            sweeps.append(replace(sweep, tasks=chosen, variants=chosen_variants, seeds=counts[0], looks=counts[1]))
    if preset.sweeps and not sweeps:
        known = sorted({Selector.parse(task).name for sweep in preset.sweeps for task in sweep.tasks})
        raise UsageError(
            f"preset {preset.name!r} holds none of the tasks {', '.join(tasks)}; it holds {', '.join(known)}"
        )
    counts = (preset.seeds, preset.looks) if seeds is None else (seeds, None)
    return replace(preset, sweeps=tuple(sweeps), seeds=counts[0], looks=counts[1])


def looks_of(preset: Preset, sweep: Sweep, where: str) -> Design | None:
    """The looks of a sweep; None where all of its seeds are one look."""
    looks = preset.looks if sweep.looks is None else sweep.looks
    seeds = len(seeds_of(preset.seeds if sweep.seeds is None else sweep.seeds, pilot=preset.pilot))
    if looks is None:
        return None
    try:
        design = Design(tuple(looks))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if looks[-1] != seeds:
        much = "more than" if looks[-1] > seeds else "fewer than"
        raise UsageError(f"{where}: looks = {looks} end at {much} the {seeds} seeds; the last look is at all seeds")
    return design


def seeds_of(seeds: Seeds, *, pilot: bool) -> list[int]:
    """The seeds of a preset: a list, a range, or 0, 1, 2, ... by their number; those of a pilot lie 1000 higher."""
    listed = _listed(seeds)
    if not listed or min(listed) < 0 or max(listed) >= PILOT_SEEDS or len(set(listed)) < len(listed):
        raise UsageError(
            f"seeds={show(seeds)} must be a number of seeds from 1 to {PILOT_SEEDS}, or different ones from 0 to "
            f"{PILOT_SEEDS - 1}; those from {PILOT_SEEDS} on are pilots, which no verdict may rest on"
        )
    return [seed + PILOT_SEEDS * pilot for seed in listed]


def _listed(seeds: Seeds) -> list[int]:
    """Seeds by name; a longer range than there may be ends at a pilot's seed, which is refused."""
    if isinstance(seeds, int):
        return list(range(min(seeds, PILOT_SEEDS + 1)))
    if isinstance(seeds, str):
        first, last = map(int, seeds.split("-"))
        return list(range(first, min(last, PILOT_SEEDS) + 1))
    return seeds


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
