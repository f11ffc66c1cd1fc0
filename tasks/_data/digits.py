"""Handwritten digits of 8x8 pixels: the 1797 that scikit-learn ships.

Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository, 1998.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from coordbench.tasks._data.draws import permutation

CLASSES = 10
SIDE = 8
_SHARES = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    """Return all images (1797, 8, 8) in 0..1 and their labels (1797,)."""
    from sklearn.datasets import load_digits  # a second of import that only tasks with digits need

    data = load_digits()
    return torch.from_numpy(data.images).float() / 16, torch.from_numpy(data.target).long()


def split_digits(split: str, *key: object) -> tuple[Tensor, Tensor]:
    """Return the images (n, 8, 8) and labels (n,) of `train` (70 %), `validation` (10 %) or `test` (20 %)."""
    images, labels = digits()
    start, end = (round(share * len(labels)) for share in _SHARES[split])
    chosen = permutation(len(labels), *key, "digits")[start:end]
    return images[chosen], labels[chosen]
