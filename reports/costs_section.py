"""The section about costs: a table and ratios per network, scaling curves, and the best layers within a limit."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from harness import scaling
from reports import choice, drawing, figures
from reports.costs import costs, details
from reports.runs import Run

SCALED = ("flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes", "parameters")
MOST_RATIOS = 240
"""Ratios that are drawn; beyond it the networks that follow have their tables alone."""


def section(run: Run, board: pd.DataFrame) -> dict[str, Any]:
    """What the page shows of costs."""
    return {"groups": groups(run), "choices": choice.summary(run, board), "scaling": scaled(run)}


def groups(run: Run) -> list[dict[str, Any]]:
    """One entry per network (task, backbone and what it ran on): its rows, its ratios drawn, why there is no energy."""
    made: list[dict[str, Any]] = []
    room = MOST_RATIOS
    measured = costs(run)
    measured = measured[measured["status"] != "skipped"]
    cell = ["task", "backbone", "device", "dtype", "memory_format"]
    for (task, backbone, device, dtype, layout), rows in measured.groupby(cell, sort=False, dropna=False):
        about = [str(device), str(dtype), *([str(layout)] if layout != "contiguous" else [])]
        room -= len(rows)
        reasons = [reason for reason in rows["no_joules"].unique() if reason]
        silent = rows["joules_per_sample"].isna().all()
        left_out = [set(filter(None, str(names).split(", "))) for names in rows["uncounted"].fillna("")]
        shared = set.intersection(*left_out)
        made.append(
            {
                "task": task,
                "backbone": backbone,
                "about": ", ".join(about),
                "rows": rows.assign(uncounted=[_names(own - shared) for own in left_out]),
                "uncounted": _names(shared),
                "joules": not silent,
                "no_joules": "; ".join(reasons),
                "figure": _ratios(run, rows) if room >= 0 else None,
            }
        )
    return made


def _names(operations: set[str]) -> str:
    return ", ".join(sorted(name.removeprefix("aten.") for name in operations))


def _ratios(run: Run, rows: pd.DataFrame) -> Markup | None:
    known = rows.dropna(subset=["ratio_forward", "ratio_step"], how="all")
    if known.empty:
        return None
    title = f"Time as a multiple of the plain convolution's, {rows['task'].iloc[0]}, {rows['backbone'].iloc[0]}"
    return Markup(drawing.inline(figures.ratios(run, known), title))


def scaled(run: Run) -> list[dict[str, Any]]:
    """One entry per axis along which costs grew: its figures, one per quantity; none where a run swept no axis."""
    frame = details(run)
    if frame.empty or frame["options"].isna().all():
        return []
    swept = _swept(frame[frame["status"] == "ok"])
    if swept.empty:
        return []
    found = scaling.curves(swept)
    laws = scaling.exponents(found)
    made = []
    for key, points in found[found["quantity"].isin(SCALED)].groupby(["task", "backbone", "axis", "others"]):
        task, backbone, axis, others = map(str, tuple(key))
        drawn = [
            Markup(drawing.inline(_scaling(run, own, laws), f"{quantity} against {axis} in {backbone} on {task}"))
            for quantity in SCALED
            if (own := points[points["quantity"] == quantity]).groupby("variant")["amount"].nunique().gt(1).any()
        ]
        if drawn:
            made.append({"task": task, "backbone": backbone, "axis": axis, "others": others, "figures": drawn})
    return made


def _swept(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that may lie on a curve: of a variant in three or more forms of one task and one backbone."""
    names = [frame[name].str.split("[").str[0] for name in ("task", "backbone")]
    count = frame.groupby([*names, *(frame[n] for n in ("variant", "device", "dtype", "memory_format"))])["task"]
    return frame[count.transform("size") >= 3]


def _scaling(run: Run, points: pd.DataFrame, laws: pd.DataFrame) -> Any:
    same = ["task", "backbone", "axis", "others", "quantity"]
    own = laws.merge(points[same].drop_duplicates(), on=same)
    return figures.scaling(run, points, own.drop_duplicates("variant"))
