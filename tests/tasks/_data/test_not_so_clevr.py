"""The exhaustive set of squares, its splits, and the draws it is made with."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.draws import epochs
from coordbench.tasks._data.not_so_clevr import not_so_clevr, one_hot, scale, squares


def test_squares_equal_an_identity_convolved_with_nine_by_nine_ones() -> None:
    data = not_so_clevr(64, "uniform", 0)
    identity = torch.eye(56 * 56).view(-1, 1, 56, 56)
    painted = functional.conv2d(functional.pad(identity, (4, 4, 4, 4)), torch.ones(1, 1, 9, 9), padding=4)
    assert torch.equal(squares(data.centers[:, [1, 0]], 64), painted)


@pytest.mark.parametrize(("split", "known", "test"), [("uniform", 2509, 627), ("quadrant", 2407, 729)])
def test_the_splits_have_the_published_sizes_and_share_no_example(split: str, known: int, test: int) -> None:
    data = not_so_clevr(64, split, 0)  # type: ignore[arg-type]
    parts = [data.splits[name].tolist() for name in ("train", "validation", "test")]
    assert sorted(parts[0] + parts[1] + parts[2]) == list(range(3136))
    assert (len(data["known"]), len(data["test"])) == (known, test)
    assert (data["test"] > 32).all().item() == (split == "quadrant")


def test_other_seeds_split_otherwise_and_equal_seeds_alike() -> None:
    first, again, other = (not_so_clevr(32, "uniform", seed)["test"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_pixel_is_one_at_row_y_and_column_x() -> None:
    image = one_hot(torch.tensor([[5, 9]]), 16)
    assert image.nonzero().tolist() == [[0, 0, 9, 5]]
    assert scale(torch.tensor([0, 7.5, 15]), 16).tolist() == [-1, 0, 1]


def test_the_nearest_example_is_never_the_example_itself() -> None:
    data = not_so_clevr(16, "uniform", 0)
    known = data["known"]
    apart = (data.nearest(scale(known, 16)) - known).abs().sum(1)
    assert apart.min() > 0
    assert apart.float().median() == 1


def test_an_epoch_holds_each_example_once_and_the_next_one_in_another_order() -> None:
    batches = epochs(12, 4, "key")
    first, second = (torch.cat([batches(step) for step in steps]) for steps in ((0, 1, 2), (3, 4, 5)))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(12))
    assert first.tolist() != second.tolist()
    assert torch.equal(epochs(12, 4, "key")(4), batches(4))


def test_a_canvas_without_a_quadrant_is_refused() -> None:
    with pytest.raises(UsageError, match=r"canvas='12' .* from 16 to 512"):
        registry.select("task", "coordinate_regression[canvas=12]")
