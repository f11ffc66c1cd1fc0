"""Profiles in a process of their own, so that a layer that hangs or dies is one line and nothing half written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.process import isolate
from coordbench.harness.profiling.shape import LayerShape
from coordbench.harness.training import PRELOAD

T = TypeVar("T")


class ProfileError(Exception):
    """Nothing could be profiled: the layer raised, hung or died; the message says which and how."""


@dataclass(frozen=True)
class ProfileRequest:
    """What is profiled: layers at one shape, or cells; one of either, or two that are held against each other."""

    layers: tuple[str, ...] = ()
    shape: LayerShape = field(default_factory=LayerShape)
    cells: tuple[Cell, ...] = ()
    plugins: tuple[str, ...] = ()
    seconds: float = 1.0
    trace: str | None = None
    """Where a trace of the first one goes, for Perfetto or chrome."""

    @property
    def described(self) -> str:
        """What the step is made of, for a title."""
        return "a whole training step" if self.cells else f"{self.shape}, {self.shape.phase}"


def in_fresh_process(function: Callable[[ProfileRequest], T], request: ProfileRequest, deadline: float = 120.0) -> T:
    """Call one of the functions of `harness.profiling.work`; raise ProfileError for whatever goes wrong in there."""
    for selector in request.layers:
        registry.select("variant", selector)
    outcome = isolate.call(function, request, deadline=deadline, preload=PRELOAD)
    if outcome.status != "ok" or outcome.value is None:
        name = request.layers[0] if request.layers else request.cells[0].label
        raise ProfileError(f"{name} cannot be profiled ({outcome.status}): {outcome.error}")
    return outcome.value
