"""One section per contest: leaderboard, curves, trade-offs, stability, gallery."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import median_low

import numpy as np
import pandas as pd
from markupsafe import Markup

from coordbench.harness.core.scores import State
from coordbench.reports.data import series, survival
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.facts import TaskFacts
from coordbench.reports.data.rates import Rate
from coordbench.reports.data.run import Run
from coordbench.reports.figures import curves, gallery, svg, tradeoffs
from coordbench.reports.figures.shares import survival as survival_figure
from coordbench.reports.pages import conditions
from coordbench.reports.pages.conditions import Drawn

GALLERY_BYTES = 1_700_000
"""Pictures of a page; beyond it contests show fewer examples, and none only where one each is too much."""
MOST_DRAWN = 16
MOST_TRADEOFFS = 12
"""Contests whose scores are drawn against their costs; a larger run has the table and the choice below for the rest."""
Interval = tuple[float, float]


@dataclass(frozen=True)
class Stability:
    """What became of each seed of a GAN, and for how long they lived."""

    fates: pd.DataFrame
    figure: Markup | None


@dataclass(frozen=True)
class Section:
    """What the page shows of one contest."""

    contest: Contest
    task: TaskFacts
    board: pd.DataFrame
    rates: dict[str, Rate]
    references: pd.DataFrame
    drawn: int
    has_curves: bool
    tradeoffs: Markup | None
    conditions: list[Markup]
    leads: list[Drawn]
    stability: Stability | None
    measures: Markup | None
    plane: Markup | None
    gallery: list[gallery.Row]

    @property
    def measured(self) -> frozenset[str]:
        """The columns of the board that say something of at least one variant."""
        return frozenset(self.board.columns[self.board.notna().any()].astype(str))

    @property
    def any_failed(self) -> bool:
        """Whether a trial of a variant failed."""
        return bool(self.board["failed"].astype(bool).any())

    @property
    def rates_differ(self) -> bool:
        """Whether learning rates are worth a column: the one that all share stands in the section's title."""
        return any(rate.tried or rate.rate != self.contest.learning_rate for rate in self.rates.values())

    @property
    def tuned(self) -> list[tuple[Rate, list[str]]]:
        """The rates that were chosen by tuning, each with the variants that chose it."""
        groups: dict[Rate, list[str]] = {}
        for variant, rate in self.rates.items():
            if rate.tried:
                groups.setdefault(rate, []).append(variant)
        return list(groups.items())


