"""One card per variant: where it comes from, what it costs, where it wins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.findings import failed_share
from reports.runs import Run

RATIOS = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency_forward_seconds": "forward",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}


def cards(run: Run, board: pd.DataFrame, judged: pd.DataFrame) -> list[dict[str, Any]]:
    """What the page shows of each variant."""
    failed = failed_share(run)
    made = []
    for variant in run.variants:
        own = board[board["variant"] == variant]
        verdicts = judged[judged["variant"] == variant]
        wins = verdicts[verdicts["verdict"] == "better"].sort_values("p")
        made.append(
            {
                "variant": variant,
                "facts": run.facts["variants"].get(variant, {}),
                "counts": verdicts["verdict"].value_counts().to_dict(),
                "wins": [run.contests.loc[int(contest)] for contest in wins["contest"].head(5)],
                "first": int((own["rank"] == 1).sum()),
                "contests": len(own),
                "failed": failed.get(variant, 0),
                "ratios": cost_ratios(run, board, variant),
            }
        )
    return made


def cost_ratios(run: Run, board: pd.DataFrame, variant: str) -> list[tuple[str, float]]:
    """Costs relative to the baseline's in the same contest, geometric means over contests."""
    theirs = board[board["variant"] == run.baseline].set_index("contest")
    own = board[board["variant"] == variant].set_index("contest")
    found = []
    for cost, name in RATIOS.items():
        ratio = (own[cost].astype(float) / theirs[cost].astype(float)).dropna()
        ratio = ratio[ratio > 0]
        if len(ratio):
            found.append((name, float(np.exp(np.log(ratio).mean()))))
    return found
