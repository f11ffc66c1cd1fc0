"""Galleries: what went in, what was true, what each variant made of it, at the same crop and on the same scale.

All pictures of a row share one box: places lie in the same extent, lines on the same axes, heat maps of one role on the
same colors. A reference whose values are of another size (a proven ceiling may answer in logits) has colors of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from coordbench.harness.core.problem import Sample
from coordbench.reports.figures import pictures
from coordbench.reports.figures.pictures import Array, Box
from coordbench.reports.text import number

SHARED = ("input", "truth")
MOST_GROUPS = 4
MOST_SHEETS = 4
"""Pictures of one role over time that a gallery shows, of all that were taken while a model was trained."""
Scale = tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """One picture: what it shows, its label, and how it is drawn."""

    role: str
    label: str
    drawn: Markup


@dataclass(frozen=True)
class Column:
    """The pictures of one model, or of what all models share (then `variant` is empty)."""

    name: str
    variant: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Row:
    """One example; `large` where its pictures stand beside one another."""

    group: str
    large: bool
    columns: list[Column]

    @property
    def bytes(self) -> int:
        """What it takes of a page."""
        return sum(len(picture.drawn) for column in self.columns for picture in column.pictures)


def gallery(
    samples: Mapping[str, Iterable[Sample]], references: Iterable[str] = (), most_groups: int = MOST_GROUPS
) -> list[Row]:
    """Arrange the samples of named models: one row per group, one column per input, truth and model."""
    by_group: dict[str, dict[str, list[Sample]]] = {}
    for name, shown in samples.items():
        for sample in shown:
            if sample.array.size:
                by_group.setdefault(sample.group, {}).setdefault(name, []).append(sample)
    return [_row(group, models, set(references)) for group, models in list(by_group.items())[:most_groups]]


def _row(group: str, models: Mapping[str, list[Sample]], references: set[str]) -> Row:
    everything = [sample for shown in models.values() for sample in shown]
    judged = [sample for name, shown in models.items() if name not in references for sample in shown] or everything
    shared = {sample.role: sample for sample in everything if sample.role in SHARED}
    artist = _Artist(shared, _box(everything), _scales([*judged, *shared.values()]))
    columns = [Column(role, "", [artist.draw(shared[role], "")]) for role in SHARED if role in shared]
    for name, shown in models.items():
        labeled = thinned([sample for sample in shown if sample.role not in SHARED])
        drawn = [artist.draw(sample, label, alone=name in references) for label, sample in labeled]
        if drawn:
            columns.append(Column(name, name, drawn))
    large = any(s.kind == "image" and s.array.ndim > 1 and s.array.shape[1] > pictures.SMALL for s in everything)
    columns.sort(key=lambda column: large and len(column.pictures) > 1)
    return Row(group, large, columns)


@dataclass(frozen=True)
class _Artist:
    """Draws the samples of one row into its box and on its scales."""

    shared: Mapping[str, Sample]
    box: Box
    scales: Mapping[str, Scale] = field(default_factory=dict)

    def draw(self, sample: Sample, label: str, *, alone: bool = False) -> Picture:
        """Draw a sample; `alone`: a reference, which may need colors of its own."""
        array, role = sample.array, sample.role
        truth = self._truth() if role not in SHARED else None
        if sample.kind == "points":
            return Picture(role, label, self._points(array, truth))
        if sample.kind == "line":
            places = self._truth() if role == "input" else None
            return Picture(role, label, pictures.line(array, self.box, truth=places))
        if sample.kind == "heatmap":
            low, high = self._colors(sample, alone)
            ends = f"{role}: {number(low, 2)} to {number(high, 2)}"
            return Picture(role, f"{label} {ends}".strip(), pictures.heatmap(array, (low, high), role))
        return Picture(role, label, pictures.image(array, role))

    def _points(self, array: Array, truth: Array | None) -> Markup:
        """Places over the picture that went in, or along the signal that did."""
        given = self.shared.get("input")
        if given is not None and given.kind == "line":
            return pictures.line(given.array, self.box, array, truth)
        backdrop = given.array if given is not None and given.kind in ("image", "heatmap") else None
        return pictures.points(array, truth, backdrop, self.box)

    def _truth(self) -> Array | None:
        truth = self.shared.get("truth")
        return truth.array if truth is not None and truth.kind == "points" else None

    def _colors(self, sample: Sample, alone: bool) -> Scale:
        """The scale of its role; that of a reference alone where it would be flat, or beyond the others."""
        low, high = self.scales.get(_role(sample), (0.0, 1.0))
        known = sample.array[np.isfinite(sample.array)]
        if not alone or not known.size:
            return low, high
        least, most = float(known.min()), float(known.max())
        outside = least < low - (high - low) or most > high + (high - low)
        return (least, most) if outside or most - least < (high - low) / 4 else (low, high)


def thinned(samples: Iterable[Sample], most: int = MOST_SHEETS) -> list[tuple[str, Sample]]:
    """Pass at most so many snapshots of a role on, evenly from the first to the last, each under its label.

    A role without a step is what a model ended with, so it comes last; of a role without snapshots all are shown.
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
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), most)).round().astype(int)
    chosen = [ordered[place] for place in places]
    return [("end" if sample.step is None else f"step {sample.step:,}", sample) for sample in chosen]


def _role(sample: Sample) -> str:
    """Heat maps of truth and prediction share their colors."""
    return "prediction" if sample.role == "truth" else sample.role


def _scales(samples: Iterable[Sample]) -> dict[str, Scale]:
    """The range of each role that is drawn as a heat map, over all models."""
    scales: dict[str, Scale] = {}
    for sample in samples:
        known = sample.array[np.isfinite(sample.array)]
        if sample.kind == "heatmap" and known.size:
            low, high = scales.get(_role(sample), (np.inf, -np.inf))
            scales[_role(sample)] = (min(low, float(known.min())), max(high, float(known.max())))
    return scales


def _box(samples: Iterable[Sample]) -> Box:
    """One extent for all places of a row, and one pair of axes for all of its lines."""
    samples = list(samples)
    left, top, width, height = _extent(samples)
    lines = [pictures.axis_of(sample.array) for sample in samples if sample.kind == "line"]
    start, end = _reach([x for x, _ in lines], (0.0, 1.0))
    low, high = _reach([y for _, y in lines], (0.0, 1.0))
    return Box(left, top, width, height, start, end, low, high)


def _extent(samples: Iterable[Sample]) -> tuple[float, float, float, float]:
    """Left, top, width and height: that of the picture that went in, else of all true places, else of all places."""
    samples = list(samples)
    for sample in samples:
        if sample.role == "input" and sample.kind in ("image", "heatmap") and sample.array.ndim > 1:
            return -0.5, -0.5, float(sample.array.shape[1]), float(sample.array.shape[0])
    true = [pictures.places(s.array) for s in samples if s.kind == "points" and s.role == "truth"]
    every = [pictures.places(s.array) for s in samples if s.kind == "points"]
    corners = np.concatenate([*(true or every), np.empty((0, 2))])
    if not len(corners):
        return -0.5, -0.5, 1.0, 1.0
    edge = max(float(np.ptp(corners, axis=0).max()), 1.0)
    room = 0.15 * edge
    (left, top) = corners.min(axis=0) - room
    return float(left), float(top), edge + 2 * room, edge + 2 * room


def _reach(arrays: Iterable[Array], otherwise: Scale) -> Scale:
    known = [array[np.isfinite(array)] for array in arrays]
    known = [array for array in known if array.size]
    if not known:
        return otherwise
    return min(float(array.min()) for array in known), max(float(array.max()) for array in known)
