"""Positional bias: recognize a letter where it never stood.

A sample: an alpha in the upper left quadrant of 64 x 64 px, where all alphas of training stand; then one in the lower
right. Hosseini, Hosseini, "GeoPos", 2024, arXiv 2401.01951, classify Greek numbers to compare absolute with relative
position; letters, sizes, regions and scores here are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, Range, Share
from coordbench.harness.core.problem import Metric, Models, Network, Problem
from coordbench.harness.core.registry import reference, task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.glyphs import FACES, LETTERS, glyph, paint
from coordbench.tasks.positional_regression import _letters
from coordbench.tasks.positional_regression._letters import Pictures, classification, place

NAME = "positional_bias"
SAME, SWAPPED = (At("accuracy", "quadrant", which) for which in ("same", "swapped"))


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    return About(
        "Given a Greek letter, a network names it; in training "
        f"{100 * float(str(options['strength'])):.0f} % of letters stand in a quadrant of their own, "
        "and in the test they stand anywhere.",
        "The letter beside the one that it was taken for.",
    )


@task(
    NAME,
    suite="positional_regression",
    metrics=(
        Metric("accuracy", least=0, most=1),
        Metric(SAME),
        Metric(SWAPPED),
        Metric("bias", "", "lower", 0.03),
    ),
    backbones=("strided", "pooled", "vit"),
    source="Hosseini, Hosseini 2024, arXiv 2401.01951",
    about=about,
)
def positional_bias(
    network: Network, seed: int, *, canvas: Annotated[int, Range(32, 512)] = 64, strength: Share = 1.0,
    batch: Count = 48,
) -> Problem:  # fmt: skip
    """Classify one of 24 Greek letters; in training each letter stands in a quadrant of its own.

    `strength` is the share of training letters that are so tied; the others stand anywhere, so 0 is the arm without
    the tie. Validation is as training. Test has letters anywhere (`accuracy`), in their own quadrant
    (`accuracy@same`) and in the opposite one (`accuracy@swapped`); `bias` is the difference of the last two.
    """
    heights = tuple(range(canvas // 4, canvas * 5 // 16 + 1))

    def draw(random: np.random.Generator, number: int, condition: str) -> Tensor:
        ink = glyph(LETTERS[number], str(random.choice(FACES)), int(random.choice(heights)))
        tied = condition in ("same", "swapped") or (condition == "train" and random.random() < strength)
        home = number % 4
        quadrant = (3 - home if condition == "swapped" else home) if tied else None
        image = torch.zeros(canvas, canvas)
        height, width = ink.shape
        paint(image, ink, *place(random, (height, width), canvas, quadrant))
        return image

    conditions = {
        "validation": {"accuracy": "train"},
        "test": {"accuracy": "anywhere", SAME: "same", SWAPPED: "swapped"},
    }

    def classify(letters: list[tuple[str, float, float]]) -> int:
        return LETTERS.index(letters[0][0])

    pictures = Pictures(NAME, canvas, len(LETTERS), heights, draw, classify, conditions)
    problem = classification(pictures, network, seed, batch)
    scores = problem.evaluate

    def evaluate(models: Models, part: str) -> dict[str, float]:
        shares = scores(models, part)
        return shares | {"bias": shares[SAME] - shares[SWAPPED]} if part == "test" else shares

    problem.evaluate = evaluate
    return problem


@reference(task=NAME, kind="floor", name="one_letter")
def one_letter(problem: Problem) -> Models:
    """Answer with alpha, whatever the picture."""
    return _letters.one_class(problem)


@reference(task=NAME, kind="ceiling", name="known_letter")
def known_letter(problem: Problem) -> Models:
    """Compare the ink with all pictures of letters there are."""
    return _letters.known_shapes(problem)
