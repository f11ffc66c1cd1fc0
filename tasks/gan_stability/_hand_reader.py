"""Read finger count and pose off images of hands, or abstain: analysis by synthesis.

    image -> principal components -> kernel ridge regression -> factors -> drawn again -> like the image? else abstain

The regression is trained here, on drawn hands. What it reads is drawn anew; an image that differs from its own drawing
more than 95 % of real hands do from theirs is no anatomically valid hand: the reader abstains.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from coordbench.tasks._data.draws import generator
from coordbench.tasks._data.hands import Hands, draw, hands
from coordbench.tasks.gan_stability._measures.features import Projection, projection

EXAMPLES, CALIBRATION = 3000, 1000
ACCEPTED = 0.95
_WIDTH, _RIDGE = 8.0, 1e-3


@dataclass(frozen=True)
class HandReader:
    """A trained estimator of the factors of hands on one canvas."""

    project: Projection
    examples: Tensor
    weights: Tensor
    tolerance: float = 0.0

    def read(self, images: Tensor) -> Hands:
        """Estimate the factors of images (N, 1, H, W)."""
        return Hands.of_vectors((kernel(self.project(images), self.examples) @ self.weights).float())

    def residual(self, images: Tensor) -> Tensor:
        """How much images differ from the drawings of what was read: mean squared difference, (N,)."""
        return (draw(self.read(images), images.shape[-1]) - images).square().flatten(1).mean(1)

    def valid(self, images: Tensor) -> Tensor:
        """Whether each image is a hand as drawn hands are; where not, the reader abstains: (N,)."""
        return self.residual(images) <= self.tolerance


@functools.lru_cache(maxsize=2)
def hand_reader(canvas: int) -> HandReader:
    """Train the reader for a canvas on hands that no generator is trained on."""
    draws = generator("hand_reader", "train")
    known = hands(EXAMPLES, draws)
    images = draw(known, canvas)
    project = projection("pca", images)
    examples = project(images)
    system = kernel(examples, examples) + _RIDGE * torch.eye(EXAMPLES, dtype=torch.float64)
    weights = torch.cholesky_solve(known.vectors().double(), torch.linalg.cholesky(system))
    reader = HandReader(project, examples, weights)
    real = draw(hands(CALIBRATION, draws), canvas)
    return HandReader(project, examples, weights, reader.residual(real).quantile(ACCEPTED).item())


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """exp(-|x - y|^2 / (2 w^2)) of features (n, d) and (m, d): (n, m)."""
    return torch.exp(torch.cdist(x, y).square() / (-2 * _WIDTH**2))
