"""How costs grow with input size, channels, batch and depth: curves out of stored costs, and their exponents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from coordbench.harness.analysis.frames import base_names
from coordbench.harness.statistics.fit import power_law

QUANTITIES = (
    *("parameters", "flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes"),
    *("activation_bytes", "allocated_bytes"),
)
CURVE = ["task", "backbone", "variant", "device", "dtype", "memory_format", "axis", "others", "quantity"]
_POINTS = 3


def curves(costs: pd.DataFrame) -> pd.DataFrame:
    """Find every set of costs that differ in one number only: columns CURVE, value, amount.

    `costs` are those of `measure.table.flatten`. `axis` is an option of the task or the backbone with three or more
    values, `others` the options that all points share, `value` that of the axis and `amount` the quantity there.
    """
    rows: list[tuple[Any, ...]] = []
    cell = ["variant", "device", "dtype", "memory_format"]
    names = {column: base_names(costs[column]) for column in ("task", "backbone")}
    known = costs.assign(**names).dropna(subset=["options"])
    for key, group in known.groupby(["task", "backbone", *cell]):
        for axis, others, points in _axes(group):
            for quantity in (name for name in QUANTITIES if name in points):
                amounts = points[["value", quantity]].dropna().astype(float)
                rows += [(*key, axis, others, quantity, value, amount) for value, amount in amounts.to_numpy()]
    frame = pd.DataFrame(rows, columns=[*CURVE, "value", "amount"])
    return frame.sort_values([*CURVE, "value"], ignore_index=True)


def exponents(found: pd.DataFrame) -> pd.DataFrame:
    """Fit amount = factor * value ** exponent to each curve: columns CURVE, points, exponent, low, high, misfit.

    `low`..`high` is the 95 % interval of the exponent, `misfit` the largest factor between a point and the line; where
    it is far from 1 the curve is no power law, and the exponent only its mean slope.
    """
    rows = []
    for key, curve in found[found["amount"] > 0].groupby(CURVE, sort=False):
        if curve["value"].nunique() >= _POINTS:
            law = power_law(curve["value"], curve["amount"])
            rows.append((*key, len(curve), law.exponent, law.low, law.high, law.misfit))
    return pd.DataFrame(rows, columns=[*CURVE, "points", "exponent", "low", "high", "misfit"])


def _axes(group: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Each numeric option that alone varies over three or more rows, the options they share, and those rows."""
    options = pd.DataFrame(list(group["options"]), index=group.index)
    for axis in options.columns:
        if not pd.api.types.is_numeric_dtype(options[axis]):
            continue
        rest = options.drop(columns=axis).apply(lambda row: ", ".join(f"{k}={v}" for k, v in row.items()), axis=1)
        for others, members in group.groupby(rest):
            points = members.assign(value=options.loc[members.index, axis])
            if points["value"].nunique() >= _POINTS:
                yield axis, str(others), points
