"""A library of lenses, what a camera sees through each of them, and how hard each is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from coordbench.harness.core.problem import Network
from coordbench.tasks._data.draws import generator
from coordbench.tasks._data.optics.blur import LowRankBlur
from coordbench.tasks._data.optics.lens import NUMBERS, Kind, Lens, draw_lens
from coordbench.tasks._data.optics.noise import poisson_gaussian
from coordbench.tasks._data.optics.psf import field_positions
from coordbench.tasks.deblurring._restoration import Held, Pair
from coordbench.tasks.deblurring._scores import psnr
from coordbench.tasks.deblurring._tuning import Restorer

Aberrations = Literal["seidel", "zernike", "both"]
PARTS = 4
"""Parts of as many lenses each, from the mildest to the hardest, that are scored apart."""
_RANK = 12
"""Convolutions whose sum is a lens: operators are within 6 % of those of all kernels."""


@dataclass(frozen=True)
class Library:
    """Lenses before fields of `size` pixels, whose severities are even in their logarithm from end to end [waves]."""

    size: int
    radius: int
    aberrations: Aberrations
    severities: tuple[float, float]

    @property
    def side(self) -> int:
        """The side of a scene [px]."""
        return self.size + 2 * self.radius

    @functools.lru_cache(maxsize=4096)  # noqa: B019  # a library is equal to any other of its options
    def lens(self, split: str, number: int) -> Lens:
        """Return a lens of a split, which depends on nothing else; where both are wanted kinds take turns."""
        kinds: tuple[Kind, ...] = ("seidel", "zernike") if self.aberrations == "both" else (self.aberrations,)
        drawn = generator("lens", split, number)
        low, high = self.severities
        severity = low * (high / low) ** torch.rand((), generator=drawn).item()
        return draw_lens(kinds[number % len(kinds)], severity, drawn, size=self.size, radius=self.radius)

    def lens_of(self, numbers: Sequence[float]) -> Lens:
        """Return the lens of these numbers."""
        return Lens(self.size, self.radius, tuple(numbers))


@functools.lru_cache(maxsize=256)
def blur_of(lens: Lens) -> LowRankBlur:
    """Return what a lens does to a scene."""
    return LowRankBlur(lens, _RANK)


def observe(lenses: Sequence[Lens], scenes: Tensor, generator: torch.Generator) -> Pair:
    """Return what a camera sees of scenes (N, C, H + 2r, W + 2r), each through its own lens, and what it should see.

    The former is labeled: beside it stand maps of the numbers of its lens, (N, C + NUMBERS, H, W).
    """
    blurred = torch.cat([blur_of(lens).forward(scene[None]) for lens, scene in zip(lenses, scenes, strict=True)])
    numbers = blurred.new_tensor([lens.numbers for lens in lenses])
    maps = numbers[:, :, None, None].expand(-1, -1, *blurred.shape[2:])
    radius = lenses[0].radius
    truth = scenes[..., radius:-radius, radius:-radius]
    return torch.cat([poisson_gaussian(blurred, generator), maps], dim=1), truth


def by_lens(library: Library, make: Callable[[Lens], Restorer]) -> Restorer:
    """Return what restores each labeled image by what `make` returns for its lens."""

    def restore(observed: Tensor) -> Tensor:
        images, numbers = observed[:, :-NUMBERS], observed[:, -NUMBERS:, 0, 0]
        restored = torch.empty_like(images)
        for row in numbers.unique(dim=0):
            rows = (numbers == row).all(1)
            restored[rows] = make(library.lens_of(row.tolist()))(images[rows])
        return restored

    return restore


class Given(nn.Module):
    """A network that sees an image, and with it the numbers of its lens, the place of each pixel, both or neither."""

    place: Tensor | None

    def __init__(self, network: nn.Module, place: Tensor | None, *, numbers: bool) -> None:
        super().__init__()
        self.network, self.numbers = network, numbers
        self.register_buffer("place", place, persistent=False)

    def forward(self, observed: Tensor) -> Tensor:
        """(N, C + NUMBERS, H, W) -> (N, C, H, W)."""
        seen = observed if self.numbers else observed[:, :-NUMBERS]
        if self.place is not None:
            seen = torch.cat([seen, self.place.to(seen.dtype).expand(len(seen), -1, -1, -1)], dim=1)
        restored: Tensor = self.network(seen)
        return restored


def given(network: Network, size: int, *, numbers: bool, place: bool) -> Network:
    """Return networks between labeled images and images, that see of the labels what they are given."""

    def build(input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> nn.Module:
        where = field_positions(size).T.reshape(1, 2, size, size).float() if place else None
        channels = input_shape[0] - NUMBERS * (not numbers) + 2 * place
        return Given(network((channels, *input_shape[1:]), output_shape), where, numbers=numbers)

    return build


def difficulty(library: Library, split: str, held: Held) -> dict[str, dict[str, float]]:
    """Return axis -> name of a lens -> the mean of its part: of lenses that are as hard, as measured."""
    observed, truth = held.pair
    names = list(dict.fromkeys(held.names))
    errors = (observed[:, :-NUMBERS].clamp(0, 1) - truth).square().mean(1).flatten(1)
    seen = psnr(errors).reshape(len(names), -1).mean(1).tolist()
    varying = [library.lens(split, number).variation() for number in range(len(names))]
    return {"blurred": levels(names, seen), "variation": levels(names, varying)}


def levels(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Return of each lens the mean value of its part: the quarter of least values, and so on."""
    ranked = sorted(zip(values, names, strict=True))
    parts = [ranked[len(ranked) * i // PARTS : len(ranked) * (i + 1) // PARTS] for i in range(PARTS)]
    means = [float(f"{sum(value for value, _ in part) / len(part):.3g}") for part in parts]
    return {name: mean for part, mean in zip(parts, means, strict=True) for _, name in part}
