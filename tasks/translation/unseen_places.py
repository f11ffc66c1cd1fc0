"""Unseen places: digits learned at one place, at four or at all, and asked for everywhere.

    training, `places=one`      test, every place where a digit fits
    . . . . .                   7 . . . .   . 7 . . .         . . . . .
    . . . . .                   . . . . .   . . . . .   ...   . . . . .
    . . 7 . .                   . . . . .   . . . . .         . . . . .
    . . . . .                   . . . . .   . . . . .         . . . . 7

The question of Biscione, Bowers, "Convolutional neural networks are not invariant to translation, but they can learn
to be", 2021, arXiv 2110.05861; data, sizes and networks here are ours.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from coordbench.harness.core.description import About, Axes, Column, Part, Pick, Sentence, Where
from coordbench.harness.core.options import Count, Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem, Sample
from coordbench.harness.core.registry import task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.digits import CLASSES, SIDE, split_digits
from coordbench.tasks._predict import predict
from coordbench.tasks.translation._learning import Digits, Drawn, cross_entropy
from coordbench.tasks.translation._places import Places, distance, every_place, painted, trained_places

NAME = "unseen_places"
DISTANCES = (1, 2, 4, 8)
"""Pixels from the nearest trained place at which accuracy is told apart; from 8 on no pixel is shared."""
_PER_PLACE = {"validation": (5, 4), "test": (1, 10)}
"""Every n-th place is asked for, with so many digits; the first `SEEN` trained places with all digits of the split."""
SEEN = 4


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    places = {"one": "one place", "few": "four places", "all": "every place"}[str(options["places"])]
    return About(
        f"A network learns digits at {places} of {options['canvas']} x {options['canvas']} pixels and is asked "
        "for other digits at every place where one fits.",
        "The share of digits that it recognizes at each place, and by the distance from the places of training.",
    )


_ENDS: tuple[tuple[str, Pick], ...] = (("best", "highest"), ("worst", "lowest"))
SENTENCES = (
    Sentence(
        "Of digits learned at one place, ",
        tuple(
            Part(
                f"{{items}} at {end}",
                "{network} recognizes {accuracy@unseen:share} elsewhere ({accuracy@seen:share} there)",
                order="accuracy@unseen", pick=pick,
            )
            for end, pick in _ENDS
        ),
        " ({seeds}).",
        (Where(Column("task", "places", "one"), ("one",)),),
        ", and ",
    ),
)  # fmt: skip


@task(
    NAME,
    suite="translation",
    metrics=(
        Metric("accuracy", least=0, most=1),
        Metric(At("accuracy", "place", "seen"), least=0, most=1),
        Metric(At("accuracy", "place", "unseen"), least=0, most=1),
        *(Metric(At("accuracy", "distance", d), margin=0.05, least=0, most=1) for d in DISTANCES),
    ),
    backbones=("classifier", "strided"),
    source="After Biscione, Bowers 2021, arXiv 2110.05861",
    about=about,
    axes={
        "distance": Axes("distance from a trained place [px]", "accuracy"),
        "accuracy": Axes("x [px]", "y [px]", "accuracy"),
    },
    sentences=SENTENCES,
)
def unseen_places(
    network: Network, seed: int, *, canvas: Annotated[int, Range(9, 512)] = 32, places: Places = "one",
    batch: Count = 32,
) -> Problem:  # fmt: skip
    """Classify digits painted at trained places, by softmax cross entropy; accuracy is a mean over all places."""
    data = Digits(*split_digits("train", NAME, seed), trained_places(places, canvas, SIDE), canvas)
    everywhere = every_place(canvas, SIDE)
    away = distance(everywhere, data.places)

    def batches(step: int) -> Drawn:
        return data.draw(batch, NAME, seed, "train", step)

    @functools.cache
    def examples(split: str) -> tuple[Tensor, Tensor, Tensor]:
        """Images, labels and the number of their place; each place has its own digits, and all are used alike."""
        images, labels = split_digits(split, NAME, seed)
        every, count = _PER_PLACE[split]
        known = (away == 0).nonzero()[:, 0].repeat_interleave(len(labels))[: len(labels) * SEEN]
        index = torch.cat([torch.arange(len(everywhere))[::every].repeat_interleave(count), known])
        turn = torch.arange(len(index)) % len(images)
        return images[turn], labels[turn], index

    def shares(models: Models, split: str) -> Tensor:
        """The share of digits recognized at each place, NaN where none is asked for."""
        images, labels, index = examples(split)
        chunks = zip(images.split(1024), index.split(1024), strict=True)
        pictures = (painted(some, everywhere[where], canvas) for some, where in chunks)
        answers = torch.cat([predict(models["model"], some).argmax(1) for some in pictures])
        right = (answers == labels).double()
        return torch.bincount(index, right, len(everywhere)) / torch.bincount(index, minlength=len(everywhere))

    def evaluate(models: Models, split: str) -> dict[str, float]:
        share = shares(models, split)
        groups = {"accuracy": away >= 0, At("accuracy", "place", "seen"): away == 0}
        groups |= {At("accuracy", "place", "unseen"): away > 0}
        groups |= {At("accuracy", "distance", d): away == d for d in DISTANCES if split == "test"}
        return {name: share[chosen].nanmean().item() for name, chosen in groups.items() if chosen.any()}

    def samples(models: Models) -> Sequence[Sample]:
        share, side = shares(models, "test"), canvas - SIDE + 1
        distances = away.unique()
        curve = torch.stack([distances, torch.stack([share[away == d].mean() for d in distances])])
        return [
            Sample("accuracy by place", "accuracy", "heatmap", share.view(side, side).numpy()),
            Sample("accuracy by distance from a trained place [px]", "accuracy", "line", curve.numpy()),
        ]

    optimizer = Optimizer("Adam", 1e-2, schedule="one_cycle")
    models = {"model": network((1, canvas, canvas), (CLASSES,))}
    return Problem(models, (Phase(("model",), cross_entropy, optimizer),), batches, evaluate, samples, data=data)
