"""The sections about layers apart from their scores: what they cost, how costs grow, how they treat place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from coordbench.harness.analysis import scaling
from coordbench.reports.data import choice
from coordbench.reports.data.costs import costs, details
from coordbench.reports.data.probes import probes, stored
from coordbench.reports.data.stored import Run
from coordbench.reports.figures import drawing, figures

Axis = tuple[tuple[str, str], ...]
"""What was swept: task, backbone, axis and the options that all points share, as pairs."""
AXIS = ["task", "backbone", "axis", "others"]
SCALED = ("flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes", "parameters")
MOST_RATIOS = 240
"""Ratios that are drawn; beyond it the networks that follow have their tables alone."""


MOST_PROBED = 36


def section(run: Run, board: pd.DataFrame) -> dict[str, Any]:
    """What the page shows of costs: ratios drawn per network, the best within limits, scaling curves."""
    curves: dict[Axis, list[Markup]] = {}
    for swept, title, figure in scaled(run):
        curves.setdefault(swept, []).append(Markup(drawing.inline(figure, title)))
    grown = [{**dict(swept), "figures": drawn} for swept, drawn in curves.items()]
    return {"groups": groups(run), "choices": choice.summary(run, board), "scaling": grown}


def place(run: Run) -> dict[str, Any]:
    """What the page shows of probes: the table, and errors against shift as small multiples."""
    known = {variant: probed for variant, probed in stored(run).items() if "reason" not in probed}
    shown = dict(list(known.items())[:MOST_PROBED])
    title = "Error against shift, one panel per variant"
    drawn = Markup(drawing.inline(figures.shift_errors(run, shown), title)) if shown else None
    return {"table": probes(run), "figure": drawn, "drawn": len(shown), "known": len(known)}


def groups(run: Run) -> list[dict[str, Any]]:
    """One entry per network (task, backbone and what it ran on): its rows, its ratios drawn, why there is no energy."""
    made: list[dict[str, Any]] = []
    room = MOST_RATIOS
    measured = costs(run)
    measured = measured[measured["status"] != "skipped"]
    cell = ["task", "backbone", "device", "dtype", "memory_format", "match"]
    for (task, backbone, device, dtype, layout, match), rows in measured.groupby(cell, sort=False, dropna=False):
        about = [str(device), str(dtype), *([str(layout)] if layout != "contiguous" else [])]
        about += [f"equal {match}"] if match else []
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
                "notes": any(own - shared for own in left_out) or bool(rows["error"].astype(bool).any()),
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


def scaled(run: Run) -> Iterator[tuple[Axis, str, Figure]]:
    """Every quantity that grew along an axis: what was swept, a title, the figure; none where a run swept nothing."""
    frame = details(run)
    if frame.empty or frame["options"].isna().all():
        return
    swept = _swept(frame[frame["status"] == "ok"])
    if swept.empty:
        return
    found = scaling.curves(swept)
    laws = scaling.exponents(found)
    for key, points in found[found["quantity"].isin(SCALED)].groupby(AXIS):
        named = tuple(zip(AXIS, map(str, tuple(key)), strict=True))
        for quantity in SCALED:
            own = points[points["quantity"] == quantity]
            if own.groupby("variant")["amount"].nunique().gt(1).any():
                title = f"{quantity} against {dict(named)['axis']}, {dict(named)['task']}, {dict(named)['backbone']}"
                yield named, title, _scaling(run, own, laws)


def _swept(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that may lie on a curve: of a variant in three or more forms of one task and one backbone."""
    names = [frame[name].str.split("[").str[0] for name in ("task", "backbone")]
    count = frame.groupby([*names, *(frame[n] for n in ("variant", "device", "dtype", "memory_format"))])["task"]
    return frame[count.transform("size") >= 3]


def _scaling(run: Run, points: pd.DataFrame, laws: pd.DataFrame) -> Figure:
    same = [*AXIS, "quantity"]
    own = laws.merge(points[same].drop_duplicates(), on=same)
    return figures.scaling(run, points, own.drop_duplicates("variant"))
