"""Letters drawn and read again; where they stand in training and in test; how much a network is biased by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Problem
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks._data.glyphs import FACES, LETTERS, glyph, paint, read, shapes
from coordbench.tasks.positional_regression._letters import place

TASKS = [
    "positional_bias[canvas=32]",
    "positional_bias[strength=0.5]",
    "relative_position",
    "relative_position[letters=3]",
    "relative_position[canvas=48, label=offset]",
]


def problem_of(task: str) -> Problem:
    return registry.problem(registry.select("task", task).label, lambda i, o: torch.nn.Identity(), 0)


def test_there_are_24_letters_and_no_two_look_alike() -> None:
    assert len(set(LETTERS)) == 24
    assert set(shapes((8, 16)).values()) == set(LETTERS)
    for letter in LETTERS:
        ink = glyph(letter, FACES[0], 16)
        assert ink[:, [0, -1]].amax(0).min() > 0 < ink[[0, -1]].amax(1).min()
        assert ink.max() <= 1


def test_letters_that_were_painted_are_read_where_they_stand() -> None:
    image = torch.zeros(64, 64)
    for letter, face, x, y in (("β", FACES[3], 5, 7), ("ω", FACES[4], 30, 40)):
        paint(image, glyph(letter, face, 16), x, y)
    (first, x, y), (second, _, _) = read(image, (16,))
    height, width = glyph("β", FACES[3], 16).shape
    assert (first, second) == ("β", "ω")
    assert (x, y) == (5 + (width - 1) / 2, 7 + (height - 1) / 2)


@pytest.mark.parametrize("task", TASKS)
def test_the_closed_form_reads_every_picture_and_one_class_is_chance(task: str) -> None:
    label, classes = registry.select("task", task).label, problem_of(task).data.classes
    floor, ceiling = (
        train.run(Trial(Cell.of(label, reference=entry.name), 0)).scores["test"] for entry in registry.references(label)
    )
    assert ceiling["accuracy"] == ceiling["accuracy@same"] == 1
    assert floor["accuracy"] == pytest.approx(1 / classes)


def middles(task: str, condition: str, count: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Middle of the ink of pictures, in shares of the canvas, and their classes."""
    images, classes = problem_of(task).data.examples(count, condition, "test")
    axis = torch.arange(images.shape[-1]) / images.shape[-1]
    mass = images[:, 0] / images.sum((1, 2, 3), keepdim=True)[:, 0]
    return torch.stack([(mass.sum(1) * axis).sum(1), (mass.sum(2) * axis).sum(1)], 1), classes


def test_tied_letters_stand_in_their_quadrant_and_swapped_ones_in_the_opposite() -> None:
    for condition, flip in (("train", False), ("same", False), ("swapped", True)):
        places, classes = middles("positional_bias", condition)
        quadrant = (places[:, 0] >= 0.5) + 2 * (places[:, 1] >= 0.5)
        home = classes % 4
        assert torch.equal(quadrant, 3 - home if flip else home)


def test_letters_that_are_not_tied_stand_anywhere() -> None:
    places, classes = middles("positional_bias[strength=0]", "train", 480)
    quadrant = (places[:, 0] >= 0.5) + 2 * (places[:, 1] >= 0.5)
    assert (quadrant == classes % 4).float().mean() == pytest.approx(0.25, abs=0.08)


def test_letters_in_order_stand_above_left_in_training_and_elsewhere_in_test() -> None:
    assert (middles("relative_position", "train")[0] < 0.5).all()
    assert not (middles("relative_position", "elsewhere")[0] < 0.5).all(1).any()
    assert (middles("relative_position[trained=anywhere]", "train")[0] > 0.5).any()


def test_what_cannot_be_read_or_placed_is_refused() -> None:
    with pytest.raises(UsageError, match=r"canvas='16' .* from 32 to 512"):
        problem_of("positional_bias[canvas=16]")
    with pytest.raises(UsageError, match=r"strength='2' .* from 0 to 1"):
        problem_of("positional_bias[strength=2]")
    with pytest.raises(UsageError, match=r"letters of 9 x 25 px do not fit 24 px"):
        place(np.random.default_rng(0), (25, 9), 48, 0)


def test_a_circular_network_is_not_biased_and_a_coordinate_network_is() -> None:
    def bias(variant: str) -> float:
        budget = Budget(150, 3e-3, evaluations=1)
        trial = Trial(Cell.of("positional_bias[canvas=32]", "strided[width=0.5]", variant, budget=budget), 0)
        return train.run(trial).scores["test"]["bias"]

    blind, seeing = bias("conv[padding=circular]"), bias("coordconv")
    assert abs(blind) < 0.1
    assert seeing > 0.1
