"""What a project wants of its gate: the table `[tool.coordbench.gate]` of its pyproject.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from coordbench.harness.core.errors import UsageError
from coordbench.harness.gate.rule import Thresholds
from coordbench.harness.gate.side.messages import Case
from coordbench.harness.plan.validation import Positive, Whole, read_toml, validate

Phase = Literal["forward", "forward_backward"]  # as `measure.workload` has it, which needs torch
PHASES: tuple[Phase, ...] = ("forward", "forward_backward")


@dataclass(frozen=True)
class Settings:
    """Thresholds and sizes; shares are relative, 0.05 is 5 %."""

    plugins: list[str] = field(default_factory=list)
    """Python files that register layers, as paths from the folder of pyproject.toml."""
    bench: list[str] = field(default_factory=list)
    """Files or folders of benchmarks for pytest-benchmark, as paths from the folder of pyproject.toml."""
    preset: str = "ci"
    """The preset of the accuracy stage: a built-in one, or a path from the folder of pyproject.toml."""
    slower: Positive = 0.05
    """A layer surely less slow than this passes."""
    least: Positive = 0.025
    """A slowdown below this is none, however sure."""
    alpha: Positive = 0.01
    """False alarms that are tolerated, over all comparisons together."""
    pairs: list[Whole] = field(default_factory=lambda: [8, 16])
    """Pairs of processes at the first and at the final look."""
    turns: Whole = 30
    """Turns that the two processes of a pair take."""
    turn_seconds: Positive = 0.003
    """How long one turn lasts at least [s]."""
    phases: Annotated[list[Phase], Field(min_length=1)] = field(default_factory=lambda: list(PHASES))
    """What is timed: forward without gradients in evaluation mode, forward and backward in training mode."""
    batch: Whole = 8
    channels: Whole = 16
    size: Whole = 32
    kernel_size: Whole = 3
    """The layer is measured as (batch, channels, size, size) -> the same."""
    parameters: float = 0.0
    flops: float = 0.0
    allocated_bytes: float = 0.01
    """Growth that is tolerated."""
    deadline_seconds: Positive = 120.0
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
    table: object = read_toml(file, "project")
    for name in ("tool", "coordbench", "gate"):
        table = table.get(name, {}) if isinstance(table, Mapping) else table
    return parse_settings(table, f"{file}, [tool.coordbench.gate]")


def parse_settings(table: object, where: str) -> Settings:
    """Check a table and turn it into settings; raise UsageError naming the key that is wrong."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} must be a table, got {table!r}")
    settings = validate(Settings, table, where)
    _check(settings, where)
    return settings


def _check(settings: Settings, where: str) -> None:
    """What no single value can tell."""
    growth = {name: settings.growth(name) for name in ("parameters", "flops", "allocated_bytes")}
    for name, value in {**settings.margins, **growth}.items():
        if value < 0:
            raise UsageError(f"{where}: {name}={value!r} must not be negative")
    if len(settings.pairs) != 2 or not settings.pairs[0] < settings.pairs[1]:
        raise UsageError(f"{where}: pairs={settings.pairs} must be two growing numbers, such as [8, 16]")
    if not settings.least < settings.slower:
        raise UsageError(f"{where}: least={settings.least:g} must be below slower={settings.slower:g}")
    if settings.alpha >= 1:
        raise UsageError(f"{where}: alpha={settings.alpha:g} must be below 1")
    settings.thresholds.check(len(settings.phases))
