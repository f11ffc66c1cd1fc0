"""A source of images to generate: a training set, and held-out images to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from coordbench.tasks._data.draws import permutation


@dataclass(frozen=True)
class Pictures:
    """Images (C, H, W) in -1..1; `take` gives the training images of indices (N,) below `count`."""

    count: int
    take: Callable[[Tensor], Tensor]
    held_out: Mapping[str, Tensor]

    @staticmethod
    def of(splits: Mapping[str, Tensor]) -> Pictures:
        """Images (N, C, H, W) of the splits train, validation and test, all in memory."""
        held_out = {split: splits[split] for split in ("validation", "test")}
        return Pictures(len(splits["train"]), lambda chosen: splits["train"][chosen], held_out)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.held_out["test"].shape[1:]
        return channels, height, width

    def first(self, count: int) -> Tensor:
        """The first `count` training images, or all there are."""
        return self.take(torch.arange(min(count, self.count)))


def dealt(images: Tensor, *key: object, held_out: float = 0.25) -> dict[str, Tensor]:
    """Deal a finite set of images, or their indices, (N, ...) to the splits: by the key, never by a trial's seed.

    A share `held_out` goes to validation, the same to test, the rest to train.
    """
    order, part = permutation(len(images), *key), round(held_out * len(images))
    chosen = {"validation": order[:part], "test": order[part : 2 * part], "train": order[2 * part :]}
    return {split: images[indices] for split, indices in chosen.items()}
