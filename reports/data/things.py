"""Test scores at each of the things that a test draws, as it draws seeds: photographs, lenses."""

from __future__ import annotations

import pandas as pd

from coordbench.reports.data.stored import Stored

THINGS = {"image": "scenes", "lens": "lenses"}
"""Axes of scores whose values are drawn out of many, and what they are; a test holds few of them."""


def by_thing(run: Stored, trials: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Axis -> test scores of trials with one label, a row per seed and a column per thing."""
    scores = run.tables.scores
    rows = scores[(scores["split"] == "test") & (scores["of"] == metric) & scores["axis"].isin(THINGS)]
    rows = rows.join(trials["seed"], on="trial", how="inner")
    return {
        str(axis): parts.pivot_table(index="seed", columns="part", values="value")
        for axis, parts in rows.groupby("axis", sort=False)
    }