@dataclass(frozen=True)
class Sections:
    """Makes the sections of a run out of what is read for all of them at once."""

    run: Run

    @cached_property
    def points(self) -> pd.DataFrame:
        """The points of all curves."""
        return series.curves(self.run)

    @cached_property
    def bands(self) -> pd.DataFrame:
        """Their means over seeds."""
        return curves.bands(self.points)

    @cached_property
    def all(self) -> list[Section]:
        """One section per contest."""
        return [self._section(contest) for contest in self.run.contests.values()]

    def drawn(self, contest: Contest) -> list[str]:
        """The variants that figures show: the best of a contest and the baseline, as many as an eye can tell apart."""
        rows = self._board(contest).sort_values("rank")
        best = rows["variant"].astype(str).tolist()
        return [*[v for v in best if v != self.run.baseline][: MOST_DRAWN - 1], str(self.run.baseline)]

    def _board(self, contest: Contest) -> pd.DataFrame:
        return self.run.leaderboard[self.run.leaderboard["contest"] == contest.number]

    def _section(self, contest: Contest) -> Section:
        run, names = self.run, self.drawn(contest)
        board = self._board(contest)
        shown = board[board["variant"].isin(names)]
        targets = [self._targets.get((contest.number, v), np.nan) for v in board["variant"]]
        band = self.bands[self.bands["contest"] == contest.number]
        return Section(
            contest,
            run.facts.tasks[contest.task],
            board.assign(target=targets),
            {v: rate for v in board["variant"] if (rate := run.rates.get((contest.number, v))) is not None},
            run.references[run.references["full_task"] == contest.task],
            len(shown),
            band["step"].nunique() > 1,
            self._tradeoffs(contest, shown),
            conditions.figures(run, contest, names),
            conditions.drawn(run, contest, board["variant"].astype(str).tolist()),
            self._stability(contest),
            conditions.measures(run, contest, self._measures, names),
            conditions.plane(run, contest, names),
            self._galleries.get(contest.number, []),
        )

    @cached_property
    def _targets(self) -> dict[tuple[int, str], float]:
        return time_to_target(self.run, self.points)

    @cached_property
    def _measures(self) -> pd.DataFrame:
        return curves.bands(series.measures(self.run))

    @cached_property
    def _lives(self) -> pd.DataFrame:
        return survival.lives(self.run)

    @cached_property
    def _latencies(self) -> dict[tuple[str, str, str], Interval]:
        return series.latencies(self.run)

    def _tradeoffs(self, contest: Contest, board: pd.DataFrame) -> Markup | None:
        known = board[board["score"].notna()]
        if contest.number >= MOST_TRADEOFFS or not known[list(tradeoffs.COSTS)].notna().any(axis=None):
            return None
        timed = {v: self._latencies.get((contest.task, contest.backbone, v)) for v in known["variant"].astype(str)}
        intervals = {variant: interval for variant, interval in timed.items() if interval is not None}
        figure = tradeoffs.tradeoffs(self.run.slots, contest, known, intervals)
        return svg.inline(figure, f"Score against costs, {contest.title}")

    def _stability(self, contest: Contest) -> Stability | None:
        """The table of fates and the survival curves; None where a contest knows no fates."""
        lives = self._lives[self._lives["contest"] == contest.number]
        if lives.empty:
            return None
        started = lives[lives["fate"] != State.NEVER_STARTED]
        title = f"Share not collapsed, contest {contest.number}"
        drawn = None if started.empty else svg.inline(survival_figure(self.run.slots, started), title)
        return Stability(survival.fates(lives, self.run.baseline), drawn)

    @cached_property
    def _galleries(self) -> dict[int, list[gallery.Row]]:
        """Galleries of one seed for each contest, within the page's bytes: the largest lose examples first."""
        rows: dict[int, list[gallery.Row]] = {}
        for contest in self.run.contests.values():
            chosen = _shown_trials(self.run, contest)
            stored = series.samples(self.run, chosen.values())
            named = {name: stored[record] for name, record in chosen.items() if record in stored}
            rows[contest.number] = gallery.gallery(named, self.run.facts.tasks[contest.task].references)
        while sum(row.bytes for shown in rows.values() for row in shown) > GALLERY_BYTES:
            largest = max(rows, key=lambda n: (len(rows[n]) > 1, sum(row.bytes for row in rows[n])))
            rows[largest].pop()
        return rows


def time_to_target(run: Run, points: pd.DataFrame) -> dict[tuple[int, str], float]:
    """Median seconds until a variant reaches the baseline's last validation score; infinite where it never does.

    A baseline that ends at the floor has reached nothing, so that there is no target.
    """
    times: dict[tuple[int, str], float] = {}
    points = points[points["metric"].str.startswith("validation/")]
    for contest in run.contests.values():
        rows = points[points["contest"] == contest.number]
        last = rows[rows["variant"] == run.baseline].sort_values("step").groupby("seed")["value"].last().dropna()
        target = last.median() * contest.metric.sign
        if last.empty or target <= contest.floor * contest.metric.sign:
            continue
        reached = rows[rows["value"] * contest.metric.sign >= target]
        first = reached.groupby(["variant", "seed"])["seconds"].min()
        for variant, seeds in rows.groupby("variant")["seed"].unique().items():
            seconds = [first.get((variant, seed), np.inf) for seed in seeds]
            times[contest.number, str(variant)] = float(median_low(seconds))  # half of the baseline's seeds reach it
    return times


def _shown_trials(run: Run, contest: Contest) -> dict[str, int]:
    """Name -> record of the variants at the first seed where most of them ended well, and of the references there."""
    trials = run.trials[(run.trials["full_task"] == contest.task) & (run.trials["status"] == "ok")]
    trials = trials.dropna(subset=["record", "seed"])
    competing = trials[trials["contest"] == contest.number]
    if competing.empty:
        return {}
    seed = competing.groupby("seed").size().idxmax()
    order = {variant: i for i, variant in enumerate(run.variants)}
    shown = competing[competing["seed"] == seed].sort_values("label", key=lambda labels: labels.map(order))
    beside = trials[trials["reference"].notna() & (trials["seed"] == seed)]
    both = pd.concat([shown, beside])
    return {str(label): int(record) for label, record in zip(both["label"], both["record"], strict=True)}
