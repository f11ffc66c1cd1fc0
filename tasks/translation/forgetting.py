"""Forgetting: digits learned at every place, then at one alone: does the network stay invariant?

    steps        0 ....... pretrain ....... end
    places       all of them     | the middle alone
    asked for    everywhere, all along: the fall after `pretrain` is what is forgotten

With `pretrain=0` the middle is all that the network ever saw. Biscione, Bowers, "Convolutional neural networks are not
invariant to translation, but they can learn to be", 2021, arXiv 2110.05861, ask this of larger networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from coordbench.harness.core.description import About, Column, Part, Sentence, Where
from coordbench.harness.core.options import Range
from coordbench.harness.core.problem import Metric, Models, Network, Optimizer, Phase, Problem
from coordbench.harness.core.registry import task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.digits import CLASSES, SIDE, split_digits
from coordbench.tasks._predict import predict
from coordbench.tasks.translation._learning import BATCH, Drawn, accuracy, cross_entropy, everywhere
from coordbench.tasks.translation._places import painted, trained_places

NAME = "forgetting"
SEEN = At("accuracy", "place", "seen")


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        f"A network learns digits at every place for {options['pretrain']} steps, then in the middle alone; is it "
        "still able to recognize other digits everywhere?",
        "No picture is drawn.",
    )


_PRETRAIN = Column("task", "pretrain", "800")
SENTENCES = (
    Sentence(
        "After fine-tuning at one place, networks ",
        (
            Part(
                "pretrained at all places recognize {items} of digits everywhere", "{layer} {accuracy:share}",
                (Where(_PRETRAIN, ("0",), but=True),), needed=True,
            ),
            Part(
                "without pretraining at most {items}", "{accuracy:share}",
                (Where(_PRETRAIN, ("0",)),), order="accuracy",
                pick="highest", needed=True,
            ),
        ),
        " ({seeds}).",
    ),
)  # fmt: skip


@task(
    NAME,
    suite="translation",
    metrics=(Metric("accuracy", least=0, most=1), Metric(SEEN), Metric("accuracy_lost", better="lower")),
    backbones=("classifier", "strided"),
    source="After Biscione, Bowers 2021, arXiv 2110.05861",
    about=about,
    sentences=SENTENCES,
)
def forgetting(
    network: Network, seed: int, *, canvas: Annotated[int, Range(9, 512)] = 24,
    pretrain: Annotated[int, Range(0)] = 800,
) -> Problem:  # fmt: skip
    """Classify digits at every place for `pretrain` steps, in the middle alone after that; asked for everywhere.

    `accuracy@seen` is that in the middle and `accuracy_lost` how much lower it is everywhere. Give a trial more than
    `pretrain` steps.
    """
    wide = everywhere(canvas, "train", NAME, seed)
    narrow = dataclasses.replace(wide, places=trained_places("one", canvas, SIDE))

    def batches(step: int) -> Drawn:
        return (wide if step < pretrain else narrow).draw(BATCH, NAME, seed, "train", step)

    def evaluate(models: Models, split: str) -> dict[str, float]:
        images, labels = split_digits(split, NAME, seed)
        middle = painted(images, narrow.places.expand(len(images), 2), canvas)
        seen = (predict(models["model"], middle).argmax(1) == labels).float().mean().item()
        share = accuracy(models["model"], canvas, split, NAME, seed)
        return {"accuracy": share, SEEN: seen, "accuracy_lost": seen - share}

    model = network((1, canvas, canvas), (CLASSES,))
    phase = Phase(("model",), cross_entropy, Optimizer("Adam", 3e-3))
    return Problem({"model": model}, (phase,), batches, evaluate, data=narrow)
