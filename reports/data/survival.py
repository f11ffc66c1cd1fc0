"""What became of the GANs of a contest: never started, collapsed after so many images, or censored at the end.

    variant    never started  collapsed  censored  collapse rate   log-rank p against conv
    conv                   0          3         2  .6 [.23, .88]
    coordconv              1          0         4   0 [0, .49]     .06

The rate is of the seeds that started; time runs from there, in images seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from coordbench.harness.statistics.intervals import wilson
from coordbench.harness.statistics.survival import log_rank
from coordbench.reports.data.stored import Run

NEVER_STARTED, COLLAPSED, CENSORED = 0, 1, 2
"""The values of the score `collapse_state`."""
_SCORES = ["collapse_state", "collapse_images"]


def lives(run: Run) -> pd.DataFrame:
    """The fate of each seed, in contests that know fates: contest, variant, seed, state, images (nan: never started).

    A trial that failed otherwise collapsed at once, as in the claims.
    """
    told = _told(run)["trial"]
    trials = run.trials[run.trials["contest"].notna() & (run.trials["status"] != "skipped")]
    trials = trials[trials["contest"].isin(trials.loc[trials.index.isin(told), "contest"])]
    known = ends(run, trials)
    named = trials[["contest", "label", "seed"]].rename(columns={"label": "variant"})
    found = named.assign(state=known["collapse_state"], images=known["collapse_images"])
    return found.dropna(subset="state").reset_index(drop=True)


def ends(run: Run, trials: pd.DataFrame) -> pd.DataFrame:
    """The scores collapse_state and collapse_images of trials, as `lives` says of those that failed; nan if unknown."""
    told = _told(run).pivot_table(index="trial", columns="metric", values="value", aggfunc="first")
    known = told.reindex(index=trials.index, columns=_SCORES).astype(float)
    died = trials["failed"].astype(bool) & known["collapse_state"].isna()
    known.loc[died, _SCORES] = COLLAPSED, 0.0
    return known


def _told(run: Run) -> pd.DataFrame:
    scores = run.tables.scores
    return scores[(scores["split"] == "test") & scores["metric"].isin(_SCORES)]


def fates(own: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """Count the fates of a contest's `lives`: one row per variant, its collapse rate with Wilson's interval, and p.

    `p` is that of the log-rank test against the baseline; nan where either has no seed that started, or none collapsed.
    """
    base = own[own["variant"] == baseline]
    return pd.DataFrame([_fate(str(variant), rows, base) for variant, rows in own.groupby("variant", sort=False)])


def _fate(variant: str, rows: pd.DataFrame, base: pd.DataFrame) -> dict[str, Any]:
    counts = [int((rows["state"] == state).sum()) for state in (NEVER_STARTED, COLLAPSED, CENSORED)]
    collapsed, started = counts[COLLAPSED], counts[COLLAPSED] + counts[CENSORED]
    low, high = wilson(collapsed, started) if started else (np.nan, np.nan)
    return {
        "variant": variant,
        "never": counts[NEVER_STARTED],
        "collapsed": collapsed,
        "censored": counts[CENSORED],
        "rate": collapsed / started if started else np.nan,
        "low": low,
        "high": high,
        "p": np.nan if variant in set(base["variant"]) else _p(rows, base),
    }


def _p(rows: pd.DataFrame, base: pd.DataFrame) -> float:
    sides = [side[side["state"] != NEVER_STARTED] for side in (rows, base)]
    events = [side["state"] == COLLAPSED for side in sides]
    if any(side.empty for side in sides) or not any(event.any() for event in events):
        return float("nan")
    (ours, theirs), (fell, theirs_fell) = sides, events
    return log_rank(ours["images"], fell, theirs["images"], theirs_fell)[1]
