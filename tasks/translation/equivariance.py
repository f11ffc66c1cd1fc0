"""Equivariance: does the output move as the input does? Asked of a network as it was drawn, or after training.

    input x        shifted x       f(x), shifted       f(shifted x)      error by shift
    . 7 . .   ->   . . . 7         . . # #         -   . . # %       ->  0 .1 .1 .2 ...

Three ways to shift: `circular` wraps around; `window` moves over a wider scene, so that other pixels come in at the
border; `interior` does the same and leaves out an eighth at each border of the output. A layer that only its
border tells about place is exact in the interior, one that knows its coordinates is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from harness.registry import reference, task
from harness.spec import Metric, Models, Network, Problem, Sample, UsageError
from tasks._data.digits import CLASSES
from tasks._data.draws import generator
from tasks.translation._equivariance import (
    Function,
    circular_error,
    exactly,
    followers,
    lie_derivative,
    shift,
    window_error,
)
from tasks.translation._learning import Output, accuracy, output_shape, phases, training
from tasks.translation._scenes import scenes

NAME = "equivariance"
SHIFTS = (1, 2, 3, 4, 8)
_MARGIN = 1 / 8
_SCENES = {"validation": 4, "test": 16}


@task(
    NAME,
    suite="translation",
    metrics=(
        Metric("error", "", "lower"),
        *(Metric(f"error@{how}", "", "lower") for how in ("window", "interior", "half_pixel")),
        Metric("lie_derivative", "1/px", "lower"),
        *(Metric(f"error@shift={s}", "", "lower") for s in SHIFTS),
        Metric("accuracy"),
    ),
    backbones=("stack", "classifier", "unet"),
    source="The Lie derivative after Gruver et al. 2022, arXiv 2210.02984",
)
def equivariance(
    network: Network, seed: int, *, canvas: int = 32, trained: bool = False, output: Output = "map"
) -> Problem:
    """Measure the relative error of f(shift x) against shift f(x); its mean over whole circular shifts is the score.

    With `trained` the network first learns to tell digits at every place; else its steps change nothing. With
    `output=vector` the classes of the whole picture are asked for, which should not move at all.
    """
    if canvas < 16:
        raise UsageError(f"{NAME}: canvas={canvas} is too small for shifts of {SHIFTS[-1]} px; it must be at least 16")

    def fields(split: str) -> Tensor:
        """Scenes wide enough for a window that moves by half the canvas."""
        return scenes(_SCENES[split], (canvas, canvas + canvas // 2), split, NAME, seed)

    def tori(split: str) -> Tensor:
        return scenes(_SCENES[split], (canvas, canvas), split, NAME, seed)

    def circular(f: Function, split: str, shifts: Sequence[float]) -> list[float]:
        x = tori(split)
        return [circular_error(f, x, pixels) for pixels in shifts]

    def window(f: Function, split: str, shifts: Sequence[int], margin: float = 0.0) -> list[float]:
        field = fields(split)
        return [window_error(f, field, pixels, canvas, margin=margin) for pixels in shifts]

    whole = range(1, canvas // 2 + 1)

    def evaluate(models: Models, split: str) -> dict[str, float]:
        f = exactly(models["model"])
        scores = {"accuracy": accuracy(models["model"], canvas, split, NAME, seed)} if trained else {}
        if split == "validation":
            return scores | {"error": float(np.mean(circular(f, split, SHIFTS)))}
        found = dict(zip(whole, circular(f, split, whole), strict=True))
        scores |= {"error": float(np.mean(list(found.values())))}
        scores |= {"error@window": float(np.mean(window(f, split, whole)))}
        if output == "map":
            scores["error@interior"] = float(np.mean(window(f, split, whole, _MARGIN)))
        scores["error@half_pixel"] = circular(f, split, [0.5])[0]
        scores["lie_derivative"] = lie_derivative(f, tori(split))
        return scores | {f"error@shift={s}": found[s] for s in SHIFTS}

    def samples(models: Models) -> Sequence[Sample]:
        f = exactly(models["model"])
        halves = [step / 2 for step in range(canvas + 1)]
        curves = {"circular": (halves, circular(f, "test", halves))}
        curves["window"] = (list(whole), window(f, "test", whole))
        if output == "map":
            curves["interior"] = (list(whole), window(f, "test", whole, _MARGIN))
        drawn = [Sample("error by shift [px]", how, "line", np.array(xy)) for how, xy in curves.items()]
        return drawn + ([_by_place(f, tori("test"))] if output == "map" else [])

    model = network((1, canvas, canvas), output_shape(output, (canvas, canvas)))
    return Problem(
        {"model": model},
        phases(trained=trained),
        training(canvas, NAME, seed),
        evaluate,
        samples,
        data=(canvas, output),
    )


def _by_place(f: Function, x: Tensor) -> Sample:
    """Where on the canvas the output does not follow a shift of a quarter of it: root mean square over the spread."""
    pixels = x.shape[-1] // 4
    still, moved = f(x), f(shift(x, pixels))
    follower = followers(still, pixels, x.shape[-1])[0]
    error = (moved - follower).square().mean((0, 1)).sqrt() / still.std().clamp_min(1e-12)
    return Sample(f"error by place, shift {pixels} px", "error", "heatmap", error.float().numpy())


@reference(task=NAME, kind="floor")
def random_dense(problem: Problem) -> Models:
    """Weigh all pixels of the input at random for each number of the output: nothing moves with anything."""
    canvas, output = problem.data
    shape = (1, canvas, canvas) if output == "map" else (CLASSES,)
    weights = torch.randn(canvas**2, int(np.prod(shape)), dtype=torch.float64, generator=generator(NAME, "dense"))

    def dense(x: Tensor) -> Tensor:
        result: Tensor = x.double().flatten(1) @ weights
        return result.view(-1, *shape)

    return {"model": dense}
