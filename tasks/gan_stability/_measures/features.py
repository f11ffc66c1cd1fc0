"""Fixed features of images that need no download: principal components of pixels, or a random convolution.

Made of the training images alone, so every generator is measured in the same space. Scaled to a mean variance of one,
which the polynomial kernel of the MMD needs; float64, so that equal images are at distance zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.tasks._data.draws import generator
from coordbench.tasks.gan_stability._measures.components import principal

Features = Literal["pca", "random_convolution"]
Projection = Callable[[Tensor], Tensor]
DIMS = 64
_EXAMPLES = 1000
_CHUNK = 256


def projection(kind: Features, images: Tensor) -> Projection:
    """Make a function (N, C, H, W) -> (N, at most 64) out of training images (M, C, H, W)."""
    examples = images[:_EXAMPLES]
    raw = _pca(examples) if kind == "pca" else _random_convolution(examples)
    projected = raw(examples)
    center, scale = projected.mean(0), projected.var(0).mean().sqrt().clamp_min(1e-12)
    return lambda x: (raw(x) - center) / scale


def _pca(images: Tensor) -> Projection:
    center, components, _ = principal(images.flatten(1).double(), DIMS)
    return lambda x: (x.flatten(1).double() - center) @ components


def _random_convolution(images: Tensor) -> Projection:
    """Two random 5x5 layers of stride 2; mean and spread over the pixels of each of 32 channels."""
    draws = generator("random_convolution")
    channels = images.shape[1]
    first = torch.randn(32, channels, 5, 5, generator=draws, dtype=torch.float64) / (25 * channels) ** 0.5
    second = torch.randn(32, 32, 5, 5, generator=draws, dtype=torch.float64) / (25 * 16) ** 0.5

    def features(x: Tensor) -> Tensor:
        hidden = functional.relu(functional.conv2d(x.double(), first, stride=2, padding=2))
        maps = functional.conv2d(hidden, second, stride=2, padding=2).flatten(2)
        return torch.cat([maps.mean(2), maps.std(2)], 1)

    return lambda x: torch.cat([features(chunk) for chunk in x.split(_CHUNK)])
