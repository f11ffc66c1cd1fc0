"""The sections about layers apart from their scores: what they cost, how costs grow, how they treat place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from coordbench.harness.analysis import scaling
from coordbench.harness.analysis.frames import base_names
from coordbench.reports.data import choice
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.costs import PLACE, details
from coordbench.reports.data.probes import Probe, probed
from coordbench.reports.data.run import Run
from coordbench.reports.figures import layers, svg

AXIS = ["task", "backbone", "axis", "others"]
"""What was swept: task, backbone, axis and the options that all points share."""
SCALED = ("flops", "latency_forward_seconds", "latency_step_seconds", "peak_memory_bytes", "parameters")
MOST_RATIOS = 240
"""Ratios that are drawn; beyond it the networks that follow have their tables alone."""
MOST_PROBED = 36


@dataclass(frozen=True)
class Sweep:
    """What was swept."""

    task: str
    backbone: str
    axis: str
    others: str


@dataclass(frozen=True)
class Network:
    """The costs of the layers of one network: a task, a backbone and what it ran on."""

    task: str
    backbone: str
    about: str
    rows: pd.DataFrame
    uncounted: str
    no_joules: str
    figure: Markup | None

    @property
    def joules(self) -> bool:
        """Whether energy was measured."""
        return bool(self.rows["joules_per_sample"].notna().any())

    @property
    def notes(self) -> bool:
        """Whether a row has something to say."""
        return bool(self.rows["uncounted"].astype(bool).any() or self.rows["error"].fillna("").astype(bool).any())


@dataclass(frozen=True)
class Costs:
    """What the page shows of costs: the best within limits, one table per network, scaling curves."""

    choices: list[tuple[Contest, list[choice.Best | None]]]
    networks: list[Network]
    scaling: list[tuple[Sweep, list[Markup]]]


@dataclass(frozen=True)
class Place:
    """What the page shows of probes: the table, and errors against shift as small multiples."""

    probes: list[Probe]
    figure: Markup | None
    drawn: int
    known: int


def costs(run: Run) -> Costs:
    """Everything about costs."""
    drawn: dict[Sweep, list[Markup]] = {}
    for swept, title, figure in scaled(run):
        drawn.setdefault(swept, []).append(svg.inline(figure, title))
    return Costs(choice.summary(run), networks(run), list(drawn.items()))


def place(run: Run) -> Place:
    """Everything about probes."""
    probes = probed(run)
    known = {variant: probe for variant, probe in probes.items() if probe.inside or probe.borders}
    shown = dict(list(known.items())[:MOST_PROBED])
    title = "Error against shift, one panel per variant"
    figure = svg.inline(layers.shift_errors(run.slots, shown), title) if shown else None
    return Place(list(probes.values()), figure, len(shown), len(known))


def networks(run: Run) -> list[Network]:
    """One table of costs per network."""
    measured = run.costs[run.costs["status"] != "skipped"]
    tables: list[Network] = []
    room = MOST_RATIOS
    for cell, rows in measured.groupby(PLACE, sort=False, dropna=False):
        room -= len(rows)
        tables.append(_network(run, tuple(map(str, cell)), rows, draw=room >= 0))
    return tables


def _network(run: Run, cell: tuple[str, ...], rows: pd.DataFrame, *, draw: bool) -> Network:
    task, backbone, device, dtype, layout, match = cell
    about = [device, dtype, *([layout] if layout not in ("contiguous", "nan", "None") else [])]
    about += [f"equal {match}"] if match not in ("", "nan", "None") else []
    left_out = [set(filter(None, str(names).split(", "))) for names in rows["uncounted"].fillna("")]
    shared = set.intersection(*left_out)
    reasons = "; ".join(reason for reason in rows["no_joules"].unique() if reason)
    rows = rows.assign(uncounted=[_names(names - shared) for names in left_out])
    return Network(
        task, backbone, ", ".join(about), rows, _names(shared), reasons, _ratios(run, rows) if draw else None
    )


def _names(operations: set[str]) -> str:
    return ", ".join(sorted(name.removeprefix("aten.") for name in operations))


def _ratios(run: Run, rows: pd.DataFrame) -> Markup | None:
    known = rows.dropna(subset=["ratio_forward", "ratio_step"], how="all")
    if known.empty:
        return None
    title = f"Time as a multiple of the plain convolution's, {rows['task'].iloc[0]}, {rows['backbone'].iloc[0]}"
    return svg.inline(layers.ratios(run.slots, known), title)


def scaled(run: Run) -> Iterator[tuple[Sweep, str, Figure]]:
    """Every quantity that grew along an axis: what was swept, a title, the figure; none where a run swept nothing."""
    frame = details(run)
    if frame.empty or frame["options"].isna().all():
        return
    swept = _swept(frame[frame["status"] == "ok"])
    if swept.empty:
        return
    points = scaling.curves(swept)
    laws = scaling.exponents(points)
    for key, rows in points[points["quantity"].isin(SCALED)].groupby(AXIS):
        sweep = Sweep(*map(str, key))
        for quantity in SCALED:
            amounts = rows[rows["quantity"] == quantity]
            if amounts.groupby("variant")["amount"].nunique().gt(1).any():
                title = f"{quantity} against {sweep.axis}, {sweep.task}, {sweep.backbone}"
                yield sweep, title, _scaling(run, amounts, laws)


def _swept(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that may lie on a curve: of a variant in three or more forms of one task and one backbone."""
    names = [base_names(frame[name]) for name in ("task", "backbone")]
    count = frame.groupby([*names, *(frame[n] for n in ("variant", "device", "dtype", "memory_format"))])["task"]
    return frame[count.transform("size") >= 3]


def _scaling(run: Run, points: pd.DataFrame, laws: pd.DataFrame) -> Figure:
    same = [*AXIS, "quantity"]
    fitted = laws.merge(points[same].drop_duplicates(), on=same)
    return layers.scaling(run.slots, points, fitted.drop_duplicates("variant"))
