"""Plain convolution: the baseline of every comparison.

LeCun et al., "Backpropagation applied to handwritten zip code recognition", Neural Computation 1(4), 1989.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from harness.registry import variant

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
Padding = Literal["zeros", "circular", "reflect", "replicate"]


@variant("conv", source="LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition")
class Conv(nn.Module):
    """Convolution with padding of (k - 1) // 2 before and k // 2 after each axis."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True, padding: Padding = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode = "constant" if padding == "zeros" else padding
        self.pad = ((kernel_size - 1) // 2, kernel_size // 2) * len(size)
        self.conv = _CONV[len(size)](in_channels, out_channels, kernel_size, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, *size) -> (N, out_channels, *ceil(size / stride))."""
        return self.conv(functional.pad(x, self.pad, self.mode))
