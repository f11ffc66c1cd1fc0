"""Which layer to take within a limit: the best that can be afforded, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coordbench.harness.core.selector import Selector
from coordbench.harness.statistics.paired import judge
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.ranking import Merits
from coordbench.reports.data.run import Run
from coordbench.reports.data.stored import COSTS

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
BEHIND = {"better": "behind", "tied": "tied", "worse": "ahead", "open": "not clear"}
BEFORE = {"worse": "behind", "tied": "tied", "better": "ahead", "open": "not clear"}
"""The same of a verdict on the other against the best."""
SURE = {"behind": "clear of", "tied": "tied with", "one seed": "one seed: not comparable with"}


@dataclass(frozen=True)
class Best:
    """The best of a contest within a limit: its name, its score, and how sure that is."""

    variant: str
    score: float
    sure: str


def choose(
    run: Run, *, task: str | None = None, latency: float | None = None, step: float | None = None,
    memory: float | None = None, parameters: float | None = None, flops: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Rank what stays within all limits, best first, one group of rows per contest of a task (all tasks by default).

    `latency` and `step` bound the forward pass and the training step [s], `memory` the peak [bytes], `flops` one batch
    forward; a cost that was not measured is over every limit. `standing` says how each stands to the best (behind,
    tied, not clear), paired by seed, Holm over what the best is compared with. Testing the leader after choosing it is
    sound: Gutmann and Maymin 1987, "Is the selected population the best?", Annals of Statistics 15.
    """
    limits = {"latency": latency, "step": step, "memory": memory, "parameters": parameters, "flops": flops}
    board = run.leaderboard
    if task is not None:
        base = board["contest"].map({number: _base(contest) for number, contest in run.contests.items()})
        board = board[(board["full_task"] == task) | (base == task)]
    chosen = board[within(board, limits) & (board["seeds"] > 0)]
    groups = [_standing(run, rows, run.merits) for _, rows in chosen.groupby("contest", sort=False)]
    columns = ["contest", "full_task", "full_backbone", "variant", "score", "low", "high", "seeds", "failed", *COSTS]
    whole = pd.concat(groups, ignore_index=True) if groups else board.iloc[:0].assign(standing="")
    return whole[[*columns, "standing"]]


def within(board: pd.DataFrame, limits: Mapping[str, float | None]) -> pd.Series[bool]:
    """Which rows of a leaderboard cost at most as much as each limit that is set."""
    fits = pd.Series(True, index=board.index)
    for name, limit in limits.items():
        if limit is not None:
            fits &= board[LIMITS[name]].astype("Float64").le(limit).fillna(False).astype(bool)
    return fits


def summary(run: Run) -> list[tuple[Contest, list[Best | None]]]:
    """The best of each contest at any cost, and within a few multiples of the baseline's training step."""
    board = run.leaderboard[run.leaderboard["seeds"] > 0]
    lines: list[tuple[Contest, list[Best | None]]] = []
    for contest in run.contests.values():
        rows = board[board["contest"] == contest.number]
        steps = np.array([run.step_ratios.get((contest.number, variant), np.nan) for variant in rows["variant"]])
        bests = [_best(run, rows if np.isinf(tier) else rows[steps <= tier]) for tier in TIERS]
        if len(rows):
            lines.append((contest, bests))
    return lines


def _base(contest: Contest) -> str:
    return Selector.parse(contest.task).name


def _best(run: Run, rows: pd.DataFrame) -> Best | None:
    """The first of those within a limit, and whether it is clear of the next."""
    if rows.empty:
        return None
    ranked = _standing(run, rows, run.merits)
    names, standings = ranked["variant"].astype(str).tolist(), ranked["standing"].tolist()
    if len(names) == 1:
        return Best(names[0], float(ranked["score"].iloc[0]), "nothing else fits")
    return Best(names[0], float(ranked["score"].iloc[0]), f"{SURE.get(standings[1], 'not clear of')} {names[1]}")


def _standing(run: Run, rows: pd.DataFrame, merits: Merits) -> pd.DataFrame:
    """The rows of one contest in the order of their merit, each judged against the first."""
    contest = int(rows["contest"].iloc[0])
    rows = rows.sort_values("rank", kind="stable")
    best, *others = rows["variant"].astype(str)
    if run.facts.several:  # the looks of this pair were looks at all pairs
        judged = run.against(best)
        judged = judged[judged["contest"] == contest].set_index("variant")
        standings = [BEFORE[str(judged.loc[other, "verdict"])] for other in others]
        return rows.assign(standing=["best", *standings])
    differences = [merits[contest, best] - merits[contest, other] for other in others]
    margins = [run.contests[contest].metric.margin] * len(others)
    compared = judge([d[np.isfinite(d)] for d in differences], margins)
    return rows.assign(standing=["best", *(BEHIND[v.verdict] if v.pairs > 1 else "one seed" for v in compared)])
