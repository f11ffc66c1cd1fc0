"""What a run found, in a few sentences, and the matrix of verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from coordbench.harness.core.record import FAILED
from coordbench.harness.statistics.paired import FEWEST_PAIRS
from coordbench.reports.claims.claims import Finding
from coordbench.reports.claims.summary import Summary
from coordbench.reports.data.stored import Run
from coordbench.reports.text import interval, number, plural, signed

GLYPHS = {"better": "▲", "tied": "=", "worse": "▼", "open": "?"}
LEANING = {1: "△", -1: "▽", 0: "?"}
"""An open comparison whose interval lies above 0, below, or around it."""


def findings(run: Run, judged: pd.DataFrame, aggregate: pd.DataFrame, ledger: Sequence[Finding]) -> list[str]:
    """A few sentences that say what was found, the most important first."""
    statuses = run.trials["status"]
    ended = int((statuses == "ok").sum())
    if not len(statuses):
        return ["Nothing was planned, so nothing was found."]
    if not ended:
        return [f"No trial ended well: all {plural(len(statuses), 'trial')} failed or were not run. See Failures."]
    told = (_leader(aggregate), *_standings(run, judged), _claims(ledger), _doubt(judged))
    return [sentence for sentence in told if sentence]


def _claims(ledger: Sequence[Finding]) -> str:
    """How many sentences of the papers stand."""
    claimed = Summary(ledger)
    count = len(claimed.directions)
    if not claimed.decided:
        return f"None of the papers' {count} claims of who leads is decided by this run."
    return f"Of the papers' {count} claims of who leads this run upholds {claimed.holds} and refutes {claimed.fails}."


def _leader(aggregate: pd.DataFrame) -> str:
    ranked = aggregate[aggregate["complete"]]
    if len(ranked) < 2:
        return ""
    first, second = ranked.iloc[0], ranked.iloc[1]
    over = plural(int(first["of"]), "contest")
    told = (
        f"{first.variant} has the highest normalized score, {number(first.iqm, 2)} {interval(first.low, first.high, 2)}"
    )
    if first.low != first.low:
        return f"{told} over {over}, from one seed: nothing can be said about how sure that is."
    if first.seeds < FEWEST_PAIRS:
        return f"{told} over {over}, before {second.variant} with {_iqm(second)}; {first.seeds} seeds prove no order."
    sure = "clear of" if first.low > second.high else "not clear of"
    return f"{told} over {over}, {sure} {second.variant} with {_iqm(second)}."


def _iqm(row: Any) -> str:
    return _with_interval(row.iqm, row.low, row.high, 2)


def _with_interval(value: Any, low: Any, high: Any, digits: int = 3) -> str:
    return f"{number(value, digits)} {interval(low, high, digits)}".strip()


def _standings(run: Run, judged: pd.DataFrame) -> list[str]:
    """Who is better and who is worse than the baseline, and where most clearly."""
    open_ones = judged["verdict"] == "open"
    few = judged["pairs"].max() < FEWEST_PAIRS if len(judged) else False
    groups = {
        f"Better than {run.baseline}": judged["verdict"] == "better",
        f"Worse than {run.baseline}": judged["verdict"] == "worse",
        f"Leaning ahead of {run.baseline}, not decided": few & open_ones & (judged["low"] > 0),
        f"Leaning behind {run.baseline}, not decided": few & open_ones & (judged["high"] < 0),
    }
    over = f"{judged['contest'].nunique()} contests"
    counted = {title: judged.loc[rows, "variant"].value_counts() for title, rows in groups.items()}
    return [f"{title}: {_counts(found)} of {over}." for title, found in counted.items() if len(found)]


def _counts(found: pd.Series[int]) -> str:
    named = ", ".join(f"{variant} in {count}" for variant, count in found.head(4).items())
    return f"{named} and {plural(len(found) - 4, 'other')}" if len(found) > 4 else named


def _doubt(judged: pd.DataFrame) -> str:
    if not len(judged):
        return "There is nothing to compare: the run holds no variant beside its baseline."
    if (judged["pairs"] < 2).all():
        return "One seed gives no interval and no verdict; run more seeds."
    open_ones = judged[judged["verdict"] == "open"]
    if open_ones.empty:
        return ""
    most = int(judged["pairs"].max())
    if most < FEWEST_PAIRS:
        few = f"{plural(most, 'seed')} each, and fewer than {FEWEST_PAIRS} decide nothing"
        return f"All {len(judged)} comparisons are still open: {few}; each cell says how many more would."
    share = f"{len(open_ones)} of {len(judged)} comparisons"
    return f"{share} are still open; each cell says how many more seeds would close it."


def matrix(run: Run, judged: pd.DataFrame, board: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per contest, one cell per variant: its score and the verdict against the baseline."""
    verdicts: dict[Any, Any] = {(row.contest, row.variant): row for row in judged.itertuples()}
    scores: dict[Any, Any] = {(row.contest, row.variant): row for row in board.itertuples()}
    rows = []
    for contest in run.contests.index:
        facts = run.contests.loc[contest]
        cells = [_cell(run, scores.get((contest, v)), verdicts.get((contest, v)), v, facts) for v in run.variants]
        best = [cell["score"] for cell in cells if cell["score"] == cell["score"]]
        top = (max(best) if facts["better"] == "higher" else min(best)) if best else None
        for cell in cells:
            cell["best"] = top is not None and cell["score"] == top
        rows.append({"contest": contest, "facts": facts, "cells": cells})
    return rows


