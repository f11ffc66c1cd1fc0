"""One card per variant: where it comes from, what it costs, where it wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coordbench.reports.data.contest import Contest
from coordbench.reports.data.facts import VariantFacts
from coordbench.reports.data.probes import Probe, probed
from coordbench.reports.data.run import Run
from coordbench.reports.pages.findings import failed_share

RATIOS = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency_forward_seconds": "forward",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}
_MOST_WINS = 5


@dataclass(frozen=True)
class Card:
    """What the page shows of a variant; `counts` are its verdicts, `wins` the contests in which it is better."""

    variant: str
    facts: VariantFacts
    counts: Mapping[str, int]
    wins: list[Contest]
    first: int
    contests: int
    failed: int
    ratios: list[tuple[str, float]]
    probe: Probe | None


def cards(run: Run) -> list[Card]:
    """The cards of all variants."""
    failed, probes = failed_share(run), probed(run)
    return [_card(run, variant, failed.get(variant, 0), probes.get(variant)) for variant in run.variants]


def _card(run: Run, variant: str, failed: int, probe: Probe | None) -> Card:
    board = run.leaderboard[run.leaderboard["variant"] == variant]
    judged = run.verdicts[run.verdicts["variant"] == variant]
    wins = judged[judged["verdict"] == "better"].sort_values("p")["contest"].head(_MOST_WINS)
    return Card(
        variant,
        run.facts.variants.get(variant, VariantFacts()),
        {str(verdict): int(count) for verdict, count in judged["verdict"].value_counts().items()},
        [run.contests[int(number)] for number in wins],
        int((board["rank"] == 1).sum()),
        len(board),
        failed,
        cost_ratios(run, variant),
        probe,
    )


def cost_ratios(run: Run, variant: str) -> list[tuple[str, float]]:
    """Costs relative to the baseline's in the same contest, geometric means over contests."""
    board = run.leaderboard
    theirs = board[board["variant"] == run.baseline].set_index("contest")
    ours = board[board["variant"] == variant].set_index("contest")
    ratios = []
    for cost, name in RATIOS.items():
        ratio: pd.Series[float] = (ours[cost].astype(float) / theirs[cost].astype(float)).dropna()
        ratio = ratio[(ratio > 0) & np.isfinite(ratio)]
        if len(ratio):
            ratios.append((name, float(np.exp(np.log(ratio).mean()))))
    return ratios
