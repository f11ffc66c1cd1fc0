"""Arrays for the report: the same crops of input, truth and output, error maps, and the gates of a network."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from coordbench.harness.core.problem import Sample

_LARGEST = 96
_GATES = 4


def crops(observed: Tensor, truth: Tensor, restored: Tensor, name: str) -> list[Sample]:
    """Show the center and a corner of one image; each argument is (C, H, W) in 0..1."""
    size = truth.shape[-1]
    side = min(_LARGEST, size * 5 // 8)
    middle = (size - side) // 2
    samples = []
    for place, start in (("center", middle), ("corner", 0)):
        window = (slice(None), slice(start, start + side), slice(start, start + side))
        pictures = {"input": observed, "truth": truth, "output": restored}
        for role, picture in pictures.items():
            samples.append(Sample(f"{name}, {place}", role, "image", _picture(picture[window])))
        error = (restored - truth)[window].abs().mean(0)
        samples.append(Sample(f"{name}, {place}", "error", "heatmap", error.float().numpy()))
    return samples


class Gated(Protocol):
    """A layer that multiplies its features by a gate, and can show it."""

    def gate_map(self) -> Tensor:
        """Return the gate (1, C, H, W)."""


def gates(model: object) -> list[Sample]:
    """Show the gates of a network's first gated layers: of each, the channel that varies most."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    layers = cast("list[Gated]", [module for module in modules if hasattr(module, "gate_map")])
    samples = []
    for number, layer in enumerate(layers[:_GATES], start=1):
        maps = layer.gate_map().detach().float().cpu()[0]
        chosen = maps[maps.flatten(1).var(1).argmax()]
        samples.append(Sample("gates", f"gate {number}", "heatmap", _small(chosen)))
    return samples


def _small(image: Tensor) -> NDArray[np.float32]:
    step = -(-max(image.shape) // _LARGEST)
    small: NDArray[np.float32] = image[::step, ::step].numpy()
    return small


def _picture(pixels: Tensor) -> NDArray[np.float32]:
    """(C, H, W) -> (H, W) or (H, W, 3) in 0..1."""
    planes: NDArray[np.float32] = pixels.clamp(0, 1).float().numpy()
    return planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, 2)