def _cell(run: Run, row: Any, verdict: Any, variant: str, facts: pd.Series[Any]) -> dict[str, Any]:
    missing = float("nan")
    if row is None:
        return {"variant": variant, "kind": "absent", "score": missing, "told": "not in this contest", "note": ""}
    cell = {"variant": variant, "score": row.score, "failed": int(row.failed), "seeds": int(row.seeds)}
    if not row.seeds:
        note = "failed" if row.failed else "not run"
        return cell | {"kind": "failed", "told": f"all {row.failed} seeds failed" if row.failed else note, "note": note}
    about = f"{facts['metric']} {_with_interval(row.score, row.low, row.high)} over {plural(int(row.seeds), 'seed')}"
    if row.failed:
        about += f", {row.failed} failed"
    if variant == run.baseline:
        return cell | {"kind": "baseline", "told": about, "note": "baseline"}
    if verdict is None:
        return cell | {"kind": "none", "told": f"{about}; the baseline is not in this contest", "note": ""}
    kind = verdict.verdict if verdict.pairs > 1 else "none"
    return cell | {"kind": kind, "told": f"{about}; {_why(verdict)}", "note": _note(verdict)}


def _note(verdict: Any) -> str:
    """The line under a score: the verdict in words."""
    if verdict.pairs < 2:
        return ""
    if verdict.verdict != "open":
        return f"{GLYPHS[verdict.verdict]} {verdict.verdict}"
    known = verdict.more_seeds == verdict.more_seeds and verdict.more_seeds
    lean = LEANING[int(verdict.low > 0) - int(verdict.high < 0)]
    return f"{lean} {int(verdict.more_seeds) if known else '> 200'} more"


def _why(verdict: Any) -> str:
    if verdict.pairs < 2:
        return "one pair: no verdict"
    difference = f"difference {signed(verdict.mean)} {interval(verdict.low, verdict.high)} from {verdict.pairs} pairs"
    if verdict.verdict == "open":
        return f"{difference}: open; smallest detectable effect {number(verdict.detectable)}"
    return f"{difference}: {verdict.verdict}"


def failed_share(run: Run) -> dict[str, int]:
    """How many trials of each variant failed."""
    bad = run.trials[run.trials["status"].isin(FAILED)]
    return {str(label): int(count) for label, count in bad.groupby("label").size().items()}
