"""Read the class of a handwritten digit by a support vector machine, whose accuracy is asked on digits it never saw."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from coordbench.tasks.gan_stability._sources import digits_of

CLASSES, SIDE = 10, 8


class Classifier(Protocol):
    """What is used of scikit-learn's classifiers, which have no types."""

    def predict(self, pixels: NDArray[np.float32], /) -> NDArray[np.int64]:
        """The label of each row of pixels."""


def read(images: Tensor) -> Tensor:
    """The class of each image (N, 1, H, W) in -1..1: (N,)."""
    return torch.from_numpy(_machine().predict(_pixels(images))).long()


@functools.cache
def accuracy() -> float:
    """The share of real digits, which the machine has never seen, that it reads right."""
    images, labels = digits_of("test", SIDE)
    return (read(images) == labels).double().mean().item()


@functools.cache
def _machine() -> Classifier:
    """A machine that is trained on the real training images alone."""
    from sklearn.svm import SVC  # a second of import that only digits need

    images, labels = digits_of("train", SIDE)
    machine: Classifier = SVC().fit(_pixels(images), labels.numpy())
    return machine


def _pixels(images: Tensor) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = functional.adaptive_avg_pool2d(images, SIDE).flatten(1).numpy()
    return pixels
