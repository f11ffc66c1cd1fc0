"""What the choice of learning rates cost and came to."""

from __future__ import annotations

from typing import Any

import pandas as pd

from coordbench.harness.analysis import cells
from coordbench.harness.analysis.items import Items

_COLUMNS = ["task", "backbone", "variant", "rate", "chosen", "at_edge", "score", "trials", "seconds"]
_ARM = list(cells.SELECTORS)


def tuning_table(tuned: Items, tested: Items, scores: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """One row per tuned task, backbone, variant and rate."""
    if tuned.frame.empty:
        return pd.DataFrame(columns=_COLUMNS)
    metrics = {task: known["metrics"][0]["name"] for task, known in facts["tasks"].items()}
    frame = _arms(tuned).assign(rate=pd.Series(tuned.spread(lambda cell: cell.budget.learning_rate), dtype="float64"))
    frame = frame.assign(metric=frame["task"].map(metrics))
    validation = scores[scores["split"] == "validation"][["record", "metric", "value"]]
    scored = frame.merge(validation, on=["record", "metric"], how="left")
    grouped = scored.groupby([*_ARM, "rate"], as_index=False).agg(
        score=("value", "median"), trials=("value", "size"), seconds=("seconds", "sum")
    )
    grouped = grouped.merge(_choices(tested), on=_ARM, how="left")
    return grouped.assign(chosen=grouped["rate"] == grouped["picked"])[_COLUMNS]


def _choices(tested: Items) -> pd.DataFrame:
    """The rate that each arm's final trials were trained with."""
    notes = [(notes or {}).get("tuning") for notes in tested.frame["notes"]]
    frame = _arms(tested).assign(
        picked=pd.Series([note["rate"] if note else None for note in notes], dtype="float64"),
        at_edge=pd.Series([note["at_edge"] if note else None for note in notes], dtype="object"),
    )
    chosen = frame[[note is not None for note in notes]].drop_duplicates(_ARM)
    return chosen[[*_ARM, "picked", "at_edge"]]


def _arms(items: Items) -> pd.DataFrame:
    """The items with their selectors as text."""
    known = cells.columns(items.cells)[_ARM].take(items.codes).reset_index(drop=True)
    return pd.concat([known, items.frame[["record", "seconds"]]], axis=1)
