"""What became of the GANs of a contest: never started, collapsed after so many epochs, or censored at the end.

    variant    never started  collapsed  censored  collapse rate    log-rank p against conv
    conv                   0          3         2  0.6 [0.23, 0.88]
    coordconv              1          0         4  0 [0, 0.49]      0.06

The rate is of the seeds that started; time runs from there, in epochs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from coordbench.harness.core.scores import State
from coordbench.harness.statistics.intervals import wilson
from coordbench.harness.statistics.survival import log_rank
from coordbench.reports.data.stored import Stored


def lives(run: Stored) -> pd.DataFrame:
    """The fate of each seed, in contests that know fates: contest, variant, seed, fate, epochs (nan: never started).

    A trial that failed otherwise collapsed at once, as in the claims.
    """
    trials = run.trials[run.trials["contest"].notna() & (run.trials["status"] != "skipped")]
    trials = trials[trials["contest"].isin(trials.loc[trials["fate"].notna(), "contest"])]
    named = trials[["contest", "label", "seed"]].rename(columns={"label": "variant"})
    known = named.join(ends(trials)).dropna(subset="fate")
    lived = (known["fate"] == State.NEVER_STARTED) | np.isfinite(known["epochs"].astype(float))
    return known[lived].reset_index(drop=True)


def ends(trials: pd.DataFrame) -> pd.DataFrame:
    """Fate and epochs lived of trials; one that failed without a fate collapsed at once; null where unknown."""
    known = pd.DataFrame({"fate": trials["fate"].astype(object), "epochs": trials["fate_time"].astype(float)})
    died = trials["failed"].astype(bool) & known["fate"].isna()
    known.loc[died, "fate"], known.loc[died, "epochs"] = State.COLLAPSED.value, 0.0
    return known


def fates(lives: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """Count the fates of a contest's `lives`: one row per variant, its collapse rate with Wilson's interval, and p.

    `p` is that of the log-rank test against the baseline; nan where either has no seed that started, or none collapsed.
    """
    base = lives[lives["variant"] == baseline]
    return pd.DataFrame([_fate(str(variant), rows, base) for variant, rows in lives.groupby("variant", sort=False)])


def _fate(variant: str, rows: pd.DataFrame, base: pd.DataFrame) -> dict[str, str | int | float]:
    counts = {state: int((rows["fate"] == state).sum()) for state in State}
    collapsed, started = counts[State.COLLAPSED], counts[State.COLLAPSED] + counts[State.CENSORED]
    low, high = wilson(collapsed, started) if started else (np.nan, np.nan)
    return {
        "variant": variant,
        "never": counts[State.NEVER_STARTED],
        "collapsed": collapsed,
        "censored": counts[State.CENSORED],
        "rate": collapsed / started if started else np.nan,
        "low": low,
        "high": high,
        "p": np.nan if variant in set(base["variant"]) else _p(rows, base),
    }


def _p(rows: pd.DataFrame, base: pd.DataFrame) -> float:
    sides = [side[side["fate"] != State.NEVER_STARTED] for side in (rows, base)]
    events = [side["fate"] == State.COLLAPSED for side in sides]
    if any(side.empty for side in sides) or not any(event.any() for event in events):
        return float("nan")
    (ours, theirs), (fell, theirs_fell) = sides, events
    return log_rank(ours["epochs"], fell, theirs["epochs"], theirs_fell)[1]
