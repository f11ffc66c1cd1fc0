"""What else a run has to account for: its references, how its trials ended, what failed."""

from __future__ import annotations

import pandas as pd

from coordbench.harness.core.record import FAILED
from coordbench.reports.data.stored import Stored

STATUSES = ("ok", *FAILED, "skipped")


def references(run: Stored) -> pd.DataFrame:
    """The references of every task: floor, ceiling or anchor, with their mean score over seeds."""
    rows = run.trials[run.trials["reference"].notna()]
    groups = rows.groupby(["full_task", "reference"], sort=False)
    frame = groups["score"].agg(["count", "mean"]).rename(columns={"count": "seeds", "mean": "score"}).reset_index()
    tasks = [run.facts.tasks[task] for task in frame["full_task"]]
    frame["kind"] = [task.references.get(name) for task, name in zip(tasks, frame["reference"], strict=True)]
    frame["metric"] = [task.metric.name for task in tasks]
    return frame


def coverage(run: Stored) -> pd.DataFrame:
    """How many trials of each suite were planned, and how they ended."""
    counted = run.trials.groupby(["suite", "status"]).size().unstack(fill_value=0)
    order = [status for status in STATUSES if status in counted]
    counted = counted[[*order, *(status for status in counted if status not in order)]].rename_axis(columns=None)
    counted.insert(0, "planned", counted.sum(axis=1))
    return counted.reset_index()


def failures(run: Stored) -> pd.DataFrame:
    """Trials that did not end well, alike ones together, with their reason and their seeds; cost measurements too."""
    bad = run.trials[run.trials["status"] != "ok"]
    keys = ["full_task", "full_backbone", "label", "status", "error"]
    grouped = bad.groupby(keys, dropna=False, sort=False)["seed"]
    listed = grouped.agg(lambda seeds: ", ".join(f"{seed:g}" for seed in seeds.dropna())).rename("seeds").reset_index()
    measured = run.tables.costs
    missed = measured[measured["status"] != "ok"]
    missed = missed.rename(columns={"task": "full_task", "backbone": "full_backbone", "variant": "label"})
    return pd.concat([listed, missed[keys].assign(seeds="costs")], ignore_index=True)
