"""Equivariance: does the output move as the input does? Asked of a network as it was drawn, or after training.

    input x        shifted x       f(x), shifted       f(shifted x)      error by shift
    . 7 . .   ->   . . . 7         . . # #         -   . . # %       ->  0 .1 .1 .2 ...

Three ways to shift: `circular` wraps around; `window` moves over a wider scene, so that other pixels come in at the
border; `interior` does the same and leaves out an eighth at each border of the output. A layer that only its
border tells about place is exact in the interior, one that knows its coordinates is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from torch import Tensor

from coordbench.harness.core.description import About, Axes, Column, Part, Sentence, Where
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Models, Network, Problem, Sample
from coordbench.harness.core.registry import task
from coordbench.harness.core.scores import At
from coordbench.tasks.translation._equivariance import (
    Function,
    circular_errors,
    exactly,
    followers,
    lie_derivative,
    shift,
    window_errors,
)
from coordbench.tasks.translation._learning import Output, accuracy, output_shape, phases, training
from coordbench.tasks.translation._scenes import scenes

NAME = "equivariance"
SHIFTS = (1, 2, 3, 4, 8)
_MARGIN = 1 / 8
_SCENES = {"validation": 4, "test": 8}


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    when = "after it learned to tell digits" if options["trained"] else "as it was drawn, before any training"
    return About(
        f"How well does the output of a network move with its input of {options['canvas']} x {options['canvas']} "
        f"pixels, {when}? Asked of scenes of digits that no training has seen.",
        "Error by shift (0 = follows exactly, 1 = not at all), and where on the canvas it arises.",
    )


UNTRAINED = Where(Column("task", "trained", "false"), ("false",))
_EXACT = 1e-6
"""Relative errors below it are rounding."""
_EVERYWHERE, _INTERIOR = Column("score", "error"), Column("score", "error@interior")
_WRONG = "{layer} {error:error}"
SENTENCES = (
    Sentence(
        "How layers follow a shift before training (0 = exactly, 1 = not at all; {seeds}): ",
        (
            Part("exact to rounding {items}", "{group}", (Where(_EVERYWHERE, below=_EXACT),), by=Column("variant")),
            Part(
                "wrong at the border alone {items}", _WRONG,
                (Where(_EVERYWHERE, least=_EXACT), Where(_INTERIOR, below=_EXACT)),
                by=Column("variant"), reduce="highest", order="error",
            ),
            Part(
                "wrong in the interior too {items}", "{layer} {error@interior:error}",
                (Where(_EVERYWHERE, least=_EXACT), Where(_INTERIOR, least=_EXACT)),
                by=Column("variant"), reduce="highest", order="error@interior",
            ),
        ),
        where=(UNTRAINED, Where(Column("backbone"), ("stack",))),
    ),
    Sentence(
        "Behind circular convolutions, one pixel of shift passes two halvings with errors ",
        (
            Part(
                "{items}", "{group} {error@shift=1:error}", by=Column("backbone", "down", "stride"),
                order="error@shift=1",
            ),
        ),
        " ({seeds}).",
        (Where(Column("backbone"), ("classifier",)), Where(Column("variant"), ("conv[padding=circular]",))),
    ),
)  # fmt: skip


@task(
    NAME,
    suite="translation",
    metrics=(
        Metric("error", "", "lower", least=0),
        *(Metric(At("error", "way", how), "", "lower", least=0) for how in ("window", "interior", "half_pixel")),
        Metric("lie_derivative", "1/px", "lower"),
        *(Metric(At("error", "shift", s), "", "lower", least=0) for s in SHIFTS),
        Metric("accuracy", least=0, most=1),
    ),
    backbones=("stack", "classifier", "unet"),
    source="The Lie derivative after Gruver et al. 2022, arXiv 2210.02984",
    about=about,
    axes={"shift": Axes("shift [px]", "relative error"), "error": Axes("x [px]", "y [px]", "relative error")},
    sentences=SENTENCES,
)
def equivariance(
    network: Network, seed: int, *, canvas: Annotated[int, Range(16, 512)] = 32, trained: bool = False,
    output: Output = "map",
) -> Problem:  # fmt: skip
    """Measure the relative error of f(shift x) against shift f(x); its mean over whole circular shifts is the score.

    With `trained` the network first learns to tell digits at every place; else its steps change nothing. With
    `output=vector` the classes of the whole picture are asked for, which should not move at all.
    """

    def fields(split: str) -> Tensor:
        """Scenes wide enough for a window that moves by half the canvas."""
        return scenes(_SCENES[split], (canvas, canvas + canvas // 2), split, NAME, seed)

    def tori(split: str) -> Tensor:
        return scenes(_SCENES[split], (canvas, canvas), split, NAME, seed)

    def window(f: Function, split: str) -> dict[str, list[float]]:
        margins = {"window": 0.0} | ({"interior": _MARGIN} if output == "map" else {})
        errors = window_errors(f, fields(split), whole, canvas, list(margins.values()))
        return dict(zip(margins, errors, strict=True))

    whole = range(1, canvas // 2 + 1)

    def evaluate(models: Models, split: str) -> dict[str, float]:
        f, x = exactly(models["model"]), tori(split)
        scores = {"accuracy": accuracy(models["model"], canvas, split, NAME, seed)} if trained else {}
        if split == "validation":
            return scores | {"error": float(np.mean(circular_errors(f, x, SHIFTS)))}
        *errors, half = circular_errors(f, x, [*whole, 0.5])
        scores |= {"error": float(np.mean(errors)), At("error", "way", "half_pixel"): half}
        scores |= {"lie_derivative": lie_derivative(f, x)}
        scores |= {At("error", "way", how): float(np.mean(errors)) for how, errors in window(f, split).items()}
        return scores | {At("error", "shift", s): errors[s - 1] for s in SHIFTS}

    def samples(models: Models) -> Sequence[Sample]:
        f, x = exactly(models["model"]), tori("test")
        halves = np.arange(canvas + 1) / 2
        curves = {"circular": (halves, circular_errors(f, x, halves.tolist()))}
        curves |= {how: (np.array(whole), errors) for how, errors in window(f, "test").items()}
        drawn = [Sample("error by shift [px]", how, "line", np.stack([*xy])) for how, xy in curves.items()]
        return drawn + ([_by_place(f, x)] if output == "map" else [])

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
