"""Apply a trained model, or a reference's callable, to evaluation data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Model = Callable[..., Tensor]
"""A trained module, or a reference's function: a batch of inputs -> outputs."""


def predict(model: Model, inputs: Tensor, batch: int = 256) -> Tensor:
    """Return `model(inputs)` as float32 on the CPU, in batches of `batch`, on the model's own device and dtype."""
    weight = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    chunks = []
    for chunk in inputs.split(batch):
        moved = chunk if weight is None else chunk.to(weight.device, weight.dtype)
        chunks.append(model(moved).float().cpu())
    return torch.cat(chunks)
