"""Deblurring photographs: data that depend on seed and step alone, references that beat the floor, and the gallery."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import registry
from harness.spec import UsageError
from tasks.deblurring._scores import photograph_scores

TASK = "photo_deblurring[canvas=32, scenes=2]"


def build(task: str, seed: int = 0):
    return registry.problem(task, lambda input_shape, output_shape: torch.nn.Conv2d(1, 1, 1), seed)


@pytest.fixture(scope="module")
def problem():
    return build(TASK)


def test_a_batch_is_a_function_of_seed_and_step(problem):
    observed, truth = problem.batches(3)
    assert observed.shape == truth.shape == (8, 1, 32, 32)
    problem.batches(0)
    assert all(torch.equal(a, b) for a, b in zip(problem.batches(3), (observed, truth), strict=True))
    assert not torch.equal(problem.batches(4)[1], truth)
    assert not torch.equal(build(TASK, seed=1).batches(3)[1], truth)


def test_references_stand_in_order_and_each_anchor_beats_the_floor(problem):
    scores = {}
    for entry in registry.references(TASK):
        scores[entry.name] = problem.evaluate(registry.solve(entry.name, problem), "test")["psnr"]
    assert next(iter(scores)) == "identity"
    assert all(score > scores["identity"] + 0.5 for name, score in scores.items() if name != "identity"), scores


def test_overall_scores_are_the_means_of_those_by_photograph(problem):
    scores = problem.evaluate(registry.solve("identity", problem), "test")
    for metric in ("psnr", "ssim"):
        by_image = [value for name, value in scores.items() if name.startswith(f"{metric}/image/")]
        assert len(by_image) == 5
        assert np.mean(by_image) == pytest.approx(scores[metric])


def test_an_even_error_scores_as_written_down():
    truth = torch.full((2, 1, 32, 32), 0.5)
    scores = photograph_scores(truth + 0.1, truth, ("a", "b"))
    assert {round(value, 3) for name, value in scores.items() if name.startswith("psnr")} == {20.0}
    assert photograph_scores(truth + torch.nan, truth, ("a", "b"))["psnr"] != scores["psnr"]


def test_the_gallery_shows_center_and_corner_of_two_photographs(problem):
    samples = problem.samples(registry.solve("identity", problem))
    assert len({sample.group for sample in samples}) == 4
    assert {sample.role for sample in samples} == {"input", "truth", "output", "error"}
    assert all(sample.array.shape == (24, 24) for sample in samples)
    by_role = {sample.role: sample.array for sample in samples[:4]}
    np.testing.assert_allclose(by_role["output"], by_role["input"])


@pytest.mark.parametrize(("options", "named"), [("canvas=8", "canvas=8"), ("folder=/nowhere", "/nowhere")])
def test_wrong_options_are_named(options, named):
    with pytest.raises(UsageError, match=named):
        build(f"photo_deblurring[{options}]")
