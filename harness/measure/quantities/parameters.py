"""How many parameters and buffers the models of a cell hold."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Cell
from coordbench.harness.measure.part import Part
from coordbench.harness.measure.subject import build_subject


def measure_parameters(cell: Cell, seconds: float = 0.0) -> Part:
    """Count trainable parameters over all models of a cell; `seconds` is not needed, since nothing is timed."""
    models = build_subject(cell).models
    total = count(models.values())
    each = {name: count([model]) for name, model in models.items()}
    return Part({**total, "models": each, "options": options(cell)}, parameters=total["trainable"])


def options(cell: Cell) -> dict[str, object]:
    """All options of a cell's task and backbone, defaults among them: the axes along which costs grow."""
    return {
        **registry.select("backbone", cell.network[0]).all_options,
        **registry.select("task", cell.task).all_options,
    }


def count(models: Iterable[nn.Module]) -> dict[str, int]:
    """Count trainable and frozen parameters, buffers and the bytes of all; a tensor that is shared counts once."""
    parameters: dict[int, nn.Parameter] = {}
    buffers: dict[int, Tensor] = {}
    for model in models:
        parameters |= {id(p): p for p in model.parameters()}
        buffers |= {id(b): b for b in model.buffers()}
    return {
        "trainable": sum(p.numel() for p in parameters.values() if p.requires_grad),
        "frozen": sum(p.numel() for p in parameters.values() if not p.requires_grad),
        "buffers": sum(b.numel() for b in buffers.values()),
        "bytes": sum(t.nbytes for t in (*parameters.values(), *buffers.values())),
    }
