"""What became of the GANs of a run of record: one row per regime and layer, with what real images would score."""

from __future__ import annotations

import pandas as pd

from coordbench.harness.core.cell import Cell
from coordbench.harness.core.scores import State
from coordbench.reports.data.stored import Stored
from coordbench.reports.files.markdown import row, rule
from coordbench.reports.text import MISSING, number

MEASURES = ("coverage", "modes", "valid", "nearest_training")


def fates(run: Stored) -> str:
    """Fates, epochs to the collapses and mean test scores of every cell, references among them."""
    trials = run.tables.trials
    scores = run.tables.scores
    test = scores[(scores["split"] == "test") & scores["metric"].isin(MEASURES)]
    means = test.assign(cell=test["trial"].map(trials["cell"])).groupby(["cell", "metric"], sort=False)["value"].mean()
    lines = [
        row("GAN", "rate", "layer", "seeds", "never started", "collapsed (epochs)", "censored", *MEASURES),
        rule(5 + len(MEASURES)),
    ]
    for cell, rows in trials.groupby("cell", sort=False):
        assert isinstance(cell, Cell)
        measured = [number(means.get((cell, measure), float("nan"))) for measure in MEASURES]
        lines.append(
            row(_name(cell), _rate(cell), cell.label, int(rows["record"].notna().sum()), *_counts(rows), *measured)
        )
    return "\n".join(lines)


def _name(cell: Cell) -> str:
    return f"{cell.task}{f', {cell.backbone}' if cell.backbone else ''}"


def _rate(cell: Cell) -> str:
    return MISSING if cell.reference or cell.budget.learning_rate is None else f"{cell.budget.learning_rate:g}"


def _counts(rows: pd.DataFrame) -> list[str]:
    """How many never started, collapsed and when, and lived until the end; nothing where the row is a reference."""
    if rows["fate"].isna().all():
        return [MISSING] * 3
    ends = rows.loc[rows["fate"] == State.COLLAPSED, "fate_time"].astype(float)
    collapsed = f"{len(ends)} ({', '.join(f'{end:.0f}' for end in sorted(ends))})" if len(ends) else "0"
    never, censored = (str(int((rows["fate"] == state).sum())) for state in (State.NEVER_STARTED, State.CENSORED))
    return [never, collapsed, censored]
