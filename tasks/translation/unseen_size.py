"""Unseen size: digits learned on canvases of one size, asked for on smaller and larger ones.

    trained 32 x 32         asked for 16 .. 64, the digits as large as before
    . . . .                 . 7       . . . . . . . .
    . . 7 .           ->    . .       . . . . . 7 . .   ...

A digit has the same pixels on every canvas: only the room around it grows, so a network that looks for digits alone
loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np

from coordbench.harness.core.description import About, Axes, Column, Part, Sentence, Where
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Models, Network, Problem, Sample
from coordbench.harness.core.registry import task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.digits import CLASSES
from coordbench.tasks.translation._learning import accuracy, everywhere, phases, training

NAME = "unseen_size"
SHARES = (0.5, 0.75, 1.25, 1.5, 2.0)
"""Sizes of test, in canvases of training."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        f"A network learns digits on {options['canvas']} x {options['canvas']} pixels and is asked for other "
        "digits, as large as before, on canvases of half to twice the size.",
        "Accuracy by the size of the canvas.",
    )


_REFUSED = Column("score", "refused")
SENTENCES = (
    Sentence(
        "On canvases of unseen size ",
        (
            Part(
                "accuracy goes from {items}", "{network} {accuracy@seen:share} to {accuracy:share}",
                (Where(_REFUSED, below=1e-9),), needed=True,
            ),
            Part("{items} refuse them", "{network}", (Where(_REFUSED, least=1e-9),)),
        ),
        " ({seeds}).",
    ),
)  # fmt: skip


@task(
    NAME,
    suite="translation",
    metrics=(
        Metric("accuracy", least=0, most=1),
        Metric(At("accuracy", "size", "seen"), least=0, most=1),
        *(Metric(At("accuracy", "size", share), margin=0.05, least=0, most=1) for share in SHARES),
        Metric("refused", better="lower", least=0, most=1),
    ),
    backbones=("classifier", "strided"),
    about=about,
    axes={"size": Axes("size of the canvas, in those of training", "accuracy")},
    sentences=SENTENCES,
)
def unseen_size(network: Network, seed: int, *, canvas: Annotated[int, Range(16, 512)] = 24) -> Problem:
    """Classify digits at every place of a canvas; accuracy is a mean over canvases of half to twice the size.

    A network that refuses a size recognizes nothing there, and `refused` tells of how many sizes that holds.
    """
    sizes = {share: round(share * canvas) for share in SHARES}

    def asked(models: Models, split: str, size: int) -> float | None:
        try:
            return accuracy(models["model"], size, split, NAME, seed)
        except ValueError:  # what layers raise that are made for one size
            return None

    def evaluate(models: Models, split: str) -> dict[str, float]:
        shares = SHARES if split == "test" else (SHARES[0], SHARES[-1])
        accuracies = {share: asked(models, split, sizes[share]) for share in shares}
        scores = {At("accuracy", "size", share): value or 0.0 for share, value in accuracies.items()}
        seen = accuracy(models["model"], canvas, split, NAME, seed)
        refused = sum(value is None for value in accuracies.values()) / len(accuracies)
        whole = {"accuracy": float(np.mean(list(scores.values()))), At("accuracy", "size", "seen"): seen}
        return whole | {"refused": refused} | scores

    def samples(models: Models) -> Sequence[Sample]:
        every = sorted([*sizes.values(), canvas])
        curve = np.array([every, [asked(models, "test", size) or 0.0 for size in every]])
        return [Sample("accuracy by size of the canvas [px]", "accuracy", "line", curve)]

    model = network((1, canvas, canvas), (CLASSES,))
    data = everywhere(canvas, "train", NAME, seed)
    return Problem({"model": model}, phases(trained=True), training(canvas, NAME, seed), evaluate, samples, data=data)
