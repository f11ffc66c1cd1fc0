"""A training that is done twice."""

from __future__ import annotations

import torch
from torch import Tensor

from coordbench.harness.core.entries import Layer
from coordbench.harness.laws.law import law
from coordbench.harness.laws.specimens import CHANNELS, SIZES, close, dims_of

_STEPS = 5


@law(mend="draw from torch's global generator alone; use no time, no set's order, no memory that was never written")
def trains_alike(layer: Layer) -> str:
    """Two short trainings from equal seeds end with equal weights and losses, to the last bit."""
    first, second = _trained(layer), _trained(layer)
    for name, value in first.items():
        close(second[name], value, f"{name} after {_STEPS} steps of a second training", 0.0)
    return f"{_STEPS} steps, twice"


def _trained(layer: Layer) -> dict[str, Tensor]:
    """Losses and weights of a short training."""
    torch.manual_seed(2)
    size = SIZES[dims_of(layer)]
    module = layer(*CHANNELS, 3, size=size).train()
    x, y = torch.randn(4, CHANNELS[0], *size), torch.randn(4, CHANNELS[1], *size)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    losses = []
    for _ in range(_STEPS):
        optimizer.zero_grad()
        loss = (module(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return {"the loss": torch.stack(losses), **{name: value.detach() for name, value in module.state_dict().items()}}
