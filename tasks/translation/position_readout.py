"""Position readout: what a network's features tell about where they are, of scenes that look alike everywhere.

    scene       features of a layer      linear readout          R^2 by layer
    7 . 3 2     c_1 ... c_C per pixel ->  x, y of the pixel  ->  0 .1 .2 ...

Islam, Jia, Bruce, "How much position information do convolutional neural networks encode?", 2020, arXiv 2001.08248,
found that zero padding gives place away. Nothing but the border or the layer itself can tell it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch

from coordbench.harness.core.description import About, Axes, Column, Part, Sentence, Where
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Models, Network, Problem, Sample
from coordbench.harness.core.registry import reference, task
from coordbench.harness.core.scores import At
from coordbench.tasks.translation._learning import Output, accuracy, output_shape, phases, training
from coordbench.tasks.translation._readout import features, grid, r_squared, read_place
from coordbench.tasks.translation._scenes import scenes

NAME = "position_readout"
LAST = At("r2", "layer", "last")
LAYERS = range(1, 9)
"""Layers whose R^2 is a score of its own."""
_FITTED = 24
_ASKED = {"validation": 4, "test": 12}


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    when = "after it learned to tell digits" if options["trained"] else "before any training"
    return About(
        f"How much of its place can be read linearly off the features of each pixel, {when}? The readout is "
        "fitted on some scenes and asked on others.",
        "The share of position that each layer tells, and the x that the best one tells beside the true one.",
    )


SENTENCES = (
    Sentence(
        "Before training, R^2 of absolute position at the best depth and layer: ",
        (
            Part(
                "{items}", "{layer} {r2:positive}", by=Column("variant"), reduce="highest", order="r2", descending=True,
            ),
        ),
        " ({seeds}).",
        (Where(Column("task", "trained", "false"), ("false",)),),
    ),
)  # fmt: skip


@task(
    NAME,
    suite="translation",
    metrics=(
        Metric("r2"),
        Metric(LAST),
        *(Metric(At("r2", "layer", i)) for i in LAYERS),
        Metric("accuracy", least=0, most=1),
    ),
    backbones=("stack", "classifier", "unet"),
    source="After Islam, Jia, Bruce 2020, arXiv 2001.08248",
    about=about,
    axes={"layer": Axes("layer", "R^2 of position"), "readout": Axes("x [px]", "y [px]", "x that is read")},
    sentences=SENTENCES,
)
def position_readout(
    network: Network, seed: int, *, canvas: Annotated[int, Range(8, 512)] = 32, trained: bool = False,
    output: Output = "map",
) -> Problem:  # fmt: skip
    """Read absolute position off the features of a frozen network; the layer that gives most away is the score.

    With `trained` the network first learns to tell digits at every place; else its steps change nothing.
    """

    def read(models: Models, split: str) -> list[tuple[tuple[int, ...], torch.Tensor]]:
        """The size of each layer's map and the places that it tells."""
        known, asked = (
            features(models["model"], scenes(count, (canvas, canvas), part, NAME, seed))
            for part, count in (("train", _FITTED), (split, _ASKED[split]))
        )
        return [(tuple(a.shape[2:]), read_place(k, a)) for k, a in zip(known, asked, strict=True)]

    def evaluate(models: Models, split: str) -> dict[str, float]:
        shares = [r_squared(places, size) for size, places in read(models, split)]
        scores = {"r2": max(shares), LAST: shares[-1]}
        scores |= {At("r2", "layer", i): share for i, share in zip(LAYERS, shares, strict=False)}
        return scores | ({"accuracy": accuracy(models["model"], canvas, split, NAME, seed)} if trained else {})

    def samples(models: Models) -> Sequence[Sample]:
        layers = read(models, "test")
        shares = [r_squared(places, size) for size, places in layers]
        size, places = layers[int(np.argmax(shares))]
        return [
            Sample("R^2 of position by layer", "readout", "line", np.array([np.arange(len(shares)) + 1.0, shares])),
            Sample("x as it is read", "truth", "heatmap", grid(size)[:, 0].view(size).numpy()),
            Sample("x as it is read", "readout", "heatmap", places.mean(0)[:, 0].view(size).numpy()),
        ]

    model = network((1, canvas, canvas), output_shape(output, (canvas, canvas)))
    return Problem({"model": model}, phases(trained=trained), training(canvas, NAME, seed), evaluate, samples)


@reference(task=NAME, kind="floor")
def pixels_alone(problem: Problem) -> Models:
    """Read position off the scene itself, which does not tell it."""
    return {"model": lambda x: x}


@reference(task=NAME, kind="anchor")
def coordinates_alone(problem: Problem) -> Models:
    """Read position off the coordinates themselves; no ceiling, since to know less is no failure."""
    return {"model": lambda x: grid(tuple(x.shape[2:])).T.unflatten(1, x.shape[2:]).expand(len(x), -1, -1, -1)}
