"""The images that this suite generates: drawn ones of known factors, and real ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, Self, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from coordbench.tasks._data.draws import generator
from coordbench.tasks._data.faces import faces
from coordbench.tasks._data.hands import draw, hands
from coordbench.tasks._data.objects import objects, paint
from coordbench.tasks._data.pictures import Pictures, dealt

Source = Literal["objects", "hands", "digits", "faces"]
DRAWN, HELD_OUT = 50_000, 1000
"""Drawn images to train on, and those of each held-out split."""
Canvas = Literal[8, 16, 32, 64, 128]
"""Sides of images that backbones can grow out of 4 x 4 pixels."""
_HELD_OUT = ("validation", "test")


class Factors(Protocol):
    """Known factors of many images, of which some can be chosen by their indices."""

    def __getitem__(self, indices: Tensor, /) -> Self: ...


F = TypeVar("F", bound=Factors)


@functools.lru_cache(maxsize=2)
def pictures(
    source: Source, canvas: Canvas, folder: Path | None = None, *, color: bool = False, images: int | None = None
) -> Pictures:
    """The images of a source, the same for all seeds; `folder` and `color` concern faces alone, `images` drawn ones."""
    match source:
        case "objects":
            return _drawn(source, objects, functools.partial(paint, canvas=canvas), images)
        case "hands":
            return _drawn(source, hands, functools.partial(draw, canvas=canvas), images)
        case "digits":
            return Pictures.of({split: digits_of(split, canvas)[0] for split in ("train", *_HELD_OUT)})
        case _:
            return faces(canvas, folder, color=color)


def digits_of(split: str, canvas: int) -> tuple[Tensor, Tensor]:
    """Handwritten digits (n, 1, canvas, canvas) in -1..1 and their labels (n,): the 1797 of scikit-learn, 8 x 8 px."""
    from sklearn.datasets import load_digits  # a second of import that only digits need

    shipped = load_digits()
    images, labels = torch.from_numpy(shipped.images).float() / 16, torch.from_numpy(shipped.target).long()
    chosen = dealt(torch.arange(len(images)), "digits")[split]
    return functional.interpolate(images[chosen, None], (canvas, canvas), mode="bilinear") * 2 - 1, labels[chosen]


def _drawn(
    source: Source, sample: Callable[[int, torch.Generator], F], show: Callable[[F], Tensor], images: int | None
) -> Pictures:
    """Images of known factors, drawn when they are asked for: the first so many of those there are."""
    count = images or DRAWN
    known = sample(DRAWN, generator(source, "train"))[torch.arange(count)]
    held_out = {split: show(sample(HELD_OUT, generator(source, split))) for split in _HELD_OUT}
    return Pictures(count, lambda chosen: show(known[chosen]), held_out)
