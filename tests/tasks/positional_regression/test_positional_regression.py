"""Positional regression: parameter counts of the paper, exact floors and ceilings, and what must and must not learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.record import Record
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks._backbones._parts.start import he_start
from coordbench.tasks.positional_regression.coordinate_rendering import intersection_over_union


def parameters(backbone: str, variant: str, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    model = registry.network(backbone, registry.layer(variant))(input_shape, output_shape)
    return sum(p.numel() for p in model.parameters())


def score(task: str, reference: str, metric: str = "accuracy", split: str = "test") -> float:
    return train.run(Trial(Cell.of(registry.select("task", task).label, reference=reference), 0)).scores[split][metric]


def trained(task: str, backbone: str, variant: str, steps: int, rate: float) -> Record:
    budget = Budget(steps, rate, evaluations=1)
    return train.run(Trial(Cell.of(registry.select("task", task).label, backbone, variant, budget=budget), 0))


@pytest.mark.parametrize(
    ("backbone", "variant", "count"),
    [
        ("deconv[kernel=2]", "conv", 46_465),
        ("deconv[kernel=4, width=3]", "conv", 1_632_001),
        ("pixelwise", "coordconv", 7_553),
        ("pixelwise[tail=1]", "coordconv", 8_074),
        ("pixelwise[tail=2]", "coordconv", 9_490),
    ],
)
def test_painters_have_the_published_numbers_of_parameters(backbone: str, variant: str, count: int) -> None:
    assert parameters(backbone, variant, (2,), (1, 64, 64)) == count


@pytest.mark.parametrize(
    ("backbone", "variant", "count"),
    [("pixelwise", "coordconv", 906), ("pooled", "conv", 72_850), ("fully_conv", "conv", 12_914)],
)
def test_localizers_have_the_published_numbers_of_parameters(backbone: str, variant: str, count: int) -> None:
    assert parameters(backbone, variant, (1, 64, 64), (2,)) == count


@pytest.mark.parametrize(
    ("task", "reference", "metric", "expected", "within"),
    [
        ("coordinate_regression[split=uniform]", "mean_position", "euclidean_error", 21.4, 0.5),
        ("coordinate_regression[split=quadrant]", "mean_position", "euclidean_error", 27.8, 0.05),
        ("coordinate_regression[split=uniform]", "largest_coordinate", "euclidean_error", 0, 1e-4),
        ("coordinate_regression[split=quadrant]", "largest_coordinate", "euclidean_error", 0, 1e-4),
        ("coordinate_rendering[split=uniform]", "nearest_square", "iou", 0.799, 0.003),
        ("coordinate_rendering[split=quadrant]", "nearest_square", "iou", 0.201, 0.0005),
        ("coordinate_rendering[split=uniform]", "square_of_four_relu_units", "iou", 1, 0),
        ("coordinate_rendering[split=quadrant]", "square_of_four_relu_units", "iou", 1, 0),
    ],
)
def test_floors_and_ceilings_are_the_known_ones(
    task: str, reference: str, metric: str, expected: float, within: float
) -> None:
    assert score(task, reference, metric) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize("split", ["uniform", "quadrant"])
def test_classification_is_solved_by_four_units_and_never_by_memory(split: str) -> None:
    task = f"coordinate_classification[split={split}]"
    assert score(task, "four_relu_units") == 1
    assert score(task, "nearest_pixel") == 0


@pytest.mark.parametrize(
    ("task", "reference"),
    [
        ("coordinate_classification", "four_relu_units"),
        ("coordinate_rendering", "square_of_four_relu_units"),
    ],
)
def test_the_closed_forms_have_25_parameters(task: str, reference: str) -> None:
    problem = registry.problem(task, lambda i, o: nn.Identity(), 0)
    (model,) = registry.solve(reference, problem).values()
    assert sum(p.numel() for p in model.parameters()) == 25


@pytest.mark.parametrize("split", ["uniform", "quadrant"])
def test_coordinates_solve_classification_and_position_blind_layers_cannot(split: str) -> None:
    task = f"coordinate_classification[canvas=16, split={split}]"
    seeing = trained(task, "pixelwise[where=first]", "coordconv", 300, 0.005)
    blind = trained(task, "pixelwise", "conv[padding=circular]", 20, 0.01)
    assert seeing.scores["train"]["accuracy"] == seeing.scores["test"]["accuracy"] == 1
    assert blind.scores["test"]["accuracy"] <= 1 / 16


@pytest.mark.parametrize("variant", ["conv", "conv[padding=circular]", "coordconv"])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_deconv_reaches_every_canvas(variant: str, kernel: int) -> None:
    for canvas in (16, 32):
        network = registry.network(f"deconv[kernel={kernel}]", registry.layer(variant))
        assert network((2,), (1, canvas, canvas))(torch.zeros(2, 2)).shape == (2, 1, canvas, canvas)


def test_a_position_blind_painter_gives_every_pixel_the_same_value() -> None:
    model = registry.network("pixelwise", registry.layer("conv"))((2,), (1, 16, 16))
    image = model(torch.rand(3, 2)).flatten(2)
    assert torch.allclose(image, image[..., :1].expand_as(image))


@pytest.mark.parametrize("where", ["first", "last", "all"])
def test_the_variant_stands_where_it_is_wanted(where: str) -> None:
    shapes = (2,), (1, 16, 16)
    extra = {"first": 2 * 32, "last": 2 * 1, "all": 2 * (32 + 32 + 64 + 64 + 1)}[where]
    plain = parameters("pixelwise", "conv", *shapes)
    assert parameters(f"pixelwise[where={where}]", "coordconv", *shapes) == plain + extra


def test_intersection_over_union_by_hand() -> None:
    truth, painted = torch.zeros(2, 1, 3, 3, dtype=torch.bool), torch.zeros(2, 1, 3, 3, dtype=torch.bool)
    truth[:, 0, 0, :2] = True
    painted[0, 0, 0, 1:] = True
    assert intersection_over_union(painted, truth).tolist() == pytest.approx([1 / 3, 0])


@pytest.mark.parametrize("seed", [1, 5])
def test_a_renderer_with_a_map_starts_to_learn(seed: int) -> None:
    cell = Cell.of("coordinate_rendering[canvas=16]", "pixelwise[tail=1]", "coordconv", budget=Budget(200, 0.01))
    assert train.run(Trial(cell, seed)).scores["test"]["iou"] > 0.9


def test_rendering_is_learned_by_coordinates_alone() -> None:
    task = "coordinate_rendering[canvas=16, split=quadrant]"
    assert trained(task, "pixelwise[where=first]", "coordconv", 200, 0.01).scores["test"]["iou"] > 0.9
    assert trained(task, "pixelwise", "conv[padding=circular]", 20, 0.01).scores["test"]["iou"] < 0.6


@pytest.mark.parametrize("backbone", ["pixelwise", "pooled", "fully_conv", "strided"])
@pytest.mark.parametrize("variant", ["conv[padding=circular]", "coordconv"])
def test_localizers_take_every_canvas(backbone: str, variant: str) -> None:
    for canvas in (16, 32):
        model = registry.network(f"{backbone}[width=0.5]", registry.layer(variant))((1, canvas, canvas), (2,))
        assert model(torch.zeros(2, 1, canvas, canvas)).shape == (2, 2)


def test_a_network_with_dense_layers_learns_where_a_pixel_is() -> None:
    record = trained("coordinate_regression[canvas=16]", "pooled", "conv", 200, 0.005)
    assert record.scores["test"]["euclidean_error"] < 1
    assert {sample.role for sample in record.samples} == {"truth", "prediction"}


def test_the_start_of_kernels_is_scaled_and_zeros_stay_zero() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 1, 1), nn.Linear(4, 4))
    nn.init.zeros_(module[1].weight)
    kernel, dense = module[0].weight.clone(), module[2].weight.clone()
    he_start(module)
    assert torch.allclose(module[0].weight, kernel * 6**0.5)
    assert not module[0].bias.any()
    assert not module[1].weight.any()
    assert torch.equal(module[2].weight, dense)
