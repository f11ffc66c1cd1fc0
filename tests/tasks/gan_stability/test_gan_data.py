"""What is generated: scenes and hands of known factors, digits and faces, and the readers of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coordbench.harness.core import registry
from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.draws import generator
from coordbench.tasks._data.faces import faces
from coordbench.tasks._data.hands import Hands, draw, hands
from coordbench.tasks._data.objects import HIGH, LOW, locate, objects, paint
from coordbench.tasks.gan_stability import stacked_digits
from coordbench.tasks.gan_stability._digit_reader import accuracy
from coordbench.tasks.gan_stability._hand_reader import hand_reader
from coordbench.tasks.gan_stability._measures.factors import cells, entropy
from coordbench.tasks.gan_stability._sources import pictures
from coordbench.tasks.gan_stability.digit_gan import count_modes
from coordbench.tasks.gan_stability.hand_gan import grade, read_hands
from coordbench.tasks.gan_stability.object_gan import count_places
from coordbench.tasks.gan_stability.stacked_digits import stacks


def test_objects_stay_apart_and_spread_as_the_paper_says() -> None:
    scenes = objects(10_000, generator("test"))
    red, blue = scenes.centers.unbind(1)
    assert scenes.centers.min() == LOW
    assert scenes.centers.max() == HIGH
    assert (red - blue).square().sum(1).min() >= 400
    parts = [slice(1000 * i, 1000 * (i + 1)) for i in range(10)]
    spread = [np.mean([entropy(cells(where[p], LOW, HIGH + 1), 64) for p in parts]) for where in (red, blue)]
    assert spread == pytest.approx([4.12, 4.09], abs=0.02)
    apart = np.mean([entropy(cells((red - blue)[p], LOW - HIGH, HIGH - LOW), 64) for p in parts])
    assert apart == pytest.approx(3.83, abs=0.03)


@pytest.mark.parametrize(("canvas", "error"), [(16, 1.5), (32, 1.2), (64, 1.0)])
def test_painted_objects_are_found_again(canvas: int, error: float) -> None:
    scenes = objects(200, generator("test"))
    images = paint(scenes, canvas)
    centers, areas = locate(images)
    assert images.shape == (200, 3, canvas, canvas)
    assert (centers - scenes.centers).abs().max() < error
    alone = (scenes.centers[:, 0] - scenes.centers[:, 1]).abs().amax(1) > 24
    exact = torch.where(scenes.round, 317, 441)  # lattice points of a disk of radius 10, and 21^2
    if canvas == 64:
        assert torch.equal(areas[alone].round().long(), exact[alone])


def test_places_are_counted_on_credible_scenes_alone() -> None:
    real = paint(objects(500, generator("test")), 32)
    scores = count_places(real)
    assert scores["valid"] == 1
    assert scores["occupied"] > 0.98
    assert count_places(torch.ones(10, 3, 32, 32)) == {
        "valid": 0, "occupied": 0, "position_entropy": 0, "offset_entropy": 0
    }  # fmt: skip
    half = torch.cat([real[:250], -torch.ones(250, 3, 32, 32)])
    assert count_places(half)["valid"] == 0.5


def test_factors_of_hands_survive_their_vectors() -> None:
    known = hands(100, generator("test"))
    again = Hands.of_vectors(known.vectors())
    for name, factor in vars(known).items():
        assert torch.allclose(factor, vars(again)[name], atol=1e-5), name
    assert known.count.unique().tolist() == [0, 1, 2, 3, 4, 5]


def test_hands_are_mirrored_and_moved_as_their_factors_say() -> None:
    def one(mirrored: float, x: float, rotation: float) -> torch.Tensor:
        stretched = torch.tensor([[1.0, 1, 0, 0, 1]])
        pose = [torch.tensor([v]) for v in (mirrored, rotation, 1.0)]
        return draw(Hands(stretched, *pose, torch.tensor([[x, 40.0]])), 64)[0, 0]

    assert torch.allclose(one(1, 32, 0.2).flip(1), one(-1, 32, -0.2), atol=1e-4)
    assert torch.allclose(one(1, 30, 0.2).roll(2, 1), one(1, 32, 0.2), atol=1e-4)


def test_more_fingers_are_more_ink() -> None:
    known = hands(300, generator("test"))
    ink = (draw(known, 32) + 1).mean((1, 2, 3)) / known.scale**2
    means = [ink[known.count == count].mean().item() for count in range(6)]
    assert means == sorted(means)


def test_the_hand_reader_counts_and_abstains() -> None:
    reader, grades = hand_reader(16), grade(16)
    assert grades["reader_accuracy"] > 0.98
    assert grades["mode_accuracy"] > 0.9
    assert 0.02 < grades["reader_abstention"] < 0.1
    real = draw(hands(300, generator("test")), 16)
    above, below = real.clone(), real.roll(1, 0)
    above[..., 8:] = below[..., 8:]  # the left half of one hand beside the right half of another
    assert reader.valid(above).float().mean() < 0.25
    assert not reader.valid(torch.rand(50, 1, 16, 16) * 2 - 1).any()


def test_modes_of_hands_by_hand() -> None:
    """Two fingers, left or right, turned either way, low: (((2 * 2 + side) * 2 + turn) * 2 + right) * 2 + low."""
    stretched = torch.tensor([[1.0, 1, 0, 0, 0]]).expand(3, 5)
    side, turn = torch.tensor([-1.0, 1, 1]), torch.tensor([0.2, -0.2, 0.2])
    center = torch.tensor([[30.0, 42.0], [34.0, 38.0], [34.0, 42.0]])
    known = Hands(stretched, side, turn, torch.ones(3), center)
    assert known.mode.tolist() == [32 + 4 + 1, 32 + 8 + 2, 32 + 8 + 4 + 2 + 1]


def test_modes_that_a_generator_never_draws_are_missed() -> None:
    known = hands(1000, generator("test"))
    scores = read_hands(draw(known, 16))
    assert scores["modes"] >= 94
    assert scores["mode_entropy"] > 4.4  # log 96 = 4.56, less what 1,000 draws do not show
    left = read_hands(draw(known[known.mirrored < 0], 16))
    assert 40 <= left["modes"] <= 48
    assert read_hands(torch.rand(50, 1, 16, 16) * 2 - 1)["modes"] == 0


def test_the_digit_classifier_counts_modes() -> None:
    held = pictures("digits", 16).held_out["validation"]
    assert accuracy() > 0.97
    scores = count_modes(held)
    assert scores["modes"] == 10
    assert scores["label_entropy"] == pytest.approx(np.log(10), abs=0.03)
    assert count_modes(held[:1].expand(40, -1, -1, -1))["modes"] == 1


@pytest.mark.parametrize("source", ["digits", "faces"])
def test_splits_of_real_images_share_none(source: str) -> None:
    shown = pictures(source, 16)  # type: ignore[arg-type]
    known = {image.numpy().tobytes() for image in shown.first(shown.count)}
    validation, test = ({image.numpy().tobytes() for image in shown.held_out[s]} for s in ("validation", "test"))
    assert not known & validation
    assert not known & test
    assert not validation & test


def test_faces_of_a_folder(tmp_path: Path) -> None:
    for i in range(24):
        Image.fromarray(np.full((20, 30), i * 10, np.uint8)).save(tmp_path / f"{i}.png")
    shown = faces(8, tmp_path, color=True)
    assert shown.shape == (3, 8, 8)
    assert shown.count + sum(len(images) for images in shown.held_out.values()) == 2 * 24
    for path in sorted(tmp_path.iterdir())[4:]:
        path.unlink()
    with pytest.raises(UsageError, match="images for"):
        faces(8, tmp_path)


def test_a_canvas_that_no_backbone_grows_is_named() -> None:
    with pytest.raises(UsageError, match="canvas='20' is not valid; expected one of 8, 16"):
        registry.select("task", "object_gan[canvas=20]")


def test_a_finite_set_of_hands_is_seen_again_every_epoch() -> None:
    few, endless = (pictures("hands", 16, images=images) for images in (64, None))
    assert (few.count, endless.count) == (64, 50_000)
    assert torch.equal(few.first(64), endless.first(64))
    assert all(torch.equal(few.held_out[split], endless.held_out[split]) for split in ("validation", "test"))
    seen = {image.numpy().tobytes() for image in few.take(torch.arange(64))}
    assert not seen & {image.numpy().tobytes() for image in few.held_out["test"]}


def test_stacked_digits_have_a_thousand_modes_that_are_read_right() -> None:
    """Of 5,000 draws out of 1,000 alike a share (1 - .001)^5000 of modes is missing: 6.7 of them."""
    source = stacks(16)
    images = source.take(torch.arange(5000))
    assert images.shape == (5000, 3, 16, 16)
    scores = stacked_digits.count_modes(images)
    assert scores["modes"] == pytest.approx(993, abs=8)
    assert scores["reverse_kl"] < 0.15  # of as many draws 0.1 of it is chance
    assert 0.9 < scores["reader_accuracy"] < 1
    collapsed = stacked_digits.count_modes(images[torch.arange(1000) % 5])
    assert collapsed["modes"] == 5
    assert collapsed["reverse_kl"] == pytest.approx(math.log(1000 / 5))
