"""Restore photographs that a camera blurred more toward the corners, and made noisy.

    photograph, any crop          camera                          network             scored by
    scene 78 x 78        ->   field 64 x 64, blur h_q, noise  ->  field 64 x 64   ->  PSNR [dB], SSIM

The field of the camera is the whole input of the network, so a layer's coordinates are those of the field: what is
cropped at random is the scene before the lens, never the picture behind it. The scene is wider than the field by the
blur's radius, so light from outside falls in, as in a camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from harness.registry import reference, task
from harness.spec import Metric, Models, Network, Optimizer, Phase, Problem, Sample, UsageError, seed_of
from tasks._data.blur import Blur, LowRankBlur, Operator
from tasks._data.noise import poisson_gaussian
from tasks._data.photographs import Photograph, photographs
from tasks._data.psf import Family, Optic
from tasks._predict import predict
from tasks.deblurring._gallery import crops
from tasks.deblurring._scores import restoration_scores

NAME = "photo_deblurring"
_SIDES = 4
"""A photograph's shorter side, in canvases: crops hold whole objects, and there are many of them."""


@dataclass(frozen=True)
class Restoration:
    """What the references need: the camera, and validation images (observed, truth), (N, C, H, W) each."""

    blur: Operator
    validation: tuple[Tensor, Tensor]


@task(
    NAME,
    suite="deblurring",
    metrics=(Metric("psnr", "dB", margin=0.2), Metric("ssim")),
    backbones=("unet", "cnn", "multiwiener"),
    source="After the deblurring experiment of Howard, Norreys, Doepp, CoordGate, arXiv 2401.04680",
)
def photo_deblurring(
    network: Network, seed: int, *, canvas: int = 64, psf: Family = "radial", strength: float = 1.0, radius: int = 7,
    rank: int = 0, batch: int = 8, color: bool = False, scenes: int = 8, folder: Path | None = None,
) -> Problem:  # fmt: skip
    """Deblur photographs under a blur that varies over the field, split by photograph.

    The blur is exact where `rank` is 0, else a sum of so many convolutions.
    """
    if canvas < 16 or radius < 1:
        raise UsageError(f"photo_deblurring: canvas={canvas}, radius={radius}; expected at least 16 and 1 [px]")
    optic = Optic(psf, canvas, radius, strength)
    blur = LowRankBlur(optic, rank) if rank else Blur(optic)
    images = photographs(folder, side=_SIDES * canvas, crop=optic.side, color=color)

    def observe(truths: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return poisson_gaussian(blur.forward(truths), generator), truths[..., radius:-radius, radius:-radius]

    def batches(step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_of(NAME, seed, "train", step))
        drawn = torch.randint(len(images["train"]), (batch,), generator=generator)
        return observe(_scenes([images["train"][i] for i in drawn], optic.side, generator), generator)

    def held_out(split: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_of(NAME, split))  # one test for all seeds, as for all variants
        return observe(_scenes([p for p in images[split] for _ in range(scenes)], optic.side, generator), generator)

    splits = {split: held_out(split) for split in ("validation", "test")}
    names = {split: [p.name for p in images[split] for _ in range(scenes)] for split in splits}

    def evaluate(models: Models, split: str) -> dict[str, float]:
        observed, truth = splits[split]
        return restoration_scores(predict(models["restorer"], observed, batch=32), truth, names[split])

    def samples(models: Models) -> Sequence[Sample]:
        observed, truth = (images[:: 2 * scenes][:2] for images in splits["test"])
        restored = predict(models["restorer"], observed)
        rows = zip(observed, truth, restored, names["test"][:: 2 * scenes], strict=False)
        return [sample for row in rows for sample in crops(*row)]

    shape = (3 if color else 1, canvas, canvas)
    return Problem(
        models={"restorer": network(shape, shape)},
        phases=(Phase(("restorer",), _squared_error, Optimizer("Adam", 2e-3, schedule="one_cycle")),),
        batches=batches,
        evaluate=evaluate,
        samples=samples,
        data=Restoration(blur, splits["validation"]),
    )


@reference(task=NAME, kind="floor")
def identity(problem: Problem) -> Models:
    """Leave the image as the camera gave it."""
    return {"restorer": lambda observed: observed}


def _squared_error(models: Models, batch: tuple[Tensor, Tensor]) -> Tensor:
    observed, truth = batch
    return functional.mse_loss(models["restorer"](observed), truth)


def _scenes(chosen: Sequence[Photograph], side: int, generator: torch.Generator) -> Tensor:
    """Cut a scene of `side` pixels out of each photograph, at random, turned and mirrored at random."""
    numbers = torch.rand(len(chosen), 3, generator=generator).tolist()
    return torch.stack([_scene(photo.pixels, side, *row) for photo, row in zip(chosen, numbers, strict=True)])


def _scene(pixels: Tensor, side: int, down: float, right: float, turn: float) -> Tensor:
    top, left = (int(u * (n - side + 1)) for u, n in zip((down, right), pixels.shape[1:], strict=True))
    quarters, mirrored = divmod(int(turn * 8), 2)
    scene = pixels[:, top : top + side, left : left + side].rot90(quarters, (1, 2))
    return scene.flip(2) if mirrored else scene
