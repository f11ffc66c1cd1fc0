"""Galleries: what went in, what was true, what each variant made of it, at the same crop and on the same scale."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from PIL import Image

from coordbench.harness.core.problem import Sample

Array = np.ndarray[Any, Any]

SHARED = ("input", "truth")
MOST_GROUPS = 4
MOST_SHEETS = 4
"""Pictures of one role over time that a gallery shows, of all that were taken while a model was trained."""
SMALL, LARGE = 96, 180
"""Widths of a picture on a page [px]; one of more pixels than a small one has is drawn large."""


def gallery(samples: Mapping[str, Iterable[Sample]], most_groups: int = MOST_GROUPS) -> list[dict[str, Any]]:
    """Arrange the samples of named models: one row per group, one column per input, truth and model.

    A row is `{"group", "large", "cells": [{"name", "variant", "pictures"}]}`. The pictures of a model stand under one
    another; in a large row beside one another, after those that come alone, at most `MOST_SHEETS` of each role.
    """
    by_group: dict[str, dict[str, list[Sample]]] = {}
    for name, shown in samples.items():
        for sample in shown:
            by_group.setdefault(sample.group, {}).setdefault(name, []).append(sample)
    return [_row(group, models) for group, models in list(by_group.items())[:most_groups]]


def _row(group: str, models: dict[str, list[Sample]]) -> dict[str, Any]:
    everything = [sample for shown in models.values() for sample in shown]
    shared = {sample.role: sample for sample in everything if sample.role in SHARED}
    backdrop = next((sample.array for sample in shared.values() if sample.kind in ("image", "heatmap")), None)
    truth = shared["truth"].array if "truth" in shared and shared["truth"].kind == "points" else None
    scales = _scales(everything)
    cells = [
        {"name": role, "variant": "", "pictures": [_cell(shared[role], scales, backdrop, None) | {"label": ""}]}
        for role in SHARED
        if role in shared
    ]
    for name, shown in models.items():
        labeled = thinned([sample for sample in shown if sample.role not in SHARED])
        pictures = [_cell(sample, scales, backdrop, truth) | {"label": label} for label, sample in labeled]
        if pictures:
            cells.append({"name": name, "variant": name, "pictures": pictures})
    large = any(s.kind == "image" and s.array.shape[1] > SMALL for s in everything if s.array.ndim > 1)
    cells.sort(key=lambda cell: large and len(cell["pictures"]) > 1)
    return {"group": group, "large": large, "cells": cells}


def thinned(samples: Iterable[Sample], most: int = MOST_SHEETS) -> list[tuple[str, Sample]]:
    """Keep at most so many snapshots of a role, evenly from the first to the last, each under its label.

    A role without a step is what a model ended with, so it comes last; of a role without snapshots all are kept.
    """
    courses: dict[str, list[Sample]] = {}
    for sample in samples:
        courses.setdefault(sample.role, []).append(sample)
    return [labeled for course in courses.values() for labeled in _labeled(course, most)]


def _labeled(course: list[Sample], most: int) -> list[tuple[str, Sample]]:
    """The samples of one role, thinned where some were taken during training."""
    if all(sample.step is None for sample in course):
        return [("", sample) for sample in course]
    ordered = sorted(course, key=lambda sample: np.inf if sample.step is None else sample.step)
    shown = np.linspace(0, len(ordered) - 1, min(len(ordered), most)).round().astype(int)
    return [(_label(ordered[i].step), ordered[i]) for i in shown]


def _label(step: int | None) -> str:
    return "end" if step is None else f"step {step:,}"


def _scales(samples: Iterable[Sample]) -> dict[str, tuple[float, float]]:
    """The range of each role that is drawn by color or height, over all models; truth and prediction share theirs."""
    scales: dict[str, tuple[float, float]] = {}
    for sample in samples:
        role, kind, array = sample.role, sample.kind, sample.array
        finite = array[np.isfinite(array)] if kind != "line" else _heights(array)
        if kind in ("heatmap", "line") and len(finite):
            key = role if kind == "heatmap" and role != "truth" else kind
            low, high = scales.get(key, (np.inf, -np.inf))
            scales[key] = (min(low, float(finite.min())), max(high, float(finite.max())))
    return scales


def _cell(
    sample: Sample, scales: dict[str, tuple[float, float]], backdrop: Array | None, truth: Array | None
) -> dict[str, Any]:
    role, kind, array = sample.role, sample.kind, sample.array
    if kind == "points":
        drawn = _points(array, backdrop, truth)
    elif kind == "line":
        drawn = _line(array, scales.get("line", (0.0, 1.0)))
    elif kind == "heatmap":
        drawn = _picture(_colors(array, scales.get(role, _range(array))), role)
    else:
        drawn = _picture(_pixels(array), role)
    return {"role": role, "drawn": drawn}


def _range(array: Array) -> tuple[float, float]:
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _pixels(array: Array) -> Array:
    """(H, W) or (H, W, 3) in 0..1 -> bytes; what is no number becomes black."""
    return np.asarray(np.clip(np.nan_to_num(np.atleast_2d(array)), 0, 1) * 255 + 0.5, dtype=np.uint8)


def _colors(array: Array, scale: tuple[float, float]) -> Array:
    low, high = scale
    unit = (np.nan_to_num(np.atleast_2d(array), nan=low) - low) / max(high - low, 1e-12)
    return np.asarray(mpl.colormaps["magma"](np.clip(unit, 0, 1), bytes=True)[..., :3])


def _picture(pixels: Array, name: str) -> Markup:
    width = SMALL if pixels.shape[1] <= SMALL else LARGE
    return Markup('<img src="{}" alt="{}" width="{}">').format(data_uri(pixels), name, width)


def data_uri(pixels: Array) -> str:
    """Bytes (H, W) or (H, W, 3) as a picture inside a page: exact where small, else compressed with no visible loss."""
    stream = io.BytesIO()
    exact = pixels.shape[0] * pixels.shape[1] <= 32 * 32
    Image.fromarray(pixels).save(stream, "WEBP", lossless=exact, quality=85, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _points(array: Array, backdrop: Array | None, truth: Array | None) -> Markup:
    """Points (n, 2), x and y [px], over the input; the truth as rings under a prediction."""
    height, width = backdrop.shape[:2] if backdrop is not None else (np.nanmax(array) + 1,) * 2
    size = max(height, width) / 24
    under = Markup("")
    if backdrop is not None:
        under = Markup('<image href="{}" x="-.5" y="-.5" width="{}" height="{}" style="opacity:.55"/>').format(
            data_uri(_pixels(backdrop)), width, height
        )
    rings = _dots(truth, size * 1.7, "ring") if truth is not None else Markup("")
    dots = _dots(array, size, "dot")
    return Markup('<svg class="points" viewBox="-.5 -.5 {} {}" width="96" role="img">{}{}{}</svg>').format(
        width, height, under, rings, dots
    )


def _dots(array: Array, size: float, name: str) -> Markup:
    dot = Markup('<circle class="{}" cx="{:.2f}" cy="{:.2f}" r="{:.2f}"/>')
    finite = array.reshape(-1, 2)[np.isfinite(array.reshape(-1, 2)).all(axis=1)]
    return Markup("").join(dot.format(name, float(x), float(y), size) for x, y in finite[:500])


def _heights(array: Array) -> Array:
    heights = array[1] if array.ndim == 2 else array
    return np.asarray(heights[np.isfinite(heights)])


def _line(array: Array, scale: tuple[float, float]) -> Markup:
    """A line (n,) or (2, n) as x and y."""
    x, y = array if array.ndim == 2 else (np.arange(len(array)), array)
    every = np.unique(np.linspace(0, max(len(x) - 1, 0), min(len(x), 200)).astype(int))
    low, high = scale
    across = (x[every] - x.min()) / max(float(np.ptp(x)), 1e-12) * 96
    up = 62 - (np.nan_to_num(y[every], nan=low) - low) / max(high - low, 1e-12) * 60
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up, strict=True))
    told = Markup('<svg class="line" viewBox="0 0 96 64" width="96" role="img"><polyline points="{}"/></svg>')
    return told.format(path)
