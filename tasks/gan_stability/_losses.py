"""What the two players of a GAN want: three losses, and penalties on how steep the discriminator is.

With D the logit of "real", x real and y generated:

    non_saturating   D: softplus(-D(x)) + softplus(D(y))   G: softplus(-D(y))
    saturating       D: the same                           G: -softplus(D(y))
    relativistic     D: softplus(D(y) - D(x))              G: softplus(D(x) - D(y)), in pairs

The first two are the games of Goodfellow et al., "Generative adversarial nets", 2014, arXiv 1406.2661. A penalty adds
gamma / 2 |dD/dx|^2 on real images (`r1`), on generated ones (`r2`) or on both (`r1_r2`): Mescheder et al. 2018, arXiv
1801.04406. Relativistic with both is the loss of Huang et al., "The GAN is dead; long live the GAN! A modern GAN
baseline", 2025, arXiv 2501.05441, which they prove to converge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from coordbench.harness.core.problem import Models

Loss = Literal["non_saturating", "saturating", "relativistic"]
Penalty = Literal["none", "r1", "r2", "r1_r2"]
Batch = Mapping[str, Tensor]
"""`real` images, and the `latents` of as many generated ones."""


@dataclass(frozen=True)
class Rules:
    """The losses of both players."""

    loss: Loss = "non_saturating"
    penalty: Penalty = "none"
    gamma: float = 1.0

    def judge(self, models: Models, batch: Batch) -> Tensor:
        """The discriminator's loss: to tell real images from generated ones."""
        real = batch["real"].detach().requires_grad_(self.penalty in ("r1", "r1_r2"))
        fake = models["generator"](batch["latents"]).detach().requires_grad_(self.penalty in ("r2", "r1_r2"))
        scores = models["discriminator"](real), models["discriminator"](fake)
        loss = _relative(*scores) if self.loss == "relativistic" else _absolute(*scores)
        for images, score in zip((real, fake), scores, strict=True):
            if images.requires_grad:
                loss = loss + self.gamma / 2 * steepness(images, score)
        return loss

    def fool(self, models: Models, batch: Batch) -> Tensor:
        """The generator's loss: its images are to be taken for real."""
        fake = models["discriminator"](models["generator"](batch["latents"]))
        match self.loss:
            case "saturating":
                return -softplus(fake).mean()
            case "relativistic":
                return _relative(fake, models["discriminator"](batch["real"]))
            case _:
                return softplus(-fake).mean()


def steepness(images: Tensor, scores: Tensor) -> Tensor:
    """The mean over a batch of the squared gradient of its scores (N, 1) by its images (N, C, H, W)."""
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


def _absolute(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _relative(higher: Tensor, lower: Tensor) -> Tensor:
    """Zero where the first of each pair is scored far above the second."""
    return softplus(lower - higher).mean()
