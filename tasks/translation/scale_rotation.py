"""Scale and rotation: networks follow a shift by construction; how far are they from following a turn or a zoom?

    input x      turned T x      f(x), turned      f(T x)        error by angle
    . 7 . .  ->  . . . L         . # . .       -   # . . .   ->  0 .3 .6 ...

Both pictures are resampled alike, and compared in the disk that every turn keeps. The accuracy on turned and zoomed
digits tells what training, and `augment`, make of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from coordbench.harness.core.description import About, Axes, Column, Part, Sentence, Where
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Models, Network, Problem, Sample
from coordbench.harness.core.registry import task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.digits import SIDE
from coordbench.tasks._data.draws import generator
from coordbench.tasks._predict import Model, predict
from coordbench.tasks.translation._equivariance import Function, exactly, mismatch
from coordbench.tasks.translation._learning import (
    BATCH,
    Digits,
    Drawn,
    Output,
    everywhere,
    logits,
    output_shape,
    phases,
)
from coordbench.tasks.translation._places import trained_places
from coordbench.tasks.translation._resampling import disk, resampled
from coordbench.tasks.translation._scenes import scenes

NAME = "scale_rotation"
CHANGES: Mapping[str, Sequence[float]] = {"angle": (15, 30, 45, 90, 180), "scale": (0.5, 0.75, 1.5, 2.0)}
"""Degrees, and factors."""
_LARGEST = 2.0
_DISK = 0.85
_ASKED = {"validation": 100, "test": 500}
_SCENES = {"validation": 4, "test": 12}

Augment = Literal["none", "zoom", "rotation"]


def _metrics(name: str, better: Literal["higher", "lower"]) -> tuple[Metric, ...]:
    each = (At(name, kind, value) for kind, values in CHANGES.items() for value in values)
    return tuple(Metric(label, "", better, 0.05) for label in (*(At(name, "change", kind) for kind in CHANGES), *each))


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    when = "after it learned to tell digits" if options["trained"] else "before any training"
    return About(
        f"How well does the output of a network turn and grow with its input of {options['canvas']} x "
        f"{options['canvas']} pixels, {when}? Asked of pictures that no training has seen.",
        "Error by angle and by scale (0 = follows exactly, 1 = not at all).",
    )


_AUGMENT = Column("task", "augment", "none")
SENTENCES = (
    Sentence(
        "",
        (
            Part("Turns are followed with errors of {items}", "{error@angle:error}", order="error@angle", pick="range"),
            Part("zooms with {items}", "{error@scale:error}", order="error@scale", pick="range"),
        ),
        " ({seeds}).",
        (Where(Column("task", "trained", "false"), ("false",)),),
        ", ",
    ),
    Sentence(
        "Training with zooms takes the accuracy on zoomed digits from ",
        (Part("{items}", "{accuracy@scale:share}", by=_AUGMENT, between=" to ", least=2),),
        " ({seeds}).",
        (Where(_AUGMENT, ("none", "zoom")),),
    ),
)


@task(
    NAME,
    suite="translation",
    metrics=(
        Metric("error", "", "lower", least=0),
        *_metrics("error", "lower"),
        Metric("accuracy", least=0, most=1),
        *_metrics("accuracy", "higher"),
        Metric(At("accuracy", "change", "upright"), least=0, most=1),
    ),
    backbones=("stack", "classifier", "unet"),
    about=about,
    axes={"angle": Axes("angle [degrees]", "error or accuracy"), "scale": Axes("zoom", "error or accuracy")},
    sentences=SENTENCES,
)
def scale_rotation(
    network: Network, seed: int, *, canvas: Annotated[int, Range(32, 512)] = 32, trained: bool = False,
    augment: Augment = "none", output: Output = "map",
) -> Problem:  # fmt: skip
    """Measure the relative error of f(T x) against T f(x), for turns and zooms T; its mean over both is the score.

    With `trained` the network first learns to tell digits, upright or as `augment` changes them, and is then asked for
    turned and zoomed ones. With `output=vector` the classes of the whole picture are asked for, and should not change.
    """

    def digits(split: str) -> Digits:
        return dataclasses.replace(everywhere(canvas, split, NAME, seed), places=trained_places("one", canvas, SIDE))

    learned = digits("train")

    def draw(source: Digits, count: int, *key: object, **change: float) -> Drawn:
        """Digits in the middle, changed, then moved by as much as keeps the largest of them on the canvas."""
        images, labels = source.draw(count, *key)
        room = int(canvas - _LARGEST * SIDE) // 2
        move = torch.randint(-room, room + 1, (count, 2), generator=generator(*key, "move"))
        return resampled(images, move=move, **(change or _augmented(augment, count, *key))), labels

    def batches(step: int) -> Drawn:
        return draw(learned, BATCH, NAME, seed, "train", step)

    def errors(model: Model, split: str, changes: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
        f, x = exactly(model), scenes(_SCENES[split], (canvas, canvas), split, NAME, seed)
        return {kind: [change_error(f, x, **{kind: v}) for v in values] for kind, values in changes.items()}

    def accuracies(model: Model, split: str, changes: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
        source = digits(split)

        def asked(kind: str, value: float) -> float:
            images, labels = draw(source, _ASKED[split], NAME, seed, split, **{kind: value})
            return (logits(predict(model, images)).argmax(1) == labels).float().mean().item()

        return {kind: [asked(kind, value) for value in values] for kind, values in changes.items()}

    def evaluate(models: Models, split: str) -> dict[str, float]:
        scores = _scores("error", errors(models["model"], split, CHANGES))
        if trained:
            by_kind = accuracies(models["model"], split, CHANGES)
            upright = accuracies(models["model"], split, {"angle": (0.0,)})["angle"][0]
            scores |= _scores("accuracy", by_kind) | {At("accuracy", "change", "upright"): upright}
        return scores

    def samples(models: Models) -> Sequence[Sample]:
        wide = {"angle": [float(a) for a in range(0, 181, 15)], "scale": [2 ** (i / 4) for i in range(-4, 5)]}
        curves = {"error": errors(models["model"], "test", wide)}
        if trained:
            curves["accuracy"] = accuracies(models["model"], "test", wide)
        return [
            Sample(f"{name} by {kind}", name, "line", np.array([wide[kind], values]))
            for name, by_kind in curves.items()
            for kind, values in by_kind.items()
        ]

    model = network((1, canvas, canvas), output_shape(output, (canvas, canvas)))
    return Problem({"model": model}, phases(trained=trained), batches, evaluate, samples, data=(canvas, output))


def change_error(f: Function, x: Tensor, *, angle: float = 0.0, scale: float = 1.0) -> float:
    """Return the error of f under a turn and a zoom of its input, in the disk where all of it is known."""
    still, moved = f(x), f(resampled(x, angle, scale))
    if still.dim() < 3:
        return mismatch(moved, [still])
    seen = disk(tuple(still.shape[2:]), _DISK * min(scale, 1.0))
    return mismatch(moved[..., seen], [resampled(still, angle, scale)[..., seen]])


def _augmented(augment: Augment, count: int, *key: object) -> dict[str, Tensor]:
    uniform = 2 * torch.rand(count, generator=generator(*key, "augment")) - 1
    match augment:
        case "zoom":
            return {"scale": _LARGEST**uniform}
        case "rotation":
            return {"angle": 180 * uniform}
        case _:
            return {}


def _scores(name: str, by_kind: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean over both kinds of change, of each kind, and each by itself."""
    kinds = {At(name, "change", kind): float(np.mean(values)) for kind, values in by_kind.items()}
    each = {
        At(name, kind, value): one
        for kind, values in by_kind.items()
        for value, one in zip(CHANGES[kind], values, strict=True)
    }
    return {name: float(np.mean(list(kinds.values())))} | kinds | each
