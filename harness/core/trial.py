"""The units of work: a trial, and a cost that is measured once for all of its seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = bool | int | float | str


@dataclass(frozen=True)
class Budget:
    """How long and how a trial is trained."""

    steps: int
    learning_rate: float | None = None
    schedule: str | None = None
    evaluations: int = 10


@dataclass(frozen=True)
class Trial:
    """The unit of work, of storage and of failure. Names are canonical selectors such as `conv[padding=circular]`."""

    task: str
    seed: int
    backbone: str | None = None
    variant: str | None = None
    reference: str | None = None
    budget: Budget = Budget(steps=0)
    device: str = "cpu"
    dtype: str = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    purpose: Literal["test", "tune"] = "test"
    match: Literal["parameters", "flops"] | None = None
    width: float | None = None
    """Replaces the backbone's option `width`, so that the trial meets the baseline's budget named by `match`."""

    @property
    def label(self) -> str:
        """The selector of the variant, or of the reference where there is no variant."""
        return self.variant or self.reference or ""


@dataclass(frozen=True)
class CostJob:
    """What is measured once for all seeds of a (task, backbone, variant) on one device."""

    task: str
    backbone: str
    variant: str
    device: str = "cpu"
    dtype: str = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    match: Literal["parameters", "flops"] | None = None
    width: float | None = None
