"""Shares of runs: those above a score, and those of which the training has not collapsed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from coordbench.harness.core.scores import State
from coordbench.harness.statistics.aggregate import performance_profile
from coordbench.harness.statistics.survival import kaplan_meier
from coordbench.reports.data.overall import Strata
from coordbench.reports.figures.axes import reach
from coordbench.reports.figures.style import Slots, canvas, dash, look


def profiles(slots: Slots, strata: Strata) -> Figure:
    """Performance profile: the share of runs above each normalized score, averaged over contests."""
    figure, [axes] = canvas(5.4, 3.1)
    thresholds = np.linspace(0, 1, 101)
    most = max(map(len, strata.values()), default=0)
    for variant, scores in strata.items():
        if len(scores) == most:
            share = performance_profile(list(scores.values()), thresholds)
            line = Line2D(thresholds, share, drawstyle="steps-post", linewidth=1.8)
            line.set(linestyle=dash(slots, variant), **look(slots, variant))
            axes.add_line(line)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="normalized score t (0 floor, 1 ceiling)", ylabel="runs above t")
    return figure


def survival(slots: Slots, started: pd.DataFrame) -> Figure:
    """Kaplan-Meier curves of `data.survival.lives` that started; a tick marks where a seed was censored."""
    figure, [axes] = canvas(5.4, 2.6)
    for variant, rows in started.groupby("variant", sort=False):
        times, fate = rows["epochs"].to_numpy(float), rows["fate"].astype(str).to_numpy()
        curve = kaplan_meier(times, fate == State.COLLAPSED.value)
        moments = np.append(0.0, np.unique(times))
        shares = np.append(1.0, curve.shares)[np.searchsorted(curve.times, moments, side="right")]
        ticks = np.flatnonzero(np.isin(moments, times[fate == State.CENSORED.value])).tolist()
        line = Line2D(moments, shares, drawstyle="steps-post", linewidth=1.8, marker="|", markersize=9, markevery=ticks)
        line.set(linestyle=dash(slots, str(variant)), markeredgewidth=1.4, **look(slots, str(variant)))
        axes.add_line(line)
    axes.set(xlim=reach([0.0, float(started["epochs"].max())]), ylim=(-0.03, 1.06))
    axes.set(xlabel="epochs since the start", ylabel="share not collapsed")
    return figure
