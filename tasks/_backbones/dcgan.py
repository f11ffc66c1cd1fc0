"""DCGAN: a generator that doubles the size from 4 x 4 on, and a discriminator that halves it down to 4 x 4.

Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", 2015, arXiv 1511.06434. With `kernel=5, width=64` and 256 latents on a canvas of 64 it is the convolutional
GAN of Liu et al., arXiv 1807.03247. Every layer is upsampled alike: `upsample=transposed` puts zeros between pixels (a
transposed convolution, where the layer is one), `upsample=resize` repeats pixels; then the layer at stride 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.registry import backbone
from coordbench.tasks._backbones._parts.placement import Placed, Where
from coordbench.tasks._backbones._parts.upsampling import Doubling

Upsample = Literal["transposed", "resize"]
Player = Literal["both", "generator", "discriminator"]
COARSEST = 4


@backbone("dcgan", source="Radford et al. 2015, arXiv 1511.06434")
def dcgan(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], *, width: int = 64,
    kernel: int = 4, upsample: Upsample = "transposed", player: Player = "both", where: Where = "all",
    norm: Literal["batch", "none"] = "batch",
) -> nn.Module:  # fmt: skip
    """Build the generator (N, F) -> (N, C, *size) in -1..1, or the discriminator (N, C, *size) -> (N, 1).

    `width` channels stand next to the image and double with each halving. `player` names the network that gets the
    variant, the other one gets plain convolutions; `norm=none` leaves batch normalization out of both. Raises
    UsageError for a canvas that is no power of two from 8 on.
    """
    if len(input_shape) > 1:
        factory = layer if player != "generator" else plain()
        return normed(critic(factory, input_shape, output_shape, width, kernel, where), norm)
    painter = layer if player != "discriminator" else plain()
    grown = grow(painter, input_shape, output_shape, width, kernel, upsample, where)
    return normed([*grown, nn.Tanh()], norm)


def normed(modules: Iterable[nn.Module], norm: Literal["batch", "none"]) -> nn.Module:
    """The modules as one, with or without those that normalize over the batch."""
    return nn.Sequential(*(m for m in modules if norm == "batch" or not isinstance(m, nn.BatchNorm2d)))


def plain() -> LayerFactory:
    """The layer that needs no variant."""
    return registry.layer("conv")


def levels(size: tuple[int, ...]) -> int:
    """How often 4 x 4 is doubled to reach a canvas."""
    count = (size[0] // COARSEST).bit_length() - 1
    if count < 1 or any(n != COARSEST * 2**count for n in size):
        raise UsageError(f"backbones of images cannot make a canvas of {size} px; valid: 8, 16, 32, 64, ...")
    return count


def grow(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], width: int, kernel: int,
    upsample: Upsample, where: Where,
) -> list[nn.Module]:  # fmt: skip
    """The modules of a generator up to the raw image: batch norm and ReLU after all but the last layer."""
    (features,), (channels, *size) = input_shape, output_shape
    count = levels(tuple(size))
    widths = [width * 2 ** (count - 1 - level) for level in range(count)] + [channels]
    layer = Placed(layer, where, count)
    modules: list[nn.Module] = [
        nn.Linear(features, widths[0] * COARSEST**2),
        nn.Unflatten(1, (widths[0], COARSEST, COARSEST)),
    ]
    for level in range(count):
        modules += [nn.BatchNorm2d(widths[level]), nn.ReLU()]
        before, coarse = widths[level], (COARSEST * 2**level,) * 2
        modules.append(doubling(layer, before, widths[level + 1], kernel, coarse, upsample))
    return modules


def doubling(
    layer: LayerFactory, before: int, after: int, kernel: int, size: tuple[int, ...], upsample: Upsample
) -> nn.Module:
    """(N, before, *size) -> (N, after, *(2 * size))."""
    if upsample == "transposed":
        return Doubling(layer, before, after, kernel, size=size)
    doubled = tuple(2 * n for n in size)
    return nn.Sequential(nn.Upsample(scale_factor=2), layer(before, after, kernel, size=doubled))


def critic(
    layer: LayerFactory, input_shape: tuple[int, ...], output_shape: tuple[int, ...], width: int, kernel: int,
    where: Where,
) -> nn.Sequential:  # fmt: skip
    """Layers of stride 2, batch norm on all but the first, leaky ReLU, and a linear head: (N, C, *size) -> (N, F)."""
    (before, *size), (features,) = input_shape, output_shape
    count = levels(tuple(size))
    layer = Placed(layer, where, count)
    modules: list[nn.Module] = []
    for level in range(count):
        after = width * 2**level
        modules.append(layer(before, after, kernel, size=tuple(n // 2**level for n in size), stride=2))
        modules += [nn.BatchNorm2d(after)] * (level > 0) + [nn.LeakyReLU(0.2)]
        before = after
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(before * COARSEST**2, features))
