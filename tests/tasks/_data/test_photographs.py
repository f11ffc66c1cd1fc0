"""Photographs: the split by image, and each way in which a user's folder can be wrong."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coordbench.harness.core.errors import UsageError
from coordbench.tasks._data.photographs import photographs


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c", "d"):
        ramp = np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)
        Image.fromarray(ramp).save(tmp_path / f"{name}.png")
    return tmp_path


def read(folder, **options):
    splits = photographs(folder, **({"side": 32, "crop": 24} | options))
    return {photo.name: photo.pixels for photos in splits.values() for photo in photos}


DRAWINGS = {"chessboard_GRAY", "chessboard_RGB", "color", "horse", "logo", "phantom"}


def test_all_shipped_photographs_are_used_and_no_scene_is_in_two_splits():
    splits = photographs(None, side=64, crop=48)
    names = [photo.name for photos in splits.values() for photo in photos]
    scenes = {split: {photo.scene for photo in photos} for split, photos in splits.items()}
    assert len(names) == len(set(names)) == 22
    assert {split: len(chosen) for split, chosen in scenes.items()} == {"train": 9, "validation": 3, "test": 9}
    assert len(set.union(*scenes.values())) == 21
    shipped = [
        path
        for folder in (files("skimage") / "data", files("sklearn.datasets") / "images")
        for path in Path(str(folder)).iterdir()
        if path.suffix in (".png", ".jpg")
    ]
    assert {path.stem for path in shipped} - DRAWINGS == set(names)
    for photos in splits.values():
        for photo in photos:
            assert photo.pixels.dtype == torch.float32
            assert min(photo.pixels.shape[1:]) >= 48
            assert 0 <= photo.pixels.min() < photo.pixels.max() <= 1


def test_a_folder_is_dealt_to_all_splits_and_shrunk(folder):
    splits = photographs(folder, side=32, crop=24)
    assert sorted(len(photos) for photos in splits.values()) == [1, 1, 2]
    assert all(photo.pixels.shape == (1, 32, 48) for photos in splits.values() for photo in photos)


def test_an_image_of_16_bits_keeps_its_range(folder):
    deep = np.full((40, 40), 0x8000, dtype=np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    torch.testing.assert_close(read(folder)["deep"], torch.full((1, 32, 32), 0x8000 / 0xFFFF))


@pytest.mark.parametrize(("dtype", "reason"), [(np.int32, "deeper than 16 bits"), (np.float32, "unknown range")])
def test_an_image_of_unknown_range_is_named(folder, dtype, reason):
    Image.fromarray(np.full((40, 40), 70000, dtype=dtype)).save(folder / "raw.tiff")
    with pytest.raises(UsageError, match=rf"raw\.tiff' cannot be read: .*{reason}"):
        read(folder)


@pytest.mark.parametrize("color", [False, True])
def test_a_palette_is_resolved(folder, color):
    red = Image.new("P", (40, 40), 1)
    red.putpalette([0, 0, 0, 255, 0, 0])
    red.save(folder / "red.png")
    expected = torch.tensor([1.0, 0.0, 0.0]) if color else torch.tensor([76 / 255])  # BT.601 luma of red
    torch.testing.assert_close(read(folder, color=color)["red"], expected[:, None, None].expand(-1, 32, 32))


def test_an_image_smaller_than_the_crop_is_continued_by_its_mirror_image(folder):
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(folder / "tiny.png")
    torch.testing.assert_close(read(folder)["tiny"][0, 0, :6], torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0]))


def test_an_empty_folder_is_named_with_what_is_expected(tmp_path):
    with pytest.raises(UsageError, match=r"holds 0 images .*expected at least 3"):
        photographs(tmp_path, side=32, crop=24)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere' is not a folder"):
        photographs(tmp_path / "nowhere", side=32, crop=24)


@pytest.mark.parametrize("content", [None, b"", b"no image at all"])
def test_a_truncated_or_empty_or_foreign_file_is_named_in_one_line(folder, content):
    broken = folder / "b.png"
    broken.write_bytes(broken.read_bytes()[:60] if content is None else content)
    with pytest.raises(UsageError, match=r"b\.png' cannot be read: ") as caught:
        photographs(folder, side=32, crop=24)
    assert "\n" not in str(caught.value)
