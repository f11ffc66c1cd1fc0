"""Restore photographs that a camera blurred more toward the corners, and made noisy.

    photograph, any crop          camera                          network             scored by
    scene 78 x 78        ->   field 64 x 64, blur h_q, noise  ->  field 64 x 64   ->  PSNR [dB], SSIM

The field of the camera is the whole input of the network, so a layer's coordinates are those of the field: what is
cropped at random is the scene before the lens, never the picture behind it. The scene is wider than the field by the
blur's radius, so light from outside falls in, as in a camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch

from coordbench.harness.core.description import About, Axes
from coordbench.harness.core.options import Count, NotNegative, Range
from coordbench.harness.core.problem import Metric, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks._data.optics.blur import Blur, LowRankBlur
from coordbench.tasks._data.optics.noise import poisson_gaussian
from coordbench.tasks._data.optics.psf import Family, Optic
from coordbench.tasks._data.photographs import cut, photographs
from coordbench.tasks.deblurring._restoration import (
    Camera,
    Held,
    Pair,
    Restoration,
    restoration_problem,
    started,
    stream,
)
from coordbench.tasks.deblurring._scores import image_scores

NAME = "photo_deblurring"
_SIDES = 4
"""A photograph's shorter side, in canvases: crops hold whole objects, and there are many of them."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        "Given photographs that a lens blurred more toward the corners and a camera made noisy, a network "
        f"restores them on {options['canvas']} x {options['canvas']} pixels; photographs of the test are never "
        "seen in training.",
        "The same crops of what the camera saw, of the truth and of what the network gives, and the absolute error.",
    )


@task(
    NAME,
    suite="deblurring",
    metrics=(Metric("psnr", "dB", margin=0.2), Metric("ssim")),
    backbones=("unet", "cnn", "multiwiener"),
    source="After the deblurring experiment of Howard, Norreys, Doepp, CoordGate, arXiv 2401.04680",
    about=about,
    axes={
        "radius": Axes("distance from the center, up to (1 = corner)", "PSNR [dB]"),
        "error": Axes("x [px]", "y [px]", "absolute error"),
    },
)
def photo_deblurring(
    network: Network, seed: int, *, canvas: Annotated[int, Range(16, 1024)] = 64, psf: Family = "radial",
    strength: NotNegative = 1.0, radius: Count = 7, rank: Annotated[int, Range(0)] = 0, batch: Count = 8,
    color: bool = False, scenes: Count = 8, folder: Path | None = None,
) -> Problem:  # fmt: skip
    """Deblur photographs under a blur that varies over the field, split by scene.

    The blur is exact where `rank` is 0, else a sum of so many convolutions; `scenes` are cut of each held-out image.
    """
    optic = Optic(psf, canvas, radius, strength)
    camera = Camera(LowRankBlur(optic, rank) if rank else Blur(optic), poisson_gaussian)
    images = photographs(folder, side=_SIDES * canvas, crop=optic.side, color=color)

    def batches(step: int) -> Pair:
        generator = stream(NAME, seed, "train", step)
        drawn = torch.randint(len(images["train"]), (batch,), generator=generator)
        return camera.observe(cut([images["train"][i] for i in drawn], optic.side, generator), generator)

    def held(split: str) -> Held:
        generator = stream(NAME, split)  # one test for all seeds, as for all variants
        chosen = [photo for photo in images[split] for _ in range(scenes)]
        pair = camera.observe(cut(chosen, optic.side, generator, turned=False), generator)
        return Held(pair, [photo.scene for photo in chosen])

    splits = {split: held(split) for split in ("validation", "test")}
    data = Restoration(camera.blur, splits["validation"].pair)
    return restoration_problem(started(network, optic), batches, splits, data, image_scores)
