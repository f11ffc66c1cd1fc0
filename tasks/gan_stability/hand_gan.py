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
from coordbench.tasks._data.hands import FINGERS, MODES, draw, hands
from coordbench.tasks.gan_stability._adversarial import (
    AXES,
    METRICS,
    Batch,
    Game,
    Momentum,
    Step,
    adversarial,
    gan_about,
)
from coordbench.tasks.gan_stability._hand_reader import hand_reader
from coordbench.tasks.gan_stability._losses import Loss, Penalty, Rules
from coordbench.tasks.gan_stability._measures.factors import entropy, occupied
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
    metrics=(
        *METRICS, Metric("valid", least=0, most=1), Metric("finger_entropy", "nats"),
        Metric("modes", margin=4.0, least=0, most=MODES), Metric("mode_entropy", "nats", margin=0.1, least=0),
    ),
    backbones=("dcgan", "dcgan_unequal", "coordgan"),
    source="After Hosseini and Hosseini 2024, arXiv 2401.01951",
    about=about,
    axes=AXES,
)  # fmt: skip
def hand_gan(
    network: Network, seed: int, *, images: Annotated[int, Range(16, 50000)] | None = None, canvas: Canvas = 64,
    latent: Count = 100, batch: Batch = 64, features: Features = "pca", loss: Loss = "non_saturating",
    penalty: Penalty = "none", gamma: NotNegative = 1.0, beta1: Momentum = 0.5,
    narrow_from: Step | None = None,
) -> Problem:  # fmt: skip
    """Play a GAN over drawn hands of zero to five fingers.

    With `images` there are so many of them, seen again every epoch; else 50,000, which short trainings never finish.
    """

    def look(images: Tensor, split: str) -> dict[str, float]:
        return read_hands(images) if split == "test" else {}  # the reader is trained once, for the end

    game = Game(latent, batch, narrow_from, Rules(loss, penalty, gamma), betas=(beta1, 0.999))
    return adversarial(
        network, seed, NAME, pictures("hands", canvas, images=images), game, features=features, look=look
    )


def read_hands(images: Tensor) -> dict[str, float]:
    """Score images (N, 1, H, W): the share of valid hands, how many kinds of hand are among them and how evenly.

    `modes` counts those of the 96 kinds of `Hands.mode` that occur; of 1,000 real hands hardly one is missing.
    Entropies [nats] are those of finger counts and of modes. `reader_accuracy` is the reader's share of right finger
    counts on real hands that it reads, `mode_accuracy` that of right modes; `reader_abstention` the share that it does
    not read.
    """
    canvas = images.shape[-1]
    reader = hand_reader(canvas)
    valid = reader.valid(images)
    known = reader.read(images[valid])
    return {
        "valid": valid.double().mean().item(),
        "finger_entropy": entropy(known.count, FINGERS + 1),
        "modes": MODES * occupied(known.mode, MODES),
        "mode_entropy": entropy(known.mode, MODES),
        **grade(canvas),
    }


@functools.lru_cache(maxsize=2)
def grade(canvas: int) -> dict[str, float]:
    """How well the reader reads real hands that it has never seen, and how often it abstains."""
    known, reader = hands(_GRADED, generator("hand_reader", "test")), hand_reader(canvas)
    images = draw(known, canvas)
    valid = reader.valid(images)
    answer, truth = reader.read(images[valid]), known[valid]
    return {
        "reader_accuracy": (answer.count == truth.count).double().mean().item(),
        "mode_accuracy": (answer.mode == truth.mode).double().mean().item(),
        "reader_abstention": 1 - valid.double().mean().item(),
    }
