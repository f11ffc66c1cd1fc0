"""Deblurring behind lenses that were never seen: splits, what a network is given, difficulty, references."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.problem import Problem
from coordbench.harness.core.scores import At
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks._data.optics.lens import NUMBERS
from coordbench.tasks.deblurring._lenses import Library, levels

TASK = "lens_deblurring[canvas=32, lenses=6, unseen=8]"


def build(task: str, seed: int = 0) -> Problem:
    return registry.problem(task, lambda before, after: nn.Conv2d(before[0], after[0], 1), seed)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return build(TASK)


def test_a_batch_is_a_function_of_seed_and_step(problem: Problem) -> None:
    observed, truth = problem.batches(3)
    assert observed.shape == (8, 1 + NUMBERS, 32, 32)
    assert truth.shape == (8, 1, 32, 32)
    problem.batches(0)
    assert all(torch.equal(a, b) for a, b in zip(problem.batches(3), (observed, truth), strict=True))
    assert not torch.equal(problem.batches(4)[1], truth)
    assert not torch.equal(build(TASK, seed=1).batches(3)[1], truth)


def numbers(observed: torch.Tensor) -> set[tuple[float, ...]]:
    """The lenses of labeled images."""
    assert (observed[:, 1:] == observed[:, 1:, :1, :1]).all()
    return {tuple(row) for row in observed[:, 1:, 0, 0].tolist()}


def test_no_lens_is_in_two_splits_and_kinds_take_turns(problem: Problem) -> None:
    trained = set().union(*(numbers(problem.batches(step)[0]) for step in range(20)))
    validation = numbers(problem.data.validation[0])
    library = Library(32, 9, "both", (0.04, 0.2))
    tested = {library.lens("test", number).numbers for number in range(8)}
    assert len(trained) == 6
    assert len(validation) == len(tested) == 8
    assert not trained & validation
    assert not tested & (trained | validation)
    assert [any(library.lens("test", number).numbers[:5]) for number in range(4)] == [True, False, True, False]
    assert all(0.04 <= library.lens("test", number).severity() <= 0.2001 for number in range(8))


def channels(options: str) -> int:
    seen: list[int] = []

    def network(before: tuple[int, ...], after: tuple[int, ...]) -> nn.Module:
        seen.append(before[0])
        return nn.Conv2d(before[0], after[0], 1)

    problem = registry.problem(f"{TASK[:-1]}, {options}]", network, 0)
    assert problem.models["restorer"](problem.batches(0)[0]).shape == (8, 1, 32, 32)
    return seen[0]


def test_a_network_is_given_the_lens_the_place_both_or_neither() -> None:
    assert channels("lens_input=false") == 1
    assert channels("lens_input=true") == 1 + NUMBERS
    assert channels("place_input=true") == 3
    assert channels("lens_input=true, place_input=true") == 3 + NUMBERS


def test_what_is_not_given_is_not_seen(problem: Problem) -> None:
    observed, _ = problem.batches(0)
    other = observed.clone()
    other[:, 1:] = 7
    model = problem.models["restorer"]
    assert torch.equal(model(observed), model(other))
    labeled = build(f"{TASK[:-1]}, lens_input=true]").models["restorer"]
    assert not torch.equal(labeled(observed), labeled(other))


def test_scores_by_difficulty_are_the_means_of_lenses_that_are_as_hard(problem: Problem) -> None:
    """For what leaves the image as it is, the score of a part is the difficulty that the part is named after."""
    scores = problem.evaluate(registry.solve("identity", problem), "test")
    typed = {name: value for name, value in scores.items() if isinstance(name, At)}
    blurred = {name.level: value for name, value in typed.items() if name.axis == "blurred"}
    assert len(blurred) == 4
    for level, value in blurred.items():
        assert level == pytest.approx(value, rel=5e-3)
    by_lens = [value for name, value in typed.items() if (name.metric, name.axis) == ("psnr", "lens")]
    assert len(by_lens) == 8
    assert sum(by_lens) / 8 == pytest.approx(scores["psnr"])
    varying = [name.level for name in typed if name.axis == "variation"]
    assert len(set(varying)) == 4
    assert all(scores[At("psnr", "variation", level)] > 0 for level in varying if level is not None)


def test_levels_are_the_means_of_quarters() -> None:
    names = [str(i) for i in range(8)]
    assert levels(names, [3.0, 0.0, 1.0, 2.0, 7.0, 6.0, 5.0, 4.0]) == {
        "1": 0.5, "2": 0.5, "3": 2.5, "0": 2.5, "7": 4.5, "6": 4.5, "5": 6.5, "4": 6.5,
    }  # fmt: skip


def test_references_stand_in_order_and_the_exact_blur_of_the_lens_beats_the_average_lens() -> None:
    small = build("lens_deblurring[canvas=24, unseen=4]")
    names = [entry.name for entry in registry.references(TASK)]
    assert names == ["identity", "average_wiener", "lens_richardson_lucy", "lens_total_variation", "lens_wiener"]
    scores = {name: small.evaluate(registry.solve(name, small), "test")["psnr"] for name in names}
    assert min(scores, key=scores.__getitem__) == "identity"
    assert scores["lens_total_variation"] > scores["average_wiener"] + 1


def test_wrong_options_are_named() -> None:
    with pytest.raises(UsageError, match=r"mildest=0\.3 is above severest=0\.2"):
        build("lens_deblurring[mildest=0.3]")
    with pytest.raises(UsageError, match="unseen"):
        build("lens_deblurring[unseen=2]")


def test_a_short_training_beats_the_floor_with_and_without_the_lens() -> None:
    floor = train.run(Trial(Cell.of(TASK, reference="identity"), 0)).scores["test"]["psnr"]
    for options in ("", ", lens_input=true"):
        task = f"{TASK[:-1]}{options}]"
        backbone = "unet[depth=2, norm=group, residual=true, width=8]"
        record = train.run(Trial(Cell.of(task, backbone, "conv", budget=Budget(40, 5e-3, evaluations=1)), 0))
        assert record.status == "ok"
        assert record.scores["test"]["psnr"] > floor + 0.3
        assert {sample.role for sample in record.samples} == {"input", "truth", "output", "error"}
