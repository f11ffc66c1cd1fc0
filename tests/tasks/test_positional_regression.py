"""Positional regression: parameter counts of the paper, exact floors and ceilings, and what must and must not learn."""

from __future__ import annotations

import pytest
import torch

from harness import registry, train
from harness.spec import Budget, Record, Trial


def parameters(backbone: str, variant: str, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    model = registry.network(backbone, registry.layer(variant))(input_shape, output_shape)
    return sum(p.numel() for p in model.parameters())


def score(task: str, reference: str, metric: str = "accuracy", split: str = "test") -> float:
    return train.run(Trial(registry.select("task", task).label, 0, reference=reference)).scores[split][metric]


def trained(task: str, backbone: str, variant: str, steps: int, rate: float) -> Record:
    budget = Budget(steps, rate, evaluations=1)
    return train.run(Trial(registry.select("task", task).label, 0, backbone, variant, budget=budget))


@pytest.mark.parametrize(
    ("backbone", "variant", "count"),
    [
        ("deconv[kernel=2]", "conv", 46_465),
        ("deconv[kernel=4, width=3]", "conv", 1_632_001),
        ("pixelwise[where=first]", "coordconv", 7_553),
        ("pixelwise[tail=1, where=first]", "coordconv", 8_074),
        ("pixelwise[tail=2, where=first]", "coordconv", 9_490),
    ],
)
def test_painters_have_the_published_numbers_of_parameters(backbone: str, variant: str, count: int) -> None:
    assert parameters(backbone, variant, (2,), (1, 64, 64)) == count


@pytest.mark.parametrize("split", ["uniform", "quadrant"])
def test_classification_is_solved_by_four_units_and_never_by_memory(split: str) -> None:
    task = f"coordinate_classification[split={split}]"
    assert score(task, "four_relu_units") == 1
    assert score(task, "nearest_pixel") == 0


def test_the_closed_form_has_25_parameters() -> None:
    problem = registry.problem("coordinate_classification", lambda i, o: torch.nn.Identity(), 0)
    (model,) = registry.solve("four_relu_units", problem).values()
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
