"""The grid of verdicts: one row per contest, one cell per variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from coordbench.harness.statistics.paired import FEWEST_PAIRS
from coordbench.harness.statistics.sequential import LookComparison
from coordbench.reports.data.contest import Contest
from coordbench.reports.data.run import Run
from coordbench.reports.text import finite, interval, number, plural, signed, with_interval

GLYPHS = {"better": "▲", "tied": "=", "worse": "▼", "open": "?"}
LEANING = {1: "△", -1: "▽", 0: "?"}
"""An open comparison whose interval lies above 0, below, or around it."""
Kind = Literal["better", "tied", "worse", "open", "baseline", "failed", "none", "absent"]


@dataclass(frozen=True)
class Square:
    """One cell of the grid: what stands in it, and what is said when it is pointed at."""

    variant: str
    kind: Kind
    note: str
    detail: str
    score: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Line:
    """A contest and its cells."""

    contest: Contest
    cells: list[Square]


@dataclass(frozen=True)
class Standing:
    """A row of the leaderboard, as far as the grid shows it."""

    score: float | None
    low: float | None
    high: float | None
    seeds: int
    failed: int


@dataclass(frozen=True)
class Judged:
    """A row of the table of verdicts."""

    verdict: Literal["better", "tied", "worse", "open"]
    pairs: int
    mean: float
    low: float
    high: float
    detectable: float
    looks: LookComparison


def matrix(run: Run) -> list[Line]:
    """All contests of a run."""
    columns = ["score", "low", "high", "seeds", "failed"]
    board = {key: Standing(*_plain(row)) for key, row in _rows(run.leaderboard, columns).items()}
    judged = judged_of(run.verdicts)
    return [_line(run, contest, board, judged) for contest in run.contests.values()]


def judged_of(verdicts: pd.DataFrame) -> dict[tuple[int, str], Judged]:
    """(contest, variant) -> its row of a table of verdicts."""
    columns = ["verdict", "pairs", "mean", "low", "high", "detectable", "looks"]
    return {key: Judged(*row) for key, row in _rows(verdicts, columns).items()}  # type: ignore[arg-type]


def _rows(frame: pd.DataFrame, columns: list[str]) -> dict[tuple[int, str], tuple[object, ...]]:
    keys = zip(frame["contest"].astype(int), frame["variant"].astype(str), strict=True)
    return dict(zip(keys, frame[columns].astype(object).itertuples(index=False, name=None), strict=True))


def _plain(row: tuple[object, ...]) -> tuple[float | None, float | None, float | None, int, int]:
    score, low, high, seeds, failed = map(finite, row)
    return score, low, high, int(seeds or 0), int(failed or 0)


def _line(
    run: Run, contest: Contest, board: Mapping[tuple[int, str], Standing], judged: Mapping[tuple[int, str], Judged]
) -> Line:
    known = [row.score for key, row in board.items() if key[0] == contest.number and row.score is not None]
    best = (max(known) if contest.metric.better == "higher" else min(known)) if known else None
    cells = []
    for variant in run.variants:
        key = contest.number, variant
        cells.append(_square(run, contest, variant, board.get(key), judged.get(key), best))
    return Line(contest, cells)


def _square(
    run: Run, contest: Contest, variant: str, row: Standing | None, verdict: Judged | None, best: float | None
) -> Square:
    if row is None:
        return Square(variant, "absent", "", "not in this contest")
    if not row.seeds:
        if not row.failed:
            return Square(variant, "failed", "not run", "not run")
        return Square(variant, "failed", "failed", f"all {plural(row.failed, 'trial')} failed: no score and no rank")
    about = f"{contest.metric.name} {with_interval(row.score, row.low, row.high)} over {plural(row.seeds, 'seed')}"
    about += f", {row.failed} failed" if row.failed else ""
    is_best = row.score == best
    if variant == run.baseline:
        return Square(variant, "baseline", "baseline", about, row.score, is_best)
    if verdict is None:
        return Square(
            variant, "none", "", f"{about}; the baseline ended no trial of this contest well", row.score, is_best
        )
    note, why = note_of(verdict, planned=run.facts.planned), why_of(verdict)
    kind: Kind = verdict.verdict if verdict.pairs > 1 else "none"
    return Square(variant, kind, note, f"{about}; {why}", row.score, is_best)


def note_of(verdict: Judged, *, planned: bool) -> str:
    """The line under a score: the verdict in words, and where looks are planned whether it can still change."""
    if verdict.pairs < 2:
        return ""
    final = " · final" if planned and verdict.looks.final else ""
    if verdict.verdict != "open":
        return f"{GLYPHS[verdict.verdict]} {verdict.verdict}{final}"
    lean = LEANING[int(verdict.low > 0) - int(verdict.high < 0)]
    if not planned or not verdict.looks.next:
        return f"{lean} open{final}"
    return f"{lean} {verdict.looks.next.split(',')[0]}"


def why_of(verdict: Judged) -> str:
    """The difference that a verdict came from, its looks, and what an open one leaves."""
    if verdict.pairs < 2:
        return "one pair of seeds gives no verdict"
    difference = f"difference {signed(verdict.mean)} {interval(verdict.low, verdict.high)} from {verdict.pairs} pairs"
    difference += at_look(verdict.looks)
    if verdict.verdict != "open":
        return f"{difference}: {verdict.verdict}"
    if verdict.looks.next:
        return f"{difference}: open; {verdict.looks.next}"
    if verdict.looks.design and len(verdict.looks.design.looks) > 1:
        return f"{difference}: open; the largest effect still possible is {number(verdict.looks.still_possible)}"
    few = f", and fewer than {FEWEST_PAIRS} pairs decide nothing" if verdict.pairs < FEWEST_PAIRS else ""
    return f"{difference}: open; these seeds could only detect a change of {number(verdict.detectable)} or more{few}"


def at_look(looks: LookComparison) -> str:
    """Which of several looks a verdict is from; they are all paid for."""
    if looks.design is None or len(looks.design.looks) == 1 or not looks.taken:
        return ""
    return f", look {looks.taken} of {len(looks.design.looks)}, valid at all looks together"
