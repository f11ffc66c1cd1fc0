"""Generate handwritten digits, real images whose modes are the ten classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, NotNegative
from coordbench.harness.core.problem import Metric, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks.gan_stability._adversarial import AXES, METRICS, Batch, Game, Step, adversarial, gan_about
from coordbench.tasks.gan_stability._digit_reader import CLASSES, accuracy, read
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules
from coordbench.tasks.gan_stability._measures.factors import entropy
from coordbench.tasks.gan_stability._measures.features import Features
from coordbench.tasks.gan_stability._sources import Canvas, pictures

NAME = "digit_gan"
_PRESENT = 0.01
"""Share of the images that a class must hold to count as a mode."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return gan_about("handwritten digits", options)


@task(
    NAME,
    suite="gan_stability",
    metrics=(*METRICS, Metric("modes"), Metric("label_entropy", "nats")),
    backbones=("dcgan", "coordgan"),
    about=about,
    axes=AXES,
)
def digit_gan(
    network: Network, seed: int, *, canvas: Canvas = 16, latent: Count = 64, batch: Batch = 64,
    features: Features = "pca", loss: Loss = "non_saturating", penalty: Penalty = "none", gamma: NotNegative = 1.0,
    narrow_from: Step | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over the handwritten digits of scikit-learn."""
    game = Game(latent, batch, narrow_from, Rules(loss, penalty, gamma))
    return adversarial(
        network, seed, NAME, pictures("digits", canvas), game, features=features, look=lambda x, split: count_modes(x)
    )


def count_modes(images: Tensor) -> dict[str, float]:
    """Score images (N, 1, H, W): classes that hold 1 % or more, the labels' entropy [nats], the classifier's accuracy.

    The classifier is trained on the real training images alone and graded on real test images.
    """
    labels = read(images)
    shares = torch.bincount(labels, minlength=CLASSES) / len(labels)
    return {
        "modes": int((shares >= _PRESENT).sum()),
        "label_entropy": entropy(labels, CLASSES),
        "classifier_accuracy": accuracy(),
    }
