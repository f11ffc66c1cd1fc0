"""The trials of a run that a claim's sides name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import pandas as pd

from coordbench.harness.core.selector import Selector
from coordbench.reports.claims.claims import Claim, Side, agrees
from coordbench.reports.claims.equal_rates import unequal_rates
from coordbench.reports.data.stored import Stored


def contests(run: Stored, claim: Claim) -> Iterator[tuple[pd.DataFrame, pd.DataFrame | None]]:
    """The trials of the left and the right side on a same task; the longest trained first, unequal rates last."""
    yield from sorted(_contests(run, claim), key=lambda pair: bool(unequal_rates(run, claim, *pair)))


def _contests(run: Stored, claim: Claim) -> Iterator[tuple[pd.DataFrame, pd.DataFrame | None]]:
    sides = [_side(run, claim, side) for side in claim.sides]
    for contest, left in sorted(sides[0].items(), key=lambda item: -item[1]["steps_planned"].iloc[0]):
        if claim.right is None:
            yield left, None
            continue
        elsewhere = bool(claim.right.task or claim.right.options)  # the right side is on a task of its own
        for other, right in sides[1].items():
            same = contest == other if claim.left.backbone == claim.right.backbone and not elsewhere else True
            if same and (elsewhere or left.iloc[0]["full_task"] == right.iloc[0]["full_task"]):
                yield left, right


def _side(run: Stored, claim: Claim, side: Side) -> dict[float, pd.DataFrame]:
    """Contest -> trials, ok or failed, of the variant that a side names."""
    rows = run.entrants(side.task or claim.task, side.variant)
    if rows.empty:
        return {}
    rows = rows[_holds(rows["task_options"], {**claim.options, **side.options}) & (rows["seed"] >= claim.first_seed)]
    if side.backbone:
        wanted = Selector.parse(side.backbone)
        rows = rows[(rows["backbone"] == wanted.name) & _holds(rows["backbone_options"], dict(wanted.options))]
    return {float(str(contest)): trials for contest, trials in rows.groupby("contest", sort=True)}


def _holds(texts: pd.Series[str], wanted: Mapping[str, str]) -> pd.Series[bool]:
    """Which canonical options agree with the wanted ones."""
    known = [agrees(_options(text), wanted) for text in texts.fillna("").astype(object)]
    return pd.Series(known, index=texts.index, dtype=bool)


@cache
def _options(text: str) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in text.split(", ") if "=" in part)
    return {name.strip(): value for name, value in pairs}


def of_task(tasks: pd.Series[str], claim: Claim) -> pd.Series[bool]:
    """Which selectors of tasks are of a claim's task and options."""
    selectors = [Selector.parse(str(task)) for task in tasks]
    known = [task.name == claim.task and agrees(dict(task.options), claim.options) for task in selectors]
    return pd.Series(known, index=tasks.index, dtype=bool)
