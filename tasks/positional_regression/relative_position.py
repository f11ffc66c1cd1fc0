"""Relative position: tell the order of letters where they never stood.

A sample: alpha left of beta in the upper left quadrant of 64 x 64 px is one class, beta left of alpha another; then the
same in the three other quadrants. What a layer must know is where the letters stand to each other, not on the canvas:
the mechanism that Hosseini, Hosseini, "GeoPos", 2024, arXiv 2401.01951, claim for a random shift. The task is ours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from coordbench.harness.core.contest import Contest
from coordbench.harness.core.description import About
from coordbench.harness.core.options import Count, Range
from coordbench.harness.core.problem import Metric, Models, Network, Problem
from coordbench.harness.core.registry import reference, task
from coordbench.harness.core.scores import At
from coordbench.tasks._data.glyphs import FACES, LETTERS, glyph, paint
from coordbench.tasks.positional_regression import _letters
from coordbench.tasks.positional_regression._letters import Pictures, classification, place

NAME = "relative_position"
SAME = At("accuracy", "quadrant", "same")
COMPASS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
"""Eight directions as (x, y), y down."""


def about(options: Mapping[str, object]) -> About:
    """Open the contests of this task."""
    target = "the order of letters in a row" if options["label"] == "order" else "the direction from alpha to beta"
    where = "in one quadrant" if options["trained"] == "quadrant" else "anywhere"
    return About(
        f"Given letters on {options['canvas']} x {options['canvas']} pixels, a network tells {target}; in "
        f"training they stand {where}, in the test in the other quadrants.",
        "The letters beside a picture of the class that they were taken for.",
    )


def refuse(contest: Contest) -> str:
    """Refuse a row of letters that is longer than a quadrant."""
    canvas, letters, gap = (int(str(contest.task[name])) for name in ("canvas", "letters", "gap"))
    if contest.task["label"] == "offset":
        return ""
    widest = max(
        sum(glyph(letter, face, height).shape[1] for letter in LETTERS[:letters])
        for face, height in itertools.product(FACES, _heights(canvas))
    )
    most = (canvas // 2 - widest) // (letters - 1)
    return "" if gap <= most else f"gap={gap} makes a row longer than a quadrant of canvas={canvas}; at most {most} fit"


def _heights(canvas: int) -> tuple[int, ...]:
    """The heights that letters may have [px]."""
    return canvas // 8, canvas // 8 + 1


@task(
    NAME,
    suite="positional_regression",
    metrics=(Metric("accuracy", least=0, most=1), Metric(SAME)),
    backbones=("strided", "pooled", "vit"),
    about=about,
    refuse=refuse,
)
def relative_position(
    network: Network, seed: int, *, canvas: Annotated[int, Range(48, 512)] = 64,
    label: Literal["order", "offset"] = "order", letters: Literal[2, 3] = 2, gap: Count = 1,
    trained: Literal["quadrant", "anywhere"] = "quadrant", batch: Count = 48,
) -> Problem:  # fmt: skip
    """Classify the order of two or three letters in a row, or the direction from one letter to another.

    `gap` [px] is that between letters in a row: beyond the receptive field of a feature, no feature sees two of them.
    In training they stand in the upper left quadrant (or, as a control, anywhere); validation is as training. Test
    has them in the other quadrants (`accuracy`) and in that of training (`accuracy@same`).
    """
    heights = _heights(canvas)
    orders = list(itertools.permutations(range(letters)))

    def draw(random: np.random.Generator, number: int, condition: str) -> Tensor:
        face, height = str(random.choice(FACES)), int(random.choice(heights))
        inks = [glyph(letter, face, height) for letter in LETTERS[:letters]]
        picture = (
            _in_row([inks[i] for i in orders[number]], gap) if label == "order" else _apart(inks, number, canvas // 5)
        )
        quadrants = {"train": [0] if trained == "quadrant" else [None], "same": [0], "elsewhere": [1, 2, 3]}[condition]
        quadrant = quadrants[random.integers(len(quadrants))]
        image = torch.zeros(canvas, canvas)
        height, width = picture.shape
        paint(image, picture, *place(random, (height, width), canvas, quadrant))
        return image

    def classify(letters_read: list[tuple[str, float, float]]) -> int:
        if label == "order":
            row = sorted(letters_read, key=lambda item: item[1])
            return orders.index(tuple(LETTERS.index(letter) for letter, _, _ in row))
        (_, x0, y0), (_, x1, y1) = sorted(letters_read)
        return round(math.atan2(y1 - y0, x1 - x0) / (math.pi / 4)) % 8

    conditions = {
        "validation": {"accuracy": "train"},
        "test": {"accuracy": "elsewhere", SAME: "same"},
    }
    classes = len(orders) if label == "order" else len(COMPASS)
    pictures = Pictures(NAME, canvas, classes, heights, draw, classify, conditions)
    return classification(pictures, network, seed, batch)


def _in_row(inks: list[Tensor], gap: int) -> Tensor:
    """Letters from left to right, `gap` pixels apart, their middles on one line: n of (h, w) -> (H, W)."""
    height, width = max(len(ink) for ink in inks), sum(ink.shape[1] + gap for ink in inks) - gap
    picture, x = torch.zeros(height, width), 0
    for ink in inks:
        paint(picture, ink, x, (height - len(ink)) // 2)
        x += ink.shape[1] + gap
    return picture


def _apart(inks: list[Tensor], direction: int, distance: int) -> Tensor:
    """Two letters whose middles are `distance` pixels apart along each axis of a direction: two of (h, w) -> (H, W)."""
    picture = torch.zeros(6 * distance, 6 * distance)
    for ink, steps in zip(inks[:2], ((0, 0), COMPASS[direction]), strict=True):
        x, y = (3 * distance + step * distance - extent // 2 for step, extent in zip(steps, ink.T.shape, strict=True))
        paint(picture, ink, x, y)
    (top, bottom), (left, right) = (picture.amax(axis).nonzero().aminmax() for axis in (1, 0))
    return picture[top : bottom + 1, left : right + 1]


@reference(task=NAME, kind="floor", name="one_order")
def one_order(problem: Problem) -> Models:
    """Answer with the first class, whatever the picture."""
    return _letters.one_class(problem)


@reference(task=NAME, kind="ceiling", name="known_letters")
def known_letters(problem: Problem) -> Models:
    """Compare each patch of ink with all pictures of letters there are, and say how they stand."""
    return _letters.known_shapes(problem)
