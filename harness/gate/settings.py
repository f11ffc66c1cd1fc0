"""What a project wants of its gate: the table `[tool.coordbench.gate]` of its pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.rule import Thresholds
from coordbench.harness.gate.side.messages import Case

Phase = Literal["forward", "forward_backward"]  # as `measure.workload` has it, which needs torch
PHASES: tuple[Phase, ...] = ("forward", "forward_backward")


@dataclass(frozen=True)
class Settings:
    """Thresholds and sizes; shares are relative, 0.05 is 5 %."""

    plugins: list[str] = field(default_factory=list)
    """Python files that register layers, as paths from the folder of pyproject.toml."""
    preset: str = "ci"
    """The preset of the accuracy stage: a built-in one, or a path from the folder of pyproject.toml."""
    slower: float = 0.05
    """A layer surely less slow than this passes."""
    least: float = 0.025
    """A slowdown below this is none, however sure."""
    alpha: float = 0.01
    """False alarms that are tolerated, over all comparisons together."""
    pairs: list[int] = field(default_factory=lambda: [8, 16])
    """Pairs of processes at the first and at the final look."""
    turns: int = 30
    """Turns that the two processes of a pair take."""
    turn_seconds: float = 0.003
    """How long one turn lasts at least [s]."""
    phases: list[Phase] = field(default_factory=lambda: list(PHASES))
    """What is timed: forward without gradients in evaluation mode, forward and backward in training mode."""
    batch: int = 8
    channels: int = 16
    size: int = 32
    kernel_size: int = 3
    """The layer is measured as (batch, channels, size, size) -> the same."""
    parameters: float = 0.0
    flops: float = 0.0
    allocated_bytes: float = 0.01
    """Growth that is tolerated."""
    deadline_seconds: float = 120.0
    """How long a side may take for one answer [s]."""
    margins: dict[str, float] = field(default_factory=dict)
    """Metric -> loss that is tolerated, in its unit, instead of the margin that the metric declares."""

    @property
    def thresholds(self) -> Thresholds:
        """The limits of the decision rule."""
        return Thresholds(self.slower, self.least, self.alpha, pairs=(self.pairs[0], self.pairs[1]))

    @property
    def case(self) -> Case:
        """The sizes at which a layer is measured."""
        return Case(self.batch, self.channels, self.size, self.kernel_size)

    def growth(self, count: str) -> float:
        """The share by which a count, such as `parameters`, may grow."""
        return {"parameters": self.parameters, "flops": self.flops, "allocated_bytes": self.allocated_bytes}[count]


def read_settings(folder: Path) -> Settings:
    """Read the settings of the project in `folder`; raise UsageError for what is unknown, mistyped or out of reach."""
    file = folder / "pyproject.toml"
    if not file.is_file():
        return Settings()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    table: Any = content
    for name in ("tool", "coordbench", "gate"):
        table = table.get(name, {}) if isinstance(table, dict) else table
    return parse_settings(table, f"{file}, [tool.coordbench.gate]")


def parse_settings(table: Any, where: str) -> Settings:
    """Check a table and turn it into settings; raise UsageError naming the key that is wrong."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} must be a table, got {table!r}")
    known = {item.name: getattr(Settings(), item.name) for item in fields(Settings)}
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}; valid: {', '.join(sorted(known))}")
        if not _alike(value, known[key]):
            raise UsageError(f"{where}: {key}={value!r} is not valid; expected something like {known[key]!r}")
    settings = replace(Settings(), **table)
    _check(settings, where)
    return settings


def _alike(value: Any, example: Any) -> bool:
    """Whether a value has the type of the default."""
    if isinstance(example, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(example, dict):
        return isinstance(value, dict) and all(_alike(item, 0.0) for item in value.values())
    if isinstance(example, list):
        return isinstance(value, list) and all(_alike(item, example[0] if example else "") for item in value)
    return isinstance(value, type(example)) and not isinstance(value, bool)


def _check(settings: Settings, where: str) -> None:
    for name in ("slower", "least", "alpha", "turns", "turn_seconds", "batch", "channels", "size", "kernel_size",
                 "deadline_seconds"):  # fmt: skip
        if getattr(settings, name) <= 0:
            raise UsageError(f"{where}: {name}={getattr(settings, name)!r} must be positive")
    for name, value in {
        **settings.margins,
        **{n: getattr(settings, n) for n in ("parameters", "flops", "allocated_bytes")},
    }.items():
        if value < 0:
            raise UsageError(f"{where}: {name}={value!r} must not be negative")
    if len(settings.pairs) != 2 or not 0 < settings.pairs[0] < settings.pairs[1]:
        raise UsageError(f"{where}: pairs={settings.pairs} must be two growing numbers, such as [8, 16]")
    if not settings.phases or not set(settings.phases) <= set(PHASES):
        raise UsageError(f"{where}: phases={settings.phases} must be some of {', '.join(PHASES)}")
    if not settings.least < settings.slower:
        raise UsageError(f"{where}: least={settings.least:g} must be below slower={settings.slower:g}")
    if settings.alpha >= 1:
        raise UsageError(f"{where}: alpha={settings.alpha:g} must be below 1")
    settings.thresholds.check(len(settings.phases))
