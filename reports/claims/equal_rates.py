"""Whether the sides of a claim were trained at one learning rate, where they must be.

Each layer chooses its rate by the primary score on validation data. Another score, such as how much is lost
elsewhere, may follow the rate far more than the layer: at the rate that CoordConv chose convolution was as little
biased to place as CoordConv, and at GeoConv's as much as GeoConv (`bias_rate_pilot`). So such a score decides between
equal rates alone.
"""

from __future__ import annotations

import pandas as pd

from coordbench.reports.claims.claims import Claim
from coordbench.reports.data.stored import Stored


def unequal_rates(run: Stored, claim: Claim, left: pd.DataFrame, right: pd.DataFrame | None) -> str:
    """Why rates that differ leave a claim open, "" where they are equal, or chosen by the score that it asks for.

    Networks of two contests, such as two heads, have no rate in common that would serve both.
    """
    if right is None or left.iloc[0]["contest"] != right.iloc[0]["contest"]:
        return ""
    primary = run.facts.tasks[left.iloc[0]["full_task"]].metric.name
    if (claim.metric or primary) == primary:
        return ""
    contest, known = int(left.iloc[0]["contest"]), run.rates
    chosen = [known.get((contest, str(side.iloc[0]["label"]))) for side in (left, right)]
    used = [rate.rate for rate in chosen if rate is not None]
    if len(set(used)) < 2:
        return ""
    return f"trained at rates {used[0]:g} and {used[1]:g}, chosen by {primary}: one rate for both would decide"
