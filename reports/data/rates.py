"""Learning rates: fixed by the preset, or chosen by tuning out of a grid that may have been widened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coordbench.reports.data.contest import Contest


@dataclass(frozen=True)
class Rate:
    """The learning rate of a variant in a contest.

    `tried` are the rates that it was chosen from, none where the preset fixed it. `at_edge`: the best of them was the
    smallest or the largest. `widened`: some lie beyond what the preset lists.
    """

    rate: float
    tried: tuple[float, ...] = ()
    at_edge: bool = False
    widened: bool = False

    @property
    def note(self) -> str:
        """How it was chosen, in words."""
        if not self.tried:
            return "fixed by the preset"
        grid = ", ".join(f"{rate:g}" for rate in self.tried)
        more = "; the list was widened, since the best rate lay at its edge" if self.widened else ""
        edge = "; still at the edge: a better rate may lie beyond" if self.at_edge else ""
        return f"chosen out of {grid} on validation data{more}{edge}"


def rates(
    contests: Iterable[Contest], variants: Sequence[str], tuning: pd.DataFrame, listed: Iterable[float]
) -> dict[tuple[int, str], Rate]:
    """(contest, variant) -> the learning rate of its trials; nothing where the task's own default was used.

    `tuning` is the table of what was tried, `listed` are the rates that the preset names.
    """
    tuned = _tuned(tuning, set(listed))
    known: dict[tuple[int, str], Rate] = {}
    for contest in contests:
        for variant in variants:
            if np.isfinite(contest.learning_rate):
                known[contest.number, variant] = Rate(contest.learning_rate)
            elif (contest.task, contest.backbone, variant) in tuned:
                known[contest.number, variant] = tuned[contest.task, contest.backbone, variant]
    return known


def _tuned(table: pd.DataFrame, listed: set[float]) -> dict[tuple[str, str, str], Rate]:
    if table.empty:
        return {}
    groups = table.groupby(["task", "backbone", "variant"], sort=False)
    return {
        (str(task), str(backbone), str(variant)): rate
        for (task, backbone, variant), rows in groups
        if (rate := _chosen(rows, listed)) is not None
    }


def _chosen(rows: pd.DataFrame, listed: set[float]) -> Rate | None:
    picked = rows[rows["chosen"].fillna(False).astype(bool)]
    if picked.empty:
        return None
    tried = tuple(sorted(rows["rate"].dropna().astype(float).unique().tolist()))
    at_edge = bool(picked["at_edge"].fillna(False).astype(bool).any())
    return Rate(float(picked["rate"].iloc[0]), tried, at_edge, bool(listed) and not set(tried) <= listed)
