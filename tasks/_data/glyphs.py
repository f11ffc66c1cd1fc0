"""Greek letters in the DejaVu faces that ship with matplotlib, drawn anywhere on a canvas, and read again."""

from __future__ import annotations

import functools
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.ft2font import FT2Font
from scipy import ndimage
from torch import Tensor

LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"
FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique",
)  # fmt: skip
CAPITAL = 0.73
"""Height of DejaVu's capitals, as a share of the size of the font."""


@functools.cache
def glyph(letter: str, face: str, height: int) -> Tensor:
    """Draw a letter, cropped to its ink, (h, w) in 0..1; a capital of the same face would be `height` px high."""
    font = _font(face, height)
    font.set_text(letter)
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.array(font.get_image(), dtype=np.float32) / 255
    return torch.from_numpy(ink[np.ix_(ink.any(1), ink.any(0))])


@functools.cache
def _font(face: str, height: int) -> FT2Font:
    """A face at one size, kept: to open it takes twenty times as long as to draw a letter."""
    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"))
    font.set_size(height / CAPITAL, 72)  # at 72 dots per inch a point is a pixel
    return font


def paint(image: Tensor, ink: Tensor, x: int, y: int) -> None:
    """Draw ink, (h, w), into an image, (H, W), its upper left corner at (x, y)."""
    height, width = ink.shape
    patch = image[y : y + height, x : x + width]
    torch.maximum(patch, ink, out=patch)


@functools.cache
def shapes(heights: tuple[int, ...]) -> dict[bytes, str]:
    """The letter of each picture that `glyph` draws at these heights; no two letters share one."""
    drawn = ((letter, glyph(letter, face, height)) for letter in LETTERS for face in FACES for height in heights)
    return {_key(ink.numpy()): letter for letter, ink in drawn}


def read(image: Tensor, heights: tuple[int, ...]) -> list[tuple[str, float, float]]:
    """Tell the letters that do not touch on an image, (H, W), and the (x, y) of their middles [px]."""
    pixels, known = image.numpy(), shapes(heights)
    parts, _ = ndimage.label(pixels > 0, np.ones((3, 3)))
    letters = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        ink = np.where(parts[rows, columns] == number, pixels[rows, columns], 0)
        middle = (columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2
        letters.append((known[_key(ink)], *middle))
    return letters


def _key(ink: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    return bytes(ink.shape) + np.round(ink * 255).astype(np.uint8).tobytes()
