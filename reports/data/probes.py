"""How layers treat place before any training: the probes that were measured beside their costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from coordbench.reports.data.stored import Stored
from coordbench.reports.text import finite

Points = tuple[tuple[float, float], ...]
"""Pairs of a shift, a distance or a size, and the value there."""


@dataclass(frozen=True)
class Probe:
    """How one layer treats place; `reason` says why it could not be probed.

    `inside` and `borders`: error against shifts [px] where no border is seen, and on the whole map. `field`: share of
    the squared gradient within so many pixels of the center. `sizes`: error at sizes that it was not built for.
    """

    variant: str
    reason: str = ""
    inside: Points = ()
    borders: Points = ()
    field: Points = ()
    sizes: Points = ()
    lie_derivative: float | None = None
    position_readout: float | None = None

    def at_shift(self, pixels: float) -> float | None:
        """The error inside at a shift."""
        return dict(self.inside).get(pixels)

    @property
    def worst_border(self) -> float | None:
        """The error on the whole map at the largest shift."""
        return max(self.borders)[1] if self.borders else None

    @property
    def close(self) -> float | None:
        """The share of the squared gradient within 1 px of the center."""
        return dict(self.field).get(1.0)

    @property
    def worst_size(self) -> tuple[float, float] | None:
        """The size that it was not built for with the largest error, and that error."""
        return max(self.sizes, key=lambda point: point[1], default=None)


def probed(run: Stored) -> dict[str, Probe]:
    """Variant -> its probes; nothing for variants of old records."""
    known: dict[str, Probe] = {}
    for variant, details in zip(run.tables.costs["variant"], run.tables.costs["details"], strict=True):
        stored = details.get("probes") if isinstance(details, dict) else None
        name = str(variant)
        unknown = name not in known or bool(known[name].reason)  # one is enough: it depends on the variant alone
        if isinstance(stored, dict) and stored and unknown:
            known[name] = _read(name, stored)
    place = {variant: i for i, variant in enumerate(run.variants)}
    return dict(sorted(known.items(), key=lambda item: place.get(item[0], len(place))))


def probes(run: Stored) -> pd.DataFrame:
    """One row per variant: `shift_N`, the error against shifts of N px inside; `with_borders` that of the largest.

    `lie_derivative` [1/px], `position_readout` (R^2), `field_within_1`: share of the squared gradient within 1 px of
    the center, `unseen_size`: the largest error at a size that the layer was not built for. 0 is what a convolution
    without borders has.
    """
    rows = [_row(probe) for probe in probed(run).values()]
    shifts = [f"shift_{pixels}" for pixels in (1, 2, 3, 4)]
    columns = ["variant", *shifts, "with_borders", "at_shift", "lie_derivative", "position_readout", "field_within_1"]
    return pd.DataFrame(rows, columns=[*columns, "unseen_size", "at_size", "reason"])


def _row(probe: Probe) -> dict[str, float | str | None]:
    shift, borders = max(probe.borders, default=(None, None))
    size, error = probe.worst_size or (None, None)
    return {
        "variant": probe.variant,
        **{f"shift_{pixels}": probe.at_shift(pixels) for pixels in (1, 2, 3, 4)},
        "with_borders": borders,
        "at_shift": shift,
        "lie_derivative": probe.lie_derivative,
        "position_readout": probe.position_readout,
        "field_within_1": probe.close,
        "unseen_size": error,
        "at_size": size,
        "reason": probe.reason,
    }


def _read(variant: str, stored: Mapping[str, object]) -> Probe:
    return Probe(
        variant,
        str(stored.get("reason") or ""),
        _points(stored.get("shift_error_interior")),
        _points(stored.get("shift_error_with_borders")),
        _points(stored.get("effective_receptive_field")),
        _points(stored.get("unseen_size")),
        finite(stored.get("lie_derivative")),
        finite(stored.get("position_readout")),
    )


def _points(stored: object) -> Points:
    """The pairs of which both are numbers: a layer that gives NaN leaves nulls."""
    listed = [pair for pair in stored if isinstance(pair, list)] if isinstance(stored, list) else []
    pairs = [tuple(map(finite, pair)) for pair in listed]
    return tuple((pair[0], pair[1]) for pair in pairs if len(pair) == 2 and pair[0] is not None and pair[1] is not None)
