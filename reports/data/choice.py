"""Which layer to take within a limit: the best that can be afforded, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from coordbench.harness.measure import BASELINE
from coordbench.harness.statistics.paired import judge
from coordbench.reports.data.costs import details
from coordbench.reports.data.ranking import leaderboard, merits_by_cell
from coordbench.reports.data.stored import COSTS, Run, given

LIMITS = {
    "latency": "latency_forward_seconds",
    "step": "latency_step_seconds",
    "memory": "peak_memory_bytes",
    "parameters": "parameters",
    "flops": "flops",
}
"""Names of limits -> the costs that they bound."""
TIERS = (np.inf, 1.5, 1.1)
"""Multiples of the baseline's training step that the summary asks about."""
_PLACE = {"full_task": "task", "full_backbone": "backbone"} | {
    n: n for n in ("device", "dtype", "memory_format", "match")
}
"""Column of a contest -> column of its costs."""
BEHIND = {"better": "behind", "tied": "tied", "worse": "ahead", "open": "not clear"}


def choose(
    run: Run | str | None = None, *, task: str | None = None, latency: float | None = None, step: float | None = None,
    memory: float | None = None, parameters: float | None = None, flops: float | None = None, **where: Any,
) -> pd.DataFrame:  # fmt: skip
    """Rank what stays within all limits, best first, one group of rows per contest of a task (all tasks by default).

    `latency` and `step` bound the forward pass and the training step [s], `memory` the peak [bytes], `flops` one batch
    forward; a cost that was not measured is over every limit. `standing` tells how each stands to the best (behind,
    tied, not clear), paired by seed, Holm over what the best is compared with. Testing the leader after choosing it is
    sound: Gutmann and Maymin 1987, "Is the selected population the best?", Annals of Statistics 15.
    """
    run = given(run, where)
    limits = {"latency": latency, "step": step, "memory": memory, "parameters": parameters, "flops": flops}
    board = leaderboard(run)
    if task is not None:
        board = board[(board["full_task"] == task) | (board["full_task"].str.split("[").str[0] == task)]
    merits = merits_by_cell(run)
    chosen = board[within(board, limits) & (board["seeds"] > 0)]
    groups = [_standing(run, own, merits) for _, own in chosen.groupby("contest", sort=False)]
    columns = ["contest", "full_task", "full_backbone", "variant", "score", "low", "high", "seeds", "failed", *COSTS]
    whole = pd.concat(groups, ignore_index=True) if groups else board.iloc[:0].assign(standing="")
    return whole[[*columns, "standing"]]


def within(board: pd.DataFrame, limits: Mapping[str, float | None]) -> pd.Series[Any]:
    """Which rows of a leaderboard cost at most as much as each limit that is set."""
    fits = pd.Series(True, index=board.index)
    for name, limit in limits.items():
        if limit is not None:
            fits &= board[LIMITS[name]].astype("Float64").le(limit).fillna(False).astype(bool)
    return fits


def summary(run: Run, board: pd.DataFrame) -> list[dict[str, Any]]:
    """The best of each contest at any cost, and within a few multiples of the baseline's training step.

    Multiples are the ratios measured in turns in one process: times of two processes differ by the machine's mood.
    """
    merits, measured = merits_by_cell(run), details(run).drop_duplicates([*_PLACE.values(), "variant"])
    ratios = measured.set_index([*_PLACE.values(), "variant"])["ratio_step"]
    rows = []
    for contest, own in board[board["seeds"] > 0].groupby("contest", sort=False):
        facts = run.contests.loc[contest]
        place = tuple(facts[name] for name in _PLACE)
        steps = own["variant"].map(lambda variant, place=place: ratios.get((*place, variant), np.nan))
        plain = 1.0 if run.baseline == BASELINE else steps[own["variant"] == run.baseline].max()
        cells = [_best(run, own if np.isinf(tier) else own[steps <= tier * plain], merits) for tier in TIERS]
        rows.append({"contest": int(str(contest)), "facts": facts, "cells": cells})
    return rows


def _best(run: Run, own: pd.DataFrame, merits: Mapping[tuple[int, str], Any]) -> dict[str, Any] | None:
    """The first of those within a limit, and whether it is clear of the next."""
    if own.empty:
        return None
    ranked = _standing(run, own, merits)
    best: Any = ranked.iloc[0]
    if len(ranked) == 1:
        return {"best": best, "next": None, "sure": "nothing else fits"}
    second: Any = ranked.iloc[1]
    sure = {"behind": "clear of", "tied": "tied with", "one seed": "one seed: not comparable with"}
    return {"best": best, "next": second, "sure": sure.get(second.standing, "not clear of") + f" {second.variant}"}


def _standing(run: Run, own: pd.DataFrame, merits: Mapping[tuple[int, str], Any]) -> pd.DataFrame:
    """The rows of one contest in the order of their merit, each judged against the first."""
    contest = int(own["contest"].iloc[0])
    own = own.sort_values("rank", kind="stable")
    best, *others = own["variant"]
    differences = [merits[contest, best] - merits[contest, other] for other in others]
    judged = judge([d[np.isfinite(d)] for d in differences], [float(run.contests.loc[contest, "margin"])] * len(others))  # type: ignore[arg-type]
    standings = (BEHIND[comparison.verdict] if comparison.pairs > 1 else "one seed" for comparison in judged)
    return own.assign(standing=["best", *standings])
