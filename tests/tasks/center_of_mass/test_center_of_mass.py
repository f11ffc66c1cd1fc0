"""Center of mass: labels by hand, closed-form variances, exact bounds, in one, two and three dimensions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks._data.points import Field, scatter
from coordbench.tasks.center_of_mass._offsets import pairs

SHAPES = ["dims=1", "canvas=32", "canvas=16, dims=3"]
PAIRS = ["dims=1", "canvas=96", "canvas=16, dims=3"]


def score(task: str, reference: str, metric: str = "normalized_mse") -> float:
    label = registry.select("task", task).label
    return train.run(Trial(Cell.of(label, reference=reference), 0)).scores["test"][metric]


@pytest.mark.parametrize(("canvas", "dims", "points"), [(5, 1, 2), (4, 2, 2), (3, 2, 3), (2, 3, 2)])
def test_the_variance_equals_that_of_all_images(canvas: int, dims: int, points: int) -> None:
    field = Field(canvas, dims)
    chosen = list(itertools.combinations(range(canvas**dims), points))
    means = field.coordinates.double()[torch.tensor(chosen)].mean(1)
    assert means.var(0, correction=0).tolist() == pytest.approx([field.variance(points)] * dims)


def test_the_label_is_the_mean_place_x_before_y() -> None:
    field = Field(4, 2)
    drawn = scatter(field, np.array([1, 11]), np.array([2]), "key")  # (1, 0) and (3, 2)
    assert drawn.images[0, 0].nonzero().tolist() == [[0, 1], [2, 3]]
    assert drawn.labels[0].tolist() == pytest.approx([2 * 2 / 3 - 1, 2 * 1 / 3 - 1])


def test_a_mark_moves_the_label_to_the_offset_from_it() -> None:
    field = Field(8, 2)
    drawn = scatter(field, field.pixels("everywhere"), np.array([5]), "key", marked=True)
    points, mark = (field.coordinates[channel.flatten() > 0] for channel in drawn.images[0])
    assert (len(points), len(mark)) == (5, 1)
    assert torch.allclose(drawn.labels[0], points.mean(0) - mark[0])


def test_the_unseen_quadrant_is_the_one_where_all_coordinates_are_positive() -> None:
    corner, elsewhere = (set(Field(4, 2).pixels(region).tolist()) for region in ("corner", "elsewhere"))
    assert corner == {10, 11, 14, 15}
    assert corner | elsewhere == set(range(16))
    assert not corner & elsewhere


@pytest.mark.parametrize("label", ["absolute", "relative"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_sum_over_pixels_is_exact_and_the_mean_label_worth_nothing(shape: str, label: str) -> None:
    task = f"center_of_mass[{shape}, label={label}]"
    assert score(task, "sum_over_pixels") < 1e-10
    assert score(task, "mean_label") == pytest.approx(1, abs=0.02)


def test_in_the_unseen_quadrant_the_mean_label_is_worse_than_its_variance() -> None:
    task = "center_of_mass[canvas=32, split=quadrant]"
    assert score(task, "sum_over_pixels") < 1e-10
    assert score(task, "mean_label") > 2


@pytest.mark.parametrize(("canvas", "bound"), [(64, 0.9377), (32, 0.7507)])
def test_places_modulo_16_leave_the_proven_share_of_the_variance(canvas: int, bound: float) -> None:
    field = Field(canvas, 1)
    images = torch.eye(canvas)[:, None]
    problem = registry.problem(f"center_of_mass[canvas={canvas}, dims=1]", lambda i, o: torch.nn.Identity(), 0)
    answers = registry.solve("place_modulo_16", problem)["model"](images)
    assert (answers - field.coordinates).square().mean().item() / field.variance() == pytest.approx(bound, abs=5e-5)


def test_four_circular_layers_of_stride_two_see_places_modulo_16_alone() -> None:
    model = registry.network("strided", registry.layer("conv[padding=circular]"))((1, 32, 32), (2,)).double()
    image = torch.rand(2, 1, 32, 32, dtype=torch.float64)
    moved = image.roll((16, -16), (2, 3))
    assert torch.allclose(model(image), model(moved))
    assert not torch.allclose(model(image), model(image.roll(8, 2)))
    stride_one = registry.network("strided[stride=1]", registry.layer("conv[padding=circular]"))((1, 32, 32), (2,))
    assert torch.allclose(stride_one.double()(image), stride_one(image.roll((5, 3), (2, 3))))


def test_batches_hold_every_density_and_depend_on_the_step_alone() -> None:
    problem = registry.problem("center_of_mass[canvas=16, batch=5]", lambda i, o: torch.nn.Identity(), 0)
    images = torch.cat([problem.batches(step)[0] for step in range(3)])
    assert images.flatten(1).sum(1).tolist() == [2, 4, 8, 16, 32] * 3
    assert torch.equal(problem.batches(2)[0], problem.batches(2)[0])
    assert not torch.equal(problem.batches(1)[0], problem.batches(2)[0])


@pytest.mark.parametrize("shape", ["dims=1, canvas=32", "dims=2, canvas=16", "dims=3, canvas=8"])
def test_training_beats_the_mean_in_every_dimension(shape: str) -> None:
    budget = Budget(250, 2e-3, "one_cycle", evaluations=1)
    task = registry.select("task", f"center_of_mass[{shape}]").label
    record = train.run(Trial(Cell.of(task, "strided[head=flatten]", "conv", budget=budget), 0))
    assert record.status == "ok"
    assert record.scores["test"]["normalized_mse"] < 0.5
    assert {sample.role for sample in record.samples} == {"input", "truth", "prediction"}


@pytest.mark.parametrize("head", ["global_mean", "flatten"])
@pytest.mark.parametrize("size", [(32,), (16, 16), (8, 8, 8)])
def test_strided_fits_every_shape(size: tuple[int, ...], head: str) -> None:
    for variant in ("conv", "coordconv"):
        model = registry.network(f"strided[head={head}]", registry.layer(variant))((1, *size), (len(size),))
        assert model(torch.zeros(2, 1, *size)).shape == (2, len(size))


@pytest.mark.parametrize(("canvas", "dims"), [(96, 2), (64, 1), (32, 3)])
def test_pairs_are_as_far_apart_as_they_say_and_their_offset_is_the_label(canvas: int, dims: int) -> None:
    """Rounding to pixels moves a distance by at most half a pixel on each axis; x stands first."""
    asked = np.repeat([4, 8, 16], 50)
    drawn = pairs(Field(canvas, dims), asked, "test")
    for image, label, separation in zip(drawn.images, drawn.labels, asked, strict=True):
        first, second = (channel.nonzero() for channel in image)
        assert len(first) == len(second) == 1
        move = (first - second)[0].flip(0)
        assert torch.allclose(label * (canvas - 1) / 2, move.float(), atol=1e-4)
        assert move.float().norm().item() == pytest.approx(separation, abs=dims**0.5 / 2)
    means = drawn.labels.abs().mean(0)
    assert means.min() > 0.5 * means.max()  # no direction is left out


@pytest.mark.parametrize("shape", PAIRS)
def test_offsets_are_bracketed_by_zero_and_the_sum_over_pixels(shape: str) -> None:
    task = f"center_of_mass[{shape}, label=offset]"
    assert score(task, "mean_label") == pytest.approx(1)
    assert score(task, "sum_over_pixels") < 1e-10
    names = [entry.name for entry in registry.references(registry.select("task", task).selector)]
    assert names == ["mean_label", "sum_over_pixels"]


def test_a_pair_beyond_the_view_of_every_feature_is_scored_apart_from_one_within_it() -> None:
    budget = Budget(20, evaluations=1)
    cell = Cell.of("center_of_mass[canvas=64, label=offset]", "strided[width=0.25]", "coordconv", budget=budget)
    record = train.run(Trial(cell, 0))
    assert {f"normalized_mse@separation={s}" for s in (8, 16, 24, 32)} <= set(record.scores["test"])
    assert {(s.group, s.kind) for s in record.samples} >= {("8 px apart", "points"), ("32 px apart", "image")}
