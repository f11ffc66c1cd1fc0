"""Random draws that depend on their key alone, never on what was drawn before."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from coordbench.harness.core.seeds import seed_of


def generator(*key: object) -> torch.Generator:
    """Return a generator seeded by any printable values."""
    return torch.Generator().manual_seed(seed_of(*key))


def permutation(count: int, *key: object) -> Tensor:
    """Return the numbers 0 .. count - 1 in random order, (count,)."""
    return torch.randperm(count, generator=generator(*key))


def epoch_length(count: int, batch: int) -> int:
    """Return how many steps an epoch of `count` examples has."""
    return count // min(batch, count)


def epochs(count: int, batch: int, *key: object) -> Callable[[int], Tensor]:
    """Return step -> indices of its batch, (batch,); reshuffled every epoch, the rest of an epoch is dropped."""
    batch, steps = min(batch, count), epoch_length(count, batch)
    order = functools.lru_cache(maxsize=2)(lambda epoch: permutation(count, *key, epoch))
    return lambda step: order(step // steps)[step % steps * batch :][:batch]
