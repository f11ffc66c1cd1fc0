"""U-Net: an encoder and a decoder over `depth` resolutions, joined by skip connections.

Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, arXiv 1505.04597.
Deviates: 3x3 convolutions keep the size; none has a bias (the output layer and the upsampling do); no normalization
unless asked for. `residual` adds the input (its first channels, where it has more than the output) to the output, which
is scaled by one learned number that starts at zero (Bachlechner et al., "ReZero", arXiv 2003.04887), so that training
starts from the identity. With `where=gates` it is the CG-U-Net of Howard, Norreys, Doepp, "CoordGate", arXiv
2401.04680: plain convolutions, and a 1x1 layer of the variant after each encoder block, before each upsampling and
before the output.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed
from coordbench.tasks._backbones._parts.upsampling import Doubling

Norm = Literal["none", "batch", "group"]
Padding = Literal["zeros", "circular", "reflect", "replicate"]
Where = Literal["all", "first", "last", "gates", "none"]
_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


class UNet(nn.Module):
    """(N, C_in, *size) -> (N, C_out, *size); with `residual`, C_in must be at least C_out."""

    def __init__(
        self, layer: LayerFactory, channels: tuple[int, int], size: tuple[int, ...], *, depth: int, width: int,
        norm: Norm, padding: Padding, where: Where, residual: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        conv = registry.layer("conv" if padding == "zeros" else f"conv[padding={padding}]")
        place = Placed(layer, "none" if where == "gates" else where, 5 * depth - 2, plain=conv)
        widths = [width * 2**level for level in range(depth)]
        sizes = [tuple(n // 2**level for n in size) for level in range(depth)]
        self.pool = _MAX_POOL[len(size)]
        self.share = nn.Parameter(torch.zeros(())) if residual else None

        def gate(level: int) -> nn.Module:
            return layer(widths[level], widths[level], 1, size=sizes[level]) if where == "gates" else nn.Identity()

        def block(in_channels: int, level: int) -> nn.Sequential:
            return _double_conv(place, in_channels, widths[level], sizes[level], norm)

        def up(level: int) -> nn.Module:
            return Doubling(place, widths[level + 1], widths[level], 2, size=sizes[level + 1])

        inputs = (channels[0], *widths)
        self.encoders = nn.ModuleList(block(inputs[level], level) for level in range(depth))
        self.gates = nn.ModuleList(gate(level) for level in range(depth))
        self.ups, self.decoders, self.up_gates = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(depth - 1)):
            self.ups.append(up(level))
            self.decoders.append(block(2 * widths[level], level))
            self.up_gates.append(gate(level))
        self.output = place(width, channels[1], 1, size=sizes[0])

    def forward(self, x: Tensor) -> Tensor:
        """Return the restored map."""
        skips: list[Tensor] = []
        y = x
        for level, (encoder, gate) in enumerate(zip(self.encoders, self.gates, strict=True)):
            y = gate(encoder(self.pool(y, 2) if level else y))
            skips.append(y)
        skips.pop()
        for up, decoder, gate in zip(self.ups, self.decoders, self.up_gates, strict=True):
            y = gate(decoder(torch.cat([skips.pop(), up(y)], dim=1)))
        restored: Tensor = self.output(y)
        return restored if self.share is None else x[:, : restored.shape[1]] + self.share * restored


@backbone("unet", source="Ronneberger, Fischer, Brox 2015, U-Net, arXiv 1505.04597")
def unet(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, depth: int = 3,
    width: int = 16, norm: Norm = "none", padding: Padding = "zeros", where: Where = "all", residual: bool = False,
) -> nn.Module:  # fmt: skip
    """Build a U-Net of `depth` resolutions and `width` channels at the finest; each coarser one has twice as many."""
    (channels, *size), (out_channels, *out_size) = input_shape, output_shape
    if depth < 1 or any(n % 2 ** (depth - 1) for n in size):
        raise UsageError(f"unet[depth={depth}] cannot halve the size {tuple(size)} {depth - 1} times")
    if size != out_size or (residual and channels < out_channels):
        raise UsageError(f"unet keeps the size of its input; got {input_shape} to {output_shape}")
    return UNet(
        layer, (channels, out_channels), tuple(size), depth=depth, width=width, norm=norm, padding=padding,
        where=where, residual=residual,
    )  # fmt: skip


def _double_conv(
    place: LayerFactory, in_channels: int, out_channels: int, size: tuple[int, ...], norm: Norm
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [place(channels, out_channels, 3, size=size, bias=False), *_norm(norm, out_channels, len(size))]
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _norm(norm: Norm, channels: int, dims: int) -> list[nn.Module]:
    if norm == "batch":
        return [_BATCH_NORM[dims](channels)]
    if norm == "group":
        groups = max(count for count in range(1, 9) if channels % count == 0)
        return [nn.GroupNorm(groups, channels)]
    return []
