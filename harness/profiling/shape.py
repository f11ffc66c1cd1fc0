"""The shape at which a layer is profiled; needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Phase = Literal["forward", "step", "evaluation"]
"""`forward` with gradients to come, `step` forward and backward (of a task: data and optimizer, too), `evaluation`."""


@dataclass(frozen=True)
class LayerShape:
    """The shape at which a layer is profiled: input (N, C, *size), and what the layer is built with."""

    input: tuple[int, ...] = (32, 32, 64, 64)
    out_channels: int | None = None
    kernel_size: int = 3
    stride: int = 1
    phase: Phase = "step"
    device: str = "cpu"

    def __str__(self) -> str:
        out = self.input[1] if self.out_channels is None else self.out_channels
        return f"{self.input} -> {out} channels, kernel {self.kernel_size}, stride {self.stride}"


def page_name(*parts: object) -> str:
    """What the files of a profile are called, without their ending; `parts` are selectors, None for none."""
    return re.sub(r"[^\w.-]+", "-", "-".join(str(part) for part in parts if part)).strip("-")
