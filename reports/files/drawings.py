"""The figures of a run, each by its kind; what they are drawn from is read once."""

from __future__ import annotations

from functools import cached_property

import pandas as pd
from matplotlib.figure import Figure

from coordbench.reports.data import series
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.probes import probed
from coordbench.reports.data.run import Run
from coordbench.reports.figures import curves, layers, shares, tradeoffs


class Drawings:
    """Draws a run; what it holds nothing for gives None."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def curves(self, contest: Contest) -> Figure | None:
        """Scores on validation data over the training of a contest."""
        band = self._bands[self._bands["contest"] == contest.number]
        return curves.curves(self.run.slots, contest, band) if band["step"].nunique() > 1 else None

    def tradeoffs(self, contest: Contest) -> Figure | None:
        """Scores of a contest against what its layers cost."""
        board = self.run.leaderboard
        board = board[(board["contest"] == contest.number) & board["score"].notna()]
        if not board[list(tradeoffs.COSTS)].notna().any(axis=None):
            return None
        cells = {variant: (contest.task, contest.backbone, variant) for variant in board["variant"].astype(str)}
        timed = {variant: self._latencies[cell] for variant, cell in cells.items() if cell in self._latencies}
        return tradeoffs.tradeoffs(self.run.slots, contest, board, timed)

    def performance_profile(self) -> Figure | None:
        """In what share of trials each layer reached a normalized score."""
        return shares.profiles(self.run.slots, self.run.strata) if self.run.strata else None

    def shift_errors(self) -> Figure | None:
        """How far the answer of each layer moves along with its input, before any training."""
        probes = {variant: probe for variant, probe in probed(self.run).items() if probe.inside or probe.borders}
        return layers.shift_errors(self.run.slots, probes) if probes else None

    @cached_property
    def _bands(self) -> pd.DataFrame:
        return curves.bands(series.curves(self.run))

    @cached_property
    def _latencies(self) -> dict[tuple[str, str, str], tuple[float, float]]:
        return series.latencies(self.run)
