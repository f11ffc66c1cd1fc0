"""One stored sample as a picture of a page: an image, a heat map, a line or points, in the box of its row."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from coordbench.reports.text import number

Array = NDArray[Any]
SMALL, LARGE = 96, 180
"""Widths of a picture on a page [px]; one of more pixels than a small one has is drawn large."""
_LOSSLESS = 32 * 32


@dataclass(frozen=True)
class Box:
    """What all pictures of a row share: the extent of places (left, top, width, height) and of a line's axes."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0
    start: float = 0.0
    end: float = 1.0
    low: float = 0.0
    high: float = 1.0


def image(array: Array, name: str) -> Markup:
    """(H, W) or (H, W, 3) in 0..1; what is no number becomes black."""
    pixels = np.asarray(np.clip(np.nan_to_num(_plane(array)), 0, 1) * 255 + 0.5, dtype=np.uint8)
    return _picture(pixels, name)


def heatmap(array: Array, scale: tuple[float, float], name: str) -> Markup:
    """(H, W) in the colors of a scale."""
    low, high = scale
    unit = (np.nan_to_num(_plane(array), nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    return _picture(np.asarray(mpl.colormaps["magma"](np.clip(unit, 0, 1), bytes=True)[..., :3]), name)


def points(array: Array, truth: Array | None, backdrop: Array | None, box: Box) -> Markup:
    """Places (n, 2), x and y [px], over the input of the row; the truth as rings under them."""
    size = max(box.width, box.height) / 24
    under = Markup("")
    if backdrop is not None:
        flat = np.asarray(np.clip(np.nan_to_num(_plane(backdrop)), 0, 1) * 255 + 0.5, dtype=np.uint8)
        under = Markup('<image href="{}" x="-.5" y="-.5" width="{}" height="{}" style="opacity:.55"/>').format(
            data_uri(flat), flat.shape[1], flat.shape[0]
        )
    rings = _dots(truth, size * 1.7, "ring") if truth is not None else Markup("")
    frame = f"{box.left:.4g} {box.top:.4g} {box.width:.4g} {box.height:.4g}"
    return Markup('<svg class="points" viewBox="{}" width="96" role="img">{}{}{}</svg>').format(
        frame, under, rings, _dots(array, size, "dot")
    )


def line(array: Array, box: Box, marks: Array | None = None, truth: Array | None = None) -> Markup:
    """A line (n,) or (2, n) as x and y on the axes of its row; places along it as ticks, true ones in their color."""
    x, y = axis_of(array)
    every = np.unique(np.linspace(0, max(len(x) - 1, 0), min(len(x), 200)).astype(int)) if len(x) else np.array([], int)
    up = 62 - (np.nan_to_num(y[every], nan=box.low) - box.low) / max(box.high - box.low, 1e-12) * 60
    across = _across(x[every], box)
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, np.clip(up, -20, 84), strict=True))
    ticks = _ticks(truth, box, "ring") + _ticks(marks, box, "dot")
    labels = Markup('<text x="0" y="73">{}</text><text x="96" y="73" class="end">{}</text>').format(
        number(box.start, 2), number(box.end, 2)
    )
    drawn = Markup('<svg class="line" viewBox="0 0 96 76" width="96" role="img"><polyline points="{}"/>{}{}</svg>')
    return drawn.format(path, ticks, labels)


def axis_of(array: Array) -> tuple[Array, Array]:
    """x and y of a line (n,) or (2, n)."""
    return (array[0], array[1]) if array.ndim == 2 and len(array) == 2 else (np.arange(array.size), array.ravel())


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Bytes (H, W) or (H, W, 3) as a picture inside a page: exact where small, else compressed with no visible loss."""
    stream = io.BytesIO()
    exact = pixels.shape[0] * pixels.shape[1] <= _LOSSLESS
    Image.fromarray(pixels).save(stream, "WEBP", lossless=exact, quality=85, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def places(array: Array) -> Array:
    """The finite places (n, 2) of an array of points."""
    pairs = array.reshape(-1, 2) if array.size % 2 == 0 else np.empty((0, 2))
    return pairs[np.isfinite(pairs).all(axis=1)]


def _plane(array: Array) -> Array:
    """(H, W) or (H, W, 3): something that can be drawn as a picture, whatever was stored."""
    flat = np.atleast_2d(np.asarray(array, dtype=np.float64))
    while flat.ndim > 3 or (flat.ndim == 3 and flat.shape[2] != 3):
        flat = flat[0]
    return flat if flat.size else np.zeros((1, 1))


def _picture(pixels: NDArray[np.uint8], name: str) -> Markup:
    width = SMALL if pixels.shape[1] <= SMALL else LARGE
    return Markup('<img src="{}" alt="{}" width="{}">').format(data_uri(pixels), name, width)


def _dots(array: Array, size: float, name: str) -> Markup:
    dot = Markup('<circle class="{}" cx="{:.2f}" cy="{:.2f}" r="{:.2f}"/>')
    return Markup("").join(dot.format(name, float(x), float(y), size) for x, y in places(array)[:500])


def _ticks(array: Array | None, box: Box, name: str) -> Markup:
    if array is None:
        return Markup("")
    tick = Markup('<path class="{}" d="M{:.1f},2V62"/>')
    return Markup("").join(tick.format(name, float(at)) for at in _across(places(array)[:100, 0], box))


def _across(x: Array, box: Box) -> Array:
    return np.asarray((x - box.start) / max(box.end - box.start, 1e-12) * 96)
