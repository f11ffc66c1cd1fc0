"""Photographs as tensors: those that ship inside scikit-image and scikit-learn, or a user's folder.

They are split by scene, never by crop, so no test crop has been seen in training, nor its scene from another side.
Left out of what ships are drawings (chessboard, color, horse, logo, phantom) and pictures of less than 100 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.seeds import seed_of

SPLITS = ("train", "validation", "test")
_SHIPPED = {
    "train": "brick cell chelsea coffee flower hubble_deep_field page retina rocket",
    "validation": "gravel moon motorcycle_left motorcycle_right",
    "test": "astronaut camera china clock_motion coins grass ihc microaneurysms text",
}
_SCENES = {"motorcycle_left": "motorcycle", "motorcycle_right": "motorcycle"}
"""What two photographs show, where it is the same."""
Array = NDArray[np.float32]
_FOLDERS = (("skimage", "data"), ("sklearn.datasets", "images"))
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_SHARES = {"validation": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Photograph:
    """An image (C, H, W) of brightness 0..1, float32."""

    name: str
    pixels: Tensor

    @property
    def scene(self) -> str:
        """What it shows, which several photographs may."""
        return _SCENES.get(self.name, self.name)


def photographs(folder: Path | None, *, side: int, crop: int, color: bool = False) -> dict[str, list[Photograph]]:
    """Read the photographs of each split, shrunk until the shorter side is at most `side` [px].

    One that is smaller than `crop` [px] is continued by its mirror image. Raises UsageError for a folder of fewer than
    three images and for a file that cannot be read.
    """
    paths = _shipped() if folder is None else _of_folder(folder)
    return {split: [_read(path, side, crop, color) for path in chosen] for split, chosen in paths.items()}


def cut(chosen: Sequence[Photograph], side: int, generator: torch.Generator, *, turned: bool = True) -> Tensor:
    """Cut `side` x `side` pixels out of each photograph at random, (N, C, side, side); where `turned`, also turn it."""
    numbers = torch.rand(len(chosen), 3, generator=generator) * torch.tensor([1, 1, turned])
    rows = zip(chosen, numbers.tolist(), strict=True)
    return torch.stack([_crop(photo.pixels, side, *row) for photo, row in rows])


def _crop(pixels: Tensor, side: int, down: float, right: float, turn: float) -> Tensor:
    top, left = (int(u * (n - side + 1)) for u, n in zip((down, right), pixels.shape[1:], strict=True))
    quarters, mirrored = divmod(int(turn * 8), 2)
    crop = pixels[:, top : top + side, left : left + side].rot90(quarters, (1, 2))
    return crop.flip(2) if mirrored else crop


def _shipped() -> Mapping[str, list[Path]]:
    shipped: dict[str, Path] = {}
    for package, folder in _FOLDERS:
        for path in Path(str(files(package))).joinpath(folder).iterdir():
            if path.suffix in _SUFFIXES:
                shipped[path.stem] = path
    return {split: [shipped[name] for name in names.split()] for split, names in _SHIPPED.items()}


def _of_folder(folder: Path) -> Mapping[str, list[Path]]:
    """Deal the images of a folder to the splits: by a shuffle that depends on their names alone."""
    if not folder.is_dir():
        raise UsageError(f"folder={str(folder)!r} is not a folder; expected one that holds images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if len(paths) < len(SPLITS):
        raise UsageError(
            f"folder={str(folder)!r} holds {len(paths)} images ({', '.join(_SUFFIXES)}); "
            f"expected at least {len(SPLITS)}: one each to train, to validate and to test"
        )
    paths.sort(key=lambda path: seed_of(path.name))
    validation, test = (max(1, round(share * len(paths))) for share in _SHARES.values())
    return {"train": paths[validation + test :], "validation": paths[:validation], "test": paths[validation:][:test]}


def _read(path: Path, side: int, crop: int, color: bool) -> Photograph:
    try:
        with Image.open(path) as image:
            pixels = _brightness(image, color)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()).replace(str(path), path.name)
        raise UsageError(f"image {str(path)!r} cannot be read: {reason}") from error
    shrunk = np.stack([_shrink(channel, side) for channel in pixels])
    missing = [(0, 0), *((0, max(0, crop - length)) for length in shrunk.shape[1:])]
    return Photograph(path.stem, torch.from_numpy(np.pad(shrunk, missing, mode="symmetric")))


def _brightness(image: Image.Image, color: bool) -> Array:
    """Return (C, H, W) in 0..1 of an image of any depth; palettes are resolved, transparency is ignored."""
    if image.mode.startswith("I"):  # 16 bits, which convert() would clip to 8
        gray: Array = np.asarray(image, dtype=np.float32)[None] / np.float32(65535)
        if gray.max() > 1:
            raise ValueError("its pixels are deeper than 16 bits; save it with 8 or 16")
        return np.repeat(gray, 3, axis=0) if color else gray
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range; save it with 8 or 16 bits")
    if image.mode == "P":
        image = image.convert("RGBA")
    array: Array = np.asarray(image.convert("RGB" if color else "L"), dtype=np.float32) / np.float32(255)
    return np.moveaxis(array, 2, 0) if color else array[None]


def _shrink(channel: Array, side: int) -> Array:
    height, width = channel.shape
    scale = min(1.0, side / min(height, width))
    if scale == 1.0:
        return channel
    smaller = Image.fromarray(channel).resize((round(width * scale), round(height * scale)), Image.Resampling.HAMMING)
    return np.asarray(smaller, dtype=np.float32)
