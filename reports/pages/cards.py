"""One card per variant: where it comes from, what it costs, where it wins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from coordbench.reports.data import probes
from coordbench.reports.data.stored import Run
from coordbench.reports.pages.findings import failed_share

RATIOS = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency_forward_seconds": "forward",
    "latency_step_seconds": "training step",
    "peak_memory_bytes": "peak memory",
}


PROBES = {
    "shift_1": "error at a shift of 1 px",
    "with_borders": "with borders",
    "position_readout": "position R²",
    "unseen_size": "error at an unseen size",
}


def cards(run: Run, board: pd.DataFrame, judged: pd.DataFrame) -> list[dict[str, Any]]:
    """What the page shows of each variant."""
    failed = failed_share(run)
    probed = probes.probes(run).set_index("variant")
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
                "probes": _probes(probed, variant),
            }
        )
    return made


def _probes(probed: pd.DataFrame, variant: str) -> list[tuple[str, float]]:
    """The probes that say most about a layer, by name."""
    if variant not in probed.index:
        return []
    row = probed.loc[variant]
    return [(name, float(str(row[column]))) for column, name in PROBES.items() if pd.notna(row[column])]


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
