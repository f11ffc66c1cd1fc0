"""Scenes of many digits that look alike everywhere: whatever a network tells about place is not in the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from coordbench.tasks._data.digits import SIDE, split_digits
from coordbench.tasks._data.draws import generator

_CROWD = 128
"""Pixels of the scene per digit."""


def scenes(count: int, size: tuple[int, int], split: str, *key: object) -> Tensor:
    """Paint digits of a split at random places of a torus, overlapping: (count, 1, *size), float64 in 0..1."""
    images, _ = split_digits(split, *key)
    source, steps = generator(*key, "scenes", split), torch.arange(SIDE)
    out = torch.zeros(count, *size, dtype=torch.float64)
    every = torch.arange(count)[:, None, None]
    for _ in range(size[0] * size[1] // _CROWD):
        chosen = images[torch.randint(len(images), (count,), generator=source)].double()
        rows, columns = (torch.randint(n, (count, 1), generator=source) + steps for n in size)
        place = every, (rows % size[0])[:, :, None], (columns % size[1])[:, None, :]
        out[place] = torch.maximum(out[place], chosen)
    return out[:, None]
