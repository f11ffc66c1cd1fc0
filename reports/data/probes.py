"""How layers treat place before any training: the probes that were kept beside their costs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from coordbench.reports.data.stored import Run, given

COLUMNS = [
    *("variant", "shift_1", "shift_2", "shift_3", "shift_4", "with_borders", "at_shift"),
    *("lie_derivative", "position_readout", "field_within_1", "unseen_size", "at_size", "reason"),
]


def stored(run: Run) -> dict[str, dict[str, Any]]:
    """Variant -> its probes, or `{"reason": ...}` where they failed; nothing for variants of old records."""
    found: dict[str, dict[str, Any]] = {}
    costs = run.tables.costs
    for variant, details in zip(costs["variant"], costs["details"], strict=True):
        probed = (details or {}).get("probes")
        if probed and "reason" not in found.get(variant, {"reason": ""}):
            continue  # one look is enough: it depends on the variant alone
        if probed:
            found[variant] = probed
    place = {variant: i for i, variant in enumerate(run.variants)}
    return dict(sorted(found.items(), key=lambda item: place.get(item[0], len(place))))


def probes(run: Run | str | None = None, **where: Any) -> pd.DataFrame:
    """One row per variant: `shift_N`, the error against shifts of N px inside; `with_borders` that of the largest.

    `lie_derivative` [1/px], `position_readout` (R^2), `field_within_1`: share of the squared gradient within 1 px of
    the center, `unseen_size`: the largest error at a size that the layer was not built for. 0 is what a convolution
    without borders has.
    """
    rows = [_row(variant, probed) for variant, probed in stored(given(run, where)).items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(variant: str, probed: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"variant": variant, "reason": probed.get("reason", "")}
    row |= {f"shift_{float(shift):g}": error for shift, error in probed.get("shift_error_interior", [])}
    borders = sorted(probed.get("shift_error_with_borders", []))
    sizes = sorted(probed.get("unseen_size", []), key=lambda point: float(point[1]))
    row |= {"at_shift": borders[-1][0], "with_borders": borders[-1][1]} if borders else {}
    row |= {"at_size": sizes[-1][0], "unseen_size": sizes[-1][1]} if sizes else {}
    row["field_within_1"] = dict(map(tuple, probed.get("effective_receptive_field", []))).get(1.0)
    return row | {name: probed.get(name) for name in ("lie_derivative", "position_readout")}
