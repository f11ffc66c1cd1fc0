"""Generate hands whose fingers can be counted: how many of them could be a hand, and of how many kinds.

Claim of Hosseini, Hosseini, "GeoPos", 2024, arXiv 2401.01951, whose hands were photographs; these are drawn, so that
finger count and pose are known.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated

from torch import Tensor

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, NotNegative, Range
from coordbench.harness.core.problem import Metric, Network, Problem
from coordbench.harness.core.registry import task
from coordbench.tasks._data.draws import generator
from coordbench.tasks._data.hands import FINGERS, draw, hands
from coordbench.tasks.gan_stability._adversarial import AXES, METRICS, Batch, Game, Step, adversarial, gan_about
from coordbench.tasks.gan_stability._hand_reader import hand_reader
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules
from coordbench.tasks.gan_stability._measures.factors import entropy
from coordbench.tasks.gan_stability._measures.features import Features
from coordbench.tasks.gan_stability._sources import Canvas, pictures

NAME = "hand_gan"
_GRADED = 1000


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return gan_about("drawn hands of zero to five fingers", options)


@task(
    NAME,
    suite="gan_stability",
    metrics=(*METRICS, Metric("valid", least=0, most=1), Metric("finger_entropy", "nats")),
    backbones=("dcgan", "coordgan"),
    source="After Hosseini and Hosseini 2024, arXiv 2401.01951",
    about=about,
    axes=AXES,
)
def hand_gan(
    network: Network, seed: int, *, images: Annotated[int, Range(16, 50000)] | None = None, canvas: Canvas = 64,
    latent: Count = 100, batch: Batch = 64, features: Features = "pca", loss: Loss = "non_saturating",
    penalty: Penalty = "none", gamma: NotNegative = 1.0, narrow_from: Step | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over drawn hands of zero to five fingers.

    With `images` there are so many of them, seen again every epoch; else 50,000, which short trainings never finish.
    """

    def look(images: Tensor, split: str) -> dict[str, float]:
        return count_fingers(images) if split == "test" else {}  # the reader is trained once, for the end

    game = Game(latent, batch, narrow_from, Rules(loss, penalty, gamma))
    return adversarial(
        network, seed, NAME, pictures("hands", canvas, images=images), game, features=features, look=look
    )


def count_fingers(images: Tensor) -> dict[str, float]:
    """Score images (N, 1, H, W): the share of valid hands, the entropy [nats] of their finger counts, and the reader.

    `reader_accuracy` is its share of right finger counts on real hands that it reads, `reader_abstention` the share of
    real hands that it does not read.
    """
    canvas = images.shape[-1]
    reader = hand_reader(canvas)
    valid = reader.valid(images)
    counts = reader.read(images[valid]).count
    accuracy, abstention = grade(canvas)
    return {
        "valid": valid.double().mean().item(),
        "finger_entropy": entropy(counts, FINGERS + 1),
        "reader_accuracy": accuracy,
        "reader_abstention": abstention,
    }


@functools.lru_cache(maxsize=2)
def grade(canvas: int) -> tuple[float, float]:
    """The reader's accuracy on real hands that it has never seen, where it reads, and how often it abstains."""
    known, reader = hands(_GRADED, generator("hand_reader", "test")), hand_reader(canvas)
    images = draw(known, canvas)
    valid = reader.valid(images)
    right = reader.read(images[valid]).count == known.count[valid]
    return right.double().mean().item(), 1 - valid.double().mean().item()
