"""The units of work: a trial, and a cost that is measured once for all of its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from coordbench.harness.core.cell import Budget, Cell

Purpose = Literal["test", "tune"]


@dataclass(frozen=True)
class Trial:
    """A cell and a seed: the unit of work, of storage and of failure."""

    cell: Cell
    seed: int
    purpose: Purpose = "test"

    @property
    def plain(self) -> dict[str, object]:
        """The trial as plain values, those of its cell beside its own, as the store keeps it."""
        return {**self.cell.plain, "seed": self.seed, "purpose": self.purpose}

    @classmethod
    def read(cls, plain: Mapping[str, object]) -> Trial:
        """The trial of plain values."""
        seed, purpose = plain["seed"], plain["purpose"]
        return cls(Cell.read(plain), int(str(seed)), "tune" if purpose == "tune" else "test")


@dataclass(frozen=True)
class CostJob:
    """What a cell costs, measured once for all of its seeds and budgets: its cell has no budget."""

    cell: Cell

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", replace(self.cell, budget=Budget()))

    @property
    def plain(self) -> Mapping[str, object]:
        """The cell as plain values, as the store keeps it."""
        return self.cell.plain


Job = Trial | CostJob
