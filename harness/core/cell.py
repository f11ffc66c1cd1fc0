"""A cell: what trials that differ by their seed alone share; and a cell in words."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from coordbench.harness.core.selector import Selector

MemoryFormat = Literal["contiguous", "channels_last"]
Match = Literal["parameters", "flops"]
Schedule = Literal["constant", "one_cycle", "cosine", "step"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)


@dataclass(frozen=True)
class Budget:
    """How long and how a trial is trained."""

    steps: int = 0
    learning_rate: float | None = None
    schedule: Schedule | None = None
    evaluations: int = 10


@dataclass(frozen=True)
class Cell:
    """A task, what solves it, and under which conditions; selectors are canonical, a reference has no options."""

    task: Selector
    backbone: Selector | None = None
    variant: Selector | None = None
    reference: str | None = None
    budget: Budget = field(default_factory=Budget)
    device: str = "cpu"
    dtype: str = "float32"
    memory_format: MemoryFormat = "contiguous"
    match: Match | None = None
    width: float | None = None
    """Replaces the backbone's option `width`, so that the cell meets the baseline's budget named by `match`."""

    @classmethod
    def of(cls, task: str, backbone: str | None = None, variant: str | None = None, **conditions: Any) -> Cell:
        """A cell of selectors as text, and of the other fields by their names."""
        network, layer = (None if text is None else Selector.parse(text) for text in (backbone, variant))
        return cls(Selector.parse(task), network, layer, **conditions)

    @property
    def label(self) -> str:
        """The selector of the variant, or the name of the reference where there is no variant."""
        return str(self.variant or self.reference or "")

    @property
    def network(self) -> tuple[Selector, Selector]:
        """The backbone and its variant; raise ValueError for a cell that has none."""
        if self.backbone is None or self.variant is None:
            raise ValueError(f"{self.label} on {self.task} has no network")
        return self.backbone, self.variant

    @functools.cached_property
    def plain(self) -> Mapping[str, object]:
        """The cell as plain values, as the store keeps it; `Cell.read` is the way back."""
        texts = {name: value and str(value) for name in _SELECTORS for value in [getattr(self, name)]}
        others = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in _SELECTORS}
        return others | texts | {"budget": asdict(self.budget)}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Cell:
        """The cell of plain values; other keys, such as those of its trial, are passed over."""
        values = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        texts = {name: Selector.parse(values[name]) for name in _SELECTORS if values.get(name) is not None}
        return cls(**values | texts | {"budget": Budget(**plain["budget"])})

    @property
    def conditions(self) -> dict[str, str]:
        """What a cell may differ in beside task, backbone and variant, in words; "" where a preset leaves it open."""
        rate = self.budget.learning_rate
        return {
            "steps": str(self.budget.steps),
            "schedule": self.budget.schedule or "",
            "learning rate": "" if rate is None else f"{rate:g}",
            "evaluations": str(self.budget.evaluations),
            "device": self.device,
            "dtype": self.dtype,
            "memory format": self.memory_format,
            "match": self.match or "",
        }


_SELECTORS = ("task", "backbone", "variant")


def differing(cells: Iterable[Cell]) -> tuple[str, ...]:
    """The conditions in which cells differ, and which must be said to tell them apart."""
    values = [cell.conditions for cell in dict.fromkeys(cells)]
    return tuple(name for name in (values[0] if values else ()) if len({value[name] for value in values}) > 1)


def describe(cell: Cell, conditions: Iterable[str] = ()) -> str:
    """A cell in words, such as `coordconv in unet[depth=2] on photo_deblurring, steps 100`.

    Of its conditions only those named are said: pass `differing(cells)` of the cells that are shown together.
    """
    network = f"{cell.label} in {cell.backbone}" if cell.backbone else cell.label
    values = cell.conditions
    return ", ".join([f"{network} on {cell.task}", *(f"{name} {values[name]}" for name in conditions if values[name])])
