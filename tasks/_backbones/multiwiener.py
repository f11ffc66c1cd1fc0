"""MultiWienerNet: Wiener filters with learned kernels, whose outputs a U-Net merges.

Yanny, Monakhova, Shuai, Waller, "Deep learning for fast spatially varying deconvolution", Optica 9(1):96, 2022.
X_r = conj(H_r) Y / (|H_r|^2 + K_r) for r = 1..9, on an input zero-padded to twice its size; H_r and K_r are learned.
As there, the kernels start as those of a 3x3 grid over the field, which the task hands over (`start_from`). Deviates: a
kernel has `radius` [px] instead of the size of the image; K_r is the exponential of what is learned, so that it stays
above 0, and starts at 0.01; `residual` adds the input, as in `unet`. The variant stands in the U-Net.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones.unet import Norm, Where, unet


class MultiWiener(nn.Module):
    """(N, C, H, W) -> (N, C_out, H, W): each of `grid`^2 filters sees every channel, `merge` sees all their outputs."""

    def __init__(self, grid: int, radius: int, size: tuple[int, ...], merge: nn.Module, *, residual: bool) -> None:
        super().__init__()
        self.grid, self.radius = grid, radius
        steps = torch.arange(-radius, radius + 1.0)
        start = torch.exp(-0.5 * (steps[:, None] ** 2 + steps**2))
        self.kernels = nn.Parameter((start / start.sum()).repeat(grid**2, 1, 1))
        self.log_noise = nn.Parameter(torch.full((grid**2, 1, 1), math.log(0.01)))
        self.torus = tuple(2 * n for n in size)
        self.merge = merge
        self.share = nn.Parameter(torch.zeros(())) if residual else None

    @torch.no_grad()
    def start_from(self, kernels: Tensor) -> None:
        """Take over known kernels (grid^2, k, k), k = 2 radius + 1."""
        self.kernels.copy_(kernels)

    def deconvolve(self, x: Tensor) -> Tensor:
        """Return the output of each filter, (N, C * grid^2, H, W)."""
        transfer = torch.fft.rfft2(self.kernels.float(), s=self.torus)
        filters = transfer.conj() / (transfer.abs().square() + self.log_noise.float().exp())
        spectrum = torch.fft.rfft2(x.float(), s=self.torus)[:, :, None] * filters
        moved: Tensor = torch.fft.irfft2(spectrum, s=self.torus)  # as kernels are centered on (r, r)
        sharp = moved.roll((self.radius, self.radius), (-2, -1))[..., : x.shape[-2], : x.shape[-1]]
        return sharp.flatten(1, 2).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return the restored image."""
        restored: Tensor = self.merge(self.deconvolve(x))
        return restored if self.share is None else x + self.share * restored


@backbone("multiwiener", source="Yanny, Monakhova, Shuai, Waller 2022, Optica 9(1):96")
def multiwiener(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, grid: int = 3,
    radius: int = 7, depth: int = 3, width: int = 16, norm: Norm = "none", where: Where = "all", residual: bool = False,
) -> nn.Module:  # fmt: skip
    """Build Wiener filters of `grid` x `grid` learned kernels and a U-Net of the variant that merges them."""
    channels, *size = input_shape
    if len(size) != 2 or grid < 1 or radius < 1:
        raise UsageError(
            f"multiwiener[grid={grid}, radius={radius}] needs at least 1 of each, and images; got {input_shape}"
        )
    if residual and input_shape != output_shape:
        raise UsageError(
            f"multiwiener[residual=true] keeps the shape of its input; got {input_shape} to {output_shape}"
        )
    merge = unet(layer, (channels * grid**2, *size), output_shape, depth=depth, width=width, norm=norm, where=where)
    return MultiWiener(grid, radius, tuple(size), merge, residual=residual)
