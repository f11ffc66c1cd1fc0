"""Deblurring photographs: data that depend on seed and step alone, references that beat the floor, and the gallery."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from coordbench.harness.core import registry
from coordbench.harness.core.cell import Budget, Cell
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.scores import At
from coordbench.harness.core.trial import Trial
from coordbench.harness.training import train
from coordbench.tasks.deblurring._scores import image_scores, ssim

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
        names = [name for name in scores if isinstance(name, At) and (name.metric, name.axis) == (metric, "image")]
        by_image = [scores[name] for name in names]
        assert len(by_image) == 9
        assert np.mean(by_image) == pytest.approx(scores[metric])


def test_an_even_error_scores_as_written_down():
    truth = torch.full((2, 1, 32, 32), 0.5)
    scores = image_scores(truth + 0.1, truth, ("a", "b"))
    assert {round(value, 3) for name, value in scores.items() if name.startswith("psnr")} == {20.0}
    assert image_scores(truth + torch.nan, truth, ("a", "b"))["psnr"] != scores["psnr"]


def test_the_gallery_shows_center_and_corner_of_two_photographs(problem):
    samples = problem.samples(registry.solve("identity", problem))
    assert len({sample.group for sample in samples}) == 4
    assert {sample.role for sample in samples} == {"input", "truth", "output", "error"}
    assert all(sample.array.shape == (20, 20) for sample in samples)
    by_role = {sample.role: sample.array for sample in samples[:4]}
    np.testing.assert_allclose(by_role["output"], by_role["input"])


@pytest.mark.parametrize(("options", "named"), [("canvas=8", "canvas='8'"), ("folder=/nowhere", "/nowhere")])
def test_wrong_options_are_named(options, named):
    with pytest.raises(UsageError, match=named):
        build(f"photo_deblurring[{options}]")


@pytest.mark.parametrize("options", ["color=true", "rank=4", "psf=relay"])
def test_options_reach_the_data(problem, options):
    other = build(f"photo_deblurring[canvas=32, scenes=1, {options}]")
    observed, truth = other.batches(0)
    assert observed.shape == truth.shape == (8, 3 if "color" in options else 1, 32, 32)
    if "color" not in options:
        assert torch.equal(truth, problem.batches(0)[1])
        assert not torch.allclose(observed, problem.batches(0)[0], atol=1e-3)


def test_a_folder_of_images_of_many_kinds_stands_for_the_shipped_photographs(tmp_path):
    Image.new("P", (50, 50), 1).save(tmp_path / "palette.png")
    Image.new("RGBA", (20, 90), (10, 200, 30, 40)).save(tmp_path / "narrow.png")
    Image.fromarray(np.full((64, 64), 0x4000, dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.new("CMYK", (64, 48)).save(tmp_path / "print.jpg")
    other = build(f"photo_deblurring[canvas=32, scenes=2, folder={tmp_path}]")
    observed, truth = other.batches(0)
    assert observed.isfinite().all()
    assert 0 <= truth.min() <= truth.max() <= 1
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UsageError, match=r"broken\.png"):
        build(f"photo_deblurring[canvas=32, folder={tmp_path}]")


def test_a_short_training_beats_the_floor_and_one_that_explodes_is_a_diverged_record():
    backbone = "unet[depth=2, norm=group, residual=true, width=8]"
    floor = train.run(Trial(Cell.of(TASK, reference="identity"), 0)).scores["test"]["psnr"]
    trial = Trial(Cell.of(TASK, backbone, "conv", budget=Budget(40, 5e-3, evaluations=1)), 0)
    record = train.run(trial)
    assert record.status == "ok"
    assert record.scores["test"]["psnr"] > floor + 0.5
    assert {sample.role for sample in record.samples} == {"input", "truth", "output", "error"}
    other = Cell.of(TASK, backbone.replace("group", "none"), "conv", budget=Budget(40, 1e18))
    exploded = train.run(Trial(other, 0))
    assert exploded.status == "diverged"
    assert exploded.error


@pytest.mark.parametrize("size", [16, 48])
def test_ssim_counts_the_pixels_whose_window_lies_within_the_image(size: int) -> None:
    """Scikit-image's, which crops as the paper does; over padded borders it would be 8e-3 away at 16 px."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 1, size, size, generator=generator)
    restored = (truth + 0.2 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    published = [
        structural_similarity(
            a.numpy(), b.numpy(), data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for a, b in zip(restored[:, 0].double(), truth[:, 0].double(), strict=True)
    ]
    assert ssim(restored, truth).tolist() == pytest.approx(published, abs=1e-5)
