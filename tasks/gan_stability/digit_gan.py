"""Generate handwritten digits, real images whose modes are the ten classes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from coordbench.harness.core.description import About
from coordbench.harness.core.problem import Metric, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks.gan_stability._adversarial import AXES, METRICS, Game, adversarial, gan_about
from coordbench.tasks.gan_stability._factors import entropy
from coordbench.tasks.gan_stability._features import Features
from coordbench.tasks.gan_stability._sources import digits_of, pictures

NAME = "digit_gan"
CLASSES, SIDE = 10, 8
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
    network: Network, seed: int, *, canvas: int = 16, latent: int = 64, batch: int = 64, features: Features = "pca",
    narrow_from: int | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over the handwritten digits of scikit-learn."""
    game = Game(latent, batch, narrow_from)
    return adversarial(
        network, seed, NAME, pictures("digits", canvas), game, features=features, look=lambda x, split: count_modes(x)
    )


class Classifier(Protocol):
    """What is used of scikit-learn's classifiers, which have no types."""

    def predict(self, pixels: NDArray[np.float32], /) -> NDArray[np.int64]:
        """The label of each row of pixels."""


def count_modes(images: Tensor) -> dict[str, float]:
    """Score images (N, 1, H, W): classes that hold 1 % or more, the labels' entropy [nats], the classifier's accuracy.

    The classifier is trained on the real training images alone and graded on real test images.
    """
    classifier, accuracy = classify()
    labels = torch.from_numpy(classifier.predict(_pixels(images))).long()
    shares = torch.bincount(labels, minlength=CLASSES) / len(labels)
    return {
        "modes": int((shares >= _PRESENT).sum()),
        "label_entropy": entropy(labels, CLASSES),
        "classifier_accuracy": accuracy,
    }


@functools.cache
def classify() -> tuple[Classifier, float]:
    """Train a support vector machine on real digits; return it with its accuracy on real test digits."""
    from sklearn.svm import SVC  # a second of import that only digits need

    (images, labels), (test, truth) = (digits_of(split, SIDE) for split in ("train", "test"))
    classifier = SVC().fit(_pixels(images), labels.numpy())
    return classifier, float(classifier.score(_pixels(test), truth.numpy()))


def _pixels(images: Tensor) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = functional.adaptive_avg_pool2d(images, SIDE).flatten(1).numpy()
    return pixels
