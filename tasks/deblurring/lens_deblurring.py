"""Restore photographs behind a lens that was never seen: does knowing where help when the lens changes?

    scene 82 x 82   ->   a lens of a library, h_q, noise   ->   field 64 x 64   ->   network   ->   PSNR [dB], SSIM
                         64 lenses to train with, 24 others to test

In `photo_deblurring` a place of the field always has the same kernel, which a layer that knows places can learn by
heart. Here every image has a lens of its own, drawn by Seidel's or Zernike's aberrations, and no lens and no scene of
the test is in training. The network may be given the lens' numbers (`lens_input`), the place of each pixel
(`place_input`: what CoordConv gives to a first layer, for any layer), both or neither, as further channels.

How hard a lens is is measured, not named: `blurred` is the PSNR of what the camera saw through it, `variation` how far
its kernels are from their mean over the field. Each axis is cut in four parts of as many lenses. All lenses of a split
see the same crops. Blur lenses by severity as in UniCAC (arXiv 2603.12083), of which no figure is used here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import Count, Positive, Range
from coordbench.harness.core.problem import Metric, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks._data.photographs import cut, photographs
from coordbench.tasks.deblurring._lenses import PARTS, Aberrations, Library, difficulty, given, observe
from coordbench.tasks.deblurring._restoration import LENSES as NAME
from coordbench.tasks.deblurring._restoration import Held, Pair, restoration_problem, stream
from coordbench.tasks.deblurring._scores import lens_scores

_SIDES = 4
"""A photograph's shorter side, in canvases."""


@dataclass(frozen=True)
class Bench:
    """What the references need: the lenses that training draws from, and validation images."""

    library: Library
    validation: Pair


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    inputs = {"lens_input": "the lens' numbers", "place_input": "the place of each pixel"}
    given = " and ".join(["what the camera saw", *(words for name, words in inputs.items() if options[name])])
    return About(
        f"Given {given}, a network restores photographs on {options['canvas']} x {options['canvas']} pixels, each "
        f"taken through a lens of its own; it was trained with {options['lenses']} lenses; neither lenses nor "
        "scenes of the test are seen in training.",
        "The same crops of what the camera saw, of the truth and of what the network gives, and the absolute error.",
    )


@task(
    NAME,
    suite="deblurring",
    metrics=(Metric("psnr", "dB", margin=0.2), Metric("ssim")),
    backbones=("unet", "cnn"),
    source="Ours, after Howard, Norreys, Doepp, CoordGate, arXiv 2401.04680",
    about=about,
    axes={
        "radius": Axes("distance from the center, up to (1 = corner)", "PSNR [dB]"),
        "blurred": Axes("PSNR of what the camera saw through the lens [dB]", "PSNR [dB]"),
        "variation": Axes("change of the kernel over the field (1 = its mean)", "PSNR [dB]"),
        "error": Axes("x [px]", "y [px]", "absolute error"),
    },
)
def lens_deblurring(
    network: Network, seed: int, *, canvas: Annotated[int, Range(16, 256)] = 64,
    aberrations: Aberrations = "both", lenses: Count = 64,
    unseen: Annotated[int, Range(PARTS)] = 24, mildest: Positive = 0.04,
    severest: Annotated[float, Range(above=0, most=0.3)] = 0.2, lens_input: bool = False, place_input: bool = False,
    radius: Annotated[int, Range(4, 12)] = 9, batch: Count = 8, scenes: Count = 1, folder: Path | None = None,
) -> Problem:  # fmt: skip
    """Deblur photographs through lenses of `mildest` to `severest` wavefront errors [waves], split by lens and scene.

    Training draws from `lenses`; the test has `unseen` others, before which each test photograph is cut `scenes` times.
    """
    if mildest > severest:
        raise UsageError(f"{NAME}: mildest={mildest} is above severest={severest}; expected at most as much")
    library = Library(canvas, radius, aberrations, (mildest, severest))
    images = photographs(folder, side=_SIDES * canvas, crop=library.side)

    def batches(step: int) -> Pair:
        generator = stream(NAME, seed, "train", step)
        photos = torch.randint(len(images["train"]), (batch,), generator=generator)
        numbers = torch.randint(lenses, (batch,), generator=generator).tolist()
        views = cut([images["train"][i] for i in photos], library.side, generator)
        return observe([library.lens("train", i) for i in numbers], views, generator)

    def held(split: str) -> Held:
        generator = stream(NAME, split)  # one test for all seeds, as for all variants
        photos = [photo for photo in images[split] for _ in range(scenes)]
        views = cut(photos, library.side, generator, turned=False)
        numbers = [number for number in range(unseen) for _ in photos]
        pair = observe([library.lens(split, i) for i in numbers], views.repeat(unseen, 1, 1, 1), generator)
        return Held(pair, [f"{split} lens {number + 1}" for number in numbers])

    splits = {split: held(split) for split in ("validation", "test")}
    marks = {split: difficulty(library, split, shown) for split, shown in splits.items()}
    difficulties = {axis: marks["validation"][axis] | marks["test"][axis] for axis in ("blurred", "variation")}

    def score(restored: Tensor, truth: Tensor, names: Sequence[str]) -> dict[str, float]:
        return lens_scores(restored, truth, names, difficulties)

    seen = given(network, canvas, numbers=lens_input, place=place_input)
    return restoration_problem(seen, batches, splits, Bench(library, splits["validation"].pair), score)
