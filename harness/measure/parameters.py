"""How many parameters and buffers the models of a job hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from harness.measure.subject import subject
from harness.spec import CostJob


def measure_parameters(job: CostJob, seconds: float = 0.0) -> dict[str, Any]:
    """Count trainable parameters over all models of a job; `seconds` is not needed, since nothing is timed."""
    models = subject(job).models
    total = count(models.values())
    return {"parameters": total["trainable"], "details": total | {"models": {n: count([m]) for n, m in models.items()}}}


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
