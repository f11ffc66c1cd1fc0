"""A contest: what variants compete in. A task with its options, a backbone, a budget, a device and a number format."""

from __future__ import annotations

from dataclasses import dataclass

from coordbench.harness.core.cell import Cell
from coordbench.reports.data.facts import MetricFacts, TaskFacts
from coordbench.reports.text import known, number


@dataclass(frozen=True)
class Contest:
    """What the trials of a contest share; `floor` and `ceiling` are nan where the task proves none.

    `learning_rate` is the one that the preset fixed, nan where each variant tuned its own.
    """

    number: int
    task: str
    backbone: str
    steps: int
    schedule: str
    learning_rate: float
    memory_format: str
    match: str
    device: str
    dtype: str
    about: TaskFacts
    cell: Cell
    """Its cells, but for their variants."""
    floor: float = float("nan")
    ceiling: float = float("nan")
    epoch_steps: float = float("nan")
    """The steps of an epoch, nan where the task draws its data without end."""

    @property
    def steps_label(self) -> str:
        """What an axis of training steps says, so that epochs can be read off, too."""
        steps = known(self.epoch_steps)
        return "training step" if steps is None else f"training step ({number(steps)} an epoch)"

    @property
    def metric(self) -> MetricFacts:
        """The metric that its verdicts are about."""
        return self.about.metric

    @property
    def suite(self) -> str:
        """The suite of its task."""
        return self.about.suite

    @property
    def title(self) -> str:
        """Task and backbone."""
        return f"{self.task}, {self.backbone}"

    @property
    def place(self) -> tuple[str, str, str, str, str, str]:
        """What it shares with a measurement of costs."""
        return self.task, self.backbone, self.device, self.dtype, self.memory_format, self.match

    @property
    def conditions(self) -> str:
        """How it was trained, in words; what is usual is left out."""
        parts = [
            f"{self.steps:,} steps",
            f"{self.dtype} on {self.device}",
            self.memory_format if self.memory_format not in ("", "contiguous") else "",
            f"equal {self.match}" if self.match else "",
            f"learning rate {self.learning_rate:g}" if self.learning_rate == self.learning_rate else "",
            f"{self.schedule} schedule".replace("_", "-") if self.schedule else "",
        ]
        return " · ".join(part for part in parts if part)
