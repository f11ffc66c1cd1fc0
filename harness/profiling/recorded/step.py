"""A step that can be repeated: what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

MARK = "coordbench:"
"""What the names of our own markers in a trace begin with."""


@dataclass
class Workload:
    """A step that can be repeated, and the modules whose names its operators are shown under."""

    label: str
    run: Callable[[], object]
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    flops: int | None = None
    """A forward pass by the layer's formula [FLOPs], where it has one."""
    device: str = "cpu"
    """Where it runs; on a GPU `run` returns once the GPU has done its work, too."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trained tensors, each once."""
        return list({id(p): p for module in self.modules.values() for p in module.parameters()}.values())
