"""GANs as the runner plays them: pure batches, references that bracket, and the three fates, each on every seed."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.problem import Models, Problem
from coordbench.harness.core.record import Record
from coordbench.harness.core.scores import Fate, State
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks.gan_stability._sheets import path, sheet

TASKS = ["object_gan[canvas=8]", "hand_gan[canvas=16]", "digit_gan", "face_gan[canvas=16]", "stacked_digits"]
SMALL = "hand_gan[batch=32, canvas=16, latent=16{}]"
SEEDS = (0, 1, 2)


def make(selector: str, seed: int = 0) -> Problem:
    return registry.problem(selector, lambda before, after: nn.Identity(), seed)


@functools.cache
def play(more: str, seed: int, steps: int, rate: float = 2e-3) -> Record:
    budget = Budget(steps, learning_rate=rate, evaluations=steps // 25)
    return train.run(Trial(Cell.of(SMALL.format(more), "dcgan[width=8]", "conv", budget=budget), seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gan_that_is_broken_on_purpose_has_collapsed(seed: int) -> None:
    record = play(", narrow_from=200", seed, 350)
    assert record.status == "ok"
    assert record.fate is not None
    assert record.fate.state is State.COLLAPSED
    assert 200 <= end_step(record) <= 350
    assert record.scores["test"]["vendi"] < 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gan_that_sees_one_image_never_starts(seed: int) -> None:
    assert play(", narrow_from=0", seed, 100).fate == Fate(State.NEVER_STARTED)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_gan_is_censored(seed: int) -> None:
    record = play("", seed, 200)
    assert record.fate is not None
    assert record.fate.state is State.CENSORED
    assert end_step(record) == pytest.approx(200)


def test_a_gan_that_diverges_leaves_its_fate() -> None:
    record = play("", 0, 25, 1e30)
    assert record.status == "diverged"
    assert (record.scores, record.fate) == ({}, Fate(State.NEVER_STARTED))


def test_the_runner_keeps_the_curves_of_both_players_and_a_sheet_of_every_look() -> None:
    record = play("", 0, 200)
    metrics = {point.metric for point in record.curves}
    kinds = ("", "/gradient_norm", "/update_ratio")
    assert {f"train/{player}{kind}" for player in ("discriminator", "generator") for kind in kinds} <= metrics
    assert {"validation/coverage", "validation/mmd", "validation/vendi"} <= metrics
    sheets = [sample for sample in record.samples if sample.group == "fixed latents"]
    steps = [("sheet", 25 * i) for i in range(1, 8)]
    assert [(s.role, s.step) for s in sheets] == [*steps, ("truth", None), ("sheet", None)]
    assert {s.array.shape for s in sheets} == {(64, 128)}
    assert not np.array_equal(sheets[0].array, sheets[1].array)


@pytest.mark.parametrize("task", TASKS)
def test_batches_depend_on_seed_and_step_alone(task: str) -> None:
    one, same, other = make(task), make(task), make(task, 1)
    first = one.batches(3)
    one.batches(0)
    for key in ("real", "latents"):
        assert torch.equal(first[key], one.batches(3)[key])
        assert torch.equal(first[key], same.batches(3)[key])
        assert not torch.equal(first[key], other.batches(3)[key])
        assert not torch.equal(first[key], one.batches(4)[key])
    assert first["latents"].abs().max() <= 1
    assert -1 <= first["real"].min() < first["real"].max() <= 1


@pytest.mark.parametrize("task", TASKS)
def test_real_images_beat_a_collapse_in_all_but_precision(task: str) -> None:
    problem = make(task)
    real, five = (score(problem, registry.solve(name, problem)) for name in ("real_images", "five_images"))
    assert real["coverage"] > 0.75
    assert real["coverage"] > five["coverage"] * 1.5
    assert real["vendi"] > 2 * five["vendi"]
    assert abs(real["mmd"]) < five["mmd"] / 5
    assert five["nearest_training"] < 1e-6
    assert five["precision"] >= 0.75


def test_narrowing_leaves_one_real_image() -> None:
    before, after = (make(SMALL.format(", narrow_from=5")).batches(step)["real"] for step in (4, 5))
    assert (before - before[:1]).abs().max() > 1
    assert (after == after[:1]).all()


def test_images_that_are_not_finite_are_no_score() -> None:
    problem = make(SMALL.format(""))
    broken: Models = {"generator": lambda z: torch.full((len(z), 1, 16, 16), math.nan)}
    with pytest.raises(train.Diverged, match="validation coverage is nan"):
        train._evaluate(problem, broken, "validation")


def test_sheets_lay_images_out_row_by_row() -> None:
    images = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 2, 2)
    drawn = sheet("group", "role", images, columns=3)
    assert drawn.array.shape == (4, 6)
    assert drawn.array[::2, ::2].flatten().tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_ways_lead_straight_from_latent_to_latent() -> None:
    way = path(torch.tensor([[0.0, 0.0], [2.0, 4.0]]), steps=3)
    assert way.tolist() == [[0, 0], [1, 2], [2, 4]]


def end_step(record: Record) -> float:
    """The step at which a GAN collapsed or was censored."""
    assert record.fate is not None
    assert record.epoch_steps == 50_000 // 32
    return ((record.fate.start or 0) + (record.fate.time or 0)) * record.epoch_steps


def test_epochs_of_a_finite_set_are_counted() -> None:
    """512 images in batches of 32 are 16 steps to the epoch, each of which sees every image once."""
    problem = make(SMALL.format(", images=512"))
    assert problem.epoch_steps == 16
    seen = {image.numpy().tobytes() for step in range(16) for image in problem.batches(step)["real"]}
    assert len(seen) == 512
    assert seen == {image.numpy().tobytes() for step in range(16, 32) for image in problem.batches(step)["real"]}


def score(problem: Problem, models: Models) -> dict[str, float]:
    return problem.evaluate(models, "validation")
